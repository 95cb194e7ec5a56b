"""What the pages of history show, from a store: dashboard, search, one failure, and what surrounds one crash."""

from datetime import datetime, timedelta
from typing import Any

from analysis.verdict.report import Report
from bot.questions import EXAMPLES, Row, ask
from bot.standing import standing
from bot.web.charts import bars
from bot.web.lines import failure, group_link, is_web, row, rows, title_of
from storage import Query, Store
from storage.knowledge import NOTHING

WEEK, MONTH = timedelta(days=7), timedelta(days=28)
LISTED = 50
MAX_HOSTS = 20
MAX_OTHERS, MAX_THREADS = 5, 5


def dashboard(store: Store, now: datetime) -> dict[str, Any]:
    """Open problems, drivers and new failures of the last weeks, and crashes a day."""
    since = now - MONTH
    daily = store.overview.daily(since, now)
    return {
        "total": sum(count for _, count in daily),
        "daily": daily,
        "chart": bars(daily, "Crashes a day"),
        "problems": [failure(store, problem) for problem in store.overview.problems(since)],
        "drivers": store.overview.drivers(since),
        "rising": [failure(store, one.problem, one.spike) for one in store.trends.rising(now)],
        "fresh": [failure(store, problem) for problem in store.overview.fresh(now - WEEK)],
    }


def search(store: Store, question: str, now: datetime) -> dict[str, Any]:
    """The answer to a question, asked as in Slack; without one the latest crashes."""
    if question.strip():
        said = ask(store, question, now)
        lines, shown = said.lines, [row(one) for one in said.rows]
    else:
        found = store.search.find(Query(live=True), LISTED)
        lines = ("The latest crashes:",) if found else ("No crash in history.",)
        shown = rows(store, found)
    return {"question": question, "lines": lines, "rows": shown, "examples": EXAMPLES}


def group(store: Store, signature: str, now: datetime) -> dict[str, Any] | None:
    """One failure: how often, where, with which versions of its driver, and what people know. None where unseen."""
    query = Query(signature=signature, live=True)
    found = store.search.find(query, LISTED)
    if not found:
        return None
    latest = found[0]
    span = store.search.span(query)
    report = store.reports.report(latest.id)
    known = NOTHING if report is None else store.known(report)
    daily = store.overview.daily(now - MONTH, now, latest.signature)
    return {
        "signature": signature,
        "title": title_of(latest),
        "latest": latest,
        "span": span,
        "daily": daily,
        "chart": bars(daily, "Crashes a day"),
        "hosts": store.search.top(query, "host", MAX_HOSTS),
        "builds": store.search.top(query, "build", MAX_HOSTS),
        "versions": store.search.versions(latest.module, Query()) if latest.module else [],
        "known": known,
        "spike": store.trends.spike(query, now),
        "rows": rows(store, found),
    }


def around(store: Store, number: int, report: Report) -> dict[str, Any]:
    """What surrounds one crash: its Slack threads, other crashes of its failure, similar ones, what people know."""
    seen, line = store.seen(report), store.reports.get(number)
    others = [] if seen.same_bucket is None else [one for one in seen.same_bucket.others if one.id != number]
    links = [one.permalink for one in store.threads.of_report(number) if is_web(one.permalink)]
    return {
        "number": number,
        "line": line,
        "group": group_link(report.bucket.signature if line is None else line.signature),
        "threads_in_slack": links[:MAX_THREADS],
        "bucket": seen.same_bucket,
        "others": [row(Row(one, None)) for one in others[:MAX_OTHERS]],
        "similar": [(row(Row(one.report, one.thread)), one.reason) for one in seen.similar],
        "stands": standing(store, report),
    }
