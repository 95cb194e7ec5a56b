"""A history goes over and back unchanged: every table, every number, and the next number after it."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from storage.database import Database, Place, open_database
from storage.errors import StorageError
from storage.jobs import NewJob
from storage.migrations import MIGRATIONS, migrate
from storage.queue_schema import STEPS
from storage.search import Query
from storage.store import Store
from storage.tables import tables
from storage.transfer import NotEmpty, copy, lines
from tests.storage.samples import report

ODD = "é \U0001f480 \\ \t'\"%s?"


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def open_place(stack: ExitStack, place: Place) -> Database:
    database = stack.enter_context(closing(open_database(place)))
    migrate(database)
    return database


def silent(_table: str, _done: int, _total: int) -> None:
    pass


def fill(database: Database, rows: int = 3) -> None:
    """A few rows in every table, whatever tables there are: values from the columns' types and rules."""
    for table in tables():
        made = str(database.value("SELECT sql FROM sqlite_master WHERE name = ?", [table.name]))
        allowed = dict(re.findall(r"(\w+) IN \('(\w+)'", made))
        columns = database.rows(f"PRAGMA table_info({table.name})")
        for number in range(1, rows + 1):
            row = {column["name"]: value_of(column, number, allowed) for column in columns}
            if table.name == "words":
                row = {"rowid": number, "body": f"nt kiswapcontext w{number}"}
            names, marks = ", ".join(row), ", ".join("?" for _ in row)
            database.change(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", list(row.values()))


def value_of(column: dict[str, Any], number: int, allowed: dict[str, str]) -> Any:
    if column["type"] in ("INTEGER", "BIGINT"):
        return 7 * number if column["name"] == "id" and not column["pk"] else number
    if column["name"] in allowed:
        return allowed[column["name"]]
    return None if number == 2 and not column["notnull"] and not column["pk"] else f"{ODD} {number}"


def exported(database: Database) -> bytes:
    return b"".join(lines(database))


def test_every_table_goes_over_and_back_unchanged(tmp_path: Path, postgres_url: str, opened: ExitStack) -> None:
    first = open_place(opened, tmp_path / "first.sqlite")
    fill(first)
    middle = open_place(opened, postgres_url)
    last = open_place(opened, tmp_path / "last.sqlite")
    seen: list[tuple[str, int, int]] = []
    there = copy(first, middle, lambda *told: seen.append(told))
    back = copy(middle, last, silent)
    assert there.rows == back.rows == {table.name: 3 for table in tables()}
    assert ("reports", 3, 3) in seen
    text = exported(first)
    assert exported(middle) == text
    assert exported(last) == text
    assert text.count(b"\n") == 1 + 3 * len(tables())


@pytest.mark.parametrize("way", ["over", "back"])
def test_a_copied_history_answers_and_grows_as_before(
    tmp_path: Path, postgres_url: str, opened: ExitStack, way: str
) -> None:
    places: list[Place] = [tmp_path / "a.sqlite", postgres_url]
    source, target = places if way == "over" else reversed(places)
    with Store.open(source) as store:
        for name in "abc":
            store.remember(report(name, host=f"PC-{name}"))
        store.jobs.enqueue(NewJob("k", {}))
        store.reports.forget(2)
    copy(open_place(opened, source), open_place(opened, target), silent)
    with Store.open(target) as store:
        assert store.search.count(Query(words="kewait")) == 2
        assert store.remember(report("a")).id == 1
        assert store.remember(report("new")).id == 4
        assert not store.jobs.enqueue(NewJob("k", {})).created
        assert store.jobs.enqueue(NewJob("l", {})).job.id == 2


def test_a_target_with_rows_is_refused_unless_it_may_be_emptied(
    tmp_path: Path, postgres_url: str, opened: ExitStack
) -> None:
    first, target = open_place(opened, tmp_path / "a.sqlite"), open_place(opened, postgres_url)
    fill(first)
    with Store.open(postgres_url) as store:
        store.remember(report("other", host="ELSEWHERE"))
    with pytest.raises(NotEmpty, match="not empty"):
        copy(first, target, silent)
    assert target.value("SELECT count(*) FROM reports") == 1
    copy(first, target, silent, replace=True)
    assert exported(target) == exported(first)


def test_a_copy_that_fails_leaves_the_target_as_it_was(place: Place, tmp_path: Path, opened: ExitStack) -> None:
    first, target = open_place(opened, tmp_path / "a.sqlite"), open_place(opened, place)
    fill(first)
    before = exported(target)

    def fails(table: str, done: int, _total: int) -> None:
        if table == "threads" and done:
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        copy(first, target, fails)
    assert exported(target) == before
    assert copy(first, target, silent).total == 3 * len(tables())


def test_an_older_schema_is_not_copied(tmp_path: Path, opened: ExitStack) -> None:
    old = opened.enter_context(closing(open_database(tmp_path / "old.sqlite")))
    migrate(old, MIGRATIONS[:3])
    with pytest.raises(StorageError, match=f"has schema 3, not {len(MIGRATIONS)}"):
        copy(old, open_place(opened, tmp_path / "new.sqlite"), silent)
    with pytest.raises(StorageError, match="has schema 3"):
        exported(old)


def test_a_source_that_is_written_to_is_copied_as_of_one_moment(
    place: Place, tmp_path: Path, opened: ExitStack
) -> None:
    with Store.open(place) as store:
        store.remember(report("before"))

        def writes(table: str, done: int, _total: int) -> None:
            if table == "reports" and not done:
                store.remember(report("meanwhile"))

        target = open_place(opened, tmp_path / "copy.sqlite")
        made = copy(open_place(opened, place), target, writes)
    assert made.rows["reports"] == made.rows["documents"] == made.rows["words"] == 1


def test_the_list_of_tables_is_whole_on_both_databases(postgres_url: str, tmp_path: Path, opened: ExitStack) -> None:
    server = open_place(opened, postgres_url)
    rows = server.rows(
        "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'procrastinate%'"
    )
    assert {row["name"] for row in rows} - {"pileup_schema", STEPS} == {table.name for table in tables()}
    for table in tables():
        columns = server.rows(
            "SELECT column_name AS name, is_generated FROM information_schema.columns WHERE table_name = ?",
            [table.name],
        )
        assert {row["name"] for row in columns if row["is_generated"] == "NEVER"} == set(table.columns)
