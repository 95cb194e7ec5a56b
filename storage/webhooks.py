"""Who is told of verdicts over HTTP, and what each is still owed. A delivery and the job that makes it begin to exist
at the same moment, so that neither a crash nor a restart loses one.

A secret is kept as it is, for everything sent is signed with it; it opens nothing here.
"""

import base64
import json
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from storage.clock import Clock, moment, stamp
from storage.columns import storable
from storage.database import Database, Row
from storage.jobs import Jobs, NewJob
from storage.sight import Sight

WEBHOOK = "webhook"  # the kind of jobs that deliver
ATTEMPTS = 9
MAX_ERROR = 300
Event = Literal["verdict.created", "verdict.updated"]


@dataclass(frozen=True, slots=True)
class Webhook:
    """One address. ``channels`` are those whose crashes it is told, None for all. ``ended_by`` says why it is no longer
    told, where that is so."""

    id: int
    url: str
    channels: frozenset[str] | None
    created_at: datetime
    ended_at: datetime | None
    ended_by: str | None

    @property
    def sight(self) -> Sight:
        """What of history it may be told."""
        return Sight(self.channels)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a webhook is told once: of which report, which event, since when."""

    id: str
    webhook: int
    report: int
    event: Event
    at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How an address does: what it is owed, what was given up in the last week, and the latest error."""

    webhook: Webhook
    waiting: int
    failed: int
    error: str | None
    delivered_at: datetime | None


class Webhooks:
    """The webhooks of one database."""

    def __init__(self, database: Database, clock: Clock, jobs: Jobs) -> None:
        self._database = database
        self._clock = clock
        self._jobs = jobs

    def add(self, url: str, channels: Collection[str] | None = None) -> tuple[Webhook, str]:
        """A new address, and the secret that signs what it is told."""
        secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
        seen = None if channels is None else json.dumps(sorted(channels))
        row = self._database.row(
            "INSERT INTO webhooks (url, secret, channels, created_at) VALUES (?, ?, ?, ?) RETURNING *",
            [url, secret, seen, stamp(self._clock())],
        )
        assert row is not None  # noqa: S101  # the row just inserted
        return _webhook(row), secret

    def all(self) -> list[Webhook]:
        """Every address there ever was, the oldest first."""
        return [_webhook(row) for row in self._database.rows("SELECT * FROM webhooks ORDER BY id")]

    def get(self, number: int) -> tuple[Webhook, str] | None:
        """An address with its secret."""
        row = self._database.row("SELECT * FROM webhooks WHERE id = ?", [number])
        return None if row is None else (_webhook(row), row["secret"])

    def end(self, number: int, why: str) -> bool:
        """Tell it nothing more; what it is still owed is given up. False: it was not told anything anyway."""
        now = stamp(self._clock())
        with self._database.write():
            ended = self._database.change(
                "UPDATE webhooks SET ended_at = ?, ended_by = ? WHERE id = ? AND ended_at IS NULL",
                [now, storable(why)[:MAX_ERROR], number],
            )
            self._database.change(
                "UPDATE deliveries SET state = 'failed', ended_at = ?, error = ? WHERE webhook_id = ? "
                "AND state = 'waiting'",
                [now, storable(why)[:MAX_ERROR], number],
            )
            return ended == 1

    def has_any(self) -> bool:
        """Whether anybody is told."""
        return self._database.row("SELECT id FROM webhooks WHERE ended_at IS NULL LIMIT 1") is not None

    def owe(self, report: int, mark: str) -> int:
        """A report reads as ``mark`` now: whoever may see it and was not told that is to be told. To how many."""
        with self._database.write():
            hooks = [hook for hook in self.all() if hook.ended_at is None and self._sees(hook, report)]
            return sum(self._owe(hook, report, mark) for hook in hooks)

    def delivery(self, name: str) -> Delivery | None:
        """A delivery that is still to be made, to an address that is still told."""
        row = self._database.row(
            "SELECT deliveries.* FROM deliveries JOIN webhooks ON webhooks.id = webhook_id "
            "WHERE deliveries.id = ? AND state = 'waiting' AND webhooks.ended_at IS NULL",
            [name],
        )
        return None if row is None else _delivery(row)

    def delivered(self, name: str) -> None:
        """It was told."""
        self._note(name, "done", None)

    def missed(self, name: str, error: str, *, is_last: bool) -> None:
        """It was not told, and may be later; or never, after the last attempt."""
        self._note(name, "failed" if is_last else "waiting", error)

    def standings(self) -> list[Standing]:
        """How each address that is told does."""
        return [self._standing(hook) for hook in self.all() if hook.ended_at is None]

    def counts(self) -> dict[str, int]:
        """Deliveries by state: waiting, done, failed."""
        counts = {"waiting": 0, "done": 0, "failed": 0}
        for row in self._database.rows("SELECT state, count(*) AS n FROM deliveries GROUP BY state"):
            counts[row["state"]] = int(row["n"])
        return counts

    def _owe(self, hook: Webhook, report: int, mark: str) -> bool:
        before = self._database.rows(
            "SELECT mark FROM deliveries WHERE webhook_id = ? AND report_id = ? ORDER BY at, id", [hook.id, report]
        )
        if before and before[-1]["mark"] == mark:
            return False
        # Names in the order in which they came: those of one moment are told apart by their number.
        now = self._clock()
        name = f"msg_{int(now.timestamp() * 1_000_000):x}{len(before):04x}{secrets.token_hex(8)}"
        event: Event = "verdict.updated" if before else "verdict.created"
        self._database.change(
            "INSERT INTO deliveries (id, webhook_id, report_id, event, mark, at, state) "
            "VALUES (?, ?, ?, ?, ?, ?, 'waiting')",
            [name, hook.id, report, event, mark, stamp(now)],
        )
        self._jobs.enqueue(NewJob(f"{WEBHOOK}:{name}", {"delivery": name}, WEBHOOK, attempts_allowed=ATTEMPTS))
        return True

    def _sees(self, hook: Webhook, report: int) -> bool:
        sight, values = hook.sight.of_reports()
        sql = f"SELECT id FROM reports WHERE id = ? AND {sight}"  # noqa: S608  # the condition is ours
        return self._database.row(sql, [report, *values]) is not None

    def _note(self, name: str, state: str, error: str | None) -> None:
        ended = None if state == "waiting" else stamp(self._clock())
        self._database.change(
            "UPDATE deliveries SET state = ?, attempts = attempts + 1, error = ?, ended_at = ? "
            "WHERE id = ? AND state = 'waiting'",
            [state, None if error is None else storable(error)[:MAX_ERROR], ended, name],
        )

    def _standing(self, hook: Webhook) -> Standing:
        week = stamp(self._clock() - timedelta(days=7))
        row = self._database.rows(
            "SELECT count(CASE WHEN state = 'waiting' THEN 1 END) AS waiting, "
            "count(CASE WHEN state = 'failed' AND ended_at > ? THEN 1 END) AS failed, "
            "max(CASE WHEN state = 'done' THEN ended_at END) AS delivered FROM deliveries WHERE webhook_id = ?",
            [week, hook.id],
        )[0]
        last = self._database.row(
            "SELECT error FROM deliveries WHERE webhook_id = ? AND error IS NOT NULL ORDER BY at DESC, id DESC LIMIT 1",
            [hook.id],
        )
        delivered = None if row["delivered"] is None else moment(row["delivered"])
        return Standing(
            hook, int(row["waiting"]), int(row["failed"]), None if last is None else last["error"], delivered
        )


def _webhook(row: Row) -> Webhook:
    channels = None if row["channels"] is None else frozenset(json.loads(row["channels"]))
    ended = None if row["ended_at"] is None else moment(row["ended_at"])
    return Webhook(row["id"], row["url"], channels, moment(row["created_at"]), ended, row["ended_by"])


def _delivery(row: Row) -> Delivery:
    return Delivery(
        row["id"], row["webhook_id"], row["report_id"], row["event"], moment(row["at"]), int(row["attempts"])
    )
