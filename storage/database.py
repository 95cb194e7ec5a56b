"""A database as the rest of this package sees it: one SQL text, whether it is SQLite or PostgreSQL.

SQL is written for SQLite, with ``?`` for values, and within what ``storage.dialect`` can say in PostgreSQL's words.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import unquote, urlsplit

from storage.clock import Clock

Row = dict[str, Any]
Parameters = Sequence[Any]
Values = tuple[Any, ...]
Read = Callable[[str], Iterator[Values]]
Dialect = Literal["sqlite", "postgresql"]
Place = Path | str  # a SQLite file, or a URL of either database

POSTGRESQL = ("postgresql", "postgres")


class Database(Protocol):
    """What both databases do. Any of it may be called from several threads, and raises a ``StorageError``."""

    @property
    def dialect(self) -> Dialect:
        """Which database this is."""

    @property
    def clock(self) -> Clock:
        """The time that all who share the database agree on."""

    def write(self) -> AbstractContextManager[None]:
        """A write transaction, and the only one at its time; nested calls join the outer one. Rolls back when the block
        raises. It belongs to the thread that began it."""

    def rows(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Every row of a SELECT or a RETURNING, as dicts."""

    def row(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """The first row, or None."""

    def value(self, sql: str, parameters: Parameters = ()) -> Any:
        """The first column of the first row of a SELECT that always has one."""

    def change(self, sql: str, parameters: Parameters = ()) -> int:
        """Run one INSERT, UPDATE or DELETE (in the current transaction, if any); the number of rows it touched."""

    def insert(self, table: str, row: Mapping[str, Any]) -> int:
        """Insert a row into a table that numbers its rows by ``id``; its number."""

    def update(self, table: str, number: int, row: Mapping[str, Any]) -> None:
        """Change the row of that number."""

    def script(self, sql: str) -> None:
        """Run statements that change the schema, in the current transaction."""

    def version(self) -> int:
        """The number of the last migration that the database has been through; 0 for a new one."""

    def set_version(self, number: int) -> None:
        """Note that number, in the current transaction."""

    def listed(self, values: Sequence[int | str], kind: type[int | str] = int) -> tuple[str, list[Any]]:
        """A table of one column, ``value``, with values of that kind, for a FROM with an alias; and its parameters."""

    def reading(self) -> AbstractContextManager[Read]:
        """One moment of the database, whoever writes meanwhile: a function that gives the rows of a SELECT one by
        one."""

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Values], is_numbered: bool) -> int:
        """Put many rows into a table, in the current transaction, and let its numbers go on after them; how many."""

    def scrub(self) -> bool:
        """Make the files forget what was deleted, as far as that can be had. False: others are reading just now."""

    def close(self) -> None:
        """Close every connection. The database cannot be used afterwards."""


def open_database(place: Place) -> Database:
    """Open a database, as it is; a SQLite file is created as needed, readable by its owner only.

    Raises:
        OSError: the directory of the file cannot be made.
        StorageError: it cannot be reached, or is no such database, or PostgreSQL's driver is not installed.
    """
    if is_postgresql(place):
        from storage.postgresql import open_postgresql

        return open_postgresql(str(place))
    from storage.sqlite import open_sqlite

    return open_sqlite(file_of(place))


def is_postgresql(place: Place) -> bool:
    """Whether a place is a URL of PostgreSQL."""
    return isinstance(place, str) and urlsplit(place).scheme in POSTGRESQL


def file_of(place: Place) -> Path:
    """The file of a place on SQLite: a path, or that of a URL ``sqlite:///path``."""
    if isinstance(place, str) and place.startswith("sqlite:"):
        return Path(unquote(urlsplit(place).path).removeprefix("/")).expanduser()
    return Path(place)


def spoken(place: Place) -> str:
    """A place as it may be shown: without the password and options of a URL."""
    if not is_postgresql(place):
        return str(file_of(place))
    parts = urlsplit(str(place))
    return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"
