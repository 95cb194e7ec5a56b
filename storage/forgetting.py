"""Deleting that leaves nothing behind: a crash with all that was said and done about it, whatever is kept of a channel
or a workspace.

The report, its document, names, words and drivers, where it was told, the jobs that told it and what they remember, and
what people said of a failure of which no crash is left. Files are not the database's: ``Forgotten`` names what they
belong to.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from storage.clock import stamp
from storage.database import Database, Row
from storage.reports import LISTED, Reports, StoredReport, stored

AT_ONCE = 500  # values of one statement
SHORTEST_NAME = 8
COMMON_NAMES = frozenset({"memory.dmp", "dump.dmp", "crash.dmp", "minidump.dmp", "mini.dmp"})  # of anybody's dump
ASKING = ("ask", "analyze", "upload")  # deeds that name what was asked or posted; the log of all others stays whole


@dataclass(frozen=True, slots=True)
class Which:
    """What to forget; every condition that is given must hold.

    ``before`` is when a crash happened, ``reported_before`` when it came to history. Of a channel or a workspace a
    crash is forgotten that was told nowhere else; of others only that they were told there.
    """

    numbers: tuple[int, ...] = ()
    host: str | None = None
    team: str | None = None
    channel: str | None = None
    before: datetime | None = None
    reported_before: datetime | None = None

    @property
    def is_everything(self) -> bool:
        """Nothing is asked for in particular, which is more likely a slip than a wish."""
        return self == Which()

    @property
    def has_place(self) -> bool:
        """Whether it is about a place in Slack."""
        return self.team is not None or self.channel is not None

    @property
    def is_whole_place(self) -> bool:
        """Whether it is all of a place in Slack, whatever was told there."""
        return self.has_place and self == Which(team=self.team, channel=self.channel)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What went, or what would: the crashes, and places where others were told. ``jobs`` are numbers of deleted jobs,
    whose files may be kept; ``sizes`` are those of the dumps, by identity."""

    reports: tuple[StoredReport, ...] = ()
    places: int = 0
    jobs: frozenset[int] = frozenset()

    @property
    def identities(self) -> frozenset[str]:
        """The dumps, by identity."""
        return frozenset(report.identity for report in self.reports)


class Forgetting:
    """Deleting, in one database."""

    def __init__(self, database: Database, reports: Reports) -> None:
        self._database = database
        self._reports = reports

    def picked(self, which: Which) -> Forgotten:
        """What ``forget`` would delete; nothing is touched."""
        reports = tuple(self._picked(which))
        return Forgotten(reports, len(self._elsewhere(which, {report.id for report in reports})))

    def forget(self, which: Which) -> Forgotten:
        """Delete it, all or nothing. ``scrub`` then makes sure that the files of the database do not hold it any more.

        Raises:
            ValueError: nothing is asked for in particular.
        """
        if which.is_everything:
            raise ValueError("nothing in particular is to be forgotten")
        with self._database.write():
            reports = tuple(self._picked(which))
            numbers = {report.id for report in reports}
            places = self._elsewhere(which, numbers)
            jobs = self._jobs_of(which, numbers)
            names = {name for number in numbers for name in self._reports.names(number)}
            teams = self._teams(numbers)
            for number in numbers:
                self._reports.forget(number)
            self._delete("threads", "id", places)
            self._forget_acts(names)
            self._forget_traces(which, jobs)
            self._forget_mentions(reports, teams)
        return Forgotten(reports, len(places), frozenset(jobs))

    def oldest_beyond(self, size: int) -> tuple[int, ...]:
        """The numbers of the reports that came first, as many as must go for the documents of all others to take at
        most ``size`` bytes."""
        sizes = self._database.rows(
            "SELECT reports.id AS id, length(document) AS size FROM reports JOIN documents ON report_id = reports.id "
            "ORDER BY reported_at, reports.id"
        )
        total, found = sum(int(row["size"]) for row in sizes), []
        for row in sizes:
            if total <= size:
                break
            total -= int(row["size"])
            found.append(int(row["id"]))
        return tuple(found)

    def scrub(self) -> bool:
        """Make the database's files forget what was deleted. False: others are reading it now; try again later."""
        return self._database.scrub()

    def _picked(self, which: Which) -> list[StoredReport]:
        if not which.has_place:
            return [stored(row) for row in self._reports_with(which, LISTED, "1 = 1", [])]
        place, at = _place(which)
        told = "SELECT 1 FROM threads WHERE report_id = reports.id AND"
        shown, (there, _) = "SELECT 1 FROM sightings WHERE report_id = reports.id AND", _place(which, "sightings")
        only_there = (
            f"(EXISTS ({told} {place}) OR EXISTS ({shown} {there})) "
            f"AND NOT EXISTS ({told} NOT ({place})) AND NOT EXISTS ({shown} NOT ({there})) AND by_operator = 0"
        )
        at = [*at, *at, *at, *at]
        if which.is_whole_place and which.channel is None:  # also what was analysed for a workspace and told nowhere
            only_there, at = f"(({only_there}) OR reports.team = ?)", [*at, which.team or ""]
        return [stored(row) for row in self._reports_with(which, LISTED, only_there, at)]

    def _elsewhere(self, which: Which, going: set[int]) -> list[int]:
        # Of a place: where crashes that stay were told there.
        if not which.has_place:
            return []
        meant = {row["id"] for row in self._reports_with(which, "id", "1 = 1", [])} - going
        place, at = _place(which)
        rows = self._database.rows(f"SELECT id, report_id FROM threads WHERE {place}", at)  # noqa: S608
        return [row["id"] for row in rows if row["report_id"] in meant]

    def _reports_with(self, which: Which, columns: str, condition: str, values: list[str]) -> list[Row]:
        clauses, given = [condition], list[Any](values)
        if which.host is not None:
            clauses.append("lower(host) = lower(?)")
            given.append(which.host)
        for column, edge in (("seen_at", which.before), ("reported_at", which.reported_before)):
            if edge is not None:
                clauses.append(f"{column} < ?")
                given.append(stamp(edge))
        found: list[Row] = []
        for some in _batches(which.numbers) if which.numbers else [()]:
            among = f"id IN ({_marks(some)})" if some else "1 = 1"
            sql = f"SELECT {columns} FROM reports WHERE {among} AND {' AND '.join(clauses)} ORDER BY id"  # noqa: S608
            found += self._database.rows(sql, [*some, *given])
        return found

    def _jobs_of(self, which: Which, numbers: set[int]) -> set[int]:
        # Jobs that told these reports, or that a message of the place asked for, whatever became of them.
        keys = {
            row["job"]
            for some in _batches(numbers)
            for row in self._database.rows(
                f"SELECT DISTINCT job FROM threads WHERE job IS NOT NULL AND report_id IN ({_marks(some)})",  # noqa: S608
                list(some),
            )
        }
        found, uploads = set(), dict[int, str]()
        for row in self._database.rows("SELECT id, key, payload, memory FROM jobs"):
            asked, known = json.loads(row["payload"]), json.loads(row["memory"])
            if asked.get("posted"):
                uploads[int(row["id"])] = asked["posted"]
            told = {known.get("report"), *(number for _, number, _ in known.get("dumps", ()))}
            is_there = which.is_whole_place and all(
                wanted is None or asked.get(name) == wanted
                for name, wanted in (("team", which.team), ("channel", which.channel))
            )
            if row["key"] in keys or told & numbers or is_there:
                found.add(int(row["id"]))
        # A dump that was posted was announced by a job of its own.
        posted = {uploads[number] for number in found & uploads.keys()}
        return found | {number for number, upload in uploads.items() if upload in posted}

    def _forget_acts(self, names: set[str]) -> None:
        # What was said and decided of a failure goes with the last crash that had any of its names.
        left = set()
        for some in _batches(names):
            sql = f"SELECT DISTINCT signature FROM signatures WHERE signature IN ({_marks(some)})"  # noqa: S608
            left |= {row["signature"] for row in self._database.rows(sql, list(some))}
        self._delete("acts", "signature", names - left)
        self._delete("groupings", "name", names - left)

    def _forget_traces(self, which: Which, jobs: set[int]) -> None:
        for some in _batches(jobs):
            marks = _marks(some)
            self._database.change(
                f"DELETE FROM posts WHERE key IN (SELECT key FROM jobs WHERE id IN ({marks}))",  # noqa: S608
                list(some),
            )
            self._database.change(f"DELETE FROM requests WHERE job_id IN ({marks})", list(some))  # noqa: S608
            self._database.change(f"DELETE FROM uploads WHERE job_id IN ({marks})", list(some))  # noqa: S608
            self._database.change(f"DELETE FROM jobs WHERE id IN ({marks})", list(some))  # noqa: S608
        if which.is_whole_place:
            tables = ("requests", "held", "digests", "acts", "channels", "audit", "sightings", "unfurls")
            for table in tables if which.channel is not None else (*tables, "installations", "sessions"):
                place, at = _place(which, table)
                self._database.change(f"DELETE FROM {table} WHERE {place}", at)  # noqa: S608
            self._forget_choices(which)

    def _forget_choices(self, which: Which) -> None:
        # What was chosen for a channel, or in a workspace.
        given = [(name, value) for name, value in (("team", which.team), ("about", which.channel)) if value is not None]
        place = " AND ".join(f"{name} = ?" for name, _ in given)
        self._database.change(f"DELETE FROM choices WHERE {place}", [value for _, value in given])  # noqa: S608

    def _forget_mentions(self, reports: Iterable[StoredReport], teams: Mapping[int, str]) -> None:
        # What people asked about a machine goes with its last crash, and what they posted with the last of that name.
        # One workspace of several forgets its own people's words alone: a name is whatever somebody called a file.
        gone: dict[str, list[StoredReport]] = {}
        for report in reports:
            gone.setdefault(teams[report.id], []).append(report)
        for team, theirs in gone.items():
            hosts = {report.host.lower() for report in theirs if report.host}
            files = {report.source.rpartition("/")[2].lower() for report in theirs}
            words = self._not_left("host", hosts, team) | {name for name in files if len(name) >= SHORTEST_NAME}
            for word in sorted(words - COMMON_NAMES):
                self._forget_word(word, team)

    def _forget_word(self, word: str, team: str) -> None:
        pattern = "%" + word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        self._database.change(
            f"DELETE FROM audit WHERE lower(detail) LIKE ? ESCAPE '\\' AND deed IN ({_marks(ASKING)}) "  # noqa: S608
            "AND (? = '' OR team = ?)",
            [pattern, *ASKING, team, team],
        )
        rows = self._database.rows(
            "SELECT id, payload FROM jobs WHERE lower(payload) LIKE ? ESCAPE '\\' AND kind = 'ask'", [pattern]
        )
        self._delete("jobs", "id", [row["id"] for row in rows if team in ("", json.loads(row["payload"]).get("team"))])

    def _teams(self, numbers: Iterable[int]) -> dict[int, str]:
        # Whose each report is, where one bot serves several workspaces.
        return {
            int(row["id"]): str(row["team"])
            for some in _batches(numbers)
            for row in self._database.rows(f"SELECT id, team FROM reports WHERE id IN ({_marks(some)})", list(some))  # noqa: S608
        }

    def _not_left(self, column: str, values: set[str], team: str) -> set[str]:
        left = set()
        for some in _batches(values):
            sql = (
                f"SELECT DISTINCT lower({column}) AS value FROM reports "  # noqa: S608  # our column
                f"WHERE lower({column}) IN ({_marks(some)}) AND team = ?"
            )
            left |= {row["value"] for row in self._database.rows(sql, [*some, team])}
        return values - left

    def _delete(self, table: str, column: str, values: Iterable[Any]) -> None:
        for some in _batches(values):
            self._database.change(f"DELETE FROM {table} WHERE {column} IN ({_marks(some)})", list(some))  # noqa: S608


def _place(which: Which, table: str = "threads") -> tuple[str, list[str]]:
    given = [(name, value) for name, value in (("team", which.team), ("channel", which.channel)) if value is not None]
    return " AND ".join(f"{table}.{name} = ?" for name, _ in given) or "1 = 1", [value for _, value in given]


def _batches(values: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    every = sorted(values)
    for start in range(0, len(every), AT_ONCE):
        yield tuple(every[start : start + AT_ONCE])


def _marks(values: tuple[Any, ...]) -> str:
    return ", ".join("?" for _ in values)
