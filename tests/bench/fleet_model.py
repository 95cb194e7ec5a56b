"""What a larger fleet would do, reckoned from what one dump was measured to cost each part.

By operational analysis (Denning and Buzen 1978; Lazowska et al., Quantitative System Performance, chapter 5): a part
with one server that a dump keeps busy for D seconds passes no more than 1/D dumps a second, and n workers, each busy
with a dump for R seconds when nobody else wants anything, pass no more than n/R. The smaller of the two is a bound, not
a forecast: near the bend, waiting makes it less.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.sending import PACE_SECONDS, TIER_3

SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
DATABASE_CORES = 4
TOLD = ("chat.postMessage", "files.completeUploadExternal")  # go by the pace of a channel


@dataclass(frozen=True, slots=True)
class Demands:
    """What one dump takes: seconds of processor of each part (``stage`` is Slack's stand-in, the dumps' server and the
    test itself), ``commits``, bytes ``written`` to the database's log, seconds for which it holds the ``lock`` of all
    writers, ``calls`` of Slack's methods, ``edits`` of older messages that count on. None: there is no such part."""

    bot: float
    worker: float
    analysis: float
    database: float
    stage: float
    commits: float | None
    written: float | None
    lock: float | None
    calls: Mapping[str, float]
    edits: float

    @property
    def total(self) -> float:
        """Seconds of processor in all."""
        return self.bot + self.worker + self.analysis + self.database + self.stage


@dataclass(frozen=True, slots=True)
class Measured:
    """A row of the table. ``busy`` is the part of all processors that its own processes took."""

    name: str
    workers: int
    is_one_process: bool
    dumps: int
    once: int
    seconds: float
    demands: Demands
    busy: float

    @property
    def a_minute(self) -> float:
        """Dumps a minute."""
        return 60 * self.dumps / self.seconds


def bounds(alone: Measured) -> dict[str, float]:
    """The most dumps a minute that each part of ours passes, however many workers there are; from the row with one."""
    parts = alone.demands
    seconds = {
        "the bot's process, one core": parts.bot,
        f"the database's processors, {DATABASE_CORES} cores": parts.database / DATABASE_CORES,
        "the lock of all writers": parts.lock or 0.0,
    }
    return {name: 60 / demand for name, demand in seconds.items() if demand > 0}


def of_slack(parts: Demands) -> dict[str, float]:
    """The most dumps a minute that Slack grants one workspace for good. Under load what shows progress is left out:
    then a dump takes its message, a mark put and one taken away, and an edit of the message that counts its failure.
    """
    needed = {"reactions.add": 1.0, "reactions.remove": 1.0, "chat.update": parts.edits}
    return {f"Slack: {method}, {TIER_3} a minute": TIER_3 / number for method, number in needed.items() if number > 0}


def tell(rows: Sequence[Measured], cores: int) -> None:
    """Print the model."""
    fleet = [row for row in rows if not row.is_one_process]
    alone = next((row for row in fleet if row.workers == 1), None)
    if alone is None:
        return
    _tell_dump(alone, max(fleet, key=lambda row: row.a_minute))
    print(f"\nHere, where {cores} processors do everything, Slack's stand-in and the dumps' server included:")
    for row in fleet:
        by_workers, ceiling = row.workers * alone.a_minute, 60 * cores / row.demands.total
        print(
            f"  {row.name}: {row.a_minute:5.1f} a minute, of {min(by_workers, ceiling):5.1f} at most "
            f"(workers {by_workers:.1f}, processors {ceiling:.1f})"
        )
    busiest = max(fleet, key=lambda row: row.a_minute).demands
    hard, slack = bounds(alone), of_slack(busiest)
    print(f"\nReckoned: a machine for each worker, one for the bot, one of {DATABASE_CORES} cores for the database.")
    for name, most in sorted((hard | slack).items(), key=lambda item: item[1]):
        print(f"  {name:<44} {most:6.0f} a minute, what {most / alone.a_minute:.1f} workers do")
    told = sum(busiest.calls.get(method, 0.0) for method in TOLD)
    each = 60 / PACE_SECONDS / told if told else 0.0
    print(f"  {'Slack: a message a second in each channel':<44} {each:6.0f} a minute in each")
    _tell_sizes(alone, hard, slack)


def _tell_dump(alone: Measured, busiest: Measured) -> None:
    parts = alone.demands
    print(f"\nWhat one dump takes ({alone.name}):")
    print(f"  {60 / alone.a_minute:.2f} s of a worker's time, {parts.worker + parts.analysis:.2f} s of processor in it")
    print(f"  {parts.commits or 0:.0f} transactions, {(parts.written or 0) / 1000:.0f} kB of write-ahead log")
    print(f"  {1000 * (parts.lock or 0):.0f} ms of the lock that write transactions take in turn")
    often = sorted(busiest.demands.calls.items(), key=lambda item: -item[1])
    called = ", ".join(f"{name} {number:.2f}" for name, number in often if number >= 0.05)
    print(f"  calls under load ({busiest.name}): {called}")


def _tell_sizes(alone: Measured, hard: Mapping[str, float], slack: Mapping[str, float]) -> None:
    name, most = min(hard.items(), key=lambda item: item[1])
    first, limit = min(slack.items(), key=lambda item: item[1], default=("", float("inf")))
    print("  workers   dumps a minute at most, many workspaces   one workspace, for good")
    for size in SIZES:
        free = min(size * alone.a_minute, most)
        print(f"  {size:7} {free:20.0f} {f'({name})' if free == most else '':<32} {min(free, limit):9.0f}")
    if limit < most:
        print(
            f"It bends first at Slack's own limit ({first}), from {limit / alone.a_minute:.1f} workers on: a burst is"
        )
        print("answered as fast as the workers go, marks and counts follow at Slack's pace.")
    print(f"Of our own parts the first is {name}, from {most / alone.a_minute:.1f} workers on.")
