"""Turns that processes take one after another: Slack's pace of a channel, and one dump's story.

A turn is a row with a moment, and ends by itself: who took it and died holds nobody up for long.
"""

from datetime import timedelta

from storage.clock import Clock, moment, stamp
from storage.database import Database


class Lanes:
    """The pace of messages to each channel, over all processes of a database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def reserve(self, channel: str, pace_seconds: float) -> float:
        """Seconds to wait before a message may go to this channel; the next one may go a pace later."""
        now = self._clock()
        with self._database.write():
            row = self._database.row(
                "INSERT INTO lanes (channel, free_at) VALUES (?, ?) "
                "ON CONFLICT (channel) DO UPDATE SET channel = excluded.channel RETURNING free_at",
                [channel, stamp(now)],
            )
            turn = max(now, moment(row["free_at"])) if row else now
            # A clock that was wrong for a while must not close a channel: nobody waits for more than a minute.
            turn = min(turn, now + timedelta(seconds=60))
            after = stamp(turn + timedelta(seconds=pace_seconds))
            self._database.change("UPDATE lanes SET free_at = ? WHERE channel = ?", [after, channel])
        return (turn - now).total_seconds()


class Holds:
    """Names that one process holds at a time."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def take(self, name: str, holder: str, seconds: float) -> bool:
        """Hold a name for so long, or on. False: somebody else does."""
        now = self._clock()
        until = stamp(now + timedelta(seconds=seconds))
        touched = self._database.change(
            "INSERT INTO holds (name, holder, until) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE "
            "SET holder = excluded.holder, until = excluded.until WHERE holds.holder = excluded.holder "
            "OR holds.until <= ?",
            [name, holder, until, stamp(now)],
        )
        return touched == 1

    def release(self, name: str, holder: str) -> None:
        """Let go of it."""
        self._database.change("DELETE FROM holds WHERE name = ? AND holder = ?", [name, holder])
