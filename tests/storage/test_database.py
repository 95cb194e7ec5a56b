"""The file: private, in WAL, migrated once by whoever comes first, never touched by an older program."""

import sqlite3
import stat
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from storage.database import open_database
from storage.errors import DatabaseTooNew, StorageError
from storage.events import Request
from storage.jobs import NewJob
from storage.migrations import MIGRATIONS, migrate
from storage.retention import Keep
from storage.store import Store
from tests.storage.samples import Clock, report


def test_the_file_is_private_and_in_wal(tmp_path: Path) -> None:
    path = tmp_path / "home" / "pileup.sqlite"
    Store.open(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_steps_are_taken_once_and_in_order(tmp_path: Path) -> None:
    database = open_database(tmp_path / "x.sqlite")
    assert migrate(database, MIGRATIONS[:1]) == 1
    assert migrate(database) == len(MIGRATIONS) - 1
    assert migrate(database) == 0
    database.close()


def test_a_failing_step_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    database = open_database(tmp_path / "x.sqlite")
    with pytest.raises(StorageError):
        migrate(database, ("CREATE TABLE a (b);", "CREATE TABLE c (d); CREATE TABLE a (b);"))
    assert database.rows("SELECT name FROM sqlite_master") == []
    assert migrate(database) == len(MIGRATIONS)
    database.close()


def test_a_file_of_a_later_version_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    Store.open(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(DatabaseTooNew, match="newer Pileup") as caught:
        Store.open(path)
    assert (caught.value.found, caught.value.known) == (99, len(MIGRATIONS))


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    path.write_bytes(b"PAGEDU64" * 1000)
    with pytest.raises(StorageError):
        Store.open(path)


def test_many_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    failures: list[BaseException] = []

    def opener() -> None:
        try:
            Store.open(path).close()
        except BaseException as error:
            failures.append(error)

    openers = [threading.Thread(target=opener) for _ in range(6)]
    for thread in openers:
        thread.start()
    for thread in openers:
        thread.join()
    assert failures == []


def test_a_failed_transaction_leaves_no_trace_and_the_next_one_works(tmp_path: Path) -> None:
    database = open_database(tmp_path / "x.sqlite")
    database.change("CREATE TABLE a (b)")

    def fail() -> None:
        with database.write(), database.write():
            database.change("INSERT INTO a VALUES (1)")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fail()
    with database.write():
        database.change("INSERT INTO a VALUES (2)")
    assert database.rows("SELECT b FROM a") == [{"b": 2}]
    database.close()


def test_old_traces_go_and_live_ones_stay(store: Store, clock: Clock) -> None:
    store.events.accept("Ev1", [Request("T", "C", "1", "https://x/a.dmp", NewJob("ended", {}))])
    store.events.accept("Ev2", [Request("T", "C", "2", "https://x/b.dmp", NewJob("running", {}))])
    ended = store.jobs.take("w", 30)
    assert ended is not None
    store.jobs.finish(ended)
    for key in ("ended", "running"):
        store.posts.claim(key, "summary")
    number = store.remember(report()).id
    clock.turn(days=31)
    pruned = store.retention.prune()
    assert (pruned.jobs, pruned.traces, pruned.reports) == (1, 5, 0)
    assert not store.posts.claim("running", "summary").fresh
    assert [job.key for job in store.jobs.active()] == ["running"]
    assert store.retention.prune(Keep(reports=timedelta(days=30))).reports == 1
    assert store.reports.get(number) is None


def test_what_its_owner_deletes_right_now_is_not_ours_to_sweep(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "job-1").mkdir()
    real = Path.lstat

    def vanished(path: Path) -> object:
        if path.name == "job-1":
            raise FileNotFoundError
        return real(path)

    monkeypatch.setattr(Path, "lstat", vanished)
    assert store.retention.sweep_files(tmp_path, ()) == 0


def test_leftovers_are_swept_and_nothing_else(store: Store, clock: Clock, tmp_path: Path) -> None:
    import os

    folder = tmp_path / "downloads"
    assert store.retention.sweep_files(folder, ()) == 0
    old, new = clock().timestamp() - 86_400, clock().timestamp() - 60
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    for name, age in (("job-1", old), ("job-2", old), ("job-3", new), ("job-4", old)):
        (folder / name).mkdir(parents=True)
        (folder / name / "dump").write_text("x")
        os.utime(folder / name / "dump", (age, age))
        os.utime(folder / name, (age, age))
    (folder / "stray.part").write_text("x")
    os.utime(folder / "stray.part", (old, old))
    (folder / "link").symlink_to(outside)
    os.utime(folder / "link", (old, old), follow_symlinks=False)
    os.utime(folder / "job-4" / "dump", (new, new))  # still growing
    assert store.retention.sweep_files(folder, {"job-2"}) == 3
    assert sorted(entry.name for entry in folder.iterdir()) == ["job-2", "job-3", "job-4"]
    assert (outside / "precious").exists()
