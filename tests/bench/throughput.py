"""Triage dumps a minute, from links posted to verdicts in their threads: ``python -m tests.bench.throughput``
(``make throughput``). It judges nothing.

Each link leads to a small dump of its own of six failures, really analysed, posted in many channels at once, so that
there is always work. On SQLite one process does all; on PostgreSQL the bot and each worker stand on a host of their
own (a network namespace with a name and an address), and the cluster listens on their bridge. What a dump costs each
part is read from the system's counters, and from that a larger fleet is reckoned (``tests.bench.fleet_model``).
"""

import argparse
import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psycopg

from bot.showing import SHOW
from tests.bench.fleet_model import Demands, Measured, tell
from tests.bot.kit import until
from tests.fleet.costs import Cost, DatabaseWatch, of_family, of_process
from tests.fleet.installation import Installation, alone, spread, unavailable
from tests.soak.counting import counted

PATIENCE = 500.0
WARM = 4  # dumps for each worker before anything is counted
CHANNELS = 48
LOOK_SECONDS = 0.04
IDLE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Setting:
    """A row of the table: which database, how many dumps at a time."""

    database: str
    workers: int

    @property
    def name(self) -> str:
        """How it is called in the table."""
        return f"{self.database}, {self.workers} worker{'s' if self.workers > 1 else ''}"


SETTINGS = (
    Setting("SQLite", 1),
    Setting("SQLite", 2),
    Setting("PostgreSQL", 1),
    Setting("PostgreSQL", 2),
    Setting("PostgreSQL", 4),
)


def main() -> int:
    """Print the table and the model; the exit status is 0 unless nothing could be measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.throughput", description=__doc__)
    parser.add_argument("--dumps", type=int, default=96, help="counted in each row")
    parser.add_argument("--rounds", type=int, default=1, help="of the whole table; the fastest of each row counts")
    asked = parser.parse_args()
    load = f"load {os.getloadavg()[0]:.1f} before the start"
    print(
        f"{asked.dumps} triage dumps a row, in {CHANNELS} channels; {os.cpu_count()} processors, {load}\n{HEAD}",
        flush=True,
    )
    rows: dict[Setting, Measured] = {}
    for _ in range(asked.rounds):
        for setting in SETTINGS:
            if setting.database == "PostgreSQL" and (reason := unavailable()) is not None:
                print(f"{setting.name}: {reason}")
                continue
            made = asyncio.run(_measured(setting, asked.dumps))
            if setting not in rows or made.a_minute > rows[setting].a_minute:
                rows[setting] = made
            base = rows.get(Setting(setting.database, 1), made)
            print(_row(made, base), flush=True)
    tell([*rows.values()], os.cpu_count() or 1)
    return 0 if rows else 1


HEAD = (
    f"{'links to verdicts in their threads':<36}{'a minute':>9}{'ratio':>7}   CPU s a dump:{'bot':>7}{'worker':>8}"
    f"{'analysis':>10}{'database':>10}{'Slack+test':>12}{'busy':>8}{'commits':>9}  answered once"
)


def _row(made: Measured, base: Measured) -> str:
    parts = made.demands
    worker = "(bot)" if made.is_one_process else f"{parts.worker:.3f}"
    database = "(bot)" if parts.commits is None else f"{parts.database:.3f}"
    commits = "-" if parts.commits is None else f"{parts.commits:.0f}"
    return (
        f"{made.name:<36}{made.a_minute:>9.1f}{made.a_minute / base.a_minute:>7.2f}{parts.bot:>23.3f}{worker:>8}"
        f"{parts.analysis:>10.3f}{database:>10}{parts.stage:>12.3f}{100 * made.busy:>6.0f} %{commits:>9}"
        f"  {made.once} of {made.dumps}"
    )


async def _measured(setting: Setting, dumps: int) -> Measured:
    async with _installed(setting) as site:
        await site.start()
        run = site.run
        run.channels = site.channels(CHANNELS)
        await _answer(site, WARM * setting.workers)
        await until(lambda: run.is_marked, PATIENCE, 0.2)
        watch = DatabaseWatch(site.database) if site.cluster else None
        idle = await _idle(site, watch)
        start, calls, shows = _Meter.read(site, watch), len(site.slack.calls), _shows(site)
        looking = asyncio.create_task(_look(watch)) if watch else None
        await _answer(site, dumps)
        seconds = time.monotonic() - start.at
        if looking is not None:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        at_work = _Meter.read(site, watch) - start
        # Details and marks, which follow the verdicts at Slack's pace, are these dumps' cost, too; what stands there
        # and waits costs something by itself, which is not.
        await until(lambda: run.is_marked, PATIENCE, 0.2)
        spent = (_Meter.read(site, watch) - start).without(idle)
        asked = Counter(call.method for call in site.slack.calls[calls:] if call.error is None)
        demands = Demands(
            bot=spent.costs["bot"].own / dumps,
            worker=spent.costs["worker"].own / dumps,
            analysis=(spent.costs["worker"].children + spent.costs["bot"].children) / dumps,
            database=spent.costs["database"].own / dumps,
            stage=spent.costs["stage"].own / dumps,
            commits=spent.commits / dumps if watch else None,
            written=spent.written / dumps if watch else None,
            lock=watch.busy * seconds / dumps if watch else None,
            calls={method: number / dumps for method, number in asked.items()},
            edits=(_shows(site) - shows) / dumps,
        )
        once = counted(site.slack, run.posted[-dumps:]).once
        busy = at_work.total / at_work.at / (os.cpu_count() or 1)
        is_one = setting.database == "SQLite"
        return Measured(setting.name, setting.workers, is_one, dumps, once, seconds, demands, busy)


@dataclass(frozen=True, slots=True)
class _Meter:
    # What everything has cost by a moment, or between two; ``at`` in seconds.
    at: float
    costs: dict[str, Cost]
    commits: float
    written: float

    @classmethod
    def read(cls, site: Installation, watch: DatabaseWatch | None) -> "_Meter":
        return cls(time.monotonic(), _costs(site), *(watch.counters() if watch else (0, 0)))

    def __sub__(self, other: "_Meter") -> "_Meter":
        costs = {name: cost - other.costs[name] for name, cost in self.costs.items()}
        return _Meter(self.at - other.at, costs, self.commits - other.commits, self.written - other.written)

    def without(self, idle: "_Meter") -> "_Meter":
        part = self.at / idle.at
        costs = {name: _less(cost, idle.costs[name], part) for name, cost in self.costs.items()}
        return _Meter(self.at, costs, self.commits - part * idle.commits, self.written - part * idle.written)

    @property
    def total(self) -> float:
        return sum(cost.own + cost.children for cost in self.costs.values())


def _less(cost: Cost, idle: Cost, part: float) -> Cost:
    return Cost(max(0.0, cost.own - part * idle.own), max(0.0, cost.children - part * idle.children))


async def _idle(site: Installation, watch: DatabaseWatch | None) -> _Meter:
    before = _Meter.read(site, watch)
    await asyncio.sleep(IDLE_SECONDS)
    return _Meter.read(site, watch) - before


@asynccontextmanager
async def _installed(setting: Setting) -> AsyncIterator[Installation]:
    if setting.database == "SQLite":
        async with alone() as site:
            site.put_bot(setting.workers)
            yield site
        return
    names = tuple(f"w{number}" for number in range(1, setting.workers + 1))
    async with spread(("bot", *names)) as site:
        site.put_bot(0, "bot")
        for name in names:
            site.put_worker(name)
        yield site


async def _answer(site: Installation, dumps: int) -> None:
    # Posted all at once, over all channels in turn, and waited for.
    first = len(site.run.posted)
    for number in range(dumps):
        site.run.post_one(site.files, site.dumps, site.run.channels[(first + number) % CHANNELS])
        await asyncio.sleep(0)
    await until(lambda: len(site.run.answered) == len(site.run.posted), PATIENCE)


async def _look(watch: DatabaseWatch) -> None:
    with psycopg.connect(watch.url, autocommit=True) as connection:
        while True:
            watch.look(connection)
            await asyncio.sleep(LOOK_SECONDS)


def _shows(site: Installation) -> int:
    # Messages that were brought up to date so far.
    with site.open() as store:
        return int(store.reports._database.value("SELECT count(*) FROM jobs WHERE kind = ?", [SHOW]))


def _costs(site: Installation) -> dict[str, Cost]:
    workers = (of_process(worker.pid) for worker in site.workers.values())
    return {
        "bot": of_process(site.bot.pid),
        "worker": sum(workers, Cost()),
        "database": Cost(of_family(site.cluster.pid) if site.cluster else 0.0),
        "stage": Cost(of_process(os.getpid()).own),
    }


if __name__ == "__main__":
    sys.exit(main())
