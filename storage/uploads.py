"""Dumps that were posted to us instead of linked: whose they are, which job reads them, who sees what came of them.

A place that sees a crash is a Slack channel, or the owner of an upload: ``token:7``, ``person:T…/U…``, ``local``.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from storage.clock import Clock, moment, stamp
from storage.columns import storable
from storage.database import Database, Row
from storage.jobs import Job, Jobs, NewJob

DAY = timedelta(days=1)
ABANDONED = timedelta(hours=6)  # no upload takes that long


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload. ``job`` is the number of the job that reads it, None while it is coming in."""

    id: str
    owner: str
    name: str
    size: int
    at: datetime
    job: int | None


@dataclass(frozen=True, slots=True)
class Quota:
    """How many uploads of one owner may be under way at the same time, and how many there may be a day."""

    at_once: int = 20
    a_day: int = 1000


class TooMany(Exception):
    """The owner's quota is used up: that of ``a_day``, or that of the same time."""

    def __init__(self, *, a_day: bool) -> None:
        super().__init__()
        self.a_day = a_day


class Uploads:
    """The uploads of one database."""

    def __init__(self, database: Database, clock: Clock, jobs: Jobs) -> None:
        self._database = database
        self._clock = clock
        self._jobs = jobs

    def begin(self, owner: str, name: str, quota: Quota) -> str:
        """Note that something is coming in; its id, which nobody can guess. Raises: TooMany."""
        now, made = self._clock(), secrets.token_urlsafe(18)
        with self._database.write():
            today = "SELECT count(*) FROM uploads WHERE owner = ? AND at > ?"
            if int(self._database.value(today, [owner, stamp(now - DAY)])) >= quota.a_day:
                raise TooMany(a_day=True)
            if self._busy(owner, now) >= quota.at_once:
                raise TooMany(a_day=False)
            self._database.change(
                "INSERT INTO uploads (id, owner, name, size, at) VALUES (?, ?, ?, 0, ?)",
                [made, owner, storable(name), stamp(now)],
            )
        return made

    def received(self, number: str, size: int, job: NewJob, name: str | None = None) -> Job:
        """It is here: the job that reads it begins to exist at the same moment."""
        with self._database.write():
            made = self._jobs.enqueue(job).job
            self._database.change(
                "UPDATE uploads SET size = ?, job_id = ?, name = coalesce(?, name) WHERE id = ?",
                [size, made.id, None if name is None else storable(name), number],
            )
        return made

    def pass_on(self, number: str, job: NewJob) -> Job:
        """Another job reads it from now on."""
        with self._database.write():
            made = self._jobs.enqueue(job).job
            self._database.change("UPDATE uploads SET job_id = ? WHERE id = ?", [made.id, number])
        return made

    def drop(self, number: str) -> None:
        """It did not come in."""
        self._database.change("DELETE FROM uploads WHERE id = ? AND job_id IS NULL", [number])

    def get(self, number: str) -> Upload | None:
        """One upload."""
        row = self._database.row("SELECT * FROM uploads WHERE id = ?", [number])
        return None if row is None else _upload(row)

    def unread(self) -> frozenset[str]:
        """The ids of those whose files are still needed: coming in, or waiting for their job's end."""
        rows = self._database.rows(
            "SELECT uploads.id AS id FROM uploads LEFT JOIN jobs ON jobs.id = uploads.job_id "
            "WHERE (uploads.job_id IS NULL AND uploads.at > ?) OR jobs.state IN ('waiting', 'running')",
            [stamp(self._clock() - ABANDONED)],
        )
        return frozenset(row["id"] for row in rows)

    def show(self, reports: Iterable[int], team: str, places: Iterable[str], source: str) -> None:
        """Let these places see these reports, each under the name that the dump was posted by."""
        with self._database.write():
            for place in places:
                for report in reports:
                    self._database.change(
                        "INSERT INTO sightings (report_id, team, channel, source) VALUES (?, ?, ?, ?) "
                        "ON CONFLICT (report_id, channel) DO NOTHING",
                        [report, team, place, storable(source)],
                    )

    def prune(self, older_than: timedelta) -> int:
        """Forget uploads of that age, not what came of them; how many."""
        return self._database.change("DELETE FROM uploads WHERE at < ?", [stamp(self._clock() - older_than)])

    def _busy(self, owner: str, now: datetime) -> int:
        return int(
            self._database.value(
                "SELECT count(*) FROM uploads LEFT JOIN jobs ON jobs.id = uploads.job_id WHERE uploads.owner = ? AND "
                "((uploads.job_id IS NULL AND uploads.at > ?) OR jobs.state IN ('waiting', 'running'))",
                [owner, stamp(now - ABANDONED)],
            )
        )


def _upload(row: Row) -> Upload:
    return Upload(row["id"], row["owner"], row["name"], int(row["size"]), moment(row["at"]), row["job_id"])
