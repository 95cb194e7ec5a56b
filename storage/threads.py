"""Which Slack thread told which dump's story, so that a duplicate can point to the first one."""

from dataclasses import dataclass
from datetime import datetime

from storage.clock import Clock, moment, stamp
from storage.database import Database, Row


@dataclass(frozen=True, slots=True)
class Thread:
    """A dump's place in Slack: ``ts`` is the user's message, ``summary_ts`` the bot's verdict below it."""

    team: str
    channel: str
    ts: str
    summary_ts: str
    report_id: int
    permalink: str | None
    created_at: datetime


class Threads:
    """The threads of one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(
        self, report_id: int, *, team: str, channel: str, ts: str, summary_ts: str, permalink: str | None = None
    ) -> None:
        """Note where a report was told. Noting the same summary again changes nothing but a missing permalink."""
        self._database.change(
            "INSERT INTO threads (team, channel, ts, summary_ts, permalink, report_id, created_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (team, channel, summary_ts) "
            "DO UPDATE SET permalink = coalesce(excluded.permalink, permalink)",
            [team, channel, ts, summary_ts, permalink, report_id, stamp(self._clock())],
        )

    def of_report(self, report_id: int) -> list[Thread]:
        """Every place where the report was told, oldest first."""
        rows = self._database.rows("SELECT * FROM threads WHERE report_id = ? ORDER BY created_at, id", [report_id])
        return [_thread(row) for row in rows]

    def first(self, report_id: int) -> Thread | None:
        """The first place where the report was told."""
        return next(iter(self.of_report(report_id)), None)

    def at(self, team: str, channel: str, ts: str) -> list[Thread]:
        """The dumps told below one user message, oldest first: what a question in that thread is about."""
        rows = self._database.rows(
            "SELECT * FROM threads WHERE team = ? AND channel = ? AND ts = ? ORDER BY created_at, id",
            [team, channel, ts],
        )
        return [_thread(row) for row in rows]


def _thread(row: Row) -> Thread:
    return Thread(
        team=row["team"],
        channel=row["channel"],
        ts=row["ts"],
        summary_ts=row["summary_ts"],
        report_id=row["report_id"],
        permalink=row["permalink"],
        created_at=moment(row["created_at"]),
    )
