"""What people see in Slack, as pictures: ``python -m tests.slack_screens`` (``make screens-slack``).

The demo's dump goes its whole way, through the real analysis and its symbol store, into a stand-in whose channels have
seen other crashes before; a person reads, presses and asks on the chat page in Chromium. Each view is taken twice:
wide, and as narrow as a telephone. They are there to be looked at.
"""

import argparse
import asyncio
import dataclasses
import re
import sys
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from bot.digests import digest_job
from bot.sandbox import Message, StandIn
from bot.sandbox.page import add_pages
from bot.sandbox.sample import unpack
from storage.clock import stamp, utc_now
from storage.digests import Period
from storage.hours import Plan
from storage.store import Store
from storage.threads import Told
from tests.bench.slack import COMMENT
from tests.bot.kit import ANNA, CRASHES, bot, is_done, is_told, replies, shown, until
from tests.bot.reports import sample
from tests.bot.server import page, serving
from tests.browser import CHROMIUM, Page, chromium
from tests.storage.samples import Clock, identity_of

WIDTHS = {"": 1280, "-narrow": 390}
ASIDE = 'aside[aria-label="Thread"]'
PAGES = "https://pileup.example"
DAY = timedelta(days=1)
ROOM = 40  # below the last line, in pixels
# Days ago, what, on which machine: what the channel has seen before.
BEFORE = [
    (13, "deadlock", "FS-02"), (11, "exception", "WS-0131"), (10, "deadlock", "FS-02"),
    (8, "deadlock", "FS-02"), (7, "exception", "WS-0131"), (7, "deadlock", "FS-01"), (6, "deadlock", "FS-02"),
    (5, "exception", "WS-0144"), (5, "cannot_tell", "KIOSK-7"), (5, "deadlock", "FS-02"), (4, "exception", "WS-0131"),
    (3, "deadlock", "FS-01"),
]  # fmt: skip
# The lowest line of what stands in a list of messages, and what is below that list.
_HEIGHT = (
    "(() => { const lists = [...document.querySelectorAll('main, aside')].filter((e) => e.offsetParent);"
    "const rest = innerHeight - Math.max(...lists.map((e) => e.getBoundingClientRect().bottom));"
    "return rest + Math.max(...lists.map((e) => e.lastElementChild.getBoundingClientRect().bottom)); })()"
)


@dataclass(frozen=True, slots=True)
class Desk:
    """A person before the chat page, and where the pictures go."""

    slack: StandIn
    browser: Page
    directory: Path

    async def read(self, channel: str, parent: Message | None = None, tab: str = "") -> None:
        """Open a channel, a thread in it, or the home tab."""
        query = f"?thread={parent.ts}" if parent else "?tab=home" if tab else ""
        await self.browser.open(f"{self.slack.base}chat/{channel}{query}")
        await self.browser.until("[...document.images].every((one) => one.complete && one.alt.length > 20)")

    async def take(self, name: str, *, whole: bool = True) -> None:
        """Both pictures of what is open: as high as it is, or as high as a screen."""
        for suffix, width in WIDTHS.items():
            await self.browser.resize(width, 900)
            if whole:
                await self.browser.resize(width, 6000)
                height = await self.browser.evaluate(_HEIGHT)
                await self.browser.resize(width, int(height) + ROOM)
            await self.browser.picture(self.directory / f"slack-{name}{suffix}.png")
        await self.browser.resize(WIDTHS[""], 900)


def remember(home: Path) -> None:
    """Give the channel a past: crashes of two weeks, some of them known, assigned, acknowledged."""
    clock, now = Clock(), utc_now()
    with Store.open(home / "pileup.sqlite", clock) as store:
        for number, (days, name, host) in enumerate(BEFORE):
            clock.now = now - days * DAY + timedelta(hours=number)
            told = sample(name)
            at = stamp(clock.now)
            dump = dataclasses.replace(told.dump, identity=identity_of(f"{name} {number}"), sha256=None)
            system = dataclasses.replace(told.system, computer_name=host, crash_time=at)
            kept = store.remember(dataclasses.replace(told, dump=dump, system=system))
            ts = f"{clock.now.timestamp():.0f}.000{number:03d}"
            link = f"https://team.example/archives/{CRASHES}/p{ts.replace('.', '')}"
            store.threads.note(
                Told(report_id=kept.id, team="T0SANDBOX1", channel=CRASHES, ts=ts, summary_ts=ts + "1", permalink=link)
            )
        signature = sample("exception").bucket.signature
        store.knowledge.note(signature, "assign", "U0BEN00001", {"to": ANNA}, None)


async def thread(desk: Desk, text: str, name: str, *, full: bool = False) -> Message:
    """Post something and take its thread once it is answered."""
    said = desk.slack.workspace.say(CRASHES, ANNA, text)
    await until(lambda: is_told(desk.slack, said) if full else is_done(desk.slack, said), seconds=90)
    await desk.read(CRASHES, said)
    await desk.take(name)
    return said


async def story(desk: Desk, files: str, home: Path) -> None:
    """What happens in a channel in a night, and what stands there in the morning."""
    link = f"<{files}/seed.dmp>"
    first = await thread(desk, f"the lab machine hung again: {link}", "seed-thread", full=True)
    picture = next(file for message in replies(desk.slack, first) for file in message.files if file.name[-4:] == ".png")
    await asyncio.to_thread((desk.directory / "slack-pile-up.png").write_bytes, picture.content)
    await thread(desk, f"and what about this one? {link}", "duplicate")
    await thread(desk, f"the one beside it, too: <{files}/beside.dmp>", "same-failure")

    asked = desk.slack.workspace.say(
        CRASHES, ANNA, f"<@{desk.slack.workspace.bot.id}> have we seen rassstp this month?"
    )
    await until(lambda: replies(desk.slack, asked))
    await desk.read(CRASHES, asked)
    await desk.take("question")
    inside = f"<@{desk.slack.workspace.bot.id}> who held the lock?"
    desk.slack.workspace.say(CRASHES, ANNA, inside, first.ts)
    await until(lambda: "PiEngineLock" in shown(replies(desk.slack, first)[-1]) and len(replies(desk.slack, first)) > 6)
    await desk.read(CRASHES, first)
    await desk.browser.press(f"{ASIDE} button", "Known issue…")
    await desk.browser.see("What is known?", "#window")
    await desk.browser.write("#window textarea", "loses power requests of its miniport; vendor told")
    await desk.take("modal", whole=False)
    await desk.browser.press("#window button", "Save")
    await until(lambda: "Known issue: loses power" in shown(replies(desk.slack, first)[0]))
    await desk.browser.press(f"{ASIDE} button", "Acknowledge")
    await until(lambda: "acknowledged" in shown(replies(desk.slack, first)[0]))
    await desk.read(CRASHES, first)
    await desk.take("acted-on")

    page_link = re.search(rf"{PAGES}[^|>]+", str(replies(desk.slack, first)[0].blocks))
    assert page_link is not None
    linked = desk.slack.workspace.say(CRASHES, ANNA, f"is this the one of last night? <{page_link[0]}>")
    await until(lambda: linked.unfurled)
    await desk.read(CRASHES, linked)
    await desk.take("unfurl")

    await desk.read("D0ANNA0001", tab="home")
    await desk.browser.see("Settings", "#home")
    await desk.take("home")
    await desk.browser.press("#home button", "Add a rule…")
    await desk.browser.see("Severity", "#window")
    await desk.take("rule", whole=False)
    await desk.browser.press("#window button", "Close")
    await until(lambda: not desk.slack.workspace.views)
    await desk.read("D0ANNA0001", tab="home")
    await desk.browser.see("Settings", "#home")
    await desk.browser.choose("#home .use:has(option[value=C0CRASHES1]) select", "#crashes")
    await desk.browser.press("#home .use:has(option[value=C0CRASHES1]) button")
    await desk.browser.see("How verdicts stand", "#window")
    await desk.take("channel-settings", whole=False)
    await desk.browser.press("#window button", "Close")

    with Store.open(home / "pileup.sqlite") as store:
        now = utc_now()
        plan = Plan("week", now.hour * 60 + now.minute, "UTC", now.weekday())
        period = Period("week", f"{now:%Y-%m-%d}", now - 7 * DAY, now, 0)  # due at this very moment
        store.jobs.enqueue(digest_job("T0SANDBOX1", CRASHES, plan, period))
    room = desk.slack.workspace.channels[CRASHES]
    await until(lambda: any(file.name.startswith("crashes-week") for m in room.messages.values() for file in m.files))
    chart = next(m for m in room.messages.values() if any(file.name.startswith("crashes-week") for file in m.files))
    await desk.read(CRASHES, room.messages[chart.thread_ts or chart.ts])
    await desk.take("digest")


async def play(directory: Path, scratch: Path) -> None:
    """Take every picture."""
    home = scratch / "home"
    home.mkdir()
    remember(home)
    demo = await asyncio.to_thread(unpack, scratch)
    dump = await asyncio.to_thread(demo.dump.read_bytes)
    beside = dump[:COMMENT] + b"beside\0\0" + dump[COMMENT + 8 :]
    async with (
        StandIn(pages=add_pages) as slack,
        chromium(scratch / "profile") as browser,
        serving(**{"seed.dmp": page(dump), "beside.dmp": page(beside)}) as files,
        bot(slack, home, None, symbols=str(demo.store), web_url=PAGES, web_secret="0123456789abcdef"),
    ):
        slack.workspace.unfurl_domains.add("pileup.example")
        await story(Desk(slack, browser, directory), files.url("").rstrip("/"), home)
    assert browser.problems == []
    print(f"pictures in {directory}")


def main() -> int:
    """Take the pictures. The exit status is 1 where there is no browser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, nargs="?", default=Path("build/screens"))
    directory: Path = parser.parse_args().directory
    if CHROMIUM is None:
        print("no chromium here", file=sys.stderr)
        return 1
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        asyncio.run(play(directory, Path(scratch)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
