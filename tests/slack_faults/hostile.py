"""Names and texts that want to be more, and that are too long."""

import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from functools import partial

from analysis.verdict.report import Report
from bot.fetch.download import Fetched
from tests.bot.kit import ANNA, BOT, CRASHES, Analyst, dump, replies, shown, until
from tests.slack_faults.events import VERDICT
from tests.slack_faults.scene import PATIENCE, Case, Scene, first

GROUP = "texts"
DRIVER = "rassstp.sys"
NAMES = {
    "mentions": "<!channel><@U0BEN00001><!subteam^S1>.sys",
    "a link with a label": "<https://evil.example|help>.sys",
    "mrkdwn": "*b*_i_~s~`c````x```.sys",
    "HTML": "<b>&amp;<script>.sys",
    "right to left": "gnp.\u202esys.ssar\u2066\u200f",
    "control characters": "a\x00b\x1b[31mc\x07\nd\re.sys",
    "20,000 letters": "x" * 20_000 + ".sys",
    "emoji and quotes": ":rotating_light:'\"“”.sys",
}
SHOWN = {"20,000 letters": "xxxxxxxxxxxxxxxx"}
# What Slack would turn into something, but for dates and links that are ours; and what turns text around or off.
ACTIVE = re.compile(
    r"<(?!\!date\^|https?://127\.0\.0\.1|https?://[a-z0-9.-]*slack\.com|/)[!@#h]|[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]"
)


@dataclasses.dataclass
class Renamed(Analyst):
    """An analysis that finds a driver of another name."""

    name: str = ""

    async def __call__(
        self, fetched: Fetched, progress: Callable[[str, float | None], None], symbols: object = None
    ) -> Report:
        """The sample report with that name for its driver, wherever it stands."""
        report = await Analyst.__call__(self, fetched, progress, symbols)
        told = json.dumps(report.to_json()).replace(DRIVER, json.dumps(self.name)[1:-1])
        return Report.from_json(json.loads(told))


async def _named(here: Scene, name: str) -> str:
    here.analyst = Renamed(name=name)
    async with here.running():
        ending = await here.told(here.post())
        asked = here.slack.workspace.say(CRASHES, ANNA, f"{BOT} last 5 crashes")
        await until(lambda: replies(here.slack, asked), PATIENCE)
        await here.quiet()
    return f"{ending}{_active(here)}"


def _active(here: Scene) -> str:
    # Everything that was sent, as Slack reads it.
    for channel in here.slack.workspace.channels.values():
        for message in channel.messages.values():
            if message.user == here.slack.workspace.bot.id:
                found = next((m for text in _raw([message.text, message.blocks]) for m in ACTIVE.finditer(text)), None)
                if found is not None:
                    return f" ACTIVE: {found.string[found.start() : found.start() + 40]!r}"
    return ""


def _raw(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            if name not in ("value", "action_id", "block_id", "url"):
                yield from _raw(item)
    elif isinstance(value, list):
        for item in value:
            yield from _raw(item)


async def _file_name(here: Scene) -> str:
    said = here.slack.workspace.upload(CRASHES, ANNA, "<!channel>\u202e*`.dmp", dump("seed"))
    return f"{await here.told(said)}{_active(here)}"


async def _address(here: Scene) -> str:
    here.files.routes["/%3C!channel%3E.dmp"] = here.files.routes[f"/{here.link().rpartition('/')[2]}"]
    said = here.slack.workspace.say(CRASHES, ANNA, here.files.url("/%3C!channel%3E.dmp"))
    return f"{await here.told(said)}{_active(here)}"


async def _words(here: Scene) -> str:
    asked = here.slack.workspace.say(CRASHES, ANNA, f"{BOT} <!channel> *tell* `me` \u202e a joke {'x' * 4000}")
    await until(lambda: replies(here.slack, asked), PATIENCE)
    return f"{first(shown(replies(here.slack, asked)[0]))}{_active(here)}"


async def _many_links(here: Scene) -> str:
    links = " ".join(here.link(number) for number in range(12))
    said = here.slack.workspace.say(CRASHES, ANNA, links)
    await until(lambda: replies(here.slack, said), PATIENCE)
    await here.done(said)
    return here.ending(said)


async def _long_message(here: Scene) -> str:
    return await here.told(here.slack.workspace.say(CRASHES, ANNA, f"{'blah ' * 7800} {here.link()}"))


async def _refused_blocks(here: Scene, word: str) -> str:
    here.slack.faults.fail("chat.postMessage", word)
    return await here.told(here.post())


def cases() -> Iterator[Case]:
    """The rows."""
    for what, name in NAMES.items():
        yield Case(
            GROUP,
            f"a driver's name: {what}",
            "a link",
            partial(_named, name=name),
            SHOWN.get(what, "holds nt!Pi"),
            starts=False,
        )
    yield Case(GROUP, "a file's name", "a dump, uploaded", _file_name, VERDICT)
    yield Case(GROUP, "an address", "a link", _address, VERDICT)
    yield Case(GROUP, "a question of 4,000 letters", "a mention", _words, "I did not understand", 0)
    yield Case(GROUP, "12 links in one message", "12 links", _many_links, VERDICT, 12)
    yield Case(GROUP, "a message of 39,000 letters", "a link", _long_message, VERDICT)
    for word in ("invalid_blocks", "msg_too_long", "msg_blocks_too_long"):
        name = f"Slack refuses the blocks of the answer: {word}"
        yield Case(GROUP, name, "a link", partial(_refused_blocks, word=word), VERDICT, refuses=frozenset({word}))
