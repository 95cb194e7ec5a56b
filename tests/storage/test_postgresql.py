"""What only a server can do: go away and come back, be asked by many at once, be changed by a newer program."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from storage.connections import MOST
from storage.database import open_database, spoken
from storage.errors import (
    DatabaseBusy,
    DatabaseConflict,
    DatabaseTooNew,
    DatabaseUnreachable,
    StorageError,
)
from storage.jobs import NewJob
from storage.migrations import MIGRATIONS, migrate
from storage.postgresql import PostgresqlDatabase
from storage.search import Query
from storage.store import Store
from tests.postgres import Cluster, unavailable
from tests.storage.samples import report


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[Cluster]:
    if (reason := unavailable()) is not None:
        pytest.skip(reason)
    with Cluster() as started:
        yield started


@pytest.fixture
def database(postgres_url: str) -> Iterator[PostgresqlDatabase]:
    with closing(PostgresqlDatabase(postgres_url, patience=0)) as opened:
        yield opened


def run_at_once(*works: object) -> list[BaseException]:
    failures: list[BaseException] = []

    def guarded(work: object) -> None:
        try:
            work()  # type: ignore[operator]  # each is a function without arguments
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return failures


def test_many_may_bring_a_new_database_up_at_once(empty_postgres: str) -> None:
    assert run_at_once(*[lambda: Store.open(empty_postgres).close()] * 5) == []
    with closing(open_database(empty_postgres)) as database:
        assert database.version() == len(MIGRATIONS)


def test_a_failing_step_leaves_the_database_as_it_was(empty_postgres: str) -> None:
    with closing(open_database(empty_postgres)) as database:
        with pytest.raises(StorageError, match='relation "a" already exists'):
            migrate(database, ("CREATE TABLE a (b TEXT);", "CREATE TABLE c (d TEXT); CREATE TABLE a (b TEXT);"))
        assert database.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == []
        assert migrate(database, MIGRATIONS[:1]) == 1
        assert migrate(database) == len(MIGRATIONS) - 1


def test_a_database_of_a_later_version_is_refused_and_a_running_process_is_told(empty_postgres: str) -> None:
    with Store.open(empty_postgres) as running, closing(open_database(empty_postgres)) as newer:
        assert running.outgrown() is None
        with newer.write():
            newer.set_version(99)
        with pytest.raises(DatabaseTooNew, match="newer Pileup") as caught:
            Store.open(empty_postgres)
        assert (caught.value.found, caught.value.known) == (99, len(MIGRATIONS))
        told = running.outgrown()
        assert told is not None
        assert told.found == 99


def test_a_wrong_name_is_told_at_once_and_no_password(postgres_url: str) -> None:
    begun = time.monotonic()
    with pytest.raises(DatabaseUnreachable, match='database "no_such_one" does not exist'):
        Store.open(f"{postgres_url}".rpartition("/")[0] + "/no_such_one")
    with pytest.raises(DatabaseUnreachable, match="password authentication failed") as caught:
        Store.open(f"postgresql://pileup:s3cr3t@{postgres_url.rpartition('@')[2]}")
    assert "s3cr3t" not in str(caught.value)
    assert time.monotonic() - begun < 5
    assert spoken("postgresql://u:s3cr3t@db.example:5433/pileup?sslpassword=s3cr3t") == (
        "postgresql://db.example:5433/pileup"
    )


def test_a_restart_is_not_noticed_outside_of_a_transaction(own_cluster: Cluster) -> None:
    with Store.open(own_cluster.create()) as store:
        store.jobs.enqueue(NewJob("before", {}))
        own_cluster.stop()
        back = threading.Timer(0.7, own_cluster.start)
        back.start()
        store.jobs.enqueue(NewJob("while it was away", {}))  # waits for it to come back
        assert len(store.jobs.active()) == 2
        back.join()
        own_cluster.restart("immediate")
        assert store.posts.claim("k", "s").fresh


def test_of_a_transaction_that_a_restart_interrupts_nothing_is_kept(own_cluster: Cluster) -> None:
    url = own_cluster.create()
    with Store.open(url) as store, closing(PostgresqlDatabase(url, patience=0)) as database:

        def interrupted() -> None:
            with database.write():
                database.change("INSERT INTO events (event_id, seen_at) VALUES ('a', 'now')")
                own_cluster.restart("immediate")
                database.change("INSERT INTO events (event_id, seen_at) VALUES ('b', 'now')")

        with pytest.raises(DatabaseUnreachable):
            interrupted()
        assert store.events.first("a")
        with database.write():  # and the thread is free for its next one
            assert database.change("DELETE FROM events") == 1


def test_a_database_that_stays_away_is_told_in_the_time_allowed(own_cluster: Cluster) -> None:
    with closing(PostgresqlDatabase(own_cluster.create(), patience=0.5)) as database:
        assert database.value("SELECT 1") == 1
        own_cluster.stop()
        try:
            begun = time.monotonic()
            with pytest.raises(DatabaseUnreachable):
                database.value("SELECT 1")
            assert 0.2 < time.monotonic() - begun < 20
        finally:
            own_cluster.start()
        assert database.value("SELECT 1") == 1


TAKER = """
import sys
from storage.store import Store
with Store.open(sys.argv[1]) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    while (job := store.jobs.take(sys.argv[2], 60)) is not None:
        print(job.key, flush=True)
        store.jobs.finish(job)
"""

CLAIMER = """
import sys
from storage.store import Store
from storage.jobs import NewJob
from tests.storage.samples import report
with Store.open(sys.argv[1]) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(40):
        if store.posts.claim(f"key {number}", "summary").fresh:
            print(f"post {number}", flush=True)
        if store.jobs.enqueue(NewJob(f"key {number}", {})).created:
            print(f"job {number}", flush=True)
        if store.events.first(f"event {number}"):
            print(f"event {number}", flush=True)
        store.remember(report(str(number % 10)))
"""


def race(code: str, url: str, names: tuple[str, ...] = ("one", "two")) -> list[list[str]]:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, url, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in names
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60)[0].split("\n")[:-1] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(names)
    return outputs


def test_two_processes_share_the_queue_and_no_job(postgres_url: str) -> None:
    with Store.open(postgres_url) as store:
        for number in range(40):
            store.jobs.enqueue(NewJob(f"job {number}", {}))
    one, two = race(TAKER, postgres_url)
    assert sorted(one + two) == sorted(f"job {number}" for number in range(40))


def test_of_two_processes_one_claims_a_post_or_a_job_or_an_event_and_a_dump_is_kept_once(postgres_url: str) -> None:
    one, two = race(CLAIMER, postgres_url)
    whole = [f"{kind} {number}" for kind in ("post", "job", "event") for number in range(40)]
    assert sorted(one + two) == sorted(whole)
    with Store.open(postgres_url) as store:
        assert store.reports.count() == 10


def test_who_waits_too_long_for_a_lock_is_told_that_others_write(
    database: PostgresqlDatabase, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.connections.SESSION", "SET lock_timeout = '200ms'")
    with closing(PostgresqlDatabase(postgres_url)) as other, database.write():
        failures = run_at_once(lambda: other.write().__enter__())
        assert [type(error) for error in failures] == [DatabaseBusy]
        assert other.value("SELECT 1") == 1  # reading goes on


def test_a_row_that_breaks_a_rule_is_a_conflict_and_the_next_transaction_works(database: PostgresqlDatabase) -> None:
    def twice() -> None:
        with database.write():
            for _ in range(2):
                database.change("INSERT INTO events (event_id, seen_at) VALUES ('a', 'now')")

    with pytest.raises(DatabaseConflict, match="duplicate key"):
        twice()
    assert database.change("INSERT INTO events (event_id, seen_at) VALUES ('a', 'now')") == 1


def test_more_threads_than_connections_wait_for_each_other(database: PostgresqlDatabase) -> None:
    works = [lambda: database.rows("SELECT pg_sleep(0.02)")] * (3 * MOST)
    assert run_at_once(*works) == []
    with psycopg.connect(database.url) as connection:
        seen = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()
    assert seen[0][0] <= MOST


def test_text_is_kept_as_it_is_but_for_nul(database: PostgresqlDatabase) -> None:
    odd = '%s ? it\'s \\ "x" \u00e9\U0001f480 \n'
    assert database.value("SELECT CAST(? AS text)", [odd]) == odd
    assert database.value("SELECT CAST(? AS text)", ["a\x00b"]) == "a?b"
    assert database.rows("SELECT sum(n) AS n, max(n) > 1 AS more FROM (SELECT 1 AS n UNION SELECT 2) AS t") == [
        {"n": 3, "more": 1}
    ]


def test_names_are_found_in_whatever_case_and_only_those_of_ascii_are_alike(postgres_url: str) -> None:
    with Store.open(postgres_url) as store:
        store.remember(report("a", module="Straße.sys", host="ÉCOLE"))
        assert store.search.count(Query(module="STRAßE.SYS")) == 1
        assert store.search.count(Query(module="STRASSE.SYS")) == 0
        assert store.search.count(Query(host="École")) == 1
        assert store.search.count(Query(host="école")) == 0
