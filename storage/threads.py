"""Which Slack message tells which dump's story, and in which form: for duplicates that point to the first one, and
for whatever changes what is told.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Literal

from storage.clock import Clock, moment, stamp
from storage.database import Database, Row
from storage.sight import EVERYTHING, Sight

# The whole story; a short answer, since the failure was told before; a line, since it is muted there; a pointer to
# where this very dump was told.
Form = Literal["full", "short", "muted", "pointer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A dump's place in Slack: ``ts`` is the user's message, ``summary_ts`` the bot's verdict below it.

    ``line`` is what the verdict says of itself, as that it was edited. ``job`` and ``slot`` are those of the post,
    where known. ``name`` is the dump's among several of one link, None for a dump that came alone. ``source`` is what
    it was posted as.
    """

    report_id: int
    team: str
    channel: str
    ts: str
    summary_ts: str
    permalink: str | None = None
    form: Form = "full"
    line: str = ""
    job: str | None = None
    slot: str = "summary"
    name: str | None = None
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread(Told):
    """Such a place as it is kept: since when."""

    created_at: datetime


_COLUMNS = tuple(field.name for field in fields(Told))


class Threads:
    """The threads of one database."""

    def __init__(self, database: Database, clock: Clock, sight: Sight = EVERYTHING) -> None:
        self._database = database
        self._clock = clock
        self._sight = sight

    def note(self, place: Told) -> None:
        """Note where a report is told, and how. Of a summary that was noted before, form and line are noted anew."""
        names = (*_COLUMNS, "created_at")
        self._database.change(
            f"INSERT INTO threads ({', '.join(names)}) VALUES ({', '.join('?' for _ in names)}) "  # noqa: S608  # ours
            "ON CONFLICT (team, channel, summary_ts) DO UPDATE SET form = excluded.form, line = excluded.line, "
            "permalink = coalesce(excluded.permalink, threads.permalink)",
            [*(getattr(place, name) for name in _COLUMNS), stamp(self._clock())],
        )

    def of_report(self, report_id: int) -> list[Thread]:
        """Every place where the report was told, oldest first; pointers to such places are left out."""
        return [thread for thread in self.of_reports([report_id]) if thread.form != "pointer"]

    def of_reports(self, numbers: Iterable[int]) -> list[Thread]:
        """Every place that shows one of these reports, in whatever form, oldest first."""
        sight, seen = self._sight.of_threads()
        wanted, listed = self._database.listed(sorted(numbers))
        rows = self._database.rows(
            f"SELECT threads.* FROM threads JOIN {wanted} AS wanted ON report_id = wanted.value "  # noqa: S608
            f"WHERE {sight} ORDER BY created_at, threads.id",
            [*listed, *seen],
        )
        return [_thread(row) for row in rows]

    def of_summary(self, team: str, channel: str, summary_ts: str) -> Thread | None:
        """What a message of the bot's tells; None where it tells no report."""
        row = self._database.row(
            "SELECT * FROM threads WHERE team = ? AND channel = ? AND summary_ts = ?", [team, channel, summary_ts]
        )
        return None if row is None else _thread(row)

    def first(self, report_id: int) -> Thread | None:
        """The first place where the report was told."""
        return next(iter(self.of_report(report_id)), None)

    def firsts(self, numbers: Iterable[int]) -> dict[int, Thread]:
        """The first place where each of these reports was told, of those that were told anywhere."""
        found: dict[int, Thread] = {}
        for thread in self.of_reports(numbers):
            if thread.form != "pointer":
                found.setdefault(thread.report_id, thread)
        return found

    def at(self, team: str, channel: str, ts: str) -> list[Thread]:
        """The dumps told below one user message, oldest first: what a question in that thread is about."""
        rows = self._database.rows(
            "SELECT * FROM threads WHERE team = ? AND channel = ? AND ts = ? ORDER BY created_at, id",
            [team, channel, ts],
        )
        return [_thread(row) for row in rows]


def _thread(row: Row) -> Thread:
    return Thread(created_at=moment(row["created_at"]), **{name: row[name] for name in _COLUMNS})
