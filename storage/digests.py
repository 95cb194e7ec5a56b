"""Which digest of which period was sent to which channel: each once, however many bots look at the clock.

A period is taken in one transaction with the job that sends its digest. One that nobody took in time, since no bot was
running, is skipped; the next digest says so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from storage.clock import Clock, moment, stamp
from storage.database import Database
from storage.hours import Due, Every, Plan
from storage.jobs import Job, Jobs, NewJob

# How long after its time a digest is still sent.
TOO_LATE: dict[Every, timedelta] = {"day": timedelta(hours=12), "week": timedelta(hours=48)}
MAX_MISSED = 400


@dataclass(frozen=True, slots=True)
class Period:
    """What a digest is about: from ``start`` to ``end``, when it was due. ``missed`` were skipped before it."""

    every: Every
    name: str
    start: datetime
    end: datetime
    missed: int


MakeJob = Callable[[Period], NewJob]


class Digests:
    """The digests of one database."""

    def __init__(self, database: Database, clock: Clock, jobs: Jobs) -> None:
        self._database = database
        self._clock = clock
        self._jobs = jobs

    def take(self, team: str, channel: str, plan: Plan, since: datetime | None, job: MakeJob) -> Job | None:
        """The job that sends what is due to a channel now; None where nothing is, or it was taken already.

        ``since`` is when somebody subscribed: what was due before that is nobody's. Without it, the plan is the
        operator's, and begins with the first period that falls due while a bot looks.
        """
        now = self._clock()
        due = plan.latest(now)
        if since is not None and due.at < since:
            return None
        if self._is_taken(team, channel, plan.every, due.period):  # as nearly always, and without a transaction
            return None
        with self._database.write():
            is_first = since is None and self._last(team, channel, plan.every, "") is None
            is_late = is_first or now - due.at > TOO_LATE[plan.every]
            if not self._note(team, channel, plan.every, due, "skipped" if is_late else "sent") or is_late:
                return None
            period = self.period(plan, due, self._missed(team, channel, plan, due, since))
            return self._jobs.enqueue(job(period)).job

    def team_of(self, channel: str) -> str | None:
        """The workspace of a channel for which somebody chose something, or where a crash was told."""
        for sql in ("SELECT team FROM choices WHERE about = ?", "SELECT team FROM threads WHERE channel = ?"):
            row = self._database.row(f"{sql} LIMIT 1", [channel])
            if row is not None:
                return str(row["team"])
        return None

    @staticmethod
    def period(plan: Plan, due: Due, missed: int = 0) -> Period:
        """What the digest that is due then is about."""
        return Period(plan.every, due.period, plan.before(due).at, due.at, missed)

    def _note(self, team: str, channel: str, every: Every, due: Due, state: str) -> bool:
        made = self._database.change(
            "INSERT INTO digests (team, channel, every, period, due_at, state) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (team, channel, every, period) DO NOTHING",
            [team, channel, every, due.period, stamp(due.at), state],
        )
        return bool(made)

    def _is_taken(self, team: str, channel: str, every: Every, period: str) -> bool:
        row = self._database.row(
            "SELECT state FROM digests WHERE team = ? AND channel = ? AND every = ? AND period = ?",
            [team, channel, every, period],
        )
        return row is not None

    def _last(self, team: str, channel: str, every: Every, before: str) -> datetime | None:
        # The last that was sent before the one of that time; any, and in whatever state, where no time is given.
        rows = self._database.rows(
            "SELECT due_at, state FROM digests WHERE team = ? AND channel = ? AND every = ? ORDER BY due_at DESC",
            [team, channel, every],
        )
        found = (row for row in rows if not before or (row["due_at"] < before and row["state"] == "sent"))
        return next((moment(row["due_at"]) for row in found), None)

    def _missed(self, team: str, channel: str, plan: Plan, due: Due, since: datetime | None) -> int:
        last = self._last(team, channel, plan.every, stamp(due.at))
        if last is None:
            return 0
        start = last if since is None else max(last, since)
        missed, earlier = 0, plan.before(due)
        while earlier.at > start and missed < MAX_MISSED:
            missed, earlier = missed + 1, plan.before(earlier)
        return missed
