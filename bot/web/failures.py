"""The page of one failure, and the list of all."""

from datetime import datetime
from typing import Any

import fastjsonschema

from bot.questions.trends import change_of
from bot.web.charts import bars
from bot.web.lines import failure, rows, title_of
from bot.web.paging import place_of, read_place
from bot.web.subjects import DAYS, MAX_PAGE, MAX_VERSIONS, weekly
from storage import Query, Store
from storage.knowledge import NOTHING, Act

LISTED, TALLIED, MAX_ACTS, MAX_DECISIONS = 50, 20, 50, 20


def group(store: Store, signature: str, now: datetime, after: str = "") -> dict[str, Any] | None:
    """One failure: how often, where, with which versions of its driver, what people know and did, its crashes from
    ``after`` on. None where no crash of it is seen."""
    query = Query(signature=signature, live=True)
    latest = next(iter(store.search.find(query, 1)), None)
    if latest is None:
        return None
    found = store.search.page(query, read_place(after), LISTED + 1)
    counted = Query(signature=signature, live=latest.live)  # as an answer in Slack counts
    spread, days = store.trends.spread(counted), store.trends.year(counted, now)
    known, acts = _said(store, latest.id)
    versions = store.trends.versions(latest.module, MAX_VERSIONS + 1) if latest.module else []
    return {
        "signature": signature,
        "title": title_of(latest),
        "latest": latest,
        "spread": spread,
        "change": change_of(store, counted, now).words,
        "daily": days[-DAYS:],
        "chart": bars(days[-DAYS:], "Crashes a day"),
        "weekly": weekly(days),
        "weeks_chart": bars(weekly(days), "Crashes a week", "week"),
        "hosts": spread.hosts[:TALLIED],
        "builds": spread.builds[:TALLIED],
        "versions": versions[:MAX_VERSIONS],
        "more_versions": len(versions) > MAX_VERSIONS,
        "known": known,
        "acts": acts[-MAX_ACTS:][::-1],
        "more_acts": len(acts) > MAX_ACTS,
        "decisions": _decisions(store, latest.signature),
        "spike": store.trends.spike_in(days),
        "rows": rows(store, found[:LISTED]),
        "next": place_of(found[LISTED - 1]) if len(found) > LISTED else None,
        "is_first": not after,
    }


def groups(store: Store, page: int) -> dict[str, Any] | None:
    """One page of all failures, the most frequent first. None beyond the last page."""
    found = store.trends.failures(Query(), LISTED + 1, (page - 1) * LISTED)
    if not found and page > 1:
        return None
    has_next = len(found) > LISTED and page < MAX_PAGE
    return {"failures": [failure(store, one) for one in found[:LISTED]], "page": page, "has_next": has_next}


def _said(store: Store, number: int) -> tuple[Any, tuple[Act, ...]]:
    # What people know of the failure of a crash, and all that they did about it.
    try:
        report = store.reports.report(number)
    except fastjsonschema.JsonSchemaException:  # a document of another version of the contract
        report = None
    if report is None:
        return NOTHING, ()
    return store.known(report), store.knowledge.acts(store.duplicates.names(report))


def _decisions(store: Store, signature: str) -> list[dict[str, Any]]:
    # Without names: a failure that this one was merged with may be of a channel that is not seen.
    return [
        {
            "deed": one.deed,
            "by": one.by,
            "at": one.at,
            "crash": one.report_id if one.report_id and store.reports.get(one.report_id) else None,
            "undone_by": one.undone_by,
            "undone_at": one.undone_at,
        }
        for one in store.grouping.decisions(signature)[:MAX_DECISIONS]
    ]
