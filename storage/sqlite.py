"""One SQLite file, opened the same way everywhere: WAL, short busy waits, one lock per connection.

A connection may be used from several threads; each statement or transaction holds the connection's lock. Several
processes may open the same file: writers begin IMMEDIATE, so that two of them never both read before they write.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlite_utils

from storage.clock import Clock, utc_now
from storage.database import Dialect, Parameters, Read, Row, Values
from storage.errors import DatabaseBusy, DatabaseConflict, DatabaseFull, DatabaseUnreachable, StorageError

BUSY_SECONDS = 10.0
# Loses no committed row when the process is killed, only (perhaps) the last ones when the power goes.
SYNCHRONOUS = "NORMAL"
KINDS: dict[int, type[StorageError]] = {  # by primary result code
    sqlite3.SQLITE_BUSY: DatabaseBusy,
    sqlite3.SQLITE_LOCKED: DatabaseBusy,
    sqlite3.SQLITE_FULL: DatabaseFull,
    sqlite3.SQLITE_CONSTRAINT: DatabaseConflict,
    sqlite3.SQLITE_CANTOPEN: DatabaseUnreachable,
    sqlite3.SQLITE_IOERR: DatabaseUnreachable,
}


class SqliteDatabase:
    """A connection with its lock. ``tables`` is the sqlite-utils view of it."""

    dialect: Dialect = "sqlite"
    clock: Clock = staticmethod(utc_now)  # whoever has the file is on this machine

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.tables = sqlite_utils.Database(connection, recursive_triggers=False, execute_plugins=False)
        self._lock = threading.RLock()

    @contextmanager
    def write(self) -> Iterator[None]:
        """As the protocol says.

        Raises:
            DatabaseBusy: another process kept the file locked for longer than BUSY_SECONDS.
        """
        with self._lock:
            if self.connection.in_transaction:
                yield
                return
            self._execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self.connection.in_transaction:  # a full disk rolls back by itself
                    self._execute("ROLLBACK")
                raise
            self._execute("COMMIT")

    def rows(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """As the protocol says."""
        with self._lock, _told():
            cursor = self.connection.execute(sql, parameters)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]

    def row(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """As the protocol says."""
        found = self.rows(sql, parameters)
        return found[0] if found else None

    def value(self, sql: str, parameters: Parameters = ()) -> Any:
        """As the protocol says."""
        with self._lock, _told():
            return self.connection.execute(sql, parameters).fetchone()[0]

    def change(self, sql: str, parameters: Parameters = ()) -> int:
        """As the protocol says."""
        with self._lock:
            return self._execute(sql, parameters).rowcount

    def insert(self, table: str, row: Mapping[str, Any]) -> int:
        """As the protocol says."""
        with self._lock, _told():
            return int(self.tables.table(table).insert(dict(row)).last_rowid or 0)

    def update(self, table: str, number: int, row: Mapping[str, Any]) -> None:
        """As the protocol says."""
        with self._lock, _told():
            self.tables.table(table).update(number, dict(row))

    def script(self, sql: str) -> None:
        """As the protocol says."""
        with self._lock, _told():
            for statement in _statements(sql):
                self.connection.execute(statement)

    def version(self) -> int:
        """As the protocol says: ``PRAGMA user_version``."""
        return int(self.value("PRAGMA user_version"))

    def set_version(self, number: int) -> None:
        """As the protocol says."""
        self.change(f"PRAGMA user_version = {number:d}")

    def listed(
        self,
        values: Sequence[int | str],
        kind: type[int | str] = int,  # noqa: ARG002  # JSON says it itself
    ) -> tuple[str, list[Any]]:
        """As the protocol says."""
        return "json_each(?)", [json.dumps(list(values))]

    @contextmanager
    def reading(self) -> Iterator[Read]:
        """As the protocol says."""
        with self._lock:
            self._execute("BEGIN")  # its first SELECT is the moment
            try:
                yield self._stream
            finally:
                self._execute("ROLLBACK")

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Values], is_numbered: bool) -> int:  # noqa: ARG002
        """As the protocol says; SQLite goes on after the highest number by itself."""
        marks = ", ".join("?" for _ in columns)
        sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608  # the schema's names
        with self._lock, _told():
            return self.connection.executemany(sql, rows).rowcount

    def scrub(self) -> bool:
        """As the protocol says: what a page held is overwritten when it is freed, but the full-text index keeps deleted
        words until it is merged, and the log keeps old pages."""
        with self._lock, _told():
            self.connection.execute("INSERT INTO words (words) VALUES ('optimize')")
            return not self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]

    def close(self) -> None:
        """As the protocol says."""
        with self._lock:
            self.connection.close()

    def _stream(self, sql: str) -> Iterator[Values]:
        with _told():
            yield from self.connection.execute(sql)

    def _execute(self, sql: str, parameters: Parameters = ()) -> sqlite3.Cursor:
        with _told():
            return self.connection.execute(sql, parameters)


def open_sqlite(path: Path) -> SqliteDatabase:
    """Open or create the file, readable by its owner only; parent directories are made as needed.

    Raises:
        OSError: the directory cannot be made.
        StorageError: the file cannot be opened or is not a SQLite database.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600, exist_ok=True)
    with _told():
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA foreign_keys = ON")
            # A finished job's link may have carried a signature: overwrite what is deleted.
            connection.execute("PRAGMA secure_delete = ON")
        except BaseException:
            connection.close()
            raise
    return SqliteDatabase(connection)


def _statements(script: str) -> Iterator[str]:
    # One after another: the driver's own executescript commits first.
    statement = ""
    for piece in script.split(";"):
        statement += f"{piece};"
        if sqlite3.complete_statement(statement):  # a trigger and a text have semicolons inside
            yield statement
            statement = ""
    if statement:
        yield statement  # SQLite says what is wrong with it


@contextmanager
def _told() -> Iterator[None]:
    # The driver's errors as ours.
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        kind = StorageError if code is None else KINDS.get(code & 0xFF, StorageError)
        raise kind(str(error)) from error
