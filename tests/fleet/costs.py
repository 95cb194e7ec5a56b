"""What processes have cost so far: seconds of processor, of their own and of the children they have waited for."""

import os
from dataclasses import dataclass
from pathlib import Path

import psycopg

from storage.postgresql import WRITERS
from tests.postgres import children_of

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of processor: of a process itself, and of its children that have ended."""

    own: float = 0.0
    children: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.own + other.own, self.children + other.children)

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(self.own - other.own, self.children - other.children)


def of_process(pid: int | None) -> Cost:
    """What a process has cost; nothing where there is none."""
    fields = [] if pid is None else _stat(pid)
    return Cost(*(sum(map(int, fields[at : at + 2])) / TICKS for at in (11, 13))) if fields else Cost()


def of_family(pid: int | None) -> float:
    """What a process and all that it started have cost in all, as far as each waits for its children."""
    if pid is None:
        return 0.0
    whole = of_process(pid)
    return whole.own + whole.children + sum(of_family(child) for child in children_of(pid))


@dataclass
class DatabaseWatch:
    """How often the lock of all writers was held whenever it was looked at; transactions and bytes of its log."""

    url: str
    looks: int = 0
    held: int = 0

    def counters(self) -> tuple[int, int]:
        """Transactions so far, bytes of write-ahead log so far."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            row = connection.execute(
                "SELECT xact_commit, pg_current_wal_lsn() - '0/0' FROM pg_stat_database "
                "WHERE datname = current_database()"
            ).fetchone()
            assert row is not None
            return int(row[0]), int(row[1])

    def look(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        """Look once."""
        found = connection.execute(
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND granted", [WRITERS]
        ).fetchone()
        self.looks += 1
        self.held += found is not None

    @property
    def busy(self) -> float:
        """The part of the time in which somebody held it."""
        return self.held / self.looks if self.looks else 0.0


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended
        return []
