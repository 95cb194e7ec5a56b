"""One row of the table, played: the whole bot against the stand-in, and what is to be held against it afterwards."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.sandbox import Message, StandIn
from storage.store import Store
from tests.bot.kit import ANNA, CRASHES, Analyst, bot, dump, is_done, is_told, replies, shown, until
from tests.bot.server import Server, page, serving
from tests.soak.counting import is_final

TRANSPORTS = ("socket", "http")
PATIENCE = 90.0
FIRST = 90  # characters of a message that the table shows
# What Slack says to a message or a call that should never have been made that way.
OURS = frozenset(
    {"invalid_blocks", "invalid_blocks_format", "msg_too_long", "no_text", "invalid_arguments", "metadata_too_large",
     "invalid_metadata_format", "invalid_metadata_schema", "unknown_method", "not_allowed_token_type"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that is done to the bot.

    ``sent`` is what a person sent meanwhile. ``play`` does it all and gives what that person sees in the end, of which
    ``sees`` is a part; ``verdicts`` of the dump stand in the workspace by then, no more and no fewer. ``only``: one
    transport knows such a thing. ``seconds`` is how long an analysis takes. ``starts`` false: the row starts the bot.
    ``unheard``: events may stay without an answer.
    """

    group: str
    name: str
    sent: str
    play: "Callable[[Scene], Awaitable[str]]"
    sees: str
    verdicts: int = 1
    only: str | None = None
    seconds: float = 0.0
    scopes: frozenset[str] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    starts: bool = True
    unheard: bool = False
    refuses: frozenset[str] = frozenset()

    @property
    def transports(self) -> tuple[str, ...]:
        """Where it is tried."""
        return TRANSPORTS if self.only is None else (self.only,)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a row: what the person sees, how many verdicts stand there, and what is wrong."""

    sees: str
    verdicts: int
    problems: tuple[str, ...]


@dataclass
class Scene:
    """What a row works with. ``home`` is the bot's directory."""

    case: Case
    slack: StandIn
    files: Server
    home: Path
    transport: str
    analyst: Analyst

    def link(self, variant: int = 0, story: str = "seed") -> str:
        """A link to a dump of its own, served."""
        self.files.routes[f"/{story}{variant}.dmp"] = page(dump(story, variant))
        return self.files.url(f"/{story}{variant}.dmp")

    def post(self, variant: int = 0, *, channel: str = CRASHES, thread: str | None = None) -> Message:
        """A person posts such a link."""
        return self.slack.workspace.say(channel, ANNA, self.link(variant), thread)

    def running(self) -> Any:
        """The bot, for as long as a block lasts."""
        return bot(self.slack, self.home, self.analyst, transport=self.transport, **self.case.settings)

    async def told(self, said: Message, channel: str = CRASHES) -> str:
        """Wait for the whole story below a message: how it ends."""
        await until(lambda: is_told(self.slack, said, channel) and is_done(self.slack, said), PATIENCE)
        return self.ending(said, channel)

    async def done(self, said: Message, channel: str = CRASHES) -> str:
        """Wait for the final reaction of a message: how it ends."""
        await until(lambda: is_done(self.slack, said), PATIENCE)
        return self.ending(said, channel)

    async def quiet(self) -> None:
        """Wait until nothing is left to do, and everything that was sent was taken."""
        with Store.open(self.home / "pileup.sqlite") as store:
            await until(lambda: not store.jobs.active(), PATIENCE)
        await until(lambda: all(d.acked_after is not None or d.given_up for d in self.slack.deliveries.all), PATIENCE)

    async def whispered(self, number: int = 1) -> str:
        """Wait for a message to one person alone: its words."""
        await until(lambda: len(self.slack.workspace.whispers) >= number, PATIENCE)
        return f"to the person alone: {first(self.slack.workspace.whispers[number - 1].text)}"

    def ending(self, said: Message, channel: str = CRASHES) -> str:
        """What stands below a message, and its reactions."""
        below = [shown(message) for message in replies(self.slack, said, channel) if message is not said]
        marks = " ".join(f":{name}:" for name in said.reactions)
        more = f" (+{len(below) - 1})" if len(below) > 1 else ""
        return f"{marks} {first(below[0]) if below else 'nothing'}{more}".strip()

    async def calls(self, error: str, number: int = 1) -> None:
        """Wait until so many calls were answered with an error."""
        await until(lambda: sum(call.error == error for call in self.slack.calls) >= number, PATIENCE)


def first(text: str) -> str:
    """The beginning of a text in one line."""
    line = " ".join(text.split())
    return line if len(line) <= FIRST else f"{line[: FIRST - 1]}…"


@asynccontextmanager
async def scene(case: Case, transport: str) -> AsyncIterator[Scene]:
    """A workspace, a server of dumps and an empty directory for one row."""
    with tempfile.TemporaryDirectory() as home:
        async with StandIn(scopes=case.scopes) as slack, serving() as files:
            yield Scene(case, slack, files, Path(home), transport, Analyst(seconds=case.seconds))


async def played(case: Case, transport: str) -> Result:
    """Play a row and hold what is left against it."""
    async with scene(case, transport) as here:
        sees, problems = "", []
        try:
            if case.starts:
                async with here.running():
                    sees = await case.play(here)
                    if not case.unheard:
                        await here.quiet()
            else:
                sees = await case.play(here)
        except TimeoutError:
            problems.append("it did not come to its end")
        found = verdicts(here.slack)
        if found != case.verdicts:
            problems.append(f"{found} verdicts")
        if case.sees not in sees:
            problems.append(f"does not show {case.sees!r}")
        return Result(sees, found, (*problems, *_faults(here)))


def verdicts(slack: StandIn) -> int:
    """How many verdicts stand in all channels."""
    return sum(
        is_final(message) for channel in slack.workspace.channels.values() for message in channel.messages.values()
    )


def _faults(here: Scene) -> list[str]:
    slack = here.slack
    ours = [
        (channel.id, message)
        for channel in slack.workspace.channels.values()
        for message in channel.messages.values()
        if message.user == slack.workspace.bot.id and message.metadata
    ]
    keys = Counter((channel, key_of(message)) for channel, message in ours)
    files = Counter(
        (channel.id, message.thread_ts, file.name)
        for channel in slack.workspace.channels.values()
        for message in channel.messages.values()
        if message.user == slack.workspace.bot.id
        for file in message.files
    )
    found = [f"{key} stands there twice" for (_, key), count in keys.items() if count > 1 and ":" in key]
    found += [f"{name} was shared twice" for (_, _, name), count in files.items() if count > 1]
    found += [f"{first(m.text)} stands in the channel" for _, m in ours if m.thread_ts is None and ":" in key_of(m)]
    found += [f"{method} was never called" for method in slack.faults.unused]
    words = {call.error for call in slack.calls if call.error in OURS} - here.case.refuses
    found += [f"a call was refused as {word}" for word in sorted(str(word) for word in words)]
    late = [d for d in slack.deliveries.all if d.acked_after is None]
    if late and not here.case.unheard:
        found.append(f"{len(late)} of what was sent was never acknowledged")
    return found


def key_of(message: Message) -> str:
    """The key in a message's metadata: "…:summary" in a story; "command-…" and the like outside of one."""
    return str((message.metadata or {}).get("event_payload", {}).get("key", ""))


async def asleep(seconds: float) -> None:
    """Let real time pass, where that is what the row is about."""
    await asyncio.sleep(seconds)
