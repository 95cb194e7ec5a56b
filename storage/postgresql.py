"""History in PostgreSQL: the same SQL, from any number of processes on any number of machines.

A write transaction begins by taking one lock of the whole database, as on SQLite: who reads before writing finds that
nobody else wrote meanwhile. Single statements do without.

When the database goes away, what stands outside a transaction is tried again for PATIENCE_SECONDS. A statement whose
answer got lost may then run twice: all that is written this way must bear that, as after a crash.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from typing import Any, TypeVar, cast

import psycopg
from psycopg import sql as names

from storage.connections import Connection, Connections, connect, told
from storage.database import Dialect, Parameters, Read, Row, Values
from storage.dialect import query, schema
from storage.errors import DatabaseUnreachable, StorageError
from storage.server_clock import ServerClock

PATIENCE_SECONDS = 20.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
WRITERS = 0x50494C45  # the number of the lock that write transactions take
VERSIONS = "pileup_schema"
AT_ONCE = 500  # rows fetched in one go where all of a table are wanted

T = TypeVar("T")


class PostgresqlDatabase:
    """The connections of this process to one database."""

    dialect: Dialect = "postgresql"

    def __init__(self, url: str, patience: float = PATIENCE_SECONDS) -> None:
        self.url = url
        self.patience = patience
        self._connections = Connections(url)
        self._open = threading.local()  # .connection: of the transaction that this thread is in
        self.clock = ServerClock(self._now)

    @contextmanager
    def write(self) -> Iterator[None]:
        """As the protocol says.

        Raises:
            DatabaseBusy: others wrote for longer than LOCK_SECONDS.
            DatabaseUnreachable: the database went away; nothing is kept.
        """
        if self._current() is not None:
            yield
            return
        connection = self._patiently(self._begin)
        self._open.connection = connection
        try:
            yield
            with _told():
                connection.execute("COMMIT")
        except BaseException:
            with suppress(psycopg.Error):  # of a broken connection nothing is kept anyway
                connection.execute("ROLLBACK")
            raise
        finally:
            self._open.connection = None
            self._connections.give(connection)

    def rows(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """As the protocol says."""

        def fetch(connection: Connection) -> list[Row]:
            cursor = connection.execute(cast("Any", query(sql)), _values(parameters))
            columns = [column.name for column in cursor.description or ()]
            return [dict(zip(columns, values, strict=True)) for values in cursor.fetchall()]

        return self._run(fetch)

    def row(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """As the protocol says."""
        found = self.rows(sql, parameters)
        return found[0] if found else None

    def value(self, sql: str, parameters: Parameters = ()) -> Any:
        """As the protocol says."""
        return next(iter(self.rows(sql, parameters)[0].values()))

    def change(self, sql: str, parameters: Parameters = ()) -> int:
        """As the protocol says."""
        return self._run(lambda connection: connection.execute(cast("Any", query(sql)), _values(parameters)).rowcount)

    def insert(self, table: str, row: Mapping[str, Any]) -> int:
        """As the protocol says."""
        statement = names.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING id").format(
            names.Identifier(table),
            names.SQL(", ").join(map(names.Identifier, row)),
            names.SQL(", ").join(names.Placeholder() * len(row)),
        )
        made = self._run(lambda connection: connection.execute(statement, list(row.values())).fetchone())
        return int(cast("Any", made)[0])

    def update(self, table: str, number: int, row: Mapping[str, Any]) -> None:
        """As the protocol says."""
        statement = names.SQL("UPDATE {} SET {} WHERE id = {}").format(
            names.Identifier(table),
            names.SQL(", ").join(
                names.SQL("{} = {}").format(names.Identifier(name), names.Placeholder()) for name in row
            ),
            names.Placeholder(),
        )
        self._run(lambda connection: connection.execute(statement, [*row.values(), number]))

    def script(self, sql: str) -> None:
        """As the protocol says."""
        self._run(lambda connection: connection.execute(cast("Any", schema(sql))))

    def verbatim(self, sql: str) -> None:
        """Run statements in PostgreSQL's own words, in the current transaction."""
        self._run(lambda connection: connection.execute(cast("Any", sql)))

    def version(self) -> int:
        """As the protocol says: the one row of a table of its own."""
        if self.value("SELECT to_regclass(?) IS NULL", [VERSIONS]):
            return 0
        return int(self.value(f"SELECT coalesce(max(version), 0) FROM {VERSIONS}"))  # noqa: S608  # our own name

    def set_version(self, number: int) -> None:
        """As the protocol says."""
        self.script(f"CREATE TABLE IF NOT EXISTS {VERSIONS} (version INTEGER NOT NULL)")
        self.change(f"DELETE FROM {VERSIONS}")  # noqa: S608  # our own name
        self.change(f"INSERT INTO {VERSIONS} (version) VALUES (?)", [number])  # noqa: S608  # our own name

    def listed(self, values: Sequence[int | str], kind: type[int | str] = int) -> tuple[str, list[Any]]:
        """As the protocol says."""
        array = "text[]" if kind is str else "bigint[]"
        return f"(SELECT unnest(CAST(? AS {array})) AS value)", [list(values)]

    @contextmanager
    def reading(self) -> Iterator[Read]:
        """As the protocol says, over a connection of its own."""
        with _told(), closing(connect(self.url, "SET statement_timeout = 0")) as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

            def stream(sql: str) -> Iterator[Values]:
                with psycopg.ServerCursor(connection, "stream") as cursor:
                    cursor.itersize = AT_ONCE
                    yield from cursor.execute(cast("Any", query(sql)))

            yield stream

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Values], is_numbered: bool) -> int:
        """As the protocol says, by COPY."""
        target, listed = names.Identifier(table), names.SQL(", ").join(map(names.Identifier, columns))
        whole = names.SQL("COPY {} ({}) FROM STDIN").format(target, listed)

        def put(connection: Connection) -> int:
            connection.execute("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
            cursor = connection.cursor()
            with cursor.copy(whole) as copy:
                for row in rows:
                    copy.write_row(row)
            put_in = cursor.rowcount
            if is_numbered:
                cursor.execute(
                    names.SQL(
                        "SELECT setval(pg_get_serial_sequence({}, 'id'), coalesce(max(id), 0) + 1, false) FROM {}"
                    ).format(names.Literal(table), target)
                )
            cursor.execute(names.SQL("ANALYZE {}").format(target))  # the planner knows nothing of new rows
            return put_in

        return self._run(put)

    def scrub(self) -> bool:
        """As the protocol says: deleted rows leave their pages. What the server's log and free space still hold of
        them goes as these are used again."""
        with _told(), closing(connect(self.url, "SET statement_timeout = 0")) as connection:
            connection.execute("VACUUM")
        return True

    def close(self) -> None:
        """As the protocol says."""
        self._connections.close()

    def _now(self) -> datetime:
        # Asked once: whoever wants the time wants something else next, and is patient with that.
        with _told():
            current = self._current()
            if current is not None:
                return _time(current)
            with self._connections.lent() as lent:
                return _time(lent)

    def _current(self) -> Connection | None:
        return getattr(self._open, "connection", None)

    def _run(self, work: Callable[[Connection], T]) -> T:
        connection = self._current()
        if connection is not None:
            with _told():
                return work(connection)

        def once() -> T:
            with self._connections.lent() as lent:
                return work(lent)

        return self._patiently(once)

    def _begin(self) -> Connection:
        connection = self._connections.take()
        try:
            connection.execute(f"BEGIN; SELECT pg_advisory_xact_lock({WRITERS})".encode())
        except BaseException:
            with suppress(psycopg.Error):
                connection.execute("ROLLBACK")
            self._connections.give(connection)
            raise
        return connection

    def _patiently(self, work: Callable[[], T]) -> T:
        # Once, or until the database is back.
        end, pause = time.monotonic() + self.patience, FIRST_PAUSE
        while True:
            try:
                with _told():
                    return work()
            except DatabaseUnreachable:
                if time.monotonic() + pause > end:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


def open_postgresql(url: str) -> PostgresqlDatabase:
    """Open a database that is there: one try, so that a wrong name or password is told at once.

    Raises:
        StorageError: it cannot be reached, or does not keep text as UTF-8.
    """
    with _told():
        connection = connect(url)
    with connection:
        encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StorageError(f"the database keeps text as {encoding}; make one with ENCODING 'UTF8'")
    return PostgresqlDatabase(url)


@contextmanager
def _told() -> Iterator[None]:
    # The driver's errors as ours.
    try:
        yield
    except psycopg.Error as error:
        raise told(error) from error


def _time(connection: Connection) -> datetime:
    (now,) = cast("tuple[datetime]", connection.execute("SELECT clock_timestamp()").fetchone())
    return now


def _values(parameters: Parameters) -> list[Any]:
    return list(parameters)
