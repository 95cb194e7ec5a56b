"""What operators read of a database: its queue, its symbol sources, what it runs on."""

import pytest

from storage import Store
from storage.jobs import NewJob
from storage.sources import MAX_DETAIL, Said
from tests.storage.samples import NOON, Clock, report

DAY = 86_400


def test_what_waits_and_runs_is_told_by_kind_with_its_age(store: Store, clock: Clock) -> None:
    for key in ("a", "b", "c"):
        store.jobs.enqueue(NewJob(key, {"channel": "C1"}))
        clock.turn(10)
    store.jobs.enqueue(NewJob("q", {}, "ask"))
    taken = store.jobs.take("host:1:0:", 60, ("analyze",))
    assert taken is not None
    asks, analyses = sorted(store.backlog.lines(), key=lambda line: -ord(line.kind[1]))
    assert (asks.kind, asks.waiting, asks.running, asks.due, asks.since) == ("ask", 1, 0, clock.now, None)
    assert (analyses.kind, analyses.waiting, analyses.running, analyses.since) == ("analyze", 2, 1, NOON)
    assert analyses.due is not None
    assert (analyses.due - NOON).total_seconds() == 10
    assert [job.id for job in store.backlog.running()] == [taken.id]


def test_the_jobs_that_failed_last_come_first_and_no_more_than_asked_for(store: Store, clock: Clock) -> None:
    assert store.backlog.failed() == []
    for number in range(5):
        store.jobs.enqueue(NewJob(str(number), {}))
        job = store.jobs.take("w", 60)
        assert job is not None
        store.jobs.fail(job, "http", f"failure {number}")
        clock.turn(1)
    assert [job.error for job in store.backlog.failed(2)] == ["failure 4", "failure 3"]


def test_a_place_keeps_the_latest_of_each_outcome_of_each_machine(store: Store, clock: Clock) -> None:
    url = "https://symbols.example/store"
    store.sources.note("one", [Said(url, "found", "ntkrnlmp.pdb", 3), Said(url, "missing", "acme.pdb")])
    clock.turn(days=1)
    store.sources.note("one", [Said(url, "failed", "x" * 2 * MAX_DETAIL), Said(url, "missing", "b.pdb\x00\ud800", 2)])
    store.sources.note("two", [])
    store.sources.note("two", [Said("/symbols", "found", "a.pdb")])
    told = {(one.machine, one.place, one.outcome): one for one in store.sources.latest()}
    assert len(told) == 4
    found, missing = told["one", url, "found"], told["one", url, "missing"]
    assert (found.detail, found.at, found.times) == ("ntkrnlmp.pdb", NOON, 3)
    assert (missing.detail, missing.at, missing.times) == ("b.pdb??", clock.now, 3)
    assert len(told["one", url, "failed"].detail) == MAX_DETAIL
    assert [one.at for one in store.sources.latest()] == sorted((one.at for one in told.values()), reverse=True)
    assert len(store.sources.latest(2)) == 2


def test_a_place_with_a_long_name_has_a_place(store: Store) -> None:
    store.sources.note("one", [Said("https://symbols.example/" + "ä" * 3000, "found", "a.pdb")])
    assert len(store.sources.latest()) == 1


def test_a_database_says_what_it_runs_on_and_grows(store: Store, request: pytest.FixtureRequest) -> None:
    before = store.facts()
    program = "PostgreSQL " if "postgresql" in request.node.name else "SQLite "
    assert before.program.startswith(program)
    assert before.program.removeprefix(program)[0].isdigit()
    for number in range(100):
        store.remember(report(str(number)))
    assert store.facts().size > before.size > 0
    assert store.facts().schema == before.schema > 18
