"""The whole bot against the stand-in, in one loop, with an analysis that answers from the golden reports."""

import asyncio
import dataclasses
import hashlib
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from analysis.verdict.report import Report
from analysis.verdict.rules import present_analyzer
from bot.child import AnalysisFailed
from bot.fetch.download import Fetched
from bot.mrkdwn import plain
from bot.sandbox import Message, StandIn
from bot.sandbox.server import APP_TOKEN, BOT_TOKEN
from bot.serve import serve
from bot.settings import Settings
from tests.bot.reports import sample

CRASHES, NO_BOT, DIRECT = "C0CRASHES1", "C0NOBOT001", "D0ANNA0001"
ANNA = "U0ANNA0001"
BOT = "<@U0PILEUP01>"
PATIENCE = 60.0  # of a test on a machine that has much else to do; the suite's own limit is twice that
SECRET = "0123456789abcdef"


def dump(name: str, variant: int = 0) -> bytes:
    """A file that the pretended analysis takes for the dump of a sample report."""
    return f"GOLDEN {name} {variant}\n".encode() * 2000


def identity(content: bytes) -> str:
    """The report contract's identity of a file."""
    return "1:" + hashlib.sha256(len(content).to_bytes(8, "little") + content[:8192]).hexdigest()


@dataclass
class Analyst:
    """The pretended analysis: counts its runs, takes ``seconds``, and answers from the sample reports.

    ``rules`` is the file with the user's own rules by which it says it went.
    """

    seconds: float = 0.0
    rules: Path | None = None
    runs: int = 0
    running: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(
        self, fetched: Fetched, progress: Callable[[str, float | None], None], symbols: object = None
    ) -> Report:
        self.runs += 1
        self.running.set()
        content = fetched.path.read_bytes()  # a few kilobytes
        for step in range(1, 5):
            progress("reading threads", step / 5)
            await asyncio.sleep(self.seconds / 4)
        found = re.match(rb"(?:MDMP)?GOLDEN (\w+) ", content)
        if found is None:
            raise AnalysisFailed("not-a-dump", "not a dump that can be read: this is something else", 3)
        report = sample(found[1].decode())
        about = dataclasses.replace(
            report.dump,
            identity=identity(content),
            sha256=hashlib.sha256(content).hexdigest(),
            source=fetched.source,
            size_bytes=len(content),
        )
        return dataclasses.replace(report, dump=about, analyzer=present_analyzer(self.rules))


class Reached(Protocol):
    """A Slack that can be called."""

    @property
    def api_url(self) -> str:
        """The address of its Web API."""


def settings(slack: Reached, home: Path, **more: Any) -> Settings:
    """The settings of a bot that talks to the stand-in, or another Slack, and may fetch from loopback."""
    given: dict[str, Any] = {
        "home": home,
        "slack_bot_token": BOT_TOKEN,
        "slack_app_token": APP_TOKEN,
        "slack_api_url": slack.api_url,
        "allow_private_addresses": True,
        "lease_seconds": 2,
    }
    return Settings(_env_file=None, **(given | more))  # type: ignore[call-arg]  # pydantic-settings' own argument


@asynccontextmanager
async def bot(
    slack: StandIn, home: Path, analyst: Analyst | None, pace: float = 0.01, **more: Any
) -> AsyncIterator[asyncio.Event]:
    """The bot, connected, until the block ends; gives the event that stops it.

    With ``transport="http"`` the stand-in comes to it.
    """
    stop = asyncio.Event()
    is_http = more.get("transport") == "http"
    if is_http:
        more = {"slack_signing_secret": SECRET, "http_port": free_port()} | more
    running = asyncio.create_task(serve(settings(slack, home, **more), analyse=analyst, stop=stop, pace_seconds=pace))
    try:
        if is_http:
            await until(lambda: is_open(more["http_port"]) or running.done())
            await slack.use_http(f"http://127.0.0.1:{more['http_port']}/slack/events", SECRET)
        else:
            await until(lambda: bool(slack.socket_mode.connections) or running.done())
        yield stop
    finally:
        stop.set()
        await running


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as place:
        return int(place.getsockname()[1])


def is_open(port: int, address: str = "127.0.0.1") -> bool:
    """Whether somebody listens at a port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((address, port)) == 0


async def until(condition: Callable[[], Any], seconds: float = PATIENCE, poll: float = 0.02) -> None:
    """Wait for something to become true. Raises: TimeoutError."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # the condition is any expression
            await asyncio.sleep(poll)


def replies(slack: StandIn, parent: Message, channel: str = CRASHES) -> list[Message]:
    """The bot's messages in a thread."""
    return [m for m in slack.workspace.channels[channel].thread(parent.ts) if m.user == slack.workspace.bot.id]


def shown(message: Message) -> str:
    """Everything a person sees of a message."""
    return plain("\n".join([*_texts(message.blocks), *(file.name for file in message.files)]) or message.text)


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["text"]] if isinstance(value.get("text"), str) else []
        return own + [text for item in value.values() if not isinstance(item, str) for text in _texts(item)]
    return [text for item in value for text in _texts(item)] if isinstance(value, list) else []


def mishaps(slack: StandIn) -> list[str]:
    """Calls that went wrong, each with Slack's word. A reaction that is there already, or not there to be taken away,
    is none: the bot drops a first one where it is in a hurry, and takes it away in any case.
    """
    fine = {("reactions.add", "already_reacted"), ("reactions.remove", "no_reaction")}
    return [
        f"{call.method}: {call.error}" for call in slack.calls if call.error and (call.method, call.error) not in fine
    ]


def is_done(slack: StandIn, parent: Message) -> bool:
    """The bot has put its final reaction and taken away the first."""
    return bool({"white_check_mark", "x"} & set(parent.reactions)) and "eyes" not in parent.reactions


def is_told(slack: StandIn, parent: Message, channel: str = CRASHES) -> bool:
    """The last detail of a full story, the report file, is in the thread."""
    return any(f.name.endswith(".json") for m in replies(slack, parent, channel) for f in m.files)
