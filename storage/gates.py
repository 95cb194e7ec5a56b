"""How many jobs may be worked on at the same time for one download host, and for one Slack channel.

A job that is worked on stands in the gate of its host and in that of its channel until it is told, ends, or loses its
lease. Gates hold over all workers of a database.
"""

from dataclasses import dataclass
from datetime import datetime

from storage.clock import stamp
from storage.database import Database

GATES = ("host", "channel")  # columns of jobs


@dataclass(frozen=True, slots=True)
class Limits:
    """How many jobs a gate holds; None for any number."""

    per_host: int | None = None
    per_channel: int | None = None

    def of(self, gate: str) -> int | None:
        """The limit of one of GATES."""
        return self.per_host if gate == "host" else self.per_channel


def full(database: Database, limits: Limits, now: datetime) -> dict[str, list[str]]:
    """The hosts and the channels that have as many jobs at work as they may."""
    found: dict[str, list[str]] = {}
    for gate in GATES:
        most = limits.of(gate)
        if most is not None:
            rows = database.rows(
                f"SELECT {gate} AS name FROM jobs WHERE state = 'running' AND lease_until > ? "  # noqa: S608  # of GATES
                f"AND {gate} IS NOT NULL GROUP BY {gate} HAVING count(*) >= ?",
                [stamp(now), most],
            )
            found[gate] = [row["name"] for row in rows]
    return found


def admitted(full_gates: dict[str, list[str]]) -> tuple[str, list[str]]:
    """A condition on jobs, to follow an AND or a WHERE, and its parameters: none of these gates is theirs."""
    condition, parameters = "1 = 1", []
    for gate, names in full_gates.items():
        if names:
            marks = ", ".join("?" for _ in names)
            condition += f" AND ({gate} IS NULL OR {gate} NOT IN ({marks}))"
            parameters += names
    return condition, parameters


def lock(database: Database, limits: Limits, host: str | None, channel: str | None) -> None:
    """Let nobody else count these gates until the transaction ends."""
    for gate, name in sorted({"host": host, "channel": channel}.items()):
        if name is not None and limits.of(gate) is not None:
            database.change(
                "INSERT INTO gates (name) VALUES (?) ON CONFLICT (name) DO UPDATE SET name = excluded.name",
                [f"{gate} {name}"],
            )
