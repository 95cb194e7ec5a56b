"""What was read in bulk is known again by place and version, and sums up to problems."""

from datetime import timedelta

from storage.forgetting import Which
from storage.ingests import Failure, Ingest
from storage.jobs import NewJob
from storage.store import Store
from tests.storage.samples import NOON, Clock, report

A, B = "/old/a.dmp", "https://x/b.zip?signature=secret"


def test_a_file_is_known_in_its_version_alone(store: Store) -> None:
    one, two = (store.remember(report(name)).id for name in "ab")
    store.ingests.note(A, "1", [one], [])
    store.ingests.note(B, "", [one, two, two], [Failure("not-a-dump", "not a dump")])
    known = store.ingests.known([(A, "1"), (B, ""), ("/old/c.dmp", "1")])
    assert known == {A: Ingest((), 1), B: Ingest((Failure("not-a-dump", "not a dump"),), 2)}
    assert store.ingests.known([(A, "2")]) == {}
    store.ingests.note(A, "2", [], [Failure("time", "too slow")])
    assert store.ingests.known([(A, "2")]) == {A: Ingest((Failure("time", "too slow"),), 0)}
    assert store.ingests.known((f"/f{n}", "1") for n in range(1200)) == {}


def test_problems_are_counted_once_a_crash_with_their_days_and_hosts(store: Store) -> None:
    made = [
        report("a", host="PC-1", crashed=NOON - timedelta(days=9)),
        report("b", host="PC-2", crashed=NOON - timedelta(days=3)),
        report("c", signature="another", module=None, code="0x50", crashed=NOON - timedelta(days=5)),
        report("live", live=True),
        report("elsewhere"),
    ]
    numbers = [store.remember(one).id for one in made]
    store.ingests.note(A, "1", numbers[:2], [])
    store.ingests.note(B, "1", numbers[1:4], [])
    first, second = store.ingests.problems([A, B])
    assert (first.count, first.hosts, first.module, first.code) == (2, 2, "rassstp.sys", "0x9f")
    assert (first.first_seen, first.last_seen) == (NOON - timedelta(days=9), NOON - timedelta(days=3))
    assert first.latest == numbers[1]
    assert (second.signature, second.count, second.hosts, second.module) == ("another", 1, 0, None)
    assert store.ingests.problems([]) == []
    store.forget(Which(numbers=(numbers[2],)))
    assert [one.count for one in store.ingests.problems([A, B])] == [2]


def test_somebody_waits_while_a_link_is_due_or_in_hand(store: Store, clock: Clock) -> None:
    assert not store.jobs.is_somebody_waiting()
    store.jobs.enqueue(NewJob("question", {}, "ask"))
    assert not store.jobs.is_somebody_waiting()
    store.jobs.enqueue(NewJob("link", {}))
    assert store.jobs.is_somebody_waiting()
    job = store.jobs.take("w", 60)
    assert job is not None
    assert store.jobs.is_somebody_waiting()
    clock.turn(61)  # its worker died
    assert not store.jobs.is_somebody_waiting()
    store.jobs.requeue(job, 3600)  # it waits for a password
    assert not store.jobs.is_somebody_waiting()
