"""From what Slack sends to its acknowledgement, and from a button to what it does: ``python -m tests.bench.acks``.

The bot runs in a process of its own against the stand-in, in one transport after the other (``make bench-acks``): first
with nothing else to do, then with so many jobs queued and running that small dumps are really analysed all the time.
Beside it runs a Bolt app that only acknowledges, and gets the same deliveries from a stand-in of its own: the peer on
the same machine at the same moment. Slack allows three seconds. Exits 1 where an acknowledgement took longer.
"""

import argparse
import asyncio
import contextlib
import itertools
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bot import acts
from bot.listeners.names import SHORTCUT
from bot.sandbox import Channel, Message, StandIn
from bot.sandbox.deliveries import Delivery
from bot.sandbox.payloads import press_of, submission_of
from bot.sandbox.workspace import View
from tests.bot.kit import ANNA, SECRET, free_port, is_open, is_told, replies, shown, until
from tests.bot.server import Server, serving
from tests.bot_process import BotProcess
from tests.soak.dumps import Dumps

ALLOWED = 3.0
LOAD = ("seed", "chain", "nolock", "irp")  # stories of the dumps that keep it busy
PRESSED = "deadlock"  # of the one whose buttons are pressed, which is told in one place
PATIENCE = 120.0
QUIET = "C0QUIET001"


@dataclass
class Trial:
    """One transport: both stand-ins, what was sent to both apps, and the dumps that keep ours busy."""

    slack: StandIn
    peer: StandIn
    files: Server
    dumps: Dumps
    jobs: int
    numbers: Iterator[int] = field(default_factory=itertools.count)
    busy: list[Message] = field(default_factory=list)
    ours: dict[str, list[Delivery]] = field(default_factory=dict)
    theirs: dict[str, list[Delivery]] = field(default_factory=dict)
    effects: list[float] = field(default_factory=list)
    active: list[int] = field(default_factory=list)

    def forget(self) -> None:
        """Begin anew to count."""
        self.ours, self.theirs, self.effects, self.active = {}, {}, [], []

    def place(self) -> str:
        """A channel of many, so that no pace of one channel is measured."""
        return f"C0BENCH{next(self.numbers) % 40:03}"

    def note(self, kind: str, delivery: Delivery) -> None:
        """Both get it: ours did already."""
        self.ours.setdefault(kind, []).append(delivery)
        again = self.peer.deliveries.interact(delivery.payload, delivery.kind)
        self.theirs.setdefault(kind, []).append(again)

    def say(self, kind: str, channel: str, text: str) -> Message:
        """A person says something, and both apps hear of it."""
        said = self.slack.workspace.say(channel, ANNA, text)
        self.note(kind, self.slack.deliveries.all[-1])
        return said

    def top_up(self) -> None:
        """Post links until so many jobs are queued and running."""
        self.busy = [said for said in self.busy if "white_check_mark" not in said.reactions]
        self.active.append(len(self.busy))
        for _ in range(self.jobs - len(self.busy)):
            number = next(self.numbers)
            link = self.dumps.offer(self.files, LOAD[number % len(LOAD)], number)
            self.busy.append(self.say("link", self.place(), link))


def main() -> int:
    """Measure and print; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.acks", description=__doc__)
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=100, help="of each kind of delivery")
    parser.add_argument("--transport", choices=("socket", "http"))
    parser.add_argument("--home", type=Path, help="keep the bot's files and its log there")
    asked = parser.parse_args()
    late = 0
    with contextlib.ExitStack() as stack:
        home = asked.home or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for transport in ("socket", "http") if asked.transport is None else (asked.transport,):
            place = home / transport
            place.mkdir(parents=True, exist_ok=True)
            late += asyncio.run(_transport(place, transport, asked.jobs, asked.rounds))
    return int(late > 0)


async def _transport(home: Path, transport: str, jobs: int, rounds: int) -> int:
    dumps = await asyncio.to_thread(Dumps.forged, home)
    async with StandIn() as slack, StandIn() as peer, serving() as files, _bare(peer, transport):
        everyone = set(slack.workspace.users)
        for name in (QUIET, *(f"C0BENCH{number:03}" for number in range(40))):
            slack.workspace.channels[name] = Channel(name, name.lower(), set(everyone))
        bot = BotProcess(slack, home, transport, {"PILEUP_SYMBOLS": str(dumps.symbols)})
        await bot.start()
        try:
            trial = Trial(slack, peer, files, dumps, jobs)
            verdict = await _verdict(trial)
            await _round(trial, verdict, 5)  # warm
            trial.forget()
            await _round(trial, verdict, rounds)
            _print(f"{transport}: nothing else to do", trial)
            trial.forget()
            trial.top_up()
            first = trial.ours["link"]
            await until(lambda: all(delivery.acked_after is not None for delivery in first), PATIENCE)
            late = await _round(trial, verdict, rounds, trial.top_up)
            _print(f"{transport}: {min(trial.active[1:])} to {jobs} jobs queued and running", trial)
            return late
        finally:
            await bot.kill()  # what is still queued is nobody's any more


@contextlib.asynccontextmanager
async def _bare(slack: StandIn, transport: str) -> AsyncIterator[None]:
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.bare_app", transport, slack.api_url, str(port)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, env=environment
    )
    try:
        assert process.stdout is not None
        await asyncio.wait_for(process.stdout.readline(), 60)
        if transport == "http":
            await until(lambda: is_open(port), 60)
            await slack.use_http(f"http://127.0.0.1:{port}/slack/events", SECRET)
        yield
    finally:
        process.kill()
        await process.wait()


async def _verdict(trial: Trial) -> Message:
    said = trial.slack.workspace.say(QUIET, ANNA, trial.dumps.offer(trial.files, PRESSED, next(trial.numbers)))
    await until(lambda: is_told(trial.slack, said, QUIET), PATIENCE)
    return replies(trial.slack, said, QUIET)[0]


async def _round(trial: Trial, verdict: Message, rounds: int, meanwhile: Callable[[], None] = lambda: None) -> int:
    # One of each kind, again and again; every second one press more, whose effect is waited for.
    slack = trial.slack
    form = await _form(trial, verdict)
    effects = asyncio.create_task(_effects(trial, verdict, max(3, rounds // 5)))
    for _ in range(rounds):
        meanwhile()
        trial.say("message", trial.place(), "nothing to be done")
        sending: tuple[tuple[str, Callable[[], Delivery]], ...] = (
            ("slash command", lambda: slack.command(trial.place(), ANNA, "help")),
            ("button", lambda: slack.deliveries.interact(_press(slack, verdict))),
            ("form sent", lambda: slack.deliveries.interact(_mistaken(slack, form))),
            ("shortcut", lambda: slack.shortcut(QUIET, verdict.ts, SHORTCUT, ANNA)),
            ("home tab", lambda: slack.open_home(ANNA)),
        )
        for kind, send in sending:
            trial.note(kind, send())
            await asyncio.sleep(0.05)
    await effects
    sent = [delivery for kinds in (trial.ours, trial.theirs) for all_of in kinds.values() for delivery in all_of]
    await until(lambda: all(d.acked_after is not None or d.given_up for d in sent), PATIENCE)
    ours = [delivery for all_of in trial.ours.values() for delivery in all_of]
    return sum(d.attempts > 1 or (d.acked_after or ALLOWED) >= ALLOWED for d in ours)


async def _form(trial: Trial, verdict: Message) -> View:
    views = trial.slack.workspace.views
    trial.slack.press(QUIET, verdict.ts, acts.WRONG, ANNA)
    await until(lambda: any("submit" in view.content for view in views.values()), PATIENCE)
    return next(view for view in views.values() if "submit" in view.content)


def _press(slack: StandIn, verdict: Message) -> dict[str, object]:
    # A button that opens a window, whether it stands there at this moment or not.
    used = {"type": "button", "action_id": acts.WRONG, "block_id": "b", "value": "1"}
    return press_of(slack.workspace, slack.workspace.channels[QUIET], verdict, ANNA, used)


def _mistaken(slack: StandIn, form: View) -> dict[str, object]:
    # Sent without its reason: the answer says so, and nothing else happens.
    return submission_of(slack.workspace, form, {"reason": " "})


async def _effects(trial: Trial, verdict: Message, presses: int) -> None:
    # A failure is muted, and not any more: what stands there says so.
    for number in range(presses):
        mutes = number % 2 == 0
        pressed = time.monotonic()
        trial.slack.press(QUIET, verdict.ts, acts.MUTE if mutes else acts.UNMUTE, ANNA)
        while ("muted in this channel" in shown(verdict)) != mutes:  # noqa: ASYNC110  # changed by the stand-in
            await asyncio.sleep(0.005)
        trial.effects.append(time.monotonic() - pressed)
        await asyncio.sleep(1.0)
    if presses % 2:
        trial.slack.press(QUIET, verdict.ts, acts.UNMUTE, ANNA)
        await until(lambda: "muted in this channel" not in shown(verdict), PATIENCE)


def _print(what: str, trial: Trial) -> None:
    print(what)
    print(
        f"  {'acknowledged':<16}{'times':>6}{'p50':>9}{'p99':>9}{'worst':>9}   the peer: p50      p99   ratio p50  p99"
    )
    for kind, sent in trial.ours.items():
        mine, peers = ([d.acked_after or ALLOWED for d in these] for these in (sent, trial.theirs[kind]))
        own, other = (_at(mine, 0.5), _at(mine, 0.99)), (_at(peers, 0.5), _at(peers, 0.99))
        ratios = f"{own[0] / other[0]:>9.1f}{own[1] / other[1]:>6.1f}"
        times = f"{_ms(own[0])}{_ms(own[1])}{_ms(max(mine))}"
        print(f"  {kind:<16}{len(mine):>6}{times}        {_ms(other[0])}{_ms(other[1])}{ratios}")
    effects = trial.effects
    print(
        f"  from a button to the message that is changed by it, {len(effects)} times: "
        f"p50 {_at(effects, 0.5):.2f} s, p99 {_at(effects, 0.99):.2f} s",
        flush=True,
    )


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:>6.0f} ms"


def _at(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


if __name__ == "__main__":
    sys.exit(main())
