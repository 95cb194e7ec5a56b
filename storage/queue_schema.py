"""The tables of the workers' queue, which are procrastinate's own: applied and brought up here, never changed.

Which of its numbered steps a database has been through is kept beside them, as procrastinate itself does not. Tables
that somebody else applied are left to them.
"""

import importlib.util
from pathlib import Path

from storage.database import Database
from storage.errors import QueueMissing, StorageError
from storage.postgresql import PostgresqlDatabase

STEPS = "pileup_queue"
_USED = "procrastinate_fetch_job_v2(character varying[], bigint)"  # what older ones lack


def prepare(database: Database) -> list[str]:
    """Bring the queue's tables to the installed version, all or nothing; the steps done, ``schema`` for all at once.

    Raises:
        QueueMissing: procrastinate is not installed.
        StorageError: a later version of it has changed them, or they are somebody else's and too old.
    """
    if importlib.util.find_spec("procrastinate") is None:
        raise QueueMissing("jobs on PostgreSQL need the extra “cluster”: pip install 'pileup[cluster]'")
    from procrastinate.schema import SchemaManager

    assert isinstance(database, PostgresqlDatabase)  # noqa: S101  # there is no such queue elsewhere
    steps = {path.name: path for path in sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))}
    if _known(database) == set(steps):
        return []
    with database.write():  # a second process waits here and then finds nothing to do
        known = _known(database)
        if known is None and _is_there(database, "procrastinate_jobs"):
            _check(database)
            return []
        if later := sorted((known or set()) - set(steps)):
            raise StorageError(
                f"a newer Pileup has brought the workers' queue to procrastinate's step {later[-1]}, which the one "
                "installed here does not know"
            )
        if known is None:
            database.verbatim(SchemaManager.get_schema())
            database.script(f"CREATE TABLE {STEPS} (step TEXT PRIMARY KEY)")
        missing = [name for name in steps if name not in (known or set())]
        for name in missing:
            if known is not None:
                database.verbatim(steps[name].read_text())
            database.change(f"INSERT INTO {STEPS} (step) VALUES (?)", [name])  # noqa: S608  # our own name
        return missing if known is not None else ["schema"]


def _known(database: Database) -> set[str] | None:
    if not _is_there(database, STEPS):
        return None
    return {row["step"] for row in database.rows(f"SELECT step FROM {STEPS}")}  # noqa: S608  # our own name


def _is_there(database: Database, table: str) -> bool:
    return not database.value("SELECT to_regclass(?) IS NULL", [table])


def _check(database: Database) -> None:
    if database.value("SELECT to_regprocedure(?) IS NULL", [_USED]):
        raise StorageError("procrastinate's tables here are of a version before 3.1: bring them up by its own steps")
