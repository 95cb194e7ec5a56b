"""What is thrown away, and when: downloaded dumps after their analysis, old traces of Slack, old history if asked."""

import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from storage.clock import Clock, stamp
from storage.database import Database
from storage.forgetting import Forgetting, Forgotten, Which

LEFTOVER_AGE = timedelta(hours=6)
TRACE_AGE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Keep:
    """How long history is kept: the age at which reports leave it, the most bytes that their documents may take, the
    age at which what was told in a channel leaves it."""

    reports: timedelta | None = None
    size: int | None = None
    channels: Mapping[str, timedelta] = field(default_factory=dict)
    traces: timedelta = TRACE_AGE


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows went: ended jobs, Slack traces (events, requests, posts); and what left history, step by step."""

    jobs: int
    traces: int
    gone: tuple[Forgotten, ...] = ()

    @property
    def reports(self) -> int:
        """How many reports went."""
        return sum(len(one.reports) for one in self.gone)


class Retention:
    """Throwing away, for one database."""

    def __init__(self, database: Database, clock: Clock, forgetting: Forgetting) -> None:
        self._database = database
        self._clock = clock
        self._forgetting = forgetting

    def prune(self, keep: Keep | None = None) -> Pruned:
        """Delete ended jobs and Slack traces of their age; reports only where something says so."""
        keep = keep or Keep()
        old = [stamp(self._clock() - keep.traces)]
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
        gone = tuple(self._forgetting.forget(which) for which in self.due(keep))
        gone += self._oversized(keep)
        if any(one.reports or one.places for one in gone):
            self._forgetting.scrub()
        return Pruned(jobs, traces, gone)

    def due(self, keep: Keep) -> tuple[Which, ...]:
        """What leaves history now because of its age."""
        now = self._clock()
        old = () if keep.reports is None else (Which(reported_before=now - keep.reports),)
        return old + tuple(
            Which(channel=channel, reported_before=now - age) for channel, age in sorted(keep.channels.items())
        )

    def oversized(self, keep: Keep) -> Which | None:
        """What leaves history now because of its size; None where it is small enough."""
        numbers = () if keep.size is None else self._forgetting.oldest_beyond(keep.size)
        return Which(numbers=numbers) if numbers else None

    def _oversized(self, keep: Keep) -> tuple[Forgotten, ...]:
        which = self.oversized(keep)
        return () if which is None else (self._forgetting.forget(which),)

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
