"""Questions to history: which crashes, how many, on which machines, and what comes up most.

Counts are of dumps, not of postings: one dump posted five times is one crash. Live and manual dumps are not crashes
and stay out unless asked for.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from storage.clock import moment, stamp
from storage.database import Database, Dialect
from storage.reports import LISTED, StoredReport, seen_rows
from storage.sight import EVERYTHING, Sight
from storage.words import says

Column = Literal["module", "code", "host", "build", "lock", "device", "service", "signature", "owner"]
NAMES: tuple[Column, ...] = ("module", "code", "host", "lock", "device", "service")
MAX_HOSTS = 1000  # that are named
MAX_VALUES = 10_000  # of a column, in the vocabulary


@dataclass(frozen=True, slots=True)
class Query:
    """Which crashes. Every condition that is given must hold; ``words`` are looked for in everything said.

    A crash lies in a window of time when it happened there or was reported there: "have we seen it since May" is
    true of an old dump that somebody posted yesterday. ``since`` belongs to the window, ``until`` does not. ``owner``
    is whom the operator's rules name for the culprit.
    """

    words: str | None = None
    module: str | None = None
    code: str | None = None
    host: str | None = None
    signature: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    live: bool = False
    build: str | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class DriverVersion:
    """One version of a driver: in how many crashes it was loaded, and in how many of them it was the culprit."""

    version: str
    loaded: int
    blamed: int


@dataclass(frozen=True, slots=True)
class Fresh:
    """A failure that came up for the first time: its first crash, and how many there are by now."""

    first: StoredReport
    count: int


@dataclass(frozen=True, slots=True)
class Span:
    """How often something was seen: dumps, the machines that are known by name, first and last time."""

    count: int
    hosts: tuple[str, ...]
    first_seen: datetime | None
    last_seen: datetime | None


class Search:
    """Read-only questions over one database."""

    def __init__(self, database: Database, sight: Sight = EVERYTHING) -> None:
        self._database = database
        self._sight = sight

    def find(self, query: Query, limit: int = 20) -> list[StoredReport]:
        """The crashes that match, latest first."""
        where, values = self._where(query)
        rows = self._database.rows(
            f"SELECT {LISTED} FROM reports WHERE {where} ORDER BY seen_at DESC, id DESC LIMIT ?",  # noqa: S608
            [*values, limit],
        )
        return seen_rows(self._database, self._sight, rows)

    def page(self, query: Query, after: tuple[datetime, int] | None, limit: int) -> list[StoredReport]:
        """The crashes that match, latest first, so many from behind the one seen then with that number."""
        where, values = self._where(query)
        beyond, place = ("", []) if after is None else ("AND (seen_at, id) < (?, ?) ", [stamp(after[0]), after[1]])
        rows = self._database.rows(
            f"SELECT {LISTED} FROM reports WHERE {where} {beyond}ORDER BY seen_at DESC, id DESC LIMIT ?",  # noqa: S608
            [*values, *place, limit],
        )
        return seen_rows(self._database, self._sight, rows)

    def count(self, query: Query) -> int:
        """How many crashes match."""
        where, values = self._where(query)
        return int(self._database.value(f"SELECT count(*) FROM reports WHERE {where}", values))  # noqa: S608

    def span(self, query: Query) -> Span:
        """How many crashes match, on which hosts (the first thousand), from when to when."""
        where, values = self._where(query)
        # By host: one look at the rows for all four answers.
        rows = self._database.rows(
            "SELECT host, count(*) AS n, min(seen_at) AS first, max(seen_at) AS last FROM reports "  # noqa: S608
            f"WHERE {where} GROUP BY +host",
            values,
        )
        named = sorted((row for row in rows if row["host"] is not None), key=lambda row: (-row["n"], row["host"]))
        first = min((row["first"] for row in rows), default=None)
        last = max((row["last"] for row in rows), default=None)
        hosts = tuple(row["host"] for row in named[:MAX_HOSTS])
        return Span(sum(row["n"] for row in rows), hosts, _maybe(first), _maybe(last))

    def top(self, query: Query, column: Column, limit: int = 1000, skip: int = 0) -> list[tuple[str, int]]:
        """The values of a column among matching crashes with their counts, most frequent first, but for the first
        ``skip``."""
        where, values = self._where(query)
        if query == Query():  # all of history: any index that has the column will do, not only the one by time
            where = where.replace("live = 0", "+live = 0", 1)
        # The plus keeps SQLite from walking the column's own index, with a look at each row, not the condition's.
        rows = self._database.rows(
            f"SELECT {column} AS value, count(*) AS n FROM reports WHERE {where} AND +{column} IS NOT NULL "  # noqa: S608
            f"GROUP BY +{column} ORDER BY n DESC, value LIMIT ? OFFSET ?",
            [*values, limit, skip],
        )
        return [(row["value"], row["n"]) for row in rows]

    def versions(self, driver: str, query: Query) -> list[DriverVersion]:
        """The versions of a driver in the crashes that match, blamed or merely loaded, most often blamed first."""
        where, values = self._where(query)
        rows = self._database.rows(
            "SELECT version, count(*) AS loaded, sum(blamed) AS blamed FROM drivers WHERE name = ? "  # noqa: S608
            f"AND report_id IN (SELECT id FROM reports WHERE {where}) "
            "GROUP BY version ORDER BY blamed DESC, version LIMIT 50",
            [driver, *values],
        )
        return [DriverVersion(row["version"], row["loaded"], row["blamed"]) for row in rows]

    def fresh(self, query: Query, limit: int = 20) -> list[Fresh]:
        """Failures whose very first crash lies in the query's window; the newest first."""
        inside, values = self._where(query)
        earlier, others = self._where(dataclasses.replace(query, since=None, until=None), "e")
        sight, seen = self._sight.of_reports("r")
        rows = self._database.rows(
            f"SELECT {LISTED}, (SELECT count(*) FROM reports AS r WHERE r.signature = reports.signature "  # noqa: S608
            f"AND r.live = 0 AND {sight}) AS n FROM reports WHERE {inside} AND NOT EXISTS (SELECT 1 FROM reports AS e "
            "WHERE e.signature = reports.signature AND (e.seen_at, e.id) < (reports.seen_at, reports.id) "
            f"AND {earlier}) ORDER BY seen_at DESC, id DESC LIMIT ?",
            [*seen, *values, *others, limit],
        )
        counts = [row.pop("n") for row in rows]
        firsts = seen_rows(self._database, self._sight, rows)
        return [Fresh(first, count) for first, count in zip(firsts, counts, strict=True)]

    def vocabulary(self) -> "Vocabulary":
        """The names history knows, column by column: what a mistyped word may have meant."""
        return Vocabulary(self._seen_values if self._database.dialect == "postgresql" else self._values)

    def mentions(self, words: str) -> bool:
        """Whether any report says these words."""
        where, values = self._where(Query(words=words, live=True))
        return bool(self._database.rows(f"SELECT 1 FROM reports WHERE {where} LIMIT 1", values))  # noqa: S608

    def _seen_values(self, column: Column) -> list[str]:
        # PostgreSQL answers at once what SQLite answers value by value; where all is seen, it steps, too.
        if self._sight.is_whole:
            return self._values(column)
        sight, seen = self._sight.of_reports()
        rows = self._database.rows(
            f"SELECT {column} AS value FROM reports WHERE {column} IS NOT NULL AND {sight} "  # noqa: S608
            f"GROUP BY {column} ORDER BY {column} LIMIT {MAX_VALUES}",
            seen,
        )
        return [row["value"] for row in rows]

    def _values(self, column: Column) -> list[str]:
        # From one value to the next in the column's index: as many steps as there are values, however many rows.
        sight, seen = self._sight.of_reports()
        rows = self._database.rows(
            f"WITH RECURSIVE steps (value) AS (SELECT min({column}) FROM reports UNION ALL SELECT "  # noqa: S608
            f"(SELECT min({column}) FROM reports WHERE {column} > value) FROM steps WHERE value IS NOT NULL) "
            "SELECT value FROM steps WHERE value IS NOT NULL AND EXISTS (SELECT 1 FROM reports "
            f"WHERE {column} = value AND {sight}) LIMIT {MAX_VALUES}",
            seen,
        )
        return [row["value"] for row in rows]

    def _where(self, query: Query, table: str = "reports") -> tuple[str, list[Any]]:
        return where(query, self._sight, self._database.dialect, table)


def where(query: Query, sight: Sight, dialect: Dialect, table: str = "reports") -> tuple[str, list[Any]]:
    """The condition on rows of ``reports`` that a query comes to, for whoever has that sight, and its values."""
    # Column names come from the dataclass above; values only ever travel as parameters.
    clauses, values = ["1 = 1"], list[Any]()
    if not query.live:
        # Where words or a signature pick the rows, those few are looked at; else the index that begins with this.
        is_picked = query.words is not None or query.signature is not None
        clauses.append("+live = 0" if is_picked else "live = 0")
    for name in ("module", "code", "host", "build", "owner"):
        if (wanted := getattr(query, name)) is not None:
            clauses.append(f"{name} = ? COLLATE NOCASE")
            values.append(wanted)
    if query.signature is not None:
        clauses.append("id IN (SELECT report_id FROM signatures WHERE signature = ?)")
        values.append(query.signature)
    window = [(test, stamp(edge)) for test, edge in ((">=", query.since), ("<", query.until)) if edge is not None]
    if window:
        within = [" AND ".join(f"{time} {test} ?" for test, _ in window) for time in ("seen_at", "reported_at")]
        clauses.append(f"(({within[0]}) OR ({within[1]}))")
        values += [edge for _, edge in window] * 2
    if query.words is not None:
        condition, said = says(query.words, dialect)
        clauses.append(condition)
        values += said
    seen, channels = sight.of_reports(table)
    return " AND ".join([*clauses, seen]), [*values, *channels]


class Vocabulary(Mapping[Column, list[str]]):
    """The names of each of NAMES, read when they are first asked for: most questions need those of a column or two."""

    def __init__(self, read: Callable[[Column], list[str]]) -> None:
        self._read = read
        self._found: dict[Column, list[str]] = {}

    def __getitem__(self, column: Column) -> list[str]:
        if column not in NAMES:
            raise KeyError(column)
        if column not in self._found:
            self._found[column] = self._read(column)
        return self._found[column]

    def __iter__(self) -> Iterator[Column]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)


def _maybe(text: str | None) -> datetime | None:
    return None if text is None else moment(text)
