"""Mentions held back in quiet hours, until they are told together, once.

Whoever finds that the hours are over takes what is held into one batch, in one transaction with the job that tells it;
another bot on the same database finds nothing left.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from storage.clock import Clock, moment, stamp
from storage.database import Database, Row
from storage.jobs import Jobs, NewJob


@dataclass(frozen=True, slots=True)
class Held:
    """A mention that was not made: of whom, in which channel, about which report, by which rule, until when.

    ``words`` say what crashed, ``link`` is where that is told.
    """

    team: str
    channel: str
    mention: str
    report_id: int
    rule: str
    words: str
    link: str | None
    until: datetime


@dataclass(frozen=True, slots=True)
class Group:
    """What is held for somebody in a channel."""

    team: str
    channel: str
    mention: str


class HeldMentions:
    """The held mentions of one database."""

    def __init__(self, database: Database, clock: Clock, jobs: Jobs) -> None:
        self._database = database
        self._clock = clock
        self._jobs = jobs

    def hold(self, held: Held) -> bool:
        """Keep a mention for later; false where it is kept, or was told, already."""
        row = [held.team, held.channel, held.mention, held.report_id, held.rule, held.words, held.link]
        times = [stamp(held.until), stamp(self._clock())]
        made = self._database.change(
            "INSERT INTO held (team, channel, mention, report_id, rule, words, link, until, at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (team, channel, mention, report_id) DO NOTHING",
            [*row, *times],
        )
        return bool(made)

    def of_report(self, team: str, channel: str, report_id: int) -> frozenset[str]:
        """Whose mention about a report is or was held in a channel."""
        rows = self._database.rows(
            "SELECT mention FROM held WHERE team = ? AND channel = ? AND report_id = ?", [team, channel, report_id]
        )
        return frozenset(row["mention"] for row in rows)

    def over(self) -> list[Group]:
        """For whom, and where, quiet hours were to end by now."""
        rows = self._database.rows(
            "SELECT team, channel, mention FROM held WHERE batch IS NULL AND until <= ? "
            "GROUP BY team, channel, mention ORDER BY team, channel, mention",
            [stamp(self._clock())],
        )
        return [Group(row["team"], row["channel"], row["mention"]) for row in rows]

    def extend(self, group: Group, until: datetime) -> None:
        """It is quiet again, or still: hold on."""
        self._database.change(
            "UPDATE held SET until = ? WHERE team = ? AND channel = ? AND mention = ? AND batch IS NULL",
            [stamp(until), group.team, group.channel, group.mention],
        )

    def release(self, group: Group, job: Callable[[str], NewJob]) -> bool:
        """Take all of a group into a batch, with the job that tells it; false where another bot did."""
        batch = f"{group.team}:{group.channel}:{group.mention}:{stamp(self._clock())}"
        with self._database.write():
            taken = self._database.change(
                "UPDATE held SET batch = ? WHERE team = ? AND channel = ? AND mention = ? AND batch IS NULL",
                [batch, group.team, group.channel, group.mention],
            )
            if taken:
                self._jobs.enqueue(job(batch))
            return bool(taken)

    def batch(self, name: str) -> list[Held]:
        """What a batch holds, oldest first."""
        rows = self._database.rows("SELECT * FROM held WHERE batch = ? ORDER BY id", [name])
        return [_held(row) for row in rows]


def _held(row: Row) -> Held:
    return Held(
        row["team"],
        row["channel"],
        row["mention"],
        row["report_id"],
        row["rule"],
        row["words"],
        row["link"],
        moment(row["until"]),
    )
