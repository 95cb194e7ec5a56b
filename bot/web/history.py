"""What the pages of history show, from a store: dashboard, search, one failure, and what surrounds one crash."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from analysis.verdict.report import Report
from bot.questions import EXAMPLES, Row, ask
from bot.questions.naming import code_text
from bot.web.charts import bars
from storage import Query, Store, StoredReport
from storage.knowledge import NOTHING, Known
from storage.overview import Problem

WEEK, MONTH = timedelta(days=7), timedelta(days=28)
LISTED = 50
MAX_HOSTS = 20


@dataclass(frozen=True, slots=True)
class Failure:
    """One line about a failure: what people call it, how often, and what they know of it."""

    problem: Problem
    title: str
    link: str
    known: Known


def dashboard(store: Store, now: datetime) -> dict[str, Any]:
    """Open problems, drivers and new failures of the last weeks, and crashes a day."""
    since = now - MONTH
    daily = store.overview.daily(since, now)
    return {
        "total": sum(count for _, count in daily),
        "daily": daily,
        "chart": bars(daily, "Crashes a day"),
        "problems": [_failure(store, problem) for problem in store.overview.problems(since)],
        "drivers": store.overview.drivers(since),
        "fresh": [_failure(store, problem) for problem in store.overview.fresh(now - WEEK)],
    }


def search(store: Store, question: str, now: datetime) -> dict[str, Any]:
    """The answer to a question, asked as in Slack; without one the latest crashes."""
    if question.strip():
        said = ask(store, question, now)
        lines, rows = said.lines, said.rows
    else:
        found = store.search.find(Query(live=True), LISTED)
        lines = ("The latest crashes:",) if found else ("No crash in history.",)
        rows = tuple(Row(line, store.threads.first(line.id)) for line in found)
    return {"question": question, "lines": lines, "rows": [_row(row) for row in rows], "examples": EXAMPLES}


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
        "title": _title(latest),
        "latest": latest,
        "span": span,
        "daily": daily,
        "chart": bars(daily, "Crashes a day"),
        "hosts": store.search.top(query, "host", MAX_HOSTS),
        "builds": store.search.top(query, "build", MAX_HOSTS),
        "versions": store.search.versions(latest.module, Query()) if latest.module else [],
        "known": known,
        "rows": [_row(Row(line, store.threads.first(line.id))) for line in found],
    }


def around(store: Store, number: int, report: Report) -> dict[str, Any]:
    """What surrounds one crash: its Slack thread, its failure's other crashes, similar ones."""
    seen = store.seen(report)
    return {
        "number": number,
        "group": group_link(report.bucket.signature),
        "thread": next((one.permalink for one in store.threads.of_report(number) if is_web(one.permalink)), None),
        "bucket": seen.same_bucket,
        "others": [_row(Row(line, None)) for line in seen.same_bucket.others] if seen.same_bucket else [],
        "similar": [(_row(Row(one.report, one.thread)), one.reason) for one in seen.similar],
        "known": store.known(report),
        "suspicion": store.suspicion_of(report),
    }


def group_link(signature: str) -> str:
    """The page of a failure. A signature is any text: a name from a dump may be part of it."""
    return f"/groups/{quote(signature, safe='', errors='replace')}"


def is_web(link: str | None) -> bool:
    """Whether an address may be a link: people and dumps write other things, too."""
    return link is not None and link.startswith(("https://", "http://"))


def _failure(store: Store, problem: Problem) -> Failure:
    known = store.knowledge.of({problem.signature} | store.grouping.merged(problem.signature))
    return Failure(problem, _title(problem.latest), group_link(problem.signature), known)


def _title(crash: StoredReport) -> str:
    code = code_text(crash.code) if crash.code else crash.kind
    return f"{crash.module or 'no culprit'}: {code}"


def _row(row: Row) -> dict[str, Any]:
    link = row.thread.permalink if row.thread else None
    return {"crash": row.report, "text": row.text, "thread": link if is_web(link) else None}
