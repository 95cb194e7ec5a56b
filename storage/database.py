"""One SQLite file, opened the same way everywhere: WAL, short busy waits, one lock per connection.

A connection may be used from several threads; each statement or transaction holds the connection's lock. Several
processes may open the same file: writers begin IMMEDIATE, so that two of them never both read before they write.
"""

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlite_utils

Row = dict[str, Any]
Parameters = Sequence[Any] | Mapping[str, Any]

BUSY_SECONDS = 10.0


class Database:
    """A connection with its lock. ``tables`` is the sqlite-utils view of it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.tables = sqlite_utils.Database(connection, recursive_triggers=False, execute_plugins=False)
        self._lock = threading.RLock()

    @contextmanager
    def write(self) -> Iterator[sqlite_utils.Database]:
        """A write transaction; nested calls join the outer one. Rolls back when the block raises.

        Raises:
            sqlite3.OperationalError: another process kept the file locked for longer than BUSY_SECONDS.
        """
        with self._lock:
            if self.connection.in_transaction:
                yield self.tables
                return
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.tables
            except BaseException:
                if self.connection.in_transaction:  # a full disk rolls back by itself
                    self.connection.execute("ROLLBACK")
                raise
            self.connection.execute("COMMIT")

    def rows(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Every row of a SELECT, as dicts."""
        with self._lock:
            cursor = self.connection.execute(sql, parameters)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]

    def row(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """The first row of a SELECT, or None."""
        found = self.rows(sql, parameters)
        return found[0] if found else None

    def value(self, sql: str, parameters: Parameters = ()) -> Any:
        """The first column of the first row of a SELECT that always has one."""
        with self._lock:
            return self.connection.execute(sql, parameters).fetchone()[0]

    def change(self, sql: str, parameters: Parameters = ()) -> int:
        """Run one INSERT, UPDATE or DELETE (in the current transaction, if any); the number of rows it touched."""
        with self._lock:
            return self.connection.execute(sql, parameters).rowcount

    def scrub(self) -> bool:
        """Make the files forget what was deleted; what a page held is overwritten when it is freed, but the full-text
        index keeps deleted words until it is merged, and the log keeps old pages. False: others are reading just now.
        """
        with self._lock:
            self.connection.execute("INSERT INTO words (words) VALUES ('optimize')")
            return not self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]

    def close(self) -> None:
        """Close the connection. The database cannot be used afterwards."""
        with self._lock:
            self.connection.close()


def open_database(path: Path) -> Database:
    """Open or create the file, readable by its owner only; parent directories are made as needed.

    Raises:
        OSError: the directory cannot be made.
        sqlite3.Error: the file cannot be opened or is not a SQLite database.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600, exist_ok=True)
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # NORMAL loses no committed row when the process is killed, only (perhaps) the last ones when the power goes.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        # A finished job's link may have carried a signature: overwrite what is deleted.
        connection.execute("PRAGMA secure_delete = ON")
    except BaseException:
        connection.close()
        raise
    return Database(connection)
