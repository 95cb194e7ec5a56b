"""``pileup history``: lists, whole reports and answers from the database, for people and as JSON."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import fastjsonschema

from analysis.verdict.report import Report
from bot.analyzing import FAULT, OK, USAGE, Stop, settings_or_stop
from bot.console import Line, print_lines, printable, report_lines, when
from bot.housekeeping import rename
from bot.questions import Row, ask
from bot.questions.parts import rows_of
from bot.settings import Settings
from bot.standing import act_json, known_json, standing, standing_lines
from bot.tables import crash_table, crash_values
from storage import Query, StorageError, Store
from storage.clock import utc_now


def listing(words: str | None, limit: int, *, as_json: bool) -> int:
    """Print crashes, the latest first; all of them, or those that mention every word. The exit status."""

    def print_them(store: Store) -> int:
        found = store.search.find(Query(words=words, live=True), limit)
        rows = rows_of(store, found)
        if as_json:
            print(json.dumps([_plain(row) for row in rows], indent=2))
        elif rows:
            print_lines(iter(_rows(rows)), sys.stdout)
        else:
            print("No crash in history." if words is None else f"No crash mentions {printable(words)}.")
        return OK

    return with_store(print_them)


def show(number: int, *, as_json: bool) -> int:
    """Print one report whole. The exit status: 2 when there is no such number."""

    def print_it(store: Store) -> int:
        document = store.reports.document(number)
        if document is None:
            raise Stop(f"history has no report {number}", USAGE)
        if as_json:
            print(json.dumps(document | _said(store, document), indent=2))
            return OK
        report = Report.from_json(document)
        known: list[Line] = [("strong", printable(line)) for line in standing_lines(standing(store, report))]
        print_lines(iter([*known, *report_lines(report, store.seen(report))]), sys.stdout)
        return OK

    return with_store(print_it)


def _said(store: Store, document: dict[str, Any]) -> dict[str, Any]:
    # What people said and did; nothing beside a document of another version, which is printed as it is.
    try:
        report = Report.from_json(document)
    except fastjsonschema.JsonSchemaException:
        return {}
    acts = [act_json(act) for act in store.acts(report)]
    return {"people": {"known": known_json(store.known(report)), "acts": acts}}


def answer(question: str, form: Literal["text", "json", "csv"]) -> int:
    """Print the answer to a question. The exit status: 2 when it was not understood."""

    def print_it(store: Store) -> int:
        said = ask(store, question, utc_now())
        if form == "csv":
            print(crash_table((row.report, row.thread) for row in said.rows), end="")
        elif form == "json":
            rows = [_plain(row) for row in said.rows]
            print(json.dumps({"understood": said.understood, "lines": said.lines, "rows": rows}, indent=2))
        else:
            lines: list[Line] = [
                ("strong" if n == 0 else "plain", printable(line)) for n, line in enumerate(said.lines)
            ]
            known: list[Line] = [("strong", printable(line)) for line in standing_lines(said.stands)]
            print_lines(iter([*known, *lines, *_rows(said.rows)]), sys.stdout)
        return OK if said.understood else USAGE

    return with_store(print_it)


def rebucket() -> int:
    """Name the reports of history by the present rules, and print how many changed. The exit status."""

    def name_them(store: Store) -> int:
        outdated = store.renaming.outdated()
        print(f"{rename(store)} of {outdated} reports that older rules had named got another signature.")
        return OK

    return with_store(name_them)


def with_store(use: Callable[[Store], int]) -> int:
    """Do something with the history of the settings; what that gives, or the exit status of what stood in the way."""
    return with_settings(lambda store, _: use(store))


def with_settings(use: Callable[[Store, Settings], int]) -> int:
    """Do something with history and the settings in force; its exit status, or that of what went wrong, which is said
    in a line."""
    try:
        settings = settings_or_stop()
        with Store.open(settings.database, ticket_link=settings.ticketing.address) as store:
            return use(store, settings)
    except Stop as stop:
        print(f"pileup: {stop.line}", file=sys.stderr)
        return stop.status
    except (OSError, StorageError, fastjsonschema.JsonSchemaException) as error:
        print(f"pileup: history cannot be read: {printable(str(error))}", file=sys.stderr)
        return FAULT


def _rows(rows: Iterable[Row]) -> Iterator[Line]:
    for row in rows:
        place = row.thread.permalink if row.thread and row.thread.permalink else row.report.source
        known = "".join(f"  {line}" for line in standing_lines(row.stands))
        yield "plain", printable(f"{row.report.id:>5}  {when(row.report.seen_at)}  {row.text}  {place}{known}")


def _plain(row: Row) -> dict[str, Any]:
    stands = row.stands
    known = known_json(stands.known) | {"is_regression": stands.is_regression}
    return {**crash_values(row.report), "thread": row.thread.permalink if row.thread else None, "known": known}
