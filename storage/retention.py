"""What is thrown away, and when: downloaded dumps after their analysis, old traces of Slack, old history if asked."""

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from storage.clock import Clock, stamp
from storage.database import Database

LEFTOVER_AGE = timedelta(hours=6)
TRACE_AGE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows went: ended jobs, Slack traces (events, requests, posts), reports."""

    jobs: int
    traces: int
    reports: int


class Retention:
    """Throwing away, for one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def prune(self, traces_older_than: timedelta = TRACE_AGE, reports_older_than: timedelta | None = None) -> Pruned:
        """Delete ended jobs and Slack traces of that age; reports only when an age is given."""
        old = [stamp(self._clock() - traces_older_than)]
        with self._database.write():
            # A post belongs to its job as long as that can still run, however old it is.
            posts = self._database.change(
                "DELETE FROM posts WHERE claimed_at < ? AND key NOT IN "
                "(SELECT key FROM jobs WHERE state IN ('waiting', 'running'))",
                old,
            )
            jobs = self._database.change("DELETE FROM jobs WHERE state IN ('done', 'failed') AND finished_at < ?", old)
            traces = posts + sum(
                self._database.change(f"DELETE FROM {table} WHERE seen_at < ?", old)  # noqa: S608  # two literals
                for table in ("events", "requests")
            )
            return Pruned(jobs, traces, self._prune_reports(reports_older_than))

    def _prune_reports(self, age: timedelta | None) -> int:
        if age is None:
            return 0
        old = [stamp(self._clock() - age)]
        self._database.change("DELETE FROM words WHERE rowid IN (SELECT id FROM reports WHERE reported_at < ?)", old)
        return self._database.change("DELETE FROM reports WHERE reported_at < ?", old)

    def sweep_files(self, directory: Path, active: Collection[str], older_than: timedelta = LEFTOVER_AGE) -> int:
        """Delete what dead workers left in the download directory; the number of entries deleted.

        Entries named in ``active`` stay, and so does anything changed within ``older_than``: its owner may be a
        command-line run that no job knows of.
        """
        if not directory.is_dir():
            return 0
        limit = (self._clock() - older_than).timestamp()
        stale = [entry for entry in directory.iterdir() if entry.name not in active and _latest(entry) < limit]
        for entry in stale:
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
        return len(stale)


def _latest(entry: Path) -> float:
    # The last change of an entry or of anything in it, as seconds since 1970.
    try:
        inner = entry.rglob("*") if entry.is_dir() and not entry.is_symlink() else ()
        return max(float(path.lstat().st_mtime) for path in (entry, *inner))
    except FileNotFoundError:  # its owner is deleting it right now
        return float("inf")
