"""From a link posted to the verdict in its thread: ``python -m tests.bench.slack`` (``make bench-slack``).

The bot runs in a process of its own against the stand-in for Slack, which keeps to Slack's rates: a message a second in
a channel, 50 edits and 50 reactions a minute. Each link leads to a small dump of its own, told apart by its comment.
First one link after another, each posted when the last was answered; then many at once.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bot.sandbox import Message, StandIn
from bot.sandbox.faults import Faults
from bot.sandbox.server import APP_TOKEN, BOT_TOKEN
from tests.bot.kit import ANNA, CRASHES, replies, shown, until
from tests.bot.server import Request, Server, reply, serving
from tests.forge import forge

COMMENT = 0xFB0  # of the dump's header, which nothing reads
BOT = "import sys; from bot.cli import main; sys.exit(main())"
# Calls and the seconds in which so many of them pass (docs.slack.dev/apis/web-api/rate-limits).
RATES = {"chat.postMessage": (1, 1.0), "chat.update": (50, 60.0), "reactions.add": (50, 60.0)}
PATIENCE = 1800.0


@dataclass(slots=True)
class Rates(Faults):
    """Slack's own limits, always on. ``refused`` counts the calls that came too fast."""

    refused: int = 0
    _calls: dict[str, deque[float]] = field(default_factory=dict)

    def retry_after(self, method: str) -> int | None:
        """The seconds to wait where a method was called too often."""
        if method not in RATES:
            return None
        most, seconds = RATES[method]
        calls, now = self._calls.setdefault(method, deque()), self.clock()
        while calls and calls[0] <= now - seconds:
            calls.popleft()
        if len(calls) >= most:
            self.refused += 1
            return max(1, round(calls[0] + seconds - now))
        calls.append(now)
        return None


@dataclass
class Posted:
    """A link and the moments of its answer."""

    message: Message
    at: float
    verdict: float | None = None


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one-by-one", type=int, default=50)
    parser.add_argument("--at-once", type=int, default=100)
    arguments = parser.parse_args()
    asyncio.run(_measure(arguments.one_by_one, arguments.at_once))


async def _measure(one_by_one: int, at_once: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        forged = forge("seed", kind="triage", build=19041)
        dump = await asyncio.to_thread(forged.write(home / "small.dmp").read_bytes)
        forged.write_isf(home / "symbols")
        async with StandIn() as slack, serving() as files, _bot(slack, home) as process:
            slack.faults = Rates()
            await until(lambda: bool(slack.socket_mode.connections), 30)
            await _answered([_post(slack, files, dump, 0)], slack)  # warm
            times = []
            for number in range(1, one_by_one + 1):
                (posted,) = await _answered([_post(slack, files, dump, number)], slack)
                times.append(posted)
            _say(f"{one_by_one} links, one after another", times)
            burst = []
            for number in range(at_once):
                burst.append(_post(slack, files, dump, 10_000 + number))
                await asyncio.sleep(10 / at_once)
            await _answered(burst, slack)
            _say(f"{at_once} links within 10 s", burst)
            order = sorted(range(len(burst)), key=lambda number: burst[number].verdict or 0.0)
            moved = max(abs(place - number) for place, number in enumerate(order))
            print(f"  no link was answered more than {moved} places away from its turn")
            print(f"  calls that Slack refused as too fast: {slack.faults.refused}")
            _cost(process.pid)


def _post(slack: StandIn, files: Server, dump: bytes, number: int) -> Posted:
    own = dump[:COMMENT] + number.to_bytes(8, "little") + dump[COMMENT + 8 :]

    async def answer(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(reply("200 OK", own))
        await writer.drain()

    files.routes[f"/{number}.dmp"] = answer
    message = slack.workspace.say(CRASHES, ANNA, files.url(f"/{number}.dmp"))
    return Posted(message, time.monotonic())


async def _answered(links: list[Posted], slack: StandIn) -> list[Posted]:
    # Looks at all threads many times a second, so a verdict's time is right to a twentieth of a second.
    async with asyncio.timeout(PATIENCE):
        while True:
            for link in links:
                if link.verdict is None and any(map(_is_verdict, replies(slack, link.message))):
                    link.verdict = time.monotonic()
            if all(link.verdict is not None for link in links):
                return links
            await asyncio.sleep(0.05)


def _is_verdict(reply: Message) -> bool:
    # In full, or in short where the same failure was told before. Details, which follow, do not count.
    text = shown(reply)
    return "Confidence:" in text or "The same failure again:" in text


def _say(what: str, links: list[Posted]) -> None:
    seconds = sorted(link.verdict - link.at for link in links if link.verdict is not None)
    last = max((link.verdict or 0.0) - links[0].at for link in links)
    print(
        f"{what}: median {statistics.median(seconds):.2f} s, worst {seconds[-1]:.2f} s, last after {last:.1f} s",
        flush=True,
    )


def _cost(pid: int) -> None:
    # Of the bot itself and of the children it has waited for.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own, children = (sum(map(int, fields[at : at + 2])) / os.sysconf("SC_CLK_TCK") for at in (11, 13))
    peak = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(f"  the bot: {own:.1f} s of processor, its analyses {children:.1f} s; its peak {peak.split()[1]} kB")


@asynccontextmanager
async def _bot(slack: StandIn, home: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = os.environ | {
        "PILEUP_HOME": str(home / "home"),
        "PILEUP_SLACK_API_URL": slack.api_url,
        "PILEUP_SLACK_BOT_TOKEN": BOT_TOKEN,
        "PILEUP_SLACK_APP_TOKEN": APP_TOKEN,
        "PILEUP_ALLOW_PRIVATE_ADDRESSES": "true",
        "PILEUP_SYMBOLS": str(home / "symbols"),
    }
    with (home / "bot.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", BOT, "serve", env=environment, stdout=log, stderr=log
        )
        try:
            yield process
        finally:
            process.terminate()
            await process.wait()


if __name__ == "__main__":
    main()
