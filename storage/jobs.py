"""Durable jobs with leases. Delivery is at least once, so what a job does must be idempotent by its key.

A worker takes a job, renews its lease while it works and finishes it. A worker that is killed stops renewing;
when its lease has run out another takes the job again, attempt by attempt. The number of takes is the fence: a
worker that was only slow, and whose job was taken by another, is told so and changes nothing.

What is more urgent goes first, and nothing through a gate that is full. A job says in which form it was written, so
that a worker of another version leaves alone what it does not know.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from storage import gates
from storage.clock import Clock, moment, stamp
from storage.database import Database, Row
from storage.gates import Limits

State = Literal["waiting", "running", "done", "failed"]

DEFAULT_ATTEMPTS = 3
# Of payloads and memories as this version writes them; it reads this one and all before it. A new kind of jobs is a
# new form, too: older workers leave it alone and say so.
FORM = 1
ANY = Limits()


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it stood when it was read.

    ``payload`` is what was asked, ``secret`` what must not outlive the job (the link with its signature: wiped
    when the job ends), ``memory`` what workers noted for their successors.
    """

    id: int
    key: str
    kind: str
    state: State
    payload: dict[str, Any]
    secret: str | None
    memory: dict[str, Any]
    attempts: int
    attempts_allowed: int
    takes: int
    worker: str | None
    lease_until: datetime | None
    created_at: datetime
    finished_at: datetime | None
    result: dict[str, Any] | None
    error_kind: str | None
    error: str | None
    priority: int = 0
    form: int = FORM
    host: str | None = None
    channel: str | None = None

    @property
    def is_exhausted(self) -> bool:
        """Every allowed attempt died without a word. Whoever takes such a job says so to the asker and fails it."""
        return self.attempts > self.attempts_allowed


@dataclass(frozen=True, slots=True)
class NewJob:
    """What to enqueue. Only one job of a key is active (waiting or running) at a time.

    What has a higher ``priority`` goes first. ``host`` and ``channel`` are the gates that it must pass.
    """

    key: str
    payload: Mapping[str, Any]
    kind: str = "analyze"
    secret: str | None = None
    attempts_allowed: int = DEFAULT_ATTEMPTS
    priority: int = 0
    host: str | None = None
    channel: str | None = None
    form: int = FORM


@dataclass(frozen=True, slots=True)
class Enqueued:
    """The active job of the key, and whether this call made it."""

    job: Job
    created: bool


class Delivery(Protocol):
    """What brings jobs to workers that do not look for them in the table themselves."""

    def offer(self, job_id: int) -> bool:
        """A job may have become due: bring it to a worker if so, as part of the present transaction."""


class Jobs:
    """The queue of one database. With a ``delivery`` that is told, in the same transaction, of what may be taken."""

    def __init__(self, database: Database, clock: Clock, delivery: Delivery | None = None) -> None:
        self._database = database
        self._clock = clock
        self._delivery = delivery

    def enqueue(self, new: NewJob) -> Enqueued:
        """Store a job, or find the active one of the same key."""
        now = stamp(self._clock())
        with self._database.write():
            active = self._database.row(
                "SELECT * FROM jobs WHERE key = ? AND state IN ('waiting', 'running')", [new.key]
            )
            if active is not None:
                return Enqueued(job_of(active), created=False)
            made = self._database.row(
                "INSERT INTO jobs (key, kind, state, payload, secret, attempts_allowed, due_at, created_at, priority, "
                "form, host, channel) VALUES (?, ?, 'waiting', ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING *",
                [
                    *(new.key, new.kind, json.dumps(dict(new.payload)), new.secret, new.attempts_allowed, now, now),
                    *(new.priority, new.form, new.host, new.channel),
                ],
            )
            assert made is not None  # noqa: S101  # the row just inserted
            self._offer(made["id"])
            return Enqueued(job_of(made), created=True)

    def take(
        self,
        worker: str,
        lease_seconds: float,
        kinds: tuple[str, ...] = ("analyze",),
        limits: Limits = ANY,
        form: int = FORM,
    ) -> Job | None:
        """The most urgent job that is due, or whose lease has run out; the oldest of several; None when there is none.

        The caller holds it for ``lease_seconds`` and renews before that. A job taken once more after its last
        allowed attempt has ``is_exhausted`` set: report it and ``fail`` it, do not run it.
        """
        now = self._clock()
        marks = ", ".join("?" for _ in kinds)
        with self._database.write():
            passes, parameters = gates.admitted(gates.full(self._database, limits, now))
            due = self._database.row(
                f"SELECT id FROM jobs WHERE kind IN ({marks}) AND form <= ? AND "  # noqa: S608  # only marks are pasted
                f"((state = 'waiting' AND due_at <= ?) OR (state = 'running' AND lease_until <= ?)) AND {passes} "
                "ORDER BY priority DESC, due_at, id LIMIT 1",
                [*kinds, form, stamp(now), stamp(now), *parameters],
            )
            return None if due is None else self._taken(due["id"], worker, now + timedelta(seconds=lease_seconds))

    def take_one(self, job_id: int, worker: str, lease_seconds: float, limits: Limits = ANY) -> Job | None:
        """This job, if it is due or its lease has run out, and its gates have room; None otherwise."""
        now = self._clock()
        with self._database.write():
            asked = self.get(job_id)
            if asked is None:
                return None
            gates.lock(self._database, limits, asked.host, asked.channel)
            passes, parameters = gates.admitted(gates.full(self._database, limits, now))
            due = self._database.row(
                "SELECT id FROM jobs WHERE id = ? AND "  # noqa: S608  # only question marks are pasted
                f"((state = 'waiting' AND due_at <= ?) OR (state = 'running' AND lease_until <= ?)) AND {passes}",
                [job_id, stamp(now), stamp(now), *parameters],
            )
            return None if due is None else self._taken(job_id, worker, now + timedelta(seconds=lease_seconds))

    def _taken(self, job_id: int, worker: str, until: datetime) -> Job | None:
        # None where another was faster: both saw it free.
        before = self.get(job_id)
        if before is None:
            return None
        row = self._database.row(
            "UPDATE jobs SET state = 'running', worker = ?, lease_until = ?, attempts = attempts + 1, "
            "takes = takes + 1, delivered_at = NULL WHERE id = ? AND takes = ? RETURNING *",
            [worker, stamp(until), job_id, before.takes],
        )
        return None if row is None else job_of(row)

    def pass_gates(self, job: Job) -> bool:
        """What the job still has to do leaves its gates to others. False: another worker has it, stop."""
        return self._held(job, "host = NULL, channel = NULL", [])

    def renew(self, job: Job, lease_seconds: float) -> bool:
        """The heartbeat: hold the job for ``lease_seconds`` from now. False: another worker has it, stop."""
        until = stamp(self._clock() + timedelta(seconds=lease_seconds))
        return self._held(job, "lease_until = ?", [until])

    def remember(self, job: Job, **facts: Any) -> bool:
        """Merge facts into the job's memory, for whoever runs it next. False: another worker has it, stop."""
        with self._database.write():
            now = self.get(job.id)
            memory = {**(now.memory if now else {}), **facts}
            return self._held(job, "memory = ?", [json.dumps(memory)])

    def note(self, job_id: int, **facts: Any) -> bool:
        """Merge facts into the memory of a job that waits or runs, whoever has it. False: it has ended."""
        at = stamp(self._clock())
        with self._database.write():
            now = self.get(job_id)
            memory = {**(now.memory if now else {}), **facts}
            touched = self._database.change(
                "UPDATE jobs SET memory = ?, due_at = CASE WHEN due_at > ? THEN ? ELSE due_at END, delivered_at = NULL "
                "WHERE id = ? AND state IN ('waiting', 'running')",
                [json.dumps(memory), at, at, job_id],
            )
            self._offer(job_id)
            return touched == 1

    def unlock(self, job_id: int, password: str) -> bool:
        """Give a waiting job a password, as the second line of its secret, and let it run. False: it does not wait."""
        with self._database.write():
            now = self.get(job_id)
            secret = f"{(now.secret or '').partition(chr(10))[0] if now else ''}\n{password}"
            touched = self._database.change(
                "UPDATE jobs SET secret = ?, due_at = ?, delivered_at = NULL WHERE id = ? AND state = 'waiting'",
                [secret, stamp(self._clock()), job_id],
            )
            self._offer(job_id)
            return touched == 1

    def finish(self, job: Job, result: Mapping[str, Any] | None = None) -> bool:
        """The job is done; its secret is wiped. False: another worker has it, nothing was changed."""
        return self._held(
            job,
            "state = 'done', secret = NULL, lease_until = NULL, finished_at = ?, result = ?",
            [stamp(self._clock()), json.dumps(dict(result or {}))],
        )

    def fail(self, job: Job, kind: str, error: str) -> bool:
        """The job has failed for good: ``kind`` is a word for programs, ``error`` a line for people."""
        return self._held(
            job,
            "state = 'failed', secret = NULL, lease_until = NULL, finished_at = ?, error_kind = ?, error = ?",
            [stamp(self._clock()), kind, error],
        )

    def requeue(self, job: Job, delay_seconds: float = 0.0, *, count_attempt: bool = False) -> bool:
        """Give the job back, to be taken again after the delay. A graceful stop does not cost it an attempt."""
        due = stamp(self._clock() + timedelta(seconds=delay_seconds))
        attempts = job.attempts if count_attempt else job.attempts - 1
        with self._database.write():
            given = self._held(
                job,
                "state = 'waiting', worker = NULL, lease_until = NULL, due_at = ?, attempts = ?, delivered_at = NULL",
                [due, attempts],
            )
            self._offer(job.id)
            return given

    def get(self, job_id: int) -> Job | None:
        """One job by number."""
        row = self._database.row("SELECT * FROM jobs WHERE id = ?", [job_id])
        return None if row is None else job_of(row)

    def remembered(self, key: str, fact: str) -> dict[str, Any] | None:
        """What the latest job of a key that noted such a fact noted for its successors; None where none did."""
        rows = self._database.rows("SELECT memory FROM jobs WHERE key = ? ORDER BY id DESC", [key])
        memories = (json.loads(row["memory"]) for row in rows)
        return next((memory for memory in memories if fact in memory), None)

    def active(self) -> list[Job]:
        """Every job that is waiting or running, oldest first."""
        return [
            job_of(row)
            for row in self._database.rows("SELECT * FROM jobs WHERE state IN ('waiting', 'running') ORDER BY id")
        ]

    def of_message(self, channel: str, ts: str) -> list[Job]:
        """The waiting and running jobs that one message asked for."""
        return [job for job in self.active() if (job.payload.get("channel"), job.payload.get("ts")) == (channel, ts)]

    def in_thread(self, channel: str, thread: str) -> list[Job]:
        """The waiting and running jobs that are told in one thread."""
        place = (channel, thread)
        return [job for job in self.active() if (job.payload.get("channel"), job.payload.get("thread")) == place]

    def is_somebody_waiting(self) -> bool:
        """Whether a link that a person posted is being read, or waits to be."""
        now = stamp(self._clock())
        row = self._database.row(
            "SELECT 1 AS one FROM jobs WHERE kind = 'analyze' AND ((state = 'waiting' AND due_at <= ?) "
            "OR (state = 'running' AND lease_until > ?)) LIMIT 1",
            [now, now],
        )
        return row is not None

    def counts(self) -> dict[State, int]:
        """How many jobs are in each state."""
        counts: dict[State, int] = {"waiting": 0, "running": 0, "done": 0, "failed": 0}
        for row in self._database.rows("SELECT state, count(*) AS n FROM jobs GROUP BY state"):
            counts[row["state"]] = row["n"]
        return counts

    def _offer(self, job_id: int) -> None:
        if self._delivery is not None:
            self._delivery.offer(job_id)

    def _held(self, job: Job, assignments: str, values: list[Any]) -> bool:
        # Applies only while this very taking still holds the job.
        touched = self._database.change(
            f"UPDATE jobs SET {assignments} "  # noqa: S608  # the assignments are the literals above
            "WHERE id = ? AND state = 'running' AND takes = ?",
            [*values, job.id, job.takes],
        )
        return touched == 1


def job_of(row: Row) -> Job:
    """A job from its row."""
    return Job(
        id=row["id"],
        key=row["key"],
        kind=row["kind"],
        state=row["state"],
        payload=json.loads(row["payload"]),
        secret=row["secret"],
        memory=json.loads(row["memory"]),
        attempts=row["attempts"],
        attempts_allowed=row["attempts_allowed"],
        takes=row["takes"],
        worker=row["worker"],
        lease_until=_maybe(row["lease_until"]),
        created_at=moment(row["created_at"]),
        finished_at=_maybe(row["finished_at"]),
        result=json.loads(row["result"]) if row["result"] else None,
        error_kind=row["error_kind"],
        error=row["error"],
        priority=row["priority"],
        form=row["form"],
        host=row["host"],
        channel=row["channel"],
    )


def _maybe(text: str | None) -> datetime | None:
    return None if text is None else moment(text)
