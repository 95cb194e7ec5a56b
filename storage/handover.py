"""Which jobs are handed to the queue of the workers, and in which order.

The table of jobs is the truth; the queue only brings a job to a worker. A job is handed over when it is due, its gates
have room, and not too many that are as urgent were handed over before it. What the queue lost is handed over again.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from storage import gates
from storage.clock import Clock, stamp
from storage.database import Database, Row
from storage.events import fingerprint
from storage.gates import GATES, Limits

CANDIDATES = 200  # looked at in one go
_DUE = "((state = 'waiting' AND due_at <= ?) OR (state = 'running' AND lease_until <= ?))"


@dataclass(frozen=True, slots=True)
class Due:
    """A job to be handed over. ``link`` is the same for jobs that read the same link, which are done one by one."""

    id: int
    key: str
    kind: str
    form: int
    priority: int
    link: str


class Handover:
    """What goes to the workers' queue, of one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def due(self, kinds: Sequence[str], limits: Limits, window: int) -> list[Due]:
        """The jobs of these kinds to be handed over now, the most urgent first, so that at most ``window`` jobs as
        urgent as the least urgent of them are with the queue."""
        now = self._clock()
        full = gates.full(self._database, limits, now)
        busy = {gate: self._busy(gate) for gate in GATES if limits.of(gate) is not None}
        for gate, counts in busy.items():
            most = limits.of(gate) or 0
            full[gate] = [name for name, count in counts.items() if count >= most]
        passes, parameters = gates.admitted(full)
        marks = ", ".join("?" for _ in kinds)
        rows = self._database.rows(
            "SELECT id, key, kind, form, priority, host, channel, secret FROM jobs "  # noqa: S608  # only marks
            f"WHERE kind IN ({marks}) AND delivered_at IS NULL AND {_DUE} AND {passes} "
            "ORDER BY priority DESC, due_at, id LIMIT ?",
            [*kinds, stamp(now), stamp(now), *parameters, CANDIDATES],
        )
        before = self._with_the_queue(kinds)
        chosen: list[Due] = []
        for row in rows:
            if sum(n for priority, n in before.items() if priority >= row["priority"]) >= window:
                break
            if _enter(row, busy, limits):
                before[row["priority"]] += 1
                chosen.append(_due(row))
        return chosen

    def handed_over(self, job_id: int) -> None:
        """The queue has it."""
        self._database.change("UPDATE jobs SET delivered_at = ? WHERE id = ?", [stamp(self._clock()), job_id])

    def put_back(self, job_id: int) -> None:
        """The queue brought it to a worker that could not take it: it is handed over again, in its turn."""
        self._database.change("UPDATE jobs SET delivered_at = NULL WHERE id = ?", [job_id])

    def forget_lost(self, after: timedelta) -> int:
        """Jobs that were handed over so long ago and that no worker took: they are handed over again; how many."""
        now = self._clock()
        return self._database.change(
            "UPDATE jobs SET delivered_at = NULL WHERE state IN ('waiting', 'running') AND delivered_at < ?",
            [stamp(now - after)],
        )

    def _busy(self, gate: str) -> Counter[str]:
        # With a live lease, or on the way to a worker.
        rows = self._database.rows(
            f"SELECT {gate} AS name, count(*) AS n FROM jobs "  # noqa: S608  # one of GATES
            "WHERE ((state = 'running' AND lease_until > ?) OR (state = 'waiting' AND delivered_at IS NOT NULL)) "
            f"AND {gate} IS NOT NULL GROUP BY {gate}",
            [stamp(self._clock())],
        )
        return Counter({row["name"]: row["n"] for row in rows})

    def _with_the_queue(self, kinds: Sequence[str]) -> Counter[int]:
        marks = ", ".join("?" for _ in kinds)
        rows = self._database.rows(
            "SELECT priority, count(*) AS n FROM jobs "  # noqa: S608  # only question marks are pasted
            f"WHERE kind IN ({marks}) AND state = 'waiting' AND delivered_at IS NOT NULL GROUP BY priority",
            [*kinds],
        )
        return Counter({row["priority"]: row["n"] for row in rows})


def _enter(row: Row, busy: dict[str, Counter[str]], limits: Limits) -> bool:
    passed = [(counts, row[gate], limits.of(gate) or 0) for gate, counts in busy.items() if row[gate] is not None]
    if any(counts[name] >= most for counts, name, most in passed):
        return False
    for counts, name, _ in passed:
        counts[name] += 1
    return True


def _due(row: Row) -> Due:
    link = fingerprint((row["secret"] or row["key"]).partition("\n")[0])
    return Due(row["id"], row["key"], row["kind"], row["form"], row["priority"], link)
