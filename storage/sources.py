"""What became of it when the places of a symbol path were asked: the latest of each outcome, machine by machine."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from storage.clock import Clock, moment, stamp
from storage.columns import short, storable
from storage.database import Database

Outcome = Literal["found", "missing", "failed"]
MAX_DETAIL = 500  # characters
MAX_SOURCES = 500


@dataclass(frozen=True, slots=True)
class Said:
    """What one place, as a directory or the address of a server, answered to some questions of one kind: how many they
    were, and the latest in words (the file that was found or is missing, or what went wrong)."""

    place: str
    outcome: Outcome
    detail: str
    times: int = 1


@dataclass(frozen=True, slots=True)
class Source:
    """The same as a machine last had it."""

    machine: str
    place: str
    outcome: Outcome
    detail: str
    at: datetime
    times: int


class Sources:
    """The places of one database's machines."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def note(self, machine: str, said: Iterable[Said]) -> None:
        """Keep what the places said to a machine."""
        now = stamp(self._clock())
        rows = sorted(said, key=lambda one: (one.place, one.outcome))  # in one order: two machines never wait in a ring
        if not rows:
            return
        with self._database.write():
            for one in rows:
                self._database.change(
                    "INSERT INTO sources (machine, place, outcome, detail, at, times) VALUES (?, ?, ?, ?, ?, ?) "
                    "ON CONFLICT (machine, place, outcome) DO UPDATE SET detail = excluded.detail, at = excluded.at, "
                    "times = sources.times + excluded.times",
                    [
                        short(machine),
                        short(one.place),
                        one.outcome,
                        storable(one.detail)[:MAX_DETAIL],
                        now,
                        one.times,
                    ],
                )

    def latest(self, limit: int = MAX_SOURCES) -> list[Source]:
        """The latest of each outcome of each place, the newest first."""
        rows = self._database.rows("SELECT * FROM sources ORDER BY at DESC, machine, place, outcome LIMIT ?", [limit])
        return [
            Source(row["machine"], row["place"], row["outcome"], row["detail"], moment(row["at"]), row["times"])
            for row in rows
        ]
