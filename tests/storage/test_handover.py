"""Which jobs are handed to the workers' queue, when, and what becomes of what the queue loses."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from storage.database import Database, open_database
from storage.errors import QueueMissing, StorageError
from storage.gates import Limits
from storage.handover import Handover, queues_of
from storage.jobs import FORM, Job, NewJob
from storage.queue_schema import prepare
from storage.store import Store
from tests.storage.samples import Clock

WAITING = "SELECT args ->> 'id' AS job FROM procrastinate_jobs WHERE status = 'todo' ORDER BY priority DESC, id"


class Fleet:
    """A store that hands over, and the queue that it fills."""

    def __init__(self, store: Store, database: Database) -> None:
        self.store, self.database = store, database

    @property
    def handover(self) -> Handover:
        assert self.store.handover is not None
        return self.store.handover

    def put(self, key: str, **more: object) -> Job:
        return self.store.jobs.enqueue(NewJob(key, {}, **more)).job  # type: ignore[arg-type]  # fields by name

    @property
    def waiting(self) -> list[str]:
        """The keys of jobs in the queue, as they would be fetched."""
        found = [self.store.jobs.get(int(row["job"])) for row in self.database.rows(WAITING)]
        return [job.key for job in found if job is not None]

    def fetch(self, *, take: bool = True) -> Job:
        """The next one, fetched as procrastinate does and taken as a worker does. Raises: AssertionError."""
        self.database.rows("SELECT procrastinate_register_worker_v1() AS id")
        row = self.database.row(
            "SELECT id, args ->> 'id' AS job FROM procrastinate_fetch_job_v2(NULL, "
            "(SELECT max(id) FROM procrastinate_workers))"
        )
        assert row is not None
        assert row["job"] is not None, "nothing can be fetched"
        number = int(row["job"])
        job = self.store.jobs.take_one(number, "w", 30) if take else self.store.jobs.get(number)
        assert job is not None
        if take:
            self.database.rows("SELECT procrastinate_finish_job_v1(?, 'succeeded', true) AS done", [row["id"]])
        return job


@pytest.fixture
def limits() -> Limits:
    return Limits()


@pytest.fixture
def fleet(postgres_url: str, clock: Clock, limits: Limits) -> Iterator[Fleet]:
    with (
        Store.open(postgres_url, clock, hand_over=limits) as store,
        closing(open_database(postgres_url)) as database,
    ):
        yield Fleet(store, database)


def test_a_new_job_is_in_the_queue_and_the_urgent_first(fleet: Fleet) -> None:
    for key, priority in (("backfill", 0), ("usual", 20), ("small", 30)):
        fleet.put(key, priority=priority)
    fleet.put("small", priority=30)
    assert fleet.waiting == ["small", "usual", "backfill"]
    assert fleet.handover.sweep() == 0


def test_a_job_and_its_place_in_the_queue_are_kept_together_or_not_at_all(fleet: Fleet) -> None:
    def joined() -> None:
        with fleet.store._database.write():
            fleet.put("a")
            assert fleet.waiting == []  # as others see it
            raise KeyError

    with pytest.raises(KeyError):
        joined()
    assert fleet.waiting == []
    assert fleet.store.jobs.active() == []


def test_each_kind_and_form_has_a_queue_of_its_own(fleet: Fleet) -> None:
    fleet.put("a")
    fleet.put("b", kind="ask", form=FORM + 1)
    found = fleet.database.rows("SELECT queue_name FROM procrastinate_jobs ORDER BY id")
    assert [row["queue_name"] for row in found] == ["analyze.1", f"ask.{FORM + 1}"]
    assert queues_of(("analyze", "ask"), 2) == ["analyze.1", "analyze.2", "ask.1", "ask.2"]


def test_what_is_due_later_is_handed_over_then(fleet: Fleet, clock: Clock) -> None:
    fleet.put("a")
    assert fleet.store.jobs.requeue(fleet.fetch(), 60)
    assert fleet.handover.sweep() == 0
    assert fleet.waiting == []
    clock.turn(60)
    assert fleet.handover.sweep() == 1
    assert fleet.waiting == ["a"]


@pytest.mark.parametrize("act", ["requeue", "note", "unlock"])
def test_what_lets_a_job_run_again_brings_it_to_the_queue_at_once(fleet: Fleet, act: str) -> None:
    job = fleet.put("a", secret="https://host/a.dmp")
    taken = fleet.fetch()
    assert fleet.store.jobs.requeue(taken, 0 if act == "requeue" else 3600)
    if act == "note":
        assert fleet.store.jobs.note(job.id, stopped="asked")
    elif act == "unlock":
        assert fleet.store.jobs.unlock(job.id, "infected")
    assert fleet.waiting == ["a"]


def test_a_job_whose_worker_died_comes_back_when_its_lease_runs_out(fleet: Fleet, clock: Clock) -> None:
    fleet.put("a")
    fleet.fetch()
    clock.turn(29)
    assert fleet.handover.sweep() == 0
    clock.turn(1)
    assert fleet.handover.sweep() == 1
    assert fleet.fetch().takes == 2


def test_what_the_queue_lost_is_found_and_handed_over_again(fleet: Fleet) -> None:
    fleet.put("a")
    fleet.put("fetched")
    assert fleet.handover.find_lost() == 0
    fleet.fetch(take=False)
    assert fleet.handover.find_lost() == 0
    fleet.database.change("DELETE FROM procrastinate_jobs")
    assert fleet.handover.find_lost() == 2
    assert fleet.handover.sweep() == 2
    assert fleet.waiting == ["a", "fetched"]


def test_what_a_worker_could_not_take_is_handed_over_again(fleet: Fleet) -> None:
    fleet.put("a")
    fleet.fetch(take=False)
    assert fleet.handover.sweep() == 0
    fleet.handover.put_back(1)
    assert fleet.handover.sweep() == 1
    assert fleet.waiting == ["a"]


def test_jobs_of_one_link_are_fetched_one_by_one_and_none_waits_for_its_own_dead_worker(
    fleet: Fleet, clock: Clock
) -> None:
    fleet.put("one", secret="https://host/a.dmp?sig=1")
    fleet.put("two", secret="https://host/a.dmp?sig=1\npassword")
    fleet.put("three", secret="https://host/b.dmp")
    assert [fleet.fetch(take=False).key for _ in range(2)] == ["one", "three"]
    with pytest.raises(AssertionError):
        fleet.fetch(take=False)
    assert fleet.store.jobs.take_one(1, "w", 30) is not None  # and dies, without a word to the queue
    clock.turn(30)
    assert fleet.handover.sweep() == 1
    assert fleet.fetch().key == "one"


@pytest.mark.parametrize("limits", [Limits(per_host=2)])
def test_what_would_stand_before_a_full_gate_is_not_handed_over(fleet: Fleet) -> None:
    for number in range(4):
        fleet.put(f"a{number}", host="a")
    fleet.put("b", host="b")
    fleet.put("none")
    assert fleet.waiting == ["a0", "a1", "b", "none"]
    first = fleet.fetch()
    assert fleet.handover.sweep() == 0
    assert fleet.store.jobs.finish(first)
    assert fleet.handover.sweep() == 1
    assert fleet.waiting == ["a1", "b", "none", "a2"]


@pytest.mark.parametrize("limits", [Limits(per_channel=1)])
def test_the_urgent_is_not_kept_out_by_what_is_on_its_way(fleet: Fleet) -> None:
    fleet.put("first", channel="C1")
    fleet.put("urgent", channel="C1", priority=9)
    fleet.put("as urgent", channel="C1", priority=9)
    assert fleet.waiting == ["urgent", "first"]
    fleet.fetch()
    fleet.put("more urgent", channel="C1", priority=99)
    assert fleet.waiting == ["first"]


@pytest.mark.parametrize("limits", [Limits(per_host=1)])
def test_behind_a_full_gate_with_many_jobs_others_are_found(
    fleet: Fleet, postgres_url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.handover.AT_ONCE", 3)
    with Store.open(postgres_url, clock) as quiet:
        for number in range(8):
            quiet.jobs.enqueue(NewJob(f"a{number}", {}, host="a", priority=5))
        quiet.jobs.enqueue(NewJob("b", {}, host="b"))
    assert fleet.waiting == []
    assert fleet.handover.sweep() == 2
    assert fleet.waiting == ["a0", "b"]


def test_the_tables_of_the_queue_are_made_once_and_brought_up(empty_postgres: str) -> None:
    Store.open(empty_postgres).close()
    with closing(open_database(empty_postgres)) as database:
        assert prepare(database) == ["schema"]
        assert prepare(database) == []
        step = "03.04.00_50_post_add_retry_failed_job_procedure.sql"
        database.change("DELETE FROM pileup_queue WHERE step = ?", [step])
        assert prepare(database) == [step]
        database.change("INSERT INTO pileup_queue VALUES ('99.00.00_01_pre_later.sql')")
        with pytest.raises(StorageError, match=r"newer Pileup .* 99\.00\.00_01"):
            prepare(database)


def test_tables_that_somebody_else_made_are_left_to_them(empty_postgres: str) -> None:
    Store.open(empty_postgres).close()
    with closing(open_database(empty_postgres)) as database:
        prepare(database)
        database.script("DROP TABLE pileup_queue")
        assert prepare(database) == []
        database.script("DROP FUNCTION procrastinate_fetch_job_v2")
        with pytest.raises(StorageError, match=r"before 3\.1"):
            prepare(database)


def test_without_the_queues_package_jobs_are_not_handed_over_and_that_is_said(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(QueueMissing, match=r"pileup\[cluster\]"):
        Store.open(postgres_url, hand_over=Limits())
    Store.open(postgres_url).close()


def test_nothing_of_the_queue_is_imported_where_history_is_a_file(tmp_path: Path) -> None:
    words = (
        "import sys; from storage.store import Store; from storage.gates import Limits; import bot.fleet.crews\n"
        "Store.open(sys.argv[1], hand_over=Limits()).close()\n"
        "sys.exit('procrastinate' in sys.modules or 'psycopg' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", words, f"sqlite:///{tmp_path / 'x.sqlite'}"], check=True)
