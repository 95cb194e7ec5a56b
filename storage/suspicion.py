"""One machine that crashes in many unrelated ways: its memory is suspect, rather than any driver that is blamed.

The rule: within ``WINDOW`` one machine, known by its name, crashed at least ``MIN_CRASHES`` times by stop codes that
damaged memory can cause, with at least ``MIN_CODES`` different codes and at least ``MIN_CULPRITS`` different culprits,
none of which is blamed for more than half of these crashes. A driver that overwrites others' memory is blamed again and
again, or loaded on other machines that crash alike; memory that fails hits whoever happens to use it. Captures of
running machines do not count, nor do stops that a hang, a power transition or a person causes: those have reasons of
their own. Where nobody, or Windows itself, is blamed, each code is a culprit of its own.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from analysis.verdict.report import Report
from storage.clock import moment, stamp
from storage.columns import columns
from storage.database import Database
from storage.reports import LISTED, StoredReport, stored
from storage.sight import EVERYTHING, Sight

WINDOW = timedelta(days=30)
MIN_CRASHES, MIN_CODES, MIN_CULPRITS = 4, 3, 3
MOST_LOOKED_AT = 200  # crashes of one machine around one of them
MOST_HOSTS = 50

# Faults and damage: what a flipped bit in a pointer, a page table, a list or code comes to. Left out are stops for
# hangs, power, watchdogs, lost disks, ended processes and graphics, which have their own causes.
MEMORY_CODES = frozenset(
    f"{code:#x}"
    for code in (
        *(0xA, 0x12, 0x18, 0x19, 0x1A, 0x1E, 0x24, 0x34, 0x3B, 0x3F, 0x41, 0x4E, 0x50, 0x6B, 0x7A, 0x7E, 0x7F, 0x8E),
        *(0x9C, 0xBE, 0xC1, 0xC2, 0xC5, 0xCC, 0xD1, 0xD5, 0xF7, 0xFC, 0x109, 0x124, 0x12B, 0x139, 0x13A, 0x154, 0x189),
    )
)
WINDOWS = frozenset({"ntoskrnl.exe", "ntkrnlmp.exe", "ntkrnlpa.exe", "hal.dll", "win32k.sys", "win32kfull.sys"})


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A machine whose memory is suspect, with the evidence: these crashes, oldest first, codes and blamed modules by
    how often, most frequent first."""

    host: str
    crashes: tuple[StoredReport, ...]
    codes: tuple[tuple[str, int], ...]
    culprits: tuple[tuple[str, int], ...]

    @property
    def days(self) -> int:
        """From the first of them to the last, days that were begun."""
        return (self.crashes[-1].seen_at - self.crashes[0].seen_at).days + 1


class Suspicions:
    """The question of one database."""

    def __init__(self, database: Database, sight: Sight = EVERYTHING) -> None:
        self._database = database
        self._sight = sight

    def of(self, report: Report, now: datetime) -> Suspicion | None:
        """Whether a crash is one of a machine whose memory is suspect; ``now`` dates one that is not stored yet.

        A crash whose own code does not fit is never, whatever else its machine does.
        """
        own = columns(report, stamp(now))
        if own["host"] is None or own["live"] or own["code"] not in MEMORY_CODES:
            return None
        # By the dump's clock where that is known, so that a dump of last year is judged by its own time.
        at = moment(own["seen_at"])
        return _best(self._crashes(own["host"], at - WINDOW, at + WINDOW), around=at)

    def of_host(self, host: str, now: datetime) -> Suspicion | None:
        """Whether the memory of a machine is suspect by what it did of late."""
        return _best(self._crashes(host, now - WINDOW, now))

    def hosts(self, since: datetime, until: datetime) -> tuple[Suspicion, ...]:
        """Every machine whose memory is suspect by what it did in that time, most crashes first."""
        sight, seen = self._sight.of_reports()
        marks = ", ".join("?" for _ in MEMORY_CODES)
        rows = self._database.rows(
            "SELECT host FROM reports WHERE live = 0 AND host IS NOT NULL AND seen_at >= ? AND seen_at < ? "  # noqa: S608
            f"AND code IN ({marks}) AND {sight} GROUP BY host HAVING count(*) >= ? AND count(DISTINCT code) >= ? "
            "ORDER BY count(*) DESC, host LIMIT ?",
            [stamp(since), stamp(until), *sorted(MEMORY_CODES), *seen, MIN_CRASHES, MIN_CODES, MOST_HOSTS],
        )
        found = (_best(self._crashes(row["host"], since, until)) for row in rows)
        return tuple(sorted((one for one in found if one is not None), key=lambda one: -len(one.crashes)))

    def _crashes(self, host: str, since: datetime, until: datetime) -> list[StoredReport]:
        sight, seen = self._sight.of_reports()
        marks = ", ".join("?" for _ in MEMORY_CODES)
        rows = self._database.rows(
            f"SELECT {LISTED} FROM reports WHERE host = ? AND live = 0 AND seen_at >= ? AND seen_at <= ? "  # noqa: S608
            f"AND code IN ({marks}) AND {sight} ORDER BY seen_at DESC, id DESC LIMIT {MOST_LOOKED_AT}",
            [host, stamp(since), stamp(until), *sorted(MEMORY_CODES), *seen],
        )
        return [stored(row) for row in reversed(rows)]


def _best(crashes: Sequence[StoredReport], around: datetime | None = None) -> Suspicion | None:
    # The window, of those that hold the moment, with the most codes, then crashes; None where the rule holds in none.
    best: Suspicion | None = None
    for start, first in enumerate(crashes):
        window = [one for one in crashes[start:] if one.seen_at - first.seen_at <= WINDOW]
        if around is not None and not first.seen_at <= around <= first.seen_at + WINDOW:
            continue
        found = _judged(window)
        if found is not None and (best is None or _weight(found) > _weight(best)):
            best = found
    return best


def _weight(found: Suspicion) -> tuple[int, int]:
    return len(found.codes), len(found.crashes)


def _judged(window: Sequence[StoredReport]) -> Suspicion | None:
    codes = Counter(one.code for one in window if one.code is not None)
    culprits = Counter(_culprit(one) for one in window)
    if len(window) < MIN_CRASHES or len(codes) < MIN_CODES or len(culprits) < MIN_CULPRITS:
        return None
    if culprits.most_common(1)[0][1] * 2 > len(window):
        return None
    blamed = Counter(one.module for one in window if one.module is not None)
    return Suspicion(window[0].host or "", tuple(window), tuple(codes.most_common()), tuple(blamed.most_common()))


def _culprit(crash: StoredReport) -> str:
    if crash.module is None or crash.module.lower() in WINDOWS:
        return f"nobody, {crash.code}"
    return crash.module.lower()
