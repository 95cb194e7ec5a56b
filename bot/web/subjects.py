"""The pages of one driver, host, build or team, and the lists of them: what a question about it in Slack would tell,
from the same queries, and what an answer has no room for.
"""

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.questions.trends import change_of
from bot.web.charts import bars
from bot.web.lines import failure, rows
from bot.web.paging import place_of, read_place
from storage import Query, Store
from storage.columns import short
from storage.routes import Route
from storage.search import Column
from storage.spikes import in_weeks

DAYS = 28
LISTED, FAILURES, MAX_TALLY, MAX_VERSIONS = 50, 20, 10, 50
MAX_PAGE = 200


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of subject: the column of history that names it, and the other columns that its page counts."""

    noun: str
    column: Column
    counted: tuple[tuple[str, Column], ...]

    def query(self, name: str) -> Query:
        """The crashes of one, by its name or by as much of it as history keeps."""
        return dataclasses.replace(Query(), **{self.column: short(name)})  # type: ignore[arg-type]  # those columns are fields


_DRIVER: tuple[str, Column] = ("driver", "module")
_HOST: tuple[str, Column] = ("host", "host")
_BUILD: tuple[str, Column] = ("build", "build")
_CODE: tuple[str, Column] = ("code", "code")
KINDS = {
    "drivers": Kind("driver", "module", (_HOST, _BUILD, _CODE)),
    "hosts": Kind("host", "host", (_DRIVER, _BUILD, _CODE)),
    "builds": Kind("build", "build", (_DRIVER, _HOST, _CODE)),
    "teams": Kind("team", "owner", (_DRIVER, _HOST, _BUILD)),
}


def subject(
    store: Store, kind: Kind, name: str, now: datetime, *, after: str = "", routes: tuple[Route, ...] = ()
) -> dict[str, Any] | None:
    """One subject: how often, since when, on which hosts, with which failures, whether more or less often, whether it
    is a spike, its crashes from ``after`` on. None where nothing of it is seen.

    ``routes`` are the routing rules that may be shown.
    """
    query = kind.query(name)
    span = store.search.span(query)
    versions = store.trends.versions(name, MAX_VERSIONS + 1) if kind.noun == "driver" else []
    if not span.count and not versions:
        return None
    daily = store.trends.year(query, now)
    month = daily[-DAYS:]
    found = store.search.page(query, read_place(after), LISTED + 1)
    failures = store.trends.failures(query, FAILURES + 1)
    return {
        "kind": kind,
        "name": name,
        "span": span,
        "change": change_of(store, query, now).words,
        "spike": store.trends.spike_in(daily),
        "daily": month,
        "chart": bars(month, "Crashes a day"),
        "weekly": weekly(daily),
        "weeks_chart": bars(weekly(daily), "Crashes a week", "week"),
        "failures": [failure(store, problem) for problem in failures[:FAILURES]],
        "more_failures": len(failures) > FAILURES,
        "tallies": [(noun, store.search.top(query, column, MAX_TALLY)) for noun, column in kind.counted],
        "versions": versions[:MAX_VERSIONS],
        "more_versions": len(versions) > MAX_VERSIONS,
        "suspicion": store.suspicion.of_host(span.hosts[0], now) if kind.noun == "host" else None,
        "routes": [route for route in routes if kind.noun == "team" and route.team == name],
        "rows": rows(store, found[:LISTED]),
        "next": place_of(found[LISTED - 1]) if len(found) > LISTED else None,
        "is_first": not after,
    }


def subjects(store: Store, kind: Kind, page: int) -> dict[str, Any] | None:
    """One page of all subjects of a kind, those with most crashes first. None beyond the last page."""
    found = store.search.top(Query(), kind.column, LISTED + 1, (page - 1) * LISTED)
    if not found and page > 1:
        return None
    has_next = len(found) > LISTED and page < MAX_PAGE
    return {"kind": kind, "found": found[:LISTED], "page": page, "has_next": has_next}


def weekly(daily: list[tuple[Any, int]]) -> list[tuple[Any, int]]:
    """Days as weeks, each with its first day."""
    counts = in_weeks(daily)
    first = len(daily) - 7 * len(counts)
    return [(daily[first + 7 * number][0], count) for number, count in enumerate(counts)]
