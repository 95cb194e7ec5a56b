"""``pileup db``: bringing the schema up, copying a history to another database, writing it out."""

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bot.analyzing import FAULT, OK, USAGE, Stop, settings_or_stop
from bot.console import progress_on
from bot.wording import count as counted
from storage.database import Database, Place, file_of, is_postgresql, open_database, spoken
from storage.errors import StorageError
from storage.migrations import MIGRATIONS, migrate
from storage.transfer import NotEmpty, copy, lines

HERE = "here"


def migrated() -> int:
    """Bring the database of the settings to the present schema. The exit status."""

    def bring_up() -> int:
        place = _place(HERE)
        with _opened(place) as database:
            before, steps = database.version(), migrate(database)
            if not steps:
                print(f"{spoken(place)} has schema {before}: nothing to do")
            for number in range(before + 1, before + steps + 1):
                print(f"step {number} of {len(MIGRATIONS)} done")
            for step in _queue(database):
                print(f"the workers' queue: {step} done")
        return OK

    return _or_stop(bring_up)


def copied(source: str, target: str, *, replace: bool) -> int:
    """Copy one database to another. The exit status: 2 where the target is not empty or the two are one."""

    def take_over() -> int:
        one, other = _place(source), _place(target)
        if spoken(one) == spoken(other):
            raise Stop("that is one database, not two", USAGE)
        if not is_postgresql(one) and not file_of(one).exists():
            raise Stop(f"there is no {spoken(one)}", USAGE)
        with _opened(one) as first, _opened(other) as second, progress_on() as show:
            for database in (first, second):
                migrate(database)

            def told(table: str, done: int, total: int) -> None:
                show(table, done / total if total else 1.0, counted(total, "row"))

            made = copy(first, second, told, replace=replace)
        print(f"{counted(made.total, 'row')} copied from {spoken(one)} to {spoken(other)}")
        return OK

    return _or_stop(take_over)


def exported(path: Path, source: str) -> int:
    """Write a history out. The exit status: 2 where the file exists."""

    def write_out() -> int:
        digest, number = hashlib.sha256(), 0
        with _opened(_place(source)) as database, _written(path) as write:
            for number, line in enumerate(lines(database), 1):  # noqa: B007  # used after the loop
                digest.update(line)
                write(line)
        print(f"{counted(number, 'line')}, SHA-256 {digest.hexdigest()}", file=sys.stderr)
        return OK

    return _or_stop(write_out)


def _or_stop(work: Callable[[], int]) -> int:
    try:
        return work()
    except Stop as stop:
        print(f"pileup: {stop.line}", file=sys.stderr)
        return stop.status
    except FileExistsError as error:
        print(f"pileup: {error.filename} exists already", file=sys.stderr)
        return USAGE
    except NotEmpty as error:
        print(f"pileup: {error}; --replace deletes what it holds", file=sys.stderr)
        return USAGE
    except (OSError, StorageError) as error:
        print(f"pileup: {error}", file=sys.stderr)
        return FAULT


def _queue(database: Database) -> list[str]:
    if database.dialect != "postgresql":
        return []
    from storage.queue_schema import prepare

    return prepare(database)


def _place(told: str) -> Place:
    if told == HERE:
        return settings_or_stop().database
    if is_postgresql(told):
        return told
    if "://" in told and not told.startswith("sqlite:///"):
        raise Stop(f"{told.partition(':')[0]} is no database that this program knows", USAGE)
    return file_of(told)


@contextmanager
def _opened(place: Place) -> Iterator[Database]:
    with closing(open_database(place)) as database:
        yield database


@contextmanager
def _written(path: Path) -> Iterator[Callable[[bytes], object]]:
    # The secrets of unfinished jobs are in it: a file for its owner alone, and never somebody else's.
    if str(path) == "-":
        yield sys.stdout.buffer.write
        return
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        yield file.write
