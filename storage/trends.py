"""How often things come up over time: crashes a day of whatever a query picks, failures of it, spikes.

A crash belongs to the day on which it happened, as ``seen_at`` has it, in UTC.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from storage.clock import moment, stamp
from storage.database import Database
from storage.overview import Overview, Problem
from storage.search import Query, where
from storage.sight import EVERYTHING, Sight
from storage.spikes import DAYS, LEAST, WEEKS, Spike, in_weeks, spike_of

MAX_CANDIDATES = 50


@dataclass(frozen=True, slots=True)
class Rising:
    """A failure with unusually many crashes in the last week."""

    problem: Problem
    spike: Spike


@dataclass(frozen=True, slots=True)
class Spread:
    """How many crashes there are of something, from when to when, on which named hosts and builds, the most frequent
    first."""

    count: int
    first_seen: datetime | None
    last_seen: datetime | None
    hosts: tuple[tuple[str, int], ...]
    builds: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class LoadedVersion:
    """One version of a driver: in how many crashes, on how many named hosts it was loaded, from when to when; and in
    how many, on how many hosts, it was the culprit."""

    version: str
    loaded: int
    hosts: int
    blamed: int
    blamed_hosts: int
    first_seen: datetime
    last_seen: datetime


class Trends:
    """Counts over time, of one database."""

    def __init__(self, database: Database, overview: Overview, sight: Sight = EVERYTHING) -> None:
        self._database = database
        self._overview = overview
        self._sight = sight

    def daily(self, query: Query, since: date, until: date) -> list[tuple[date, int]]:
        """How many crashes that match happened on each day, the first and the last included."""
        condition, values = where(query, self._sight, self._database.dialect)
        rows = self._database.rows(
            "SELECT substr(seen_at, 1, 10) AS day, count(*) AS n FROM reports "  # noqa: S608
            f"WHERE {condition} AND seen_at >= ? AND seen_at < ? GROUP BY day",
            [*values, *_days(since, until)],
        )
        counts = {row["day"]: int(row["n"]) for row in rows}
        every = [since + timedelta(days=number) for number in range((until - since).days + 1)]
        return [(day, counts.get(day.isoformat(), 0)) for day in every]

    def year(self, query: Query, now: datetime) -> list[tuple[date, int]]:
        """How many crashes that match happened on each day of the last 52 weeks, today the last."""
        today = now.astimezone(UTC).date()
        return self.daily(query, today - timedelta(days=52 * DAYS - 1), today)

    def spike(self, query: Query, now: datetime) -> Spike | None:
        """Whether the last week has unusually many of the crashes that match."""
        today = now.astimezone(UTC).date()
        return self.spike_in(self.daily(query, _first(today), today))

    def spike_in(self, days: list[tuple[date, int]]) -> Spike | None:
        """The same of crashes by day, up to today and from 9 weeks before at the latest."""
        weeks = in_weeks(days)
        return spike_of(weeks, self._known(days[-1][0])) if weeks[-1] >= LEAST else None

    def rising(self, now: datetime, limit: int = 10, *, among: Sequence[str] | None = None) -> list[Rising]:
        """The failures whose last week is a spike, the most frequent first; of all, or ``among`` these signatures."""
        today = now.astimezone(UTC).date()
        names = self._candidates(today) if among is None else list(among)
        weeks = self._weeks(names, today) if names else {}
        # Where one of these reaches back as far as the rule looks, so does history.
        known = WEEKS if any(counts[0] for counts in weeks.values()) else self._known(today) if names else 0
        spikes = {name: spike for name in names if (spike := spike_of(weeks[name], known)) is not None}
        return [Rising(problem, spikes[problem.signature]) for problem in self._last_week(list(spikes), today, limit)]

    def _candidates(self, today: date) -> list[str]:
        sight, seen = self._sight.of_reports()
        rows = self._database.rows(
            f"SELECT signature FROM reports WHERE live = 0 AND seen_at >= ? AND seen_at < ? AND {sight} "  # noqa: S608
            "GROUP BY signature HAVING count(*) >= ? ORDER BY count(*) DESC, signature LIMIT ?",
            [*_days(today - timedelta(days=DAYS - 1), today), *seen, LEAST, MAX_CANDIDATES],
        )
        return [row["signature"] for row in rows]

    def _last_week(self, signatures: list[str], today: date, limit: int) -> list[Problem]:
        # What these failures came to in the last week, the most frequent first.
        if not signatures:
            return []
        marks = ", ".join("?" for _ in signatures)
        sight, seen = self._sight.of_reports()
        rows = self._database.rows(
            "SELECT signature AS name, count(*) AS n, count(DISTINCT host) AS hosts, min(seen_at) AS first, "  # noqa: S608
            f"max(seen_at) AS last FROM reports WHERE live = 0 AND seen_at >= ? AND seen_at < ? "
            f"AND signature IN ({marks}) AND {sight} GROUP BY signature ORDER BY n DESC, last DESC LIMIT ?",
            [*_days(today - timedelta(days=DAYS - 1), today), *signatures, *seen, limit],
        )
        return [self._overview.problem(row) for row in rows]

    def failures(self, query: Query, limit: int = 10, skip: int = 0) -> list[Problem]:
        """The failures of the crashes that match, the most frequent first, but for the first ``skip``."""
        condition, values = where(query, self._sight, self._database.dialect)
        rows = self._database.rows(
            "SELECT signature AS name, count(*) AS n, count(DISTINCT host) AS hosts, min(seen_at) AS first, "  # noqa: S608
            f"max(seen_at) AS last FROM reports WHERE {condition} GROUP BY +signature "
            "ORDER BY n DESC, last DESC LIMIT ? OFFSET ?",
            [*values, limit, skip],
        )
        return [self._overview.problem(row) for row in rows]

    def spread(self, query: Query) -> Spread:
        """Where the crashes that match happened, in one look at them."""
        condition, values = where(query, self._sight, self._database.dialect)
        rows = self._database.rows(
            "SELECT host, build, count(*) AS n, min(seen_at) AS first, max(seen_at) AS last FROM reports "  # noqa: S608
            f"WHERE {condition} GROUP BY +host, +build",
            values,
        )
        hosts, builds = Counter[str](), Counter[str]()
        for row in rows:
            for counter, name in ((hosts, row["host"]), (builds, row["build"])):
                if name is not None:
                    counter[name] += int(row["n"])
        first = min((row["first"] for row in rows), default=None)
        last = max((row["last"] for row in rows), default=None)
        return Spread(
            sum(int(row["n"]) for row in rows),
            None if first is None else moment(first),
            None if last is None else moment(last),
            _ranked(hosts),
            _ranked(builds),
        )

    def versions(self, driver: str, limit: int = 50) -> list[LoadedVersion]:
        """The versions of a driver in all crashes, blamed or merely loaded, those blamed most often first."""
        sight, seen = self._sight.of_reports("crash")
        rows = self._database.rows(
            "SELECT version, count(*) AS loaded, count(DISTINCT host) AS hosts, sum(blamed) AS blamed, "  # noqa: S608
            "count(DISTINCT CASE WHEN blamed = 1 THEN host END) AS blamed_hosts, min(seen_at) AS first, "
            "max(seen_at) AS last FROM drivers JOIN reports AS crash ON crash.id = drivers.report_id "
            f"WHERE drivers.name = ? AND +live = 0 AND {sight} GROUP BY version "
            "ORDER BY blamed DESC, loaded DESC, version LIMIT ?",
            [driver.lower(), *seen, limit],
        )
        return [
            LoadedVersion(
                row["version"],
                int(row["loaded"]),
                int(row["hosts"]),
                int(row["blamed"]),
                int(row["blamed_hosts"]),
                moment(row["first"]),
                moment(row["last"]),
            )
            for row in rows
        ]

    def _weeks(self, signatures: list[str], today: date) -> dict[str, list[int]]:
        # The weeks that the rule looks at, for many failures at once.
        marks = ", ".join("?" for _ in signatures)
        sight, seen = self._sight.of_reports()
        rows = self._database.rows(
            "SELECT signature, substr(seen_at, 1, 10) AS day, count(*) AS n FROM reports "  # noqa: S608
            f"WHERE signature IN ({marks}) AND live = 0 AND seen_at >= ? AND seen_at < ? "
            f"AND {sight} GROUP BY signature, day",
            [*signatures, *_days(_first(today), today), *seen],
        )
        counts = {(row["signature"], row["day"]): int(row["n"]) for row in rows}
        days = [_first(today) + timedelta(days=number) for number in range((WEEKS + 1) * DAYS)]
        return {name: in_weeks([(day, counts.get((name, day.isoformat()), 0)) for day in days]) for name in signatures}

    def _known(self, today: date) -> int:
        # How many weeks before the last one there are since the first of them in which anything crashed.
        sight, seen = self._sight.of_reports()
        for weeks in range(WEEKS, 0, -1):
            last = today - timedelta(days=weeks * DAYS)
            row = self._database.row(
                f"SELECT 1 AS one FROM reports WHERE live = 0 AND seen_at >= ? AND seen_at < ? AND {sight} LIMIT 1",  # noqa: S608
                [*_days(last - timedelta(days=DAYS - 1), last), *seen],
            )
            if row is not None:
                return weeks
        return 0


def _ranked(counter: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counter.items(), key=lambda pair: (-pair[1], pair[0])))


def _first(today: date) -> date:
    # The first day of the weeks that the rule looks at.
    return today - timedelta(days=(WEEKS + 1) * DAYS - 1)


def _days(first: date, last: date) -> list[str]:
    # The stamps between which the moments of these days lie.
    return [stamp(datetime.combine(day, time(), UTC)) for day in (first, last + timedelta(days=1))]
