"""The state of things at a glance: what fails most, what is new, how many a day. Never wades through documents.

A crash belongs to the day on which it happened, as ``seen_at`` has it. Live and manual dumps are no crashes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from storage.clock import moment, stamp
from storage.database import Database, Row
from storage.reports import LISTED, StoredReport, seen_rows
from storage.sight import EVERYTHING, Sight


@dataclass(frozen=True, slots=True)
class Problem:
    """One failure in a window of time: how often, on how many named hosts, its latest crash there."""

    signature: str
    count: int
    hosts: int
    first_seen: datetime
    last_seen: datetime
    latest: StoredReport


class Overview:
    """Counts over one database."""

    def __init__(self, database: Database, sight: Sight = EVERYTHING) -> None:
        self._database = database
        self._sight = sight

    def problems(self, since: datetime, limit: int = 10) -> list[Problem]:
        """The most frequent failures since then."""
        sight, seen = self._sight.of_reports()
        rows = self._database.rows(
            "SELECT signature AS name, count(*) AS n, count(DISTINCT host) AS hosts, min(seen_at) AS first, "  # noqa: S608
            f"max(seen_at) AS last FROM reports WHERE live = 0 AND seen_at >= ? AND {sight} "
            "GROUP BY signature ORDER BY n DESC, last DESC LIMIT ?",
            [stamp(since), *seen, limit],
        )
        return [self.problem(row) for row in rows]

    def fresh(self, since: datetime, limit: int = 10, *, among: Sequence[str] | None = None) -> list[Problem]:
        """Failures whose very first crash is not older than that, the newest first; of all, or ``among`` these
        signatures."""
        if among is not None and not among:
            return []
        mine = "" if among is None else f"AND signature IN ({', '.join('?' for _ in among)}) "
        # By failure first: whether one had come up before is asked once, not for each of its crashes.
        sight, seen = self._sight.of_reports()
        earlier, _ = self._sight.of_reports("e")
        rows = self._database.rows(
            "SELECT * FROM (SELECT signature AS name, count(*) AS n, count(DISTINCT host) AS hosts, "  # noqa: S608
            f"min(seen_at) AS first, max(seen_at) AS last FROM reports WHERE live = 0 AND seen_at >= ? {mine}"
            f"AND {sight} GROUP BY signature) AS late WHERE NOT EXISTS "
            "(SELECT 1 FROM reports AS e WHERE e.signature = late.name "
            f"AND e.live = 0 AND e.seen_at < ? AND {earlier}) ORDER BY first DESC LIMIT ?",
            [stamp(since), *(among or ()), *seen, stamp(since), *seen, limit],
        )
        return [self.problem(row) for row in rows]

    def daily(self, since: datetime, until: datetime, signature: str | None = None) -> list[tuple[date, int]]:
        """Crashes of each day in UTC, days without any included; of one failure or of all."""
        sight, seen = self._sight.of_reports()
        mine, own = ("", []) if signature is None else ("AND signature = ? ", [signature])
        rows = self._database.rows(
            "SELECT substr(seen_at, 1, 10) AS day, count(*) AS n FROM reports WHERE live = 0 "  # noqa: S608
            f"AND seen_at >= ? AND seen_at < ? {mine}AND {sight} GROUP BY day",
            [stamp(since), stamp(until), *own, *seen],
        )
        counts = {row["day"]: int(row["n"]) for row in rows}
        days = (until.date() - since.date()).days + 1
        every = [since.date() + timedelta(days=number) for number in range(days)]
        return [(day, counts.get(day.isoformat(), 0)) for day in every]

    def problem(self, row: Row) -> Problem:
        """A failure from its counts: name, n, hosts, first, last."""
        first, last = moment(row["first"]), moment(row["last"])
        return Problem(row["name"], row["n"], row["hosts"], first, last, self._latest(row["name"], row["last"]))

    def _latest(self, signature: str, seen_at: str) -> StoredReport:
        sight, seen = self._sight.of_reports()
        rows = self._database.rows(
            f"SELECT {LISTED} FROM reports WHERE signature = ? AND seen_at = ? AND live = 0 AND {sight} "  # noqa: S608
            "ORDER BY id DESC LIMIT 1",
            [signature, seen_at, *seen],
        )
        return seen_rows(self._database, self._sight, rows)[0]
