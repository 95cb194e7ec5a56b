"""The tables of the schema, the same for both databases: read from a new database in memory, so that no list is kept
that somebody could forget to lengthen.
"""

import functools
import sqlite3
from dataclasses import dataclass

from storage.migrations import migrate
from storage.sqlite import SqliteDatabase

# What SQLite keeps for its full-text index, beside the table itself.
_SHADOWS = ("words_data", "words_idx", "words_content", "words_docsize", "words_config")


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its columns; ``key`` are those that tell its rows apart. ``is_numbered``: a row without an ``id``
    is given the next number."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    is_numbered: bool
    needs: frozenset[str]

    @property
    def select(self) -> str:
        """A query for every row, in the order of the key."""
        return f"SELECT {', '.join(self.columns)} FROM {self.name} ORDER BY {', '.join(self.key)}"  # noqa: S608


@functools.cache
def tables() -> tuple[Table, ...]:
    """Every table, those first that others refer to."""
    database = SqliteDatabase(sqlite3.connect(":memory:", isolation_level=None))
    try:
        migrate(database)
        found = [_table(database, row["name"]) for row in database.rows(_NAMES) if row["name"] not in _SHADOWS]
    finally:
        database.close()
    return tuple(_in_order(found))


_NAMES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"


def _table(database: SqliteDatabase, name: str) -> Table:
    if name == "words":  # its number is no column that SQLite would tell of
        return Table(name, ("rowid", "body"), ("rowid",), is_numbered=False, needs=frozenset({"reports"}))
    columns = database.rows(f"PRAGMA table_info({name})")
    key = sorted((column["pk"], column["name"]) for column in columns if column["pk"])
    is_numbered = any(column["pk"] and column["name"] == "id" and column["type"] == "INTEGER" for column in columns)
    others = {row["table"] for row in database.rows(f"PRAGMA foreign_key_list({name})")} - {name}
    names = tuple(column["name"] for column in columns)
    return Table(name, names, tuple(name for _, name in key), is_numbered, frozenset(others))


def _in_order(found: list[Table]) -> list[Table]:
    ordered: list[Table] = []
    while left := [table for table in found if table not in ordered]:
        done = {table.name for table in ordered}
        ready = [table for table in left if table.needs <= done]
        if not ready:
            raise ValueError(f"tables refer to each other: {', '.join(table.name for table in left)}")
        ordered += ready
    return ordered
