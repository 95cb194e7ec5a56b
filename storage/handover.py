"""The queue that brings jobs to workers on many machines: procrastinate's, in the same PostgreSQL database.

The table of jobs is the truth: what was asked, who has it until when, what came of it. Procrastinate carries numbers: a
row of its own says that a job is to be done, and ends when a worker has taken the job in our table, or could not. Both
rows are written in one transaction, so that neither is without the other; what gets lost all the same, since somebody
emptied the queue or a worker died on the way, is found by comparing the two and handed over again.

A job is handed over when it is due and its gates have room. Each kind and form of jobs has a queue of its own, so that
a worker of an older version leaves alone what it does not know.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any

from storage.clock import Clock, stamp
from storage.database import Database, Row
from storage.events import fingerprint
from storage.gates import GATES, Limits

TASK = "pileup.job"  # its argument is ``id``, the number of a job
AT_ONCE = 200  # looked at in one go

_DUE = "((state = 'waiting' AND due_at <= ?) OR (state = 'running' AND lease_until <= ?))"
_DEFER = """
SELECT procrastinate_defer_jobs_v1(
    ARRAY[ROW(?, ?, ?, ?, ?, CAST(? AS jsonb), NULL)::procrastinate_job_to_defer_v1]
) AS made WHERE NOT EXISTS (SELECT 1 FROM procrastinate_jobs WHERE queueing_lock = ? AND status = 'todo')
"""
_AT_WORK = sys.maxsize  # before any priority


def queue_of(kind: str, form: int) -> str:
    """The queue of a kind of jobs in one form."""
    return f"{kind}.{form}"


def queues_of(kinds: Iterable[str], form: int) -> list[str]:
    """The queues that a worker listens to which knows these kinds in forms up to this one."""
    return [queue_of(kind, number) for kind in kinds for number in range(1, form + 1)]


class Handover:
    """What goes to the queue, of one database on PostgreSQL. ``limits`` are those of the gates."""

    def __init__(self, database: Database, clock: Clock, limits: Limits) -> None:
        self._database = database
        self._clock = clock
        self._limits = limits

    def offer(self, job_id: int) -> bool:
        """Hand one job over, in the present transaction, if it may go now."""
        return self._hand_over("id = ?", [job_id]) == 1

    def sweep(self) -> int:
        """Hand over all that may go now and is not with the queue: what waited for its time or for room in a gate,
        whose lease ran out, what was put back; how many."""
        now = stamp(self._clock())
        anything = f"SELECT 1 AS one FROM jobs WHERE delivered_at IS NULL AND {_DUE} LIMIT 1"  # noqa: S608  # a literal
        if self._database.row(anything, [now, now]) is None:
            return 0
        with self._database.write():
            return self._hand_over("1 = 1", [])

    def put_back(self, job_id: int) -> None:
        """The queue brought it to a worker that could not take it: it is handed over again, in its turn."""
        self._database.change("UPDATE jobs SET delivered_at = NULL WHERE id = ?", [job_id])

    def find_lost(self) -> int:
        """Let jobs be handed over again that count as handed over and are not in the queue; how many."""
        return self._database.change(
            "UPDATE jobs SET delivered_at = NULL WHERE delivered_at IS NOT NULL AND state IN ('waiting', 'running') "
            "AND NOT EXISTS (SELECT 1 FROM procrastinate_jobs WHERE status IN ('todo', 'doing') "
            "AND queueing_lock = 'pileup:' || CAST(jobs.id AS text))"
        )

    def _hand_over(self, which: str, parameters: list[Any]) -> int:
        busy = {gate: self._busy(gate) for gate in GATES if self._limits.of(gate) is not None}
        handed = 0
        while True:
            rows = self._candidates(which, parameters, busy)
            chosen = [row for row in rows if self._enter(row, busy)]
            for row in chosen:
                self._defer(row)
            handed += len(chosen)
            if len(rows) < AT_ONCE or not chosen:
                return handed

    def _candidates(self, which: str, parameters: list[Any], busy: dict[str, dict[str, Counter[int]]]) -> list[Row]:
        now = stamp(self._clock())
        passes, closed = "", []
        for gate, names in busy.items():
            for name, counts in names.items():
                bound = _bound(counts, self._limits.of(gate) or 0)
                if bound is not None:
                    passes += f" AND ({gate} IS NULL OR {gate} <> ? OR priority > ?)"
                    closed += [name, min(bound, 2**31)]
        return self._database.rows(
            "SELECT id, key, kind, form, priority, host, channel, secret, takes FROM jobs "  # noqa: S608  # literals
            f"WHERE {which} AND delivered_at IS NULL AND {_DUE}{passes} ORDER BY priority DESC, due_at, id LIMIT ?",
            [*parameters, now, now, *closed, AT_ONCE],
        )

    def _busy(self, gate: str) -> dict[str, Counter[int]]:
        # By name: how many are at work, and how many of each priority are on the way to a worker.
        rows = self._database.rows(
            f"SELECT {gate} AS name, state, priority, count(*) AS n FROM jobs "  # noqa: S608  # one of GATES
            "WHERE ((state = 'running' AND lease_until > ?) OR (state = 'waiting' AND delivered_at IS NOT NULL)) "
            f"AND {gate} IS NOT NULL GROUP BY {gate}, state, priority",
            [stamp(self._clock())],
        )
        busy: dict[str, Counter[int]] = {}
        for row in rows:
            before = _AT_WORK if row["state"] == "running" else row["priority"]
            busy.setdefault(row["name"], Counter())[before] += row["n"]
        return busy

    def _enter(self, row: Row, busy: dict[str, dict[str, Counter[int]]]) -> bool:
        # What is more urgent than all that is on its way may be one too many: whoever is taken first goes in.
        gates = [(names, row[gate], self._limits.of(gate) or 0) for gate, names in busy.items() if row[gate]]
        for names, name, most in gates:
            bound = _bound(names.get(name, Counter()), most)
            if bound is not None and row["priority"] <= bound:
                return False
        for names, name, _ in gates:
            names.setdefault(name, Counter())[row["priority"]] += 1
        return True

    def _defer(self, row: Row) -> None:
        lock = f"pileup:{row['id']}"
        # Jobs that read the same link go one by one: the second is answered from the first. One that goes again does
        # not wait for what a dead worker left of its first go.
        link = None if row["takes"] else fingerprint((row["secret"] or row["key"]).partition("\n")[0])
        queue, words = queue_of(row["kind"], row["form"]), json.dumps({"id": row["id"]})
        self._database.rows(_DEFER, [queue, TASK, row["priority"], link, lock, words, lock])
        self._database.change("UPDATE jobs SET delivered_at = ? WHERE id = ?", [stamp(self._clock()), row["id"]])


def _bound(counts: Counter[int], most: int) -> int | None:
    # The priority up to which nothing more may enter; None where all may.
    before = 0
    for priority in sorted(counts, reverse=True):
        before += counts[priority]
        if before >= most:
            return priority
    return None
