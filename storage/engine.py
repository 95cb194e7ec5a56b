"""What a database runs on, for operators."""

from dataclasses import dataclass

from storage.database import Database


@dataclass(frozen=True, slots=True)
class Facts:
    """The program with its version, how many bytes the database has, and which step of the schema it is at."""

    program: str
    size: int
    schema: int


def facts_of(database: Database) -> Facts:
    """What is to be said of a database."""
    if database.dialect == "postgresql":
        program = f"PostgreSQL {database.value('SHOW server_version')}"
        size = database.value("SELECT pg_database_size(current_database())")
    else:
        program = f"SQLite {database.value('SELECT sqlite_version()')}"
        size = database.value("PRAGMA page_count") * database.value("PRAGMA page_size")
    return Facts(program, int(size), database.version())
