"""What Slack has already told us, and what we have already posted.

Slack delivers an event again when an ack was late, and a mention in a channel arrives as two events of different
ids. So an event counts by its id, and a link counts by the message it stands in. Event and jobs are stored in one
transaction: a crash between them would lose the job for ever, since the redelivery would look like old news.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from storage.clock import Clock, stamp
from storage.database import Database
from storage.jobs import Job, Jobs, NewJob


@dataclass(frozen=True, slots=True)
class Request:
    """A link in a Slack message, and the job it asks for. ``link`` is kept only as a hash."""

    team: str
    channel: str
    ts: str
    link: str
    job: NewJob


@dataclass(frozen=True, slots=True)
class Post:
    """A message we meant to send once: ``ts`` is None while nobody has noted that it was sent.

    ``fresh`` is true for the caller who claimed it first.
    """

    key: str
    slot: str
    channel: str | None
    ts: str | None
    fresh: bool


class Events:
    """Seen events and requests of one database."""

    def __init__(self, database: Database, clock: Clock, jobs: Jobs, tenant: str | None = None) -> None:
        self._database = database
        self._clock = clock
        self._jobs = jobs
        self._tenant = tenant

    def accept(self, event_id: str | None, requests: Iterable[Request] = ()) -> list[Job]:
        """Note an event and enqueue what it asks for; the jobs that are new because of it.

        Empty when the event, or each of its links in that message, was seen before. An event without an id (a
        command) counts by its links alone.
        """
        with self._database.write():
            if event_id is not None and not self.first(event_id):
                return []
            return [job for job in map(self._request, requests) if job is not None]

    def outcomes(self, team: str, channel: str, ts: str) -> list[bool | None]:
        """How each link of one message ended, oldest first: true, false, or None while nobody knows.

        A job says it by remembering ``fine``, before it is over; one that failed without a word ended badly.
        """
        rows = self._database.rows(
            "SELECT jobs.state, jobs.memory FROM requests JOIN jobs ON jobs.id = requests.job_id "
            "WHERE requests.team = ? AND requests.channel = ? AND requests.ts = ? ORDER BY jobs.id",
            [team, channel, ts],
        )
        ended = {"done": True, "failed": False}
        return [json.loads(row["memory"]).get("fine", ended.get(row["state"])) for row in rows]

    def answered(self, link: str) -> tuple[str, int] | None:
        """What a link led to when it was last read: the server's tag of that content, and the report's number.

        Jobs remember both as ``tag`` and ``report``.
        """
        mine, whose = ("1 = 1", []) if self._tenant is None else ("requests.team = ?", [self._tenant])
        rows = self._database.rows(
            "SELECT jobs.memory FROM requests JOIN jobs ON jobs.id = requests.job_id "  # noqa: S608  # a literal
            f'WHERE requests.link = ? AND {mine} AND jobs.memory LIKE \'%"tag": "%\' ORDER BY jobs.id DESC LIMIT 20',
            [fingerprint(link), *whose],
        )
        for memory in (json.loads(row["memory"]) for row in rows):
            if memory.get("tag") is not None:
                return memory["tag"], memory["report"]
        return None

    def first(self, event_id: str) -> bool:
        """True the first time this event id is shown, false ever after."""
        row = [event_id, stamp(self._clock())]
        return (
            self._database.change("INSERT INTO events (event_id, seen_at) VALUES (?, ?) ON CONFLICT DO NOTHING", row)
            == 1
        )

    def _request(self, request: Request) -> Job | None:
        place = [request.team, request.channel, request.ts, fingerprint(request.link)]
        new = self._database.change(
            "INSERT INTO requests (team, channel, ts, link, seen_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [*place, stamp(self._clock())],
        )
        if not new:
            return None
        enqueued = self._jobs.enqueue(request.job)
        self._database.change(
            "UPDATE requests SET job_id = ? WHERE team = ? AND channel = ? AND ts = ? AND link = ?",
            [enqueued.job.id, *place],
        )
        return enqueued.job if enqueued.created else None


class Posts:
    """Messages that must be sent once, over restarts: claim the slot, send, note the time stamp.

    After a crash between sending and noting, ``claim`` gives back a post that is neither fresh nor has a ``ts``:
    look for it in the thread before sending again.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def claim(self, key: str, slot: str) -> Post:
        """The post of this job key and slot, claimed now if nobody did."""
        with self._database.write():
            new = self._database.change(
                "INSERT INTO posts (key, slot, claimed_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [key, slot, stamp(self._clock())],
            )
            row = self._database.row("SELECT channel, ts FROM posts WHERE key = ? AND slot = ?", [key, slot]) or {}
            return Post(key, slot, row.get("channel"), row.get("ts"), fresh=bool(new))

    def known(self, key: str, slot: str) -> str | None:
        """The time stamp of a post that was sent, without claiming it."""
        row = self._database.row("SELECT ts FROM posts WHERE key = ? AND slot = ?", [key, slot])
        return None if row is None else row["ts"]

    def job_of(self, channel: str, ts: str) -> str | None:
        """The key of the job whose post a message is."""
        row = self._database.row("SELECT key FROM posts WHERE channel = ? AND ts = ?", [channel, ts])
        return None if row is None else row["key"]

    def sent(self, key: str, slot: str, channel: str, ts: str) -> None:
        """Note where a claimed post went."""
        self._database.change(
            "UPDATE posts SET channel = ?, ts = ? WHERE key = ? AND slot = ?", [channel, ts, key, slot]
        )

    def release(self, key: str, slot: str) -> None:
        """Give a claim back: Slack refused the message, so nothing was sent."""
        self._database.change("DELETE FROM posts WHERE key = ? AND slot = ? AND ts IS NULL", [key, slot])


def fingerprint(link: str) -> str:
    """A link as the database keeps it: its SHA-256, since a link may carry a signature."""
    return hashlib.sha256(link.encode()).hexdigest()
