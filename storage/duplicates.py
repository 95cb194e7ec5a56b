"""Have we seen this before? Three answers that must not be mixed: this very dump, this failure, something like it.

*Same dump*: the same bytes, whoever posted them. *Same bucket*: another dump of the same failure, by signature, old
names included. *Similar*: another failure that shares more than chance with this one, with the reason in words.
Waiters never count: which process stood in the queue is chance.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rapidfuzz.distance import Indel

from analysis.verdict.report import Report
from analysis.verdict.signature import Signature
from storage.clock import stamp
from storage.columns import columns, story_frames
from storage.database import Database, Row
from storage.grouping import Grouping, Names
from storage.reports import Reports, StoredReport
from storage.sight import EVERYTHING, Sight
from storage.threads import Thread, Threads

SIMILAR_ENOUGH = 0.6
MAX_CANDIDATES = 5000
CORE = frozenset({"nt", "hal", "ntoskrnl.exe"})
CORE_WEIGHT, DRIVER_WEIGHT = 1, 3  # most stacks end in the same nt frames: a driver's frame says three times as much


@dataclass(frozen=True, slots=True)
class SameDump:
    """This very dump is in history: its report, and each thread that told it, oldest first."""

    report: StoredReport
    threads: tuple[Thread, ...]


@dataclass(frozen=True, slots=True)
class SameBucket:
    """The same failure: ``count`` dumps with this one, on these named hosts, from first to last time.

    ``others`` are the latest other dumps, ``thread`` is where one of the others was told first, if anywhere.
    ``is_latest``: this dump came last of all to history, or is not there yet.
    """

    count: int
    hosts: tuple[str, ...]
    first_seen: datetime
    last_seen: datetime
    others: tuple[StoredReport, ...]
    thread: Thread | None
    is_latest: bool = True


@dataclass(frozen=True, slots=True)
class Similar:
    """Another failure like this one: ``score`` from 0 to 1, and why, in words."""

    report: StoredReport
    score: float
    reason: str
    thread: Thread | None


@dataclass(frozen=True, slots=True)
class Seen:
    """The three answers; ``same_bucket`` is None when no other dump shares the failure."""

    same_dump: SameDump | None
    same_bucket: SameBucket | None
    similar: tuple[Similar, ...]


class Duplicates:
    """The three questions over one database. Whether the asked report is stored already makes no difference."""

    def __init__(
        self, database: Database, reports: Reports, threads: Threads, grouping: Grouping, sight: Sight = EVERYTHING
    ) -> None:
        self._database = database
        self._grouping = grouping
        self._sight = sight
        self._reports = reports
        self._threads = threads

    def of(self, report: Report, now: datetime, similar: int = 3) -> Seen:
        """All three answers for a report, with at most so many similar ones. ``now`` dates one not stored yet."""
        own = columns(report, stamp(now))
        same = self.same_dump(report.dump.identity, report.dump.sha256)
        number = self._reports.number_of_dump(report.dump.identity, report.dump.sha256)
        bucket, members = self._same_bucket(own, number, report)
        return Seen(same, bucket, self._similar(own, number, story_frames(report), members, similar))

    def same_dump(self, identity: str, sha256: str | None = None) -> SameDump | None:
        """This very dump, if history holds it: can be asked before there is a report."""
        known = self._reports.of_dump(identity, sha256)
        return None if known is None else SameDump(known, tuple(self._threads.of_report(known.id)))

    def members(self, report: Report) -> frozenset[int]:
        """The numbers of all reports of this failure, live ones and this very dump included."""
        return frozenset(row["id"] for row in self._members(report))

    def names(self, report: Report) -> frozenset[str]:
        """The names that this failure has or had in any of its reports, as far as they do not contradict this one and
        somebody said something of them; its own names in any case."""
        names = self._names(report)
        own_name, mine = names.own, names.every
        own = Signature.parse(own_name)
        acted = {row["signature"] for row in self._database.rows("SELECT DISTINCT signature FROM acts")}
        others = [name for name in sorted(acted - mine) if _may_fit(own, name)]
        sight, seen = self._sight.of_reports()
        # From what was acted on, which is little, to the reports: a failure may have thousands of those.
        wanted, listed = self._database.listed(others, str)
        rows = self._database.rows(
            "SELECT DISTINCT coalesce(own_name, reports.signature) AS signature, "  # noqa: S608
            "shared.signature AS shared, wanted.value AS name "
            f"FROM {wanted} AS wanted CROSS JOIN signatures AS other ON other.signature = wanted.value "
            f"CROSS JOIN signatures AS shared ON shared.signature IN ({', '.join('?' for _ in mine)}) "
            f"AND shared.report_id = other.report_id CROSS JOIN reports ON reports.id = other.report_id WHERE {sight}",
            [*listed, *sorted(mine), *seen],
        )
        found = {row["name"] for row in rows if _is_same(own_name, own, mine, row)}
        return frozenset(name for name in mine | found if name in names.merged or _may_fit(own, name))

    def _members(self, report: Report) -> list[Row]:
        # They share a name, if only the one that a failure has when little can be told of it; and do not contradict.
        known = self._names(report)
        names = known.every
        marks = ", ".join("?" for _ in names)
        sight, seen = self._sight.of_reports()
        rows = self._database.rows(
            "SELECT id, host, seen_at, live, coalesce(own_name, reports.signature) AS signature, "  # noqa: S608
            "shared.signature AS shared "
            f"FROM signatures AS shared JOIN reports ON id = report_id WHERE shared.signature IN ({marks}) "
            f"AND {sight} ORDER BY seen_at, id",
            [*sorted(names), *seen],
        )
        parsed = Signature.parse(known.own)
        members = {row["id"]: row for row in rows if _is_same(known.own, parsed, names, row)}
        return list(members.values())

    def own_name(self, report: Report) -> str:
        """What this crash is called, apart from merges."""
        return self._names(report).own

    def _names(self, report: Report) -> Names:
        same = self._reports.of_dump(report.dump.identity, report.dump.sha256)
        return self._grouping.names_of(report, None if same is None else same.id)

    def _same_bucket(self, own: Row, number: int | None, report: Report) -> tuple[SameBucket | None, set[int]]:
        rows = self._members(report)
        others = [row for row in rows if row["id"] != number and not row["live"]]
        members = {row["id"] for row in rows}
        if not others:
            return None, members
        mine = next((row for row in rows if row["id"] == number), own)
        everyone = sorted([*others, mine], key=lambda row: row["seen_at"])
        latest = [self._reports.get(row["id"]) for row in others[:-6:-1]]
        return (
            SameBucket(
                count=len(everyone),
                hosts=tuple(sorted({row["host"] for row in everyone if row["host"]})),
                first_seen=datetime.fromisoformat(everyone[0]["seen_at"]),
                last_seen=datetime.fromisoformat(everyone[-1]["seen_at"]),
                others=tuple(found for found in latest if found is not None),
                thread=self._first_thread([row["id"] for row in others]),
                is_latest=number is None or number > max(row["id"] for row in others),
            ),
            members,
        )

    def _first_thread(self, numbers: list[int]) -> Thread | None:
        return next((thread for thread in self._threads.of_reports(numbers) if thread.form != "pointer"), None)

    def _similar(
        self, own: Row, number: int | None, frames: list[str], members: set[int], limit: int
    ) -> tuple[Similar, ...]:
        sight, seen = self._sight.of_reports()
        rows = self._database.rows(
            "SELECT id, code, module, lock, device, service, frames FROM reports WHERE +live = 0 AND id IS NOT ? "  # noqa: S608
            "AND (module = ? OR lock = ? OR device = ? OR service = ? OR code = ?) "
            f"AND {sight} ORDER BY id DESC LIMIT ?",
            [number, *(own[name] for name in ("module", "lock", "device", "service", "code")), *seen, MAX_CANDIDATES],
        )
        scored = [
            (likeness(own, frames, row, json.loads(row["frames"])), row) for row in rows if row["id"] not in members
        ]
        best = sorted(((match, row) for match, row in scored if match), key=lambda pair: -pair[0].score)[:limit]
        return tuple(
            Similar(found, match.score, match.reason, self._threads.first(found.id))
            for match, row in best
            if (found := self._reports.get(row["id"])) is not None
        )


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike two failures are, and why. False when not enough."""

    score: float
    reason: str

    def __bool__(self) -> bool:
        return self.score >= SIMILAR_ENOUGH


def likeness(own: Row, frames: list[str], other: Row, other_frames: list[str]) -> Likeness:
    """How alike two failures are by driver, lock, device, code and stack.

    Two stacks of nothing but nt frames are alike by nature: without one particular thing in common the score is 0.
    """
    ours, theirs = _weighted(frames), _weighted(other_frames)
    parts: list[tuple[float, float]] = []  # weight, likeness
    if ours and theirs:
        parts.append((0.5, float(Indel.normalized_similarity(ours, theirs))))
    for name, weight in (("module", 0.2), ("code", 0.15), ("lock", 0.1), ("service", 0.05)):
        if own[name] is not None or other[name] is not None:
            parts.append((weight, float(own[name] == other[name])))
    same = [name for name in ("module", "lock", "device", "service") if own[name] and own[name] == other[name]]
    shared = {frame for frame in frames if not _is_core(frame)} & set(other_frames)
    if not (same or shared) or not parts:
        return Likeness(0.0, "nothing particular in common")
    score = sum(weight * value for weight, value in parts) / sum(weight for weight, _ in parts)
    return Likeness(score, _reason(own, other, same, frames, other_frames))


def _reason(own: Row, other: Row, same: list[str], frames: list[str], other_frames: list[str]) -> str:
    words = {"module": "driver", "lock": "lock", "device": "device", "service": "service"}
    said = [f"same {words[name]} {own[name]}" for name in same]
    common = len(frames) + len(other_frames) - int(Indel.distance(frames, other_frames))
    if common:
        said.append(f"{common // 2} of {max(len(frames), len(other_frames))} stack frames in common")
    differ: list[Any] = [other[name] for name in ("code", "module") if own[name] != other[name] and other[name]]
    if differ:
        said.append(f"but {' in '.join(differ)}")
    return ", ".join(said)


def _weighted(frames: list[str]) -> list[str]:
    return [frame for frame in frames for _ in range(CORE_WEIGHT if _is_core(frame) else DRIVER_WEIGHT)]


def _is_same(own: str, parsed: Signature | None, names: frozenset[str], row: Row) -> bool:
    # One is a name of the other, perhaps an older one; or both are ours and fit.
    if own == row["shared"] or row["signature"] in names:
        return True
    other = Signature.parse(row["signature"])
    return parsed is not None and other is not None and parsed.fits(other)


def _may_fit(own: Signature | None, name: str) -> bool:
    other = Signature.parse(name)
    return own is None or other is None or own.fits(other)


def _is_core(frame: str) -> bool:
    return frame.partition("!")[0] in CORE or frame.startswith("0x")
