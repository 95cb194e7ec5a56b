"""The last four weeks at a glance, in one look at their crashes: a visitor's right to see is asked once a crash."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from storage.clock import stamp
from storage.database import Database, Row
from storage.overview import Overview, Problem
from storage.sight import EVERYTHING, Sight
from storage.spikes import DAYS, LEAST
from storage.trends import MAX_CANDIDATES, Rising, Trends

WEEKS = 4
MAX_LATE = 200  # failures that are looked at for whether they are new
Tally = list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Glance:
    """Crashes a day, the last day being today; the modules, codes and hosts that came up most, with how often; the most
    frequent failures; those that are a spike; those that never came up before the last week."""

    daily: list[tuple[date, int]]
    modules: Tally
    codes: Tally
    hosts: Tally
    problems: list[Problem]
    rising: list[Rising]
    fresh: list[Problem]


class Glances:
    """The question of one database."""

    def __init__(self, database: Database, overview: Overview, trends: Trends, sight: Sight = EVERYTHING) -> None:
        self._database = database
        self._overview = overview
        self._trends = trends
        self._sight = sight

    def of(self, now: datetime, limit: int = 10) -> Glance:
        """The four weeks until today, whole days in UTC; of each kind at most ``limit``."""
        today = now.astimezone(UTC).date()
        days = [today - timedelta(days=number) for number in range(WEEKS * DAYS - 1, -1, -1)]
        rows: dict[str, list[Row]] = {}
        for row in self._rows(today, limit):
            rows.setdefault(row["kind"], []).append(row)
        counts = {row["name"]: int(row["n"]) for row in rows.get("day", ())}
        tallies = {kind: [(row["name"], int(row["n"])) for row in found] for kind, found in rows.items()}
        names = {kind: [row["name"] for row in found] for kind, found in rows.items()}
        return Glance(
            [(day, counts.get(day.isoformat(), 0)) for day in days],
            tallies.get("module", []),
            tallies.get("code", []),
            tallies.get("host", []),
            [self._overview.problem(row) for row in rows.get("failure", ())],
            self._trends.rising(now, limit, among=names.get("more", [])),
            self._overview.fresh(_begin(today, 1), limit, among=names.get("late", [])),
        )

    def _rows(self, today: date, limit: int) -> list[Row]:
        sight, seen = self._sight.of_reports()
        edges = [stamp(_begin(today, week)) for week in range(WEEKS + 1)]
        last, *before = [(edges[week], edges[week - 1]) for week in range(1, WEEKS + 1)]
        tallies = " ".join(
            f"UNION ALL SELECT * FROM (SELECT '{column}', {column}, count(*) AS n, 0, '', '' FROM seen "  # noqa: S608
            f"WHERE {column} IS NOT NULL GROUP BY {column} ORDER BY n DESC, {column} LIMIT ?) AS {column}s"
            for column in ("module", "code", "host")
        )
        # Those that came up more often in the last week than in each of the three before may be spikes.
        week = "count(CASE WHEN seen_at >= ? AND seen_at < ? THEN 1 END)"
        more = " AND ".join(f"{week} > {week}" for _ in before)
        return self._database.rows(
            "WITH seen AS MATERIALIZED (SELECT signature, module, code, host, seen_at FROM reports "  # noqa: S608
            f"WHERE live = 0 AND seen_at >= ? AND seen_at < ? AND {sight}) "
            "SELECT 'day' AS kind, substr(seen_at, 1, 10) AS name, count(*) AS n, 0 AS hosts, '' AS first, '' AS last "
            f"FROM seen GROUP BY substr(seen_at, 1, 10) {tallies} "
            "UNION ALL SELECT * FROM (SELECT 'failure', signature, count(*) AS n, count(DISTINCT host), min(seen_at), "
            "max(seen_at) AS last FROM seen GROUP BY signature ORDER BY n DESC, last DESC LIMIT ?) AS failures "
            f"UNION ALL SELECT * FROM (SELECT 'more', signature, {week} AS n, 0, '', '' FROM seen GROUP BY signature "
            f"HAVING {week} >= ? AND {more} ORDER BY n DESC, signature LIMIT ?) AS more "
            "UNION ALL SELECT * FROM (SELECT 'late', signature, count(*) AS n, 0, '', '' FROM seen GROUP BY signature "
            "HAVING min(seen_at) >= ? ORDER BY min(seen_at) DESC LIMIT ?) AS late",
            [
                *(edges[-1], edges[0], *seen),
                *([limit] * 4),
                *(*last, *last, LEAST, *(edge for other in before for edge in (*last, *other)), MAX_CANDIDATES),
                *(edges[1], MAX_LATE),
            ],
        )


def _begin(today: date, weeks: int) -> datetime:
    # When so many weeks begin of which today ends the last; for none, when today ends.
    return datetime.combine(today - timedelta(days=weeks * DAYS - 1), time(), UTC)
