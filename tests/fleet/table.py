"""The fault table of a fleet: ``python -m tests.fleet.table [NAME…]`` (``make fleet-faults``).

A bot and two workers on hosts of their own, PostgreSQL on the bridge, writing as safely as any (fsync on). Dumps are
posted all the while, every other event comes twice, and in the middle of it one thing goes wrong. Counted is what
stands in the channels and in history in the end. The exit status is 1 unless each dump is answered and kept exactly
once.
"""

import argparse
import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.sandbox import Faults
from storage.store import Store
from tests.bot.kit import until
from tests.fleet.faults import FAULTS, Fault, clock_of, memory_disk
from tests.fleet.installation import Installation, spread, unavailable
from tests.soak.counting import Counts, counted

LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
CHANNELS = 6
REDELIVERED = 0.5
STRIKE_AT = 0.3  # of all dumps, answered
PATIENCE = 420.0


@dataclass(slots=True)
class Row:
    """What came of one fault. ``lasted``: until it was mended; ``caught_up``: from then until every link that had been
    posted by then was answered."""

    fault: Fault
    dumps: int
    events: int = 0
    twice: int = 0
    lasted: float = 0.0
    caught_up: float | None = None
    worst: float = 0.0
    counts: Counts | None = None
    kept: int = 0
    failed: int = 0
    statuses: list[int | None] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        """Nothing lost, nothing twice."""
        return not self.problems


def main() -> int:
    """Print the table; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fleet.table", description=__doc__)
    parser.add_argument("names", nargs="*", help="words of the rows that are wanted; default: all")
    parser.add_argument("--dumps", type=int, default=40, help="posted in each row")
    parser.add_argument("--seconds", type=float, default=24.0, help="in which they are posted")
    parser.add_argument("--lease", type=float, default=60.0, help="PILEUP_LEASE_SECONDS")
    parser.add_argument("--hold", type=float, help="how long each fault lasts, in place of what it says")
    parser.add_argument("--logs", type=Path, help="keep the logs of each row there")
    asked = parser.parse_args()
    if (reason := missing()) is not None:
        print(reason)
        return 1
    wanted = [fault for fault in FAULTS if not asked.names or any(name in fault.name for name in asked.names)]
    print(
        f"{asked.dumps} dumps a row, one event in {1 / REDELIVERED:.0f} twice, leases of {asked.lease:g} s\n{HEAD}",
        flush=True,
    )
    rows = []
    for fault in wanted:
        row = asyncio.run(_tried(fault, asked.dumps, asked.seconds, asked.lease, asked.hold, asked.logs))
        rows.append(row)
        print(line(row), flush=True)
        for problem in row.problems:
            print(f"    {problem}", flush=True)
    dumps, once = sum(row.dumps for row in rows), sum(row.counts.once for row in rows if row.counts)
    print(
        f"{once} of {dumps} dumps answered exactly once, {sum(row.kept for row in rows)} of {dumps} kept exactly once"
    )
    return 0 if rows and all(row.is_right for row in rows) else 1


def missing() -> str | None:
    """Why the table cannot be made here; None when it can."""
    return unavailable() or (None if LIBRARY.exists() else "moving clocks needs libfaketime (apt: faketime)")


HEAD = (
    f"{'what goes wrong':<50} {'events':>7} {'twice':>6} {'once':>9} {'never':>6} {'again':>6} {'other':>6} "
    f"{'history':>8} {'lasted':>8} {'caught up':>10} {'longest':>8}  processes ended with"
)


def line(row: Row) -> str:
    """A row as text."""
    counts = row.counts
    if counts is None:
        return f"{row.fault.name:<50} {'; '.join(row.problems)}"
    other = counts.wrong + counts.unfinished + counts.unmarked + counts.elsewhere
    caught = "never" if row.caught_up is None else f"{row.caught_up:.1f} s"
    again = counts.twice + counts.doubled
    return (
        f"{row.fault.name:<50} {row.events:7} {row.twice:6} {counts.once:4} of {row.dumps:2} {counts.never:6} "
        f"{again:6} {other:6} {row.kept:8} {row.lasted:6.1f} s {caught:>10} {row.worst:6.1f} s  "
        + ", ".join("killed" if status is None else str(status) for status in row.statuses)
    )


async def _tried(fault: Fault, dumps: int, seconds: float, lease: float, hold: float | None, logs: Path | None) -> Row:
    row = Row(fault, dumps)
    async with _installed(fault, lease) as site:
        try:
            await _run(site, row, seconds, fault.seconds if hold is None else min(hold, fault.seconds))
        except (TimeoutError, RuntimeError, AssertionError) as error:
            row.problems.append(f"{type(error).__name__}: {error}")
        row.counts = counted(site.slack, site.run.posted)
        row.worst = max(site.run.waits, default=0.0)
        with contextlib.suppress(Exception), site.open() as store:
            row.failed, row.kept = store.jobs.counts()["failed"], _kept_once(store)
        row.statuses = await site.stop()
        if logs is not None:
            _keep_logs(site, logs, fault.name)
    judge(row)
    return row


async def _run(site: Installation, row: Row, seconds: float, hold: float) -> None:
    run = site.run
    await site.start()
    run.channels = site.channels(CHANNELS)
    posting = asyncio.create_task(run.post(site.files, site.dumps, row.dumps, seconds))
    await until(lambda: len(run.answered) >= STRIKE_AT * row.dumps, PATIENCE, 0.02)
    struck = time.monotonic()
    await row.fault.strike(site, hold)
    mended = time.monotonic()
    row.lasted = mended - struck
    await posting
    behind = {ts for ts, at in run.at.items() if at <= mended}
    await until(lambda: behind <= run.answered.keys(), PATIENCE, 0.05)
    row.caught_up = max(0.0, max(run.answered[ts] for ts in behind) - mended)
    await until(lambda: run.is_marked, PATIENCE, 0.1)
    with site.open() as store:
        await until(lambda: not store.jobs.active(), PATIENCE, 0.25)
    sent = site.slack.deliveries.all
    await until(lambda: all(d.acked_after is not None or d.given_up for d in sent), 60, 0.1)
    links = {dump.message.ts for dump in run.posted}
    of_links = [d.event_id for d in sent if d.payload.get("event", {}).get("ts") in links]
    row.events = len(set(of_links))
    row.twice = len(of_links) - row.events


def _kept_once(store: Store) -> int:
    # Reports of different dumps that are each told in exactly one thread.
    rows = store.reports._database.rows(
        "SELECT reports.identity, reports.sha256, count(threads.id) AS n FROM reports "
        "LEFT JOIN threads ON threads.report_id = reports.id GROUP BY reports.identity, reports.sha256, reports.id"
    )
    dumps = {(row["identity"], row["sha256"]) for row in rows if row["n"] == 1}
    return len(dumps) if len(dumps) == len(rows) else -abs(len(rows) - len(dumps))


def judge(row: Row) -> None:
    """Note what is not as it should be."""
    counts = row.counts
    if counts is None:
        row.problems.append("nothing was counted")
    elif counts.faults:
        row.problems.append(f"answers not as they should be: {counts.faults}")
    if row.kept != row.dumps:
        row.problems.append(f"{row.kept} of {row.dumps} dumps are in history once, in one thread")
    if row.failed:
        row.problems.append(f"{row.failed} jobs failed")
    if any(status not in (0, -9) for status in row.statuses):
        row.problems.append(f"processes ended with {row.statuses}")


@asynccontextmanager
async def _installed(fault: Fault, lease: float) -> AsyncIterator[Installation]:
    with TemporaryDirectory(prefix="pileup-fault-") as place, contextlib.ExitStack() as disks:
        data = disks.enter_context(memory_disk(Path(place) / "data", fault.data_mb)) if fault.data_mb else None
        if data is not None:
            data.parent.chmod(0o755)
        faults = Faults(redeliver=REDELIVERED)
        async with spread(("bot", "w1", "w2"), faults, directory=data) as site:
            site.settings["PILEUP_LEASE_SECONDS"] = f"{lease:g}"
            site.put_bot(int(fault.bot_works), "bot")
            with contextlib.ExitStack() as scratch:
                for name in ("w1", "w2"):
                    home = site.home / name
                    if fault.scratch_mb:
                        scratch.enter_context(memory_disk(home, fault.scratch_mb))
                    after: tuple[str, ...] = ()
                    if fault.fake_time:
                        clock_of(site.home, name).write_text("+0\n")
                        after = _faked(clock_of(site.home, name))
                    home.mkdir(exist_ok=True)
                    site.put_worker(name, home, after)
                yield site
                await site.stop()


def _faked(clock: Path) -> tuple[str, ...]:
    # The date alone jumps, as on a machine that is set right: what counts seconds goes on.
    return (
        "env",
        f"LD_PRELOAD={LIBRARY}",
        f"FAKETIME_TIMESTAMP_FILE={clock}",
        "FAKETIME_NO_CACHE=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
        "DONT_FAKE_MONOTONIC=1",
    )


def _keep_logs(site: Installation, logs: Path, name: str) -> None:
    place = logs / "".join(letter if letter.isalnum() else "-" for letter in name)
    place.mkdir(parents=True, exist_ok=True)
    for process, of in (("bot", site.bot), *site.workers.items()):
        (place / f"{process}.log").write_text(of.said)
    if site.cluster is not None:
        (place / "database.log").write_text(site.cluster.log.read_text(errors="replace"))


if __name__ == "__main__":
    os.environ.pop("LD_PRELOAD", None)
    sys.exit(main())
