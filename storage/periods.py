"""What came to history in a period: how much, what most, what for the first time, from which machines.

A crash belongs to the period in which it was reported, so that each is told in one digest and no digest changes later:
dumps are often posted days after the machine went down. Live and manual dumps are no crashes.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from storage.clock import moment, stamp
from storage.columns import storable
from storage.database import Database, Row
from storage.reports import LISTED, StoredReport, seen_rows
from storage.sight import EVERYTHING, Sight


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure in a period: how often, on how many named hosts, its latest crash there, since when it is known."""

    signature: str
    count: int
    hosts: int
    latest: StoredReport
    first_seen: datetime


@dataclass(frozen=True, slots=True)
class Noisy:
    """A machine with several crashes in a period, of so many different failures."""

    host: str
    count: int
    failures: int


class Periods:
    """Questions about stretches of time, over one database."""

    def __init__(self, database: Database, sight: Sight = EVERYTHING) -> None:
        self._database = database
        self._sight = sight

    def count(self, start: datetime, end: datetime) -> int:
        """How many crashes were reported."""
        inside, values = self._inside(start, end)
        return int(self._database.value(f"SELECT count(*) FROM reports WHERE {inside}", values))  # noqa: S608

    def buckets(self, edges: Sequence[datetime]) -> list[int]:
        """How many crashes were reported from each of these moments to the next."""
        inside, values = self._inside(edges[0], edges[-1])
        names = [f"n{number}" for number in range(len(edges) - 1)]
        one = "sum(CASE WHEN reported_at >= ? AND reported_at < ? THEN 1 ELSE 0 END)"
        asked = ", ".join(f"{one} AS {name}" for name in names)
        pairs = [stamp(edge) for pair in itertools.pairwise(edges) for edge in pair]
        row = self._database.rows(f"SELECT {asked} FROM reports WHERE {inside}", [*pairs, *values])[0]  # noqa: S608
        return [int(row[name] or 0) for name in names]

    def failures(self, start: datetime, end: datetime, limit: int) -> list[Failure]:
        """The most frequent failures."""
        inside, values = self._inside(start, end)
        rows = self._database.rows(
            "SELECT signature, count(*) AS n, count(DISTINCT host) AS hosts, max(id) AS latest FROM reports "  # noqa: S608
            f"WHERE {inside} GROUP BY signature ORDER BY n DESC, latest DESC LIMIT ?",
            [*values, limit],
        )
        return self._failures(rows)

    def named(self, name: str) -> Failure | None:
        """The failure that has or had this name, over all of history; None where no crash of it is seen."""
        sight, seen = self._sight.of_reports()
        now = self._database.row(
            "SELECT signature FROM reports WHERE live = 0 AND id IN "  # noqa: S608
            f"(SELECT report_id FROM signatures WHERE signature = ?) AND {sight} ORDER BY id DESC LIMIT 1",
            [storable(name), *seen],
        )
        if now is None:
            return None
        rows = self._database.rows(
            "SELECT signature, count(*) AS n, count(DISTINCT host) AS hosts, max(id) AS latest FROM reports "  # noqa: S608
            f"WHERE live = 0 AND signature = ? AND {sight} GROUP BY signature",
            [now["signature"], *seen],
        )
        return self._failures(rows)[0]

    def fresh(self, start: datetime, end: datetime, limit: int) -> list[Failure]:
        """Failures of which nothing was reported before, the most frequent first."""
        inside, values = self._inside(start, end)
        earlier, seen = self._sight.of_reports("e")
        rows = self._database.rows(
            "SELECT signature, count(*) AS n, count(DISTINCT host) AS hosts, max(id) AS latest FROM reports "  # noqa: S608
            f"WHERE {inside} AND NOT EXISTS (SELECT 1 FROM reports AS e WHERE e.signature = reports.signature "
            f"AND e.live = 0 AND e.reported_at < ? AND {earlier}) "
            "GROUP BY signature ORDER BY n DESC, latest DESC LIMIT ?",
            [*values, stamp(start), *seen, limit],
        )
        return self._failures(rows)

    def of_known_issues(self, start: datetime, end: datetime, limit: int) -> list[StoredReport]:
        """Crashes of failures of which somebody said that they are known, the latest first."""
        inside, values = self._inside(start, end)
        rows = self._database.rows(
            f"SELECT {LISTED} FROM reports WHERE {inside} AND id IN (SELECT report_id FROM signatures "  # noqa: S608
            "WHERE signature IN (SELECT signature FROM acts WHERE deed = 'known')) ORDER BY id DESC LIMIT ?",
            [*values, limit],
        )
        return seen_rows(self._database, self._sight, rows)

    def drivers(self, start: datetime, end: datetime, limit: int) -> list[tuple[str, int]]:
        """The modules that were blamed most, with how often."""
        inside, values = self._inside(start, end)
        rows = self._database.rows(
            f"SELECT module, count(*) AS n FROM reports WHERE {inside} AND module IS NOT NULL "  # noqa: S608
            "GROUP BY module ORDER BY n DESC, module LIMIT ?",
            [*values, limit],
        )
        return [(row["module"], int(row["n"])) for row in rows]

    def noisy(self, start: datetime, end: datetime, limit: int) -> list[Noisy]:
        """The machines that crashed more than once, the worst first."""
        inside, values = self._inside(start, end)
        rows = self._database.rows(
            "SELECT host, count(*) AS n, count(DISTINCT signature) AS failures FROM reports "  # noqa: S608
            f"WHERE {inside} AND host IS NOT NULL GROUP BY host HAVING count(*) > 1 ORDER BY n DESC, host LIMIT ?",
            [*values, limit],
        )
        return [Noisy(row["host"], int(row["n"]), int(row["failures"])) for row in rows]

    def _inside(self, start: datetime, end: datetime) -> tuple[str, list[Any]]:
        sight, seen = self._sight.of_reports()
        return f"live = 0 AND reported_at >= ? AND reported_at < ? AND {sight}", [stamp(start), stamp(end), *seen]

    def _failures(self, rows: list[Row]) -> list[Failure]:
        if not rows:
            return []
        marks = ", ".join("?" for _ in rows)
        sight, seen = self._sight.of_reports()
        lines = seen_rows(
            self._database,
            self._sight,
            self._database.rows(
                f"SELECT {LISTED} FROM reports WHERE id IN ({marks})",  # noqa: S608
                [row["latest"] for row in rows],
            ),
        )
        firsts = self._database.rows(
            "SELECT signature, min(seen_at) AS first FROM reports "  # noqa: S608
            f"WHERE signature IN ({marks}) AND live = 0 AND {sight} GROUP BY signature",
            [*(row["signature"] for row in rows), *seen],
        )
        latest = {line.id: line for line in lines}
        first = {row["signature"]: moment(row["first"]) for row in firsts}
        return [
            Failure(row["signature"], int(row["n"]), int(row["hosts"]), latest[row["latest"]], first[row["signature"]])
            for row in rows
        ]
