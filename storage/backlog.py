"""How the queue of jobs stands, for operators: what waits and runs since when, and what failed last."""

from dataclasses import dataclass
from datetime import datetime

from storage.clock import moment
from storage.database import Database
from storage.jobs import Job, job_of


@dataclass(frozen=True, slots=True)
class Line:
    """The jobs of one kind that wait, and those that run: how many, the oldest of each. ``due`` is since when the
    first of those that wait could have been taken; in the future where none could."""

    kind: str
    waiting: int
    running: int
    due: datetime | None
    since: datetime | None


class Backlog:
    """The queue of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def lines(self) -> list[Line]:
        """What waits and runs, by kind."""
        rows = self._database.rows(
            "SELECT kind, count(CASE WHEN state = 'waiting' THEN 1 END) AS waiting, "
            "count(CASE WHEN state = 'running' THEN 1 END) AS running, "
            "min(CASE WHEN state = 'waiting' THEN due_at END) AS due, "
            "min(CASE WHEN state = 'running' THEN created_at END) AS since "
            "FROM jobs WHERE state IN ('waiting', 'running') GROUP BY kind ORDER BY kind"
        )
        return [
            Line(row["kind"], int(row["waiting"]), int(row["running"]), _maybe(row["due"]), _maybe(row["since"]))
            for row in rows
        ]

    def running(self, limit: int = 50) -> list[Job]:
        """The jobs in hand, the oldest first."""
        rows = self._database.rows(
            "SELECT * FROM jobs WHERE state = 'running' ORDER BY created_at, id LIMIT ?", [limit]
        )
        return [job_of(row) for row in rows]

    def failed(self, limit: int = 20) -> list[Job]:
        """The jobs that failed for good, the latest first."""
        rows = self._database.rows(
            "SELECT * FROM jobs WHERE state = 'failed' ORDER BY finished_at DESC, id DESC LIMIT ?", [limit]
        )
        return [job_of(row) for row in rows]


def _maybe(text: str | None) -> datetime | None:
    return None if text is None else moment(text)
