"""Dumps posted by the hundred while everything goes wrong: ``python -m tests.soak`` (``make soak``).

Each event posts a link to a small dump of its own, really analysed. One event in ten comes twice, sockets are cut every
30 s, calls are refused as too many or done without an answer, the bot's process is killed three times with signal 9.
Counted is what stands in the channels in the end. The exit status is 1 unless each dump is answered exactly once.
"""

import argparse
import asyncio
import contextlib
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bot.sandbox import StandIn
from storage.store import Store
from tests.bot.kit import until
from tests.bot.server import serving
from tests.bot_process import BotProcess
from tests.postgres import Cluster
from tests.postgres import Server as Databases
from tests.soak.counting import counted
from tests.soak.dumps import Dumps
from tests.soak.posting import Run
from tests.soak.trouble import Rates, Trouble

KILL_AT = (0.25, 0.5, 0.75)  # of all dumps, answered
PATIENCE = 3600.0


def main() -> int:
    """Run it and print the counts; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--transport", choices=("socket", "http"), default="socket")
    parser.add_argument("--postgres", action="store_true", help="history in a cluster of its own")
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--seconds", type=float, help="in which they are posted; default: 0.6 for each")
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--home", type=Path, help="keep the bot's files and its log there")
    asked = parser.parse_args()
    with contextlib.ExitStack() as stack:
        home = asked.home or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        home.mkdir(parents=True, exist_ok=True)
        database = stack.enter_context(_database(asked.postgres, home))
        seconds = 0.6 * asked.events if asked.seconds is None else asked.seconds
        return asyncio.run(_soak(home, database, asked.transport, asked.events, seconds, asked.seed))


@contextlib.contextmanager
def _database(is_postgres: bool, home: Path) -> Iterator[str]:
    if not is_postgres:
        yield f"sqlite:///{home / 'soak.sqlite'}"
    elif url := os.environ.get("PILEUP_TEST_DATABASE_URL"):
        server = Databases(url)
        made = server.create()
        yield made
        server.drop(made)
    else:
        with Cluster() as cluster:
            yield cluster.create()


async def _soak(home: Path, database: str, transport: str, events: int, seconds: float, seed: int) -> int:
    dumps = await asyncio.to_thread(Dumps.forged, home)
    chance = random.Random(seed)
    faults = Rates(redeliver=0.1, chance=random.Random(seed + 1))
    async with StandIn(faults=faults) as slack, serving() as files:
        run = Run(slack, chance)
        slack.workspace.listeners.append(run.changed)
        more = {"PILEUP_SYMBOLS": str(dumps.symbols), "PILEUP_DATABASE_URL": database}
        bot = BotProcess(slack, home, transport, more)
        trouble = Trouble(slack, bot, random.Random(seed + 2))
        print(f"start: {await bot.start():.1f} s, {transport}, {database.partition(':')[0]}", flush=True)
        began = time.monotonic()
        numbers = [int(part * events) for part in KILL_AT]
        making = [
            asyncio.create_task(part)
            for part in (
                trouble.drop_sockets(),
                trouble.limit(),
                trouble.lose_answers(),
                trouble.kill(lambda: len(run.answered), numbers),
            )
        ]
        talking = asyncio.create_task(_talk(run, trouble, began))
        try:
            await run.post(files, dumps, events, seconds)
            posting = time.monotonic() - began
            await until(lambda: run.is_marked or any(t.done() and t.exception() for t in making), PATIENCE, 0.5)
        except TimeoutError:
            print(f"given up after {PATIENCE:g} s")
        for task in (*making, talking):
            task.cancel()
        ended = await asyncio.gather(*making, return_exceptions=True)
        problems = [str(one) for one in ended if isinstance(one, Exception)]
        with Store.open(database if database.startswith("postgresql") else home / "soak.sqlite") as store:
            problems += await _settled(slack, store)
            status = await bot.stop()
            jobs, crashes = store.jobs.counts(), store.reports.count()
        lasted = time.monotonic() - began
        _print(run, trouble, bot, (posting, lasted))
        counts = counted(slack, run.posted)
        print(f"  jobs: {jobs}; crashes in history: {crashes}; exit status of the bot: {status}")
        print(f"answered exactly once: {counts.once} of {events}; not as it should be: {counts.faults or 'nothing'}")
        problems += [f"{crashes} crashes in history"] * (crashes != events)
        problems += [f"{jobs['failed']} jobs failed"] * bool(jobs["failed"])
        problems += [f"exit status {status}"] * (status != 0)
        for problem in problems:
            print(f"  {problem}")
        return int(bool(problems or counts.faults or counts.once != events))


async def _settled(slack: StandIn, store: Store) -> list[str]:
    # What is still to be told after the last verdict, and what is still on its way.
    try:
        await until(lambda: not store.jobs.active(), 300, 0.5)
        await until(lambda: all(d.acked_after is not None or d.given_up for d in slack.deliveries.all), 300, 0.5)
    except TimeoutError:
        return [f"jobs left: {[(job.kind, job.state, job.memory) for job in store.jobs.active()][:5]}"]
    lost = sum(delivery.given_up for delivery in slack.deliveries.all)
    return [f"{lost} events were never acknowledged"] * bool(lost)


async def _talk(run: Run, trouble: Trouble, began: float) -> None:
    while True:
        await asyncio.sleep(30)
        said = f"posted {len(run.posted)}, answered {len(run.answered)}, killed {trouble.kills}"
        print(f"  {time.monotonic() - began:5.0f} s: {said}", flush=True)


def _print(run: Run, trouble: Trouble, bot: BotProcess, times: tuple[float, float]) -> None:
    slack, faults = run.slack, run.slack.faults
    sent = slack.deliveries.all
    links = {dump.message.ts for dump in run.posted}
    of_links = [delivery for delivery in sent if delivery.payload.get("event", {}).get("ts") in links]
    again = sum(delivery.attempts > 1 for delivery in of_links)
    waits = run.waits
    acks = sorted(delivery.acked_after for delivery in sent if delivery.acked_after is not None)
    refused = faults.refused if isinstance(faults, Rates) else 0
    print(f"{len(run.posted)} links posted within {times[0]:.0f} s; all told and quiet after {times[1]:.0f} s")
    twice = len(of_links) - len({delivery.event_id for delivery in of_links})
    print(f"  their events: {len(of_links) - twice}, {twice} of them twice, {again} again for want of an answer")
    print(f"  events in all, with those of the bot's own messages: {len(sent)}")
    print(f"  sockets cut: {trouble.drops}; calls refused with 429: {refused}; answers lost: {trouble.lost}")
    back = ", ".join(f"{seconds:.1f} s" for seconds in trouble.back_after)
    print(f"  killed with signal 9: {trouble.kills}; taking events again after {back}")
    print(
        f"  from link to verdict: median {_at(waits, 0.5):.1f} s, p99 {_at(waits, 0.99):.1f} s, worst {waits[-1]:.1f} s"
    )
    print(f"  from event to ack: median {1000 * _at(acks, 0.5):.0f} ms, p99 {1000 * _at(acks, 0.99):.0f} ms")
    cost = f"{bot.own_seconds:.0f} s of processor, its analyses {bot.children_seconds:.0f} s"
    print(f"  the bot: {cost} (without what a kill hid); its peak {bot.peak_kb >> 10} MiB")


def _at(ordered: list[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


if __name__ == "__main__":
    sys.exit(main())
