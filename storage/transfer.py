"""A whole history taken from one database to another, or written out in a form in which two can be compared.

Both read one moment of the source, whoever goes on writing to it. A copy is all or nothing: one transaction of the
target, which is empty again when anything goes wrong.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from storage.database import Database, Read, Values
from storage.errors import StorageError
from storage.migrations import MIGRATIONS
from storage.tables import Table, tables

Progress = Callable[[str, int, int], None]  # the table, how many of its rows are done, how many there are

EVERY = 1000  # rows between two words of progress


class NotEmpty(StorageError):
    """The target holds rows already; ``table`` names one that does."""

    def __init__(self, table: str) -> None:
        super().__init__(f"the target is not empty: there are rows in its table {table}")
        self.table = table


@dataclass(frozen=True, slots=True)
class Copied:
    """How many rows were copied, by table."""

    rows: dict[str, int]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.rows.values())


def copy(source: Database, target: Database, progress: Progress, *, replace: bool = False) -> Copied:
    """Every row of every table, numbers included; ``replace`` empties the target first.

    Raises:
        NotEmpty: the target holds rows, and is not to be emptied.
        StorageError: the two have different schemas, or one of them failed; the target is as it was.
    """
    for database in (source, target):
        _check_schema(database)
    with source.reading() as read, target.write():
        for table in reversed(tables()):
            if target.row(f"SELECT 1 AS one FROM {table.name} LIMIT 1") is not None:  # noqa: S608  # the schema's names
                if not replace:
                    raise NotEmpty(table.name)
                target.change(f"DELETE FROM {table.name}")  # noqa: S608
        return Copied({table.name: _copy(table, read, target, progress) for table in tables()})


def lines(database: Database) -> Iterator[bytes]:
    """The history as lines of JSON: the schema's number, then every row in the order of its table and key, names in
    alphabetical order. The same rows give the same bytes, from either database. Secrets of unfinished jobs included.

    Raises:
        StorageError: the database is not at the present schema, or failed.
    """
    _check_schema(database)
    with database.reading() as read:
        yield _line({"schema": len(MIGRATIONS)})
        for table in sorted(tables(), key=lambda table: table.name):
            for row in read(table.select):
                yield _line({"table": table.name, "row": dict(zip(table.columns, row, strict=True))})


def _copy(table: Table, read: Read, target: Database, progress: Progress) -> int:
    [(total,)] = read(f"SELECT count(*) FROM {table.name}")  # noqa: S608  # the schema's names
    progress(table.name, 0, total)
    return target.load(table.name, table.columns, _told(table, read(table.select), total, progress), table.is_numbered)


def _told(table: Table, rows: Iterator[Values], total: int, progress: Progress) -> Iterator[Values]:
    done = 0
    for done, row in enumerate(rows, 1):  # used after the loop
        yield row
        if done % EVERY == 0:
            progress(table.name, done, total)
    progress(table.name, done, total)


def _check_schema(database: Database) -> None:
    if (found := database.version()) != len(MIGRATIONS):
        raise StorageError(f"the {database.dialect} database has schema {found}, not {len(MIGRATIONS)}")


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"
