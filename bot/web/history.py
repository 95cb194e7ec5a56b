"""What the pages of history show, from a store: dashboard, search, and what surrounds one crash."""

from datetime import datetime
from typing import Any

from analysis.verdict.report import Report
from bot.questions import EXAMPLES, Matched, Row, match
from bot.standing import standing
from bot.web.charts import bars
from bot.web.lines import failure, group_link, is_web, row, rows
from bot.web.paging import Place, place_of, read_place
from storage import Query, Store, StoredReport

LISTED, TALLIED = 50, 10
MAX_OTHERS, MAX_THREADS = 5, 5
ROWS_ALONE = ("fresh", "memory")  # kinds of questions whose answer's rows are not all that matches
LISTING = ("seen", "count", "hosts")  # those whose answer's rows are the first of all


def dashboard(store: Store, now: datetime) -> dict[str, Any]:
    """Open problems, spikes and new failures of the last weeks, crashes a day, what came up most."""
    found = store.glance.of(now, TALLIED)
    return {
        "total": sum(count for _, count in found.daily),
        "daily": found.daily,
        "chart": bars(found.daily, "Crashes a day"),
        "problems": [failure(store, problem) for problem in found.problems],
        "rising": [failure(store, one.problem, one.spike) for one in found.rising],
        "fresh": [failure(store, problem) for problem in found.fresh],
        "drivers": found.modules,
        "codes": found.codes,
        "hosts": found.hosts,
    }


def search(store: Store, question: str, now: datetime, after: str = "") -> dict[str, Any]:
    """The answer to a question, asked as in Slack, with all crashes that match it, from ``after`` on; without a
    question the latest crashes."""
    place = read_place(after)
    if question.strip():
        matched = match(store, question, now, stands=False, shown=LISTED + 1)
        lines, named = matched.answer.lines, [(one.kind, one.value) for one in matched.names if one.is_known]
        found, has_more = _matching(store, matched, place)
    else:
        found, has_more = _page(store, Query(live=True), place)
        named = []
        lines = ("The latest crashes:" if place is None else "Older crashes:",) if found else ("No crash in history.",)
    return {
        "question": question,
        "lines": lines,
        "rows": rows(store, found),
        "next": place_of(found[-1]) if has_more else None,
        "is_first": place is None,
        "subjects": [
            ({"module": "driver"}.get(kind, kind), name) for kind, name in named if kind in ("module", "host")
        ],
        "examples": EXAMPLES,
    }


def _matching(store: Store, matched: Matched, place: Place | None) -> tuple[list[StoredReport], bool]:
    # The crashes to show, and whether there are more behind them.
    told = [one.report for one in matched.answer.rows]
    if matched.query is None or matched.kind in ROWS_ALONE:
        return told, False
    if matched.kind in LISTING and place is None:
        return told[:LISTED], len(told) > LISTED
    if matched.kind == "last" and place is None:  # as many as were asked for, and on from there
        return told, bool(told) and bool(store.search.page(matched.query, (told[-1].seen_at, told[-1].id), 1))
    return _page(store, matched.query, place)


def _page(store: Store, query: Query, place: Place | None) -> tuple[list[StoredReport], bool]:
    found = store.search.page(query, place, LISTED + 1)
    return found[:LISTED], len(found) > LISTED


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
