"""Connections to PostgreSQL, kept for the next use, and what their driver says as ``storage.errors`` has it.

The pool of psycopg connects in the background and tells a caller only that nothing came in time. Here whoever needs a
connection makes it, and hears why that failed: a refused password is no reason to wait.
"""

import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import errors
from psycopg.adapt import Buffer, Dumper, Loader
from psycopg.types.string import StrDumperUnknown

from storage.errors import DatabaseBusy, DatabaseConflict, DatabaseFull, DatabaseUnreachable, StorageError

Connection = psycopg.Connection[tuple[object, ...]]

MOST = 10  # connections of one process
CONNECT_SECONDS = 5
LOCK_SECONDS = 10
STATEMENT_SECONDS = 60
# A machine that went away is noticed on both sides: a server that is left with an open transaction would go on holding
# its locks.
NETWORK: dict[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
SESSION = (
    f"SET lock_timeout = '{LOCK_SECONDS}s'; SET statement_timeout = '{STATEMENT_SECONDS}s'; "
    f"SET idle_in_transaction_session_timeout = '{STATEMENT_SECONDS}s'; SET tcp_keepalives_idle = 5; "
    "SET tcp_keepalives_interval = 3; SET tcp_keepalives_count = 3; SET tcp_user_timeout = 15000; "
    "SET client_min_messages = warning; SET standard_conforming_strings = on"
)

# What a server says that goes away or is not ready yet, or has become one that takes no writes.
GONE = (
    errors.AdminShutdown, errors.CrashShutdown, errors.CannotConnectNow, errors.TooManyConnections,
    errors.ConnectionException, errors.ReadOnlySqlTransaction, errors.IdleInTransactionSessionTimeout,
)  # fmt: skip
BUSY = (errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected, errors.SerializationFailure)
FULL = (errors.DiskFull, errors.InsufficientResources, errors.OutOfMemory)


class Connections:
    """At most MOST connections to one database. One that breaks takes the idle ones with it: they are to the same
    server."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(MOST)
        self._closed = False

    def take(self) -> Connection:
        """A connection that nobody else uses, to be given back.

        Raises:
            DatabaseBusy: as many as there may be were in use for LOCK_SECONDS.
            psycopg.Error: it cannot be made.
        """
        if self._closed:
            raise StorageError("the database has been closed")
        if not self._room.acquire(timeout=LOCK_SECONDS):
            raise DatabaseBusy(f"all {MOST} connections to the database are in use")
        try:
            return self._kept() or connect(self._url)
        except BaseException:
            self._room.release()
            raise

    def give(self, connection: Connection) -> None:
        """Give a connection back; one that is broken, or amid a transaction, is closed."""
        is_sound = not connection.closed and connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        with self._lock:
            if is_sound and not self._closed:
                self._idle.append(connection)
                left = []
            else:
                left = [connection, *(self._idle if connection.broken else ())]
                self._idle = [] if connection.broken else self._idle
        for old in left:
            old.close()
        self._room.release()

    @contextmanager
    def lent(self) -> Iterator[Connection]:
        """A connection for the block."""
        connection = self.take()
        try:
            yield connection
        finally:
            self.give(connection)

    def close(self) -> None:
        """Close what is idle, and what is in use once it is given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _kept(self) -> Connection | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if not _has_news(connection):
                return connection
            connection.close()


def connect(url: str, session: str | None = None) -> Connection:
    """A new connection in which each statement is its own transaction, unless one is begun.

    Raises:
        psycopg.Error: it cannot be made, or the database does not keep text as UTF-8.
    """
    connection = psycopg.Connection[tuple[object, ...]].connect(
        url, autocommit=True, prepare_threshold=None, cursor_factory=psycopg.ClientCursor, **NETWORK
    )
    try:
        connection.adapters.register_dumper(str, _Text)
        connection.adapters.register_dumper(bool, _Flag)
        connection.adapters.register_loader("numeric", _Number)
        connection.execute((SESSION if session is None else session).encode())
    except BaseException:
        connection.close()
        raise
    return connection


def told(error: psycopg.Error) -> StorageError:
    """The driver's error as one of ours, in the first line of its words."""
    words = (str(error).strip() or type(error).__name__).split("\n")[0]
    if isinstance(error, GONE):
        return DatabaseUnreachable(words)
    if isinstance(error, BUSY):
        return DatabaseBusy(words)
    if isinstance(error, FULL):
        return DatabaseFull(words)
    if isinstance(error, psycopg.IntegrityError):
        return DatabaseConflict(words)
    # Errors of a server carry a state; without one it is the connection that failed.
    if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
        return DatabaseUnreachable(words)
    return StorageError(words)


def _has_news(connection: Connection) -> bool:
    # An idle connection on which something has arrived: the server has said good-bye, or the line is closed.
    if connection.closed:
        return True
    with suppress(OSError, ValueError, psycopg.Error):
        return bool(select.select([connection.fileno()], [], [], 0)[0])
    return True


class _Text(StrDumperUnknown):
    # PostgreSQL's text holds no NUL; where SQLite would keep one, a question mark stands.
    def dump(self, obj: str) -> Buffer | None:
        return super().dump(obj.replace("\x00", "?") if "\x00" in obj else obj)


class _Flag(Dumper):
    # Yes and no are 1 and 0, as in SQLite.
    def dump(self, obj: bool) -> Buffer | None:
        return b"1" if obj else b"0"

    def quote(self, obj: bool) -> Buffer:
        return b"1" if obj else b"0"


class _Number(Loader):
    # The sum of whole numbers is numeric there, and a whole number here.
    def load(self, data: Buffer) -> int | float:
        text = bytes(data).decode()
        return int(text) if text.lstrip("-").isdigit() else float(text)
