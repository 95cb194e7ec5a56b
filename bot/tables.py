"""Crashes as a table that spreadsheets read (CSV, RFC 4180, UTF-8): one a line, with where each was told."""

import csv
import dataclasses
import io
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from bot.console import printable
from storage import StoredReport, Thread
from storage.clock import stamp

FORMULA_STARTS = tuple("=+-@\t\r")
COLUMNS = (*(field.name for field in dataclasses.fields(StoredReport)), "thread")


def crash_table(crashes: Iterable[tuple[StoredReport, Thread | None]]) -> str:
    """The table, with a heading."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    for crash, thread in crashes:
        values = crash_values(crash) | {"thread": thread.permalink if thread else None}
        table.writerow([_cell(values[name]) for name in COLUMNS])
    return out.getvalue()


def crash_values(crash: StoredReport) -> dict[str, Any]:
    """One crash of history as plain values by name; times as text."""
    values = {field.name: getattr(crash, field.name) for field in dataclasses.fields(crash)}
    return {name: stamp(value) if isinstance(value, datetime) else value for name, value in values.items()}


def _cell(value: Any) -> str:
    # A spreadsheet runs a cell that begins like a formula, and names in a dump are anybody's.
    text = "" if value is None else printable(str(value))
    return f"'{text}" if text[:1] in FORMULA_STARTS else text
