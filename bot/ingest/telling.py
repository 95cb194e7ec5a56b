"""How far a bulk reading is, and what it came to: a bar on a terminal, plain lines elsewhere, a summary at the end."""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TextIO

from bot import wording
from bot.console import printable
from bot.ingest.reading import Outcome
from bot.ingest.sources import Item
from bot.questions.naming import code_text
from storage.clock import stamp
from storage.ingests import Failure, Found

LINE_SECONDS = 10.0
SHOWN_PROBLEMS, SHOWN_NAMES = 20, 3
KIND_WIDTH = 24


@dataclass(slots=True)
class Totals:
    """What files came to so far: read now, skipped because a former run had read them; dumps that have a report, those
    of them that are new to history; what failed, by reason, with the names of some files."""

    files: int
    started: float
    read: int = 0
    skipped: int = 0
    dumps: int = 0
    new: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    lines: dict[str, str] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Since the start of this run."""
        return time.monotonic() - self.started

    @property
    def rate(self) -> float:
        """Files a second, of those read in this run."""
        return self.read / max(self.seconds, 0.001)

    @property
    def left(self) -> float | None:
        """Seconds to the end at this rate; None while nothing was read."""
        return (self.files - self.skipped - self.read) / self.rate if self.read else None

    def __str__(self) -> str:
        failed = sum(self.failures.values())
        left = "" if self.left is None else f", about {wording.duration(self.left)} left"
        done = self.read + self.skipped
        return f"{done:,} of {self.files:,} files: {self.dumps:,} dumps, {failed:,} failed; {self.rate:.1f}/s{left}"


def count_in(totals: Totals, reports: int, new: int, failures: Sequence[Failure], name: str = "") -> None:
    """Add what one file came to."""
    totals.dumps += reports
    totals.new += new
    for failure in failures:
        totals.failures[failure.kind] += 1
        totals.lines.setdefault(failure.kind, failure.line)
        names = totals.names.setdefault(failure.kind, [])
        if name and len(names) < SHOWN_NAMES and name not in names:
            names.append(name)


@contextmanager
def show_on(totals: Totals, stream: TextIO | None = None) -> Iterator[Callable[[Item, Outcome], None]]:
    """What counts a file in and shows how far it is: a bar with rate and rest on a terminal, else a line every few
    seconds."""
    stream = stream or sys.stderr
    with _bar(totals, stream) if stream.isatty() else _lines(totals, stream) as advance:

        def show(item: Item, outcome: Outcome) -> None:
            totals.read += 1
            count_in(totals, len(outcome.reports), outcome.new, outcome.failures, item.name)
            advance()

        yield show


def tell(totals: Totals, problems: Sequence[Found], *, as_json: bool) -> None:
    """Print the summary: the problems found, most frequent first, and why files gave no report."""
    if as_json:
        print(json.dumps(_plain(totals, problems), indent=2))
        return
    skipped = f", {totals.skipped:,} of them read before" if totals.skipped else ""
    print(
        f"{totals.read + totals.skipped:,} of {totals.files:,} files{skipped}, in {wording.duration(totals.seconds)}."
    )
    print(f"{totals.dumps:,} dumps, {totals.new:,} of them new to history; {len(problems):,} different problems.")
    for one in problems[:SHOWN_PROBLEMS]:
        code = code_text(one.code) if one.code else "no code"
        where = f"{one.hosts} hosts" if one.hosts != 1 else "1 host"
        days = f"{one.first_seen:%Y-%m-%d} to {one.last_seen:%Y-%m-%d}"
        told = f"{one.count:>7,}  {days}  {where}  {one.module or 'no culprit'}: {code}, such as crash {one.latest}"
        print(printable(told))
    if len(problems) > SHOWN_PROBLEMS:
        print(f"         … and {len(problems) - SHOWN_PROBLEMS:,} more problems")
    for kind, count in totals.failures.most_common():
        names = ", ".join(totals.names.get(kind, []))
        told = f"{count:>7,} without a report: {kind}: {totals.lines[kind]}{f' ({names})' if names else ''}"
        print(printable(told))


@contextmanager
def _bar(totals: Totals, stream: TextIO) -> Iterator[Callable[[], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[said]}", markup=False))
    console = Console(file=stream)
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bars:
        task = bars.add_task("reading", total=totals.files, completed=totals.skipped, said="")

        def advance() -> None:
            failed = sum(totals.failures.values())
            said = f"{totals.dumps:,} dumps, {failed:,} failed, {totals.rate:.1f}/s"
            bars.update(task, completed=totals.read + totals.skipped, said=said)

        yield advance


@contextmanager
def _lines(totals: Totals, stream: TextIO) -> Iterator[Callable[[], None]]:
    last = time.monotonic()

    def advance() -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_SECONDS:
            last = time.monotonic()
            print(totals, file=stream, flush=True)

    yield advance


def _plain(totals: Totals, problems: Sequence[Found]) -> dict[str, Any]:
    return {
        "files": totals.files,
        "read": totals.read,
        "read_before": totals.skipped,
        "dumps": totals.dumps,
        "new": totals.new,
        "seconds": round(totals.seconds, 3),
        "failures": [
            {"kind": kind, "count": count, "line": totals.lines[kind], "files": totals.names.get(kind, [])}
            for kind, count in totals.failures.most_common()
        ],
        "problems": [
            {
                "signature": one.signature,
                "module": one.module,
                "code": one.code,
                "crashes": one.count,
                "hosts": one.hosts,
                "first_seen": stamp(one.first_seen),
                "last_seen": stamp(one.last_seen),
                "latest": one.latest,
            }
            for one in problems
        ],
    }
