"""Which processes take jobs of this database, in which version, and which jobs wait for one that there is not."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from storage.clock import Clock, moment, stamp
from storage.database import Database
from storage.jobs import FORM


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that takes jobs: its name, its version, the latest form of jobs that it reads, how many at a time."""

    name: str
    version: str
    form: int
    slots: int
    started_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Unread:
    """Jobs that wait in a form which a worker does not read."""

    form: int
    count: int


class Workers:
    """The workers of one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def sign_in(self, name: str, version: str, slots: int, form: int = FORM) -> None:
        """A worker is there, for the first time or still."""
        now = stamp(self._clock())
        self._database.change(
            "INSERT INTO workers (name, version, form, slots, started_at, seen_at) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (name) DO UPDATE SET version = excluded.version, form = excluded.form, "
            "slots = excluded.slots, seen_at = excluded.seen_at",
            [name, version, form, slots, now, now],
        )

    def sign_out(self, name: str) -> None:
        """A worker has ended in order."""
        self._database.change("DELETE FROM workers WHERE name = ?", [name])

    def alive(self, within: timedelta) -> list[Worker]:
        """Those that were there a moment ago; the others are forgotten after a day."""
        now = self._clock()
        self._database.change("DELETE FROM workers WHERE seen_at < ?", [stamp(now - timedelta(days=1))])
        rows = self._database.rows("SELECT * FROM workers WHERE seen_at >= ? ORDER BY name", [stamp(now - within)])
        return [
            Worker(
                row["name"],
                row["version"],
                row["form"],
                row["slots"],
                moment(row["started_at"]),
                moment(row["seen_at"]),
            )
            for row in rows
        ]

    def unread(self, form: int = FORM) -> list[Unread]:
        """What waits in a later form than this one."""
        rows = self._database.rows(
            "SELECT form, count(*) AS n FROM jobs WHERE state = 'waiting' AND form > ? GROUP BY form ORDER BY form",
            [form],
        )
        return [Unread(row["form"], row["n"]) for row in rows]
