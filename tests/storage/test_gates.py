"""Which job goes first, and which may go at all."""

from datetime import timedelta
from pathlib import Path

import pytest

from storage.gates import Limits
from storage.jobs import FORM, Job, NewJob
from storage.store import Store
from tests.storage.samples import Clock


def put(store: Store, key: str, **more: object) -> Job:
    return store.jobs.enqueue(NewJob(key, {}, **more)).job  # type: ignore[arg-type]  # fields by name


def take(store: Store, limits: Limits | None = None) -> str | None:
    job = store.jobs.take("w", 30, limits=limits or Limits())
    return None if job is None else job.key


def test_the_more_urgent_goes_first_and_the_older_of_two_that_are_as_urgent(store: Store, clock: Clock) -> None:
    for key, priority in (("backfill", 0), ("usual", 20), ("small", 30), ("small too", 30)):
        put(store, key, priority=priority)
        clock.turn(1)
    assert [take(store) for _ in range(5)] == ["small", "small too", "usual", "backfill", None]


def test_no_more_jobs_of_a_host_than_allowed_are_at_work_and_others_pass_them(store: Store) -> None:
    for key, host in (("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("none", None)):
        put(store, key, host=host)
    limits = Limits(per_host=2)
    assert [take(store, limits) for _ in range(5)] == ["a1", "a2", "b1", "none", None]


@pytest.mark.parametrize("free", ["finish", "pass_gates", "requeue", "lease"])
def test_a_job_that_is_told_ended_given_back_or_lost_makes_room(store: Store, clock: Clock, free: str) -> None:
    put(store, "first", channel="C1")
    limits = Limits(per_channel=1)
    first = store.jobs.take("w", 30, limits=limits)
    put(store, "second", channel="C1", priority=1)
    assert first is not None
    assert take(store, limits) is None
    if free == "lease":
        clock.turn(31)
    else:
        assert getattr(store.jobs, free)(first)
    assert take(store, limits) == "second"


def test_one_job_is_taken_only_when_its_gates_have_room(store: Store) -> None:
    first, second = put(store, "first", host="h"), put(store, "second", host="h")
    limits = Limits(per_host=1)
    taken = store.jobs.take_one(first.id, "w1", 30, limits)
    assert taken is not None
    assert taken.attempts == 1
    assert store.jobs.take_one(first.id, "w2", 30, limits) is None
    assert store.jobs.take_one(second.id, "w2", 30, limits) is None
    assert store.jobs.finish(taken)
    assert store.jobs.take_one(first.id, "w2", 30, limits) is None
    assert store.jobs.take_one(second.id, "w2", 30, limits) is not None


def test_a_job_of_a_later_form_is_left_alone_and_said(store: Store) -> None:
    put(store, "new", form=FORM + 1)
    put(store, "old")
    assert [take(store), take(store)] == ["old", None]
    assert [(item.form, item.count) for item in store.workers.unread()] == [(FORM + 1, 1)]
    newer = store.jobs.take("w", 30, form=FORM + 1)
    assert newer is not None
    assert newer.key == "new"
    assert store.workers.unread() == []


def test_messages_to_a_channel_keep_their_pace_over_processes(tmp_path: Path, clock: Clock) -> None:
    with Store.open(tmp_path / "x.sqlite", clock) as here, Store.open(tmp_path / "x.sqlite", clock) as there:
        waits = [store.lanes.reserve("C1", 1.0) for store in (here, there, here)]
        assert waits == [0.0, 1.0, 2.0]
        assert there.lanes.reserve("C2", 1.0) == 0.0
        clock.turn(2.5)
        assert there.lanes.reserve("C1", 1.0) == 0.5


def test_a_lane_that_a_wrong_clock_left_in_the_future_opens_within_a_minute(store: Store, clock: Clock) -> None:
    clock.turn(86_400)
    store.lanes.reserve("C1", 1.0)
    clock.turn(-86_400)
    assert store.lanes.reserve("C1", 1.0) == 60.0
    clock.turn(61)
    assert store.lanes.reserve("C1", 1.0) == 0.0


def test_a_name_is_held_by_one_until_it_lets_go_or_its_time_is_over(store: Store, clock: Clock) -> None:
    assert store.holds.take("dump", "a", 10)
    assert store.holds.take("dump", "a", 10)
    assert not store.holds.take("dump", "b", 10)
    store.holds.release("dump", "b")
    assert not store.holds.take("dump", "b", 10)
    store.holds.release("dump", "a")
    assert store.holds.take("dump", "b", 10)
    clock.turn(10)
    assert store.holds.take("dump", "c", 10)


def test_workers_are_those_that_were_seen_a_moment_ago(store: Store, clock: Clock) -> None:
    store.workers.sign_in("one", "1.0", 2)
    clock.turn(40)
    store.workers.sign_in("two", "1.1", 4, form=2)
    alive = store.workers.alive(timedelta(seconds=30))
    assert [(worker.name, worker.version, worker.form, worker.slots) for worker in alive] == [("two", "1.1", 2, 4)]
    store.workers.sign_in("one", "1.0", 2)
    assert len(store.workers.alive(timedelta(seconds=30))) == 2
    store.workers.sign_out("two")
    assert [worker.name for worker in store.workers.alive(timedelta(seconds=30))] == ["one"]
