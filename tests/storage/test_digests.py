"""Digests are taken once a period, over restarts and by several bots; what was missed is counted; what they count."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from storage.database import Place
from storage.digests import Period
from storage.hours import Plan
from storage.jobs import NewJob
from storage.store import Store
from storage.threads import Told
from tests.storage.samples import Clock, report

TEAM, CHANNEL = "T1", "C1"
DAILY = Plan.read({"every": "day", "at": "09:00", "zone": "Europe/Berlin"})
WEEKLY = Plan.read({"every": "week", "at": "09:00", "zone": "Europe/Berlin", "weekday": "Monday"})


def job(period: Period) -> NewJob:
    return NewJob(f"{period.every}:{period.name}", {"missed": period.missed, "end": period.end.isoformat()}, "digest")


def subscribed(store: Store, clock: Clock) -> datetime:
    return clock() - timedelta(days=30)


def test_a_period_is_taken_once_whoever_looks_and_however_often(store: Store, clock: Clock, place: Place) -> None:
    since = subscribed(store, clock)
    other = Store.open(place, clock)
    made = [one.digests.take(TEAM, CHANNEL, DAILY, since, job) for one in (store, other, store, other)]
    assert [found is not None for found in made] == [True, False, False, False]
    clock.turn(days=1)
    results = []

    def look(one: Store) -> None:
        results.append(one.digests.take(TEAM, CHANNEL, DAILY, since, job))

    threads = [threading.Thread(target=look, args=[one]) for one in (store, other) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([found for found in results if found is not None]) == 1
    assert store.digests.take(TEAM, "C2", DAILY, since, job) is not None  # another channel's is another
    other.close()


def test_what_was_due_before_somebody_subscribed_is_nobodys(store: Store, clock: Clock) -> None:
    assert store.digests.take(TEAM, CHANNEL, DAILY, clock() - timedelta(minutes=1), job) is None
    clock.turn(days=1)
    assert store.digests.take(TEAM, CHANNEL, DAILY, clock() - timedelta(days=1), job) is not None


def test_the_operators_plan_begins_with_the_first_period_that_falls_due_while_a_bot_looks(
    store: Store, clock: Clock
) -> None:
    assert store.digests.take(TEAM, CHANNEL, DAILY, None, job) is None
    clock.turn(days=1)
    found = store.digests.take(TEAM, CHANNEL, DAILY, None, job)
    assert found is not None
    assert found.payload["missed"] == 0


@pytest.mark.parametrize(
    ("plan", "late", "is_sent"),
    [
        (DAILY, timedelta(hours=11), True),
        (DAILY, timedelta(hours=13), False),
        (WEEKLY, timedelta(hours=47), True),
        (WEEKLY, timedelta(hours=49), False),
    ],
)
def test_a_digest_comes_late_within_a_limit_and_is_skipped_beyond(
    store: Store, clock: Clock, plan: Plan, late: timedelta, *, is_sent: bool
) -> None:
    clock.now = datetime(2026, 6, 15, 7, tzinfo=UTC) + late  # Monday, nine in Berlin
    found = store.digests.take(TEAM, CHANNEL, plan, clock() - timedelta(days=60), job)
    assert (found is not None) is is_sent
    assert store.digests.take(TEAM, CHANNEL, plan, clock() - timedelta(days=60), job) is None


def test_what_was_missed_is_counted_in_the_next_one(store: Store, clock: Clock) -> None:
    since = clock() - timedelta(days=30)
    clock.now = datetime(2026, 6, 15, 7, 1, tzinfo=UTC)
    assert store.digests.take(TEAM, CHANNEL, DAILY, since, job) is not None
    clock.turn(days=3, seconds=14 * 3600)  # down, and back at night: too late for that day's, too
    assert store.digests.take(TEAM, CHANNEL, DAILY, since, job) is None
    clock.now = datetime(2026, 6, 19, 7, 1, tzinfo=UTC)
    found = store.digests.take(TEAM, CHANNEL, DAILY, since, job)
    assert found is not None
    assert found.payload["missed"] == 3


def test_on_the_days_when_clocks_change_one_digest_comes_and_no_hour_is_lost(store: Store, clock: Clock) -> None:
    since, ends = datetime(2026, 1, 1, tzinfo=UTC), []
    clock.now = datetime(2026, 10, 23, 12, tzinfo=UTC)
    for _ in range(4 * 24 * 4):
        clock.turn(900)
        found = store.digests.take(TEAM, CHANNEL, DAILY, since, job)
        if found is not None:
            ends.append(datetime.fromisoformat(found.payload["end"]))
    assert [f"{end:%d %H:%M}" for end in ends] == ["23 07:00", "24 07:00", "25 08:00", "26 08:00", "27 08:00"]
    period = store.digests.period(DAILY, DAILY.latest(datetime(2026, 10, 25, 12, tzinfo=UTC)))
    assert period.end - period.start == timedelta(hours=25)
    spring = store.digests.period(DAILY, DAILY.latest(datetime(2026, 3, 29, 12, tzinfo=UTC)))
    assert spring.end - spring.start == timedelta(hours=23)


def test_a_period_counts_what_was_reported_in_it_and_what_was_new(store: Store, clock: Clock) -> None:
    start = clock()
    store.remember(report("old", signature="a", host="PC-1"))
    clock.turn(days=7)
    middle = clock()
    for number, host in enumerate(("PC-1", "PC-1", "PC-2")):
        clock.turn(60)
        store.remember(report(f"a{number}", signature="a", host=host, crashed=start - timedelta(days=30)))
    store.remember(report("b", signature="b", module="ndis.sys", host="PC-1"))
    store.remember(report("live", signature="b", host="PC-1", live=True))
    clock.turn(days=1)
    end = clock()
    periods = store.periods
    assert (periods.count(start, middle), periods.count(middle, end)) == (1, 4)
    assert [(one.signature, one.count, one.hosts) for one in periods.failures(middle, end, 5)] == [
        ("a", 3, 2),
        ("b", 1, 1),
    ]
    assert [one.signature for one in periods.fresh(middle, end, 5)] == ["b"]
    assert [(one.host, one.count, one.failures) for one in periods.noisy(middle, end, 5)] == [("PC-1", 3, 2)]
    assert periods.drivers(middle, end, 5) == [("rassstp.sys", 3), ("ndis.sys", 1)]
    assert periods.buckets([start, middle, middle + timedelta(seconds=90), end]) == [1, 1, 3]
    assert periods.of_known_issues(middle, end, 5) == []


def test_a_channels_period_holds_what_its_members_may_see(store: Store, clock: Clock) -> None:
    start = clock()
    for channel in ("C1", "C2", "C3"):
        kept = store.remember(report(channel, signature=channel))
        store.threads.note(Told(report_id=kept.id, team=TEAM, channel=channel, ts="1.1", summary_ts="1.2"))
    store.channels.note(TEAM, "C2", "public")
    clock.turn(60)
    seen = store.seen_at(TEAM, "C1").periods
    assert sorted(one.signature for one in seen.failures(start, clock(), 9)) == ["C1", "C2"]
    assert seen.count(start, clock()) == 2
    assert sorted(one.signature for one in seen.fresh(start, clock(), 9)) == ["C1", "C2"]


def test_a_failure_is_found_by_any_of_its_names_and_counted_as_far_as_it_is_seen(store: Store, clock: Clock) -> None:
    for channel, host in (("C1", "PC-1"), ("C1", "PC-2"), ("C2", "PC-3")):
        kept = store.remember(report(host, signature="a", aliases=("old a",), host=host))
        store.threads.note(Told(report_id=kept.id, team=TEAM, channel=channel, ts=host, summary_ts=host))
        clock.turn(60)
    store.remember(report("live", signature="b", live=True))
    for name in ("a", "old a"):
        found = store.periods.named(name)
        assert found is not None
        assert (found.signature, found.count, found.hosts, found.latest.host) == ("a", 3, 3, "PC-3")
    seen = store.seen_from(frozenset({"C1"})).periods.named("old a")
    assert seen is not None
    assert (seen.count, seen.latest.host) == (2, "PC-2")
    assert store.seen_from(frozenset({"C9"})).periods.named("a") is None
    assert store.periods.named("b") is None


def test_what_was_given_to_somebody_is_told_latest_first_and_where_it_is_seen(store: Store) -> None:
    for name, channel in (("a", "C1"), ("b", "C2"), ("a", "C2"), ("c", "C1")):
        store.knowledge.note(name, "assign", "U1", {"to": "U2" if name == "c" else "U1"}, at=(TEAM, channel))
    assert store.knowledge.assigned("U1") == ["a", "b"]
    assert store.seen_from(frozenset({"C1"})).knowledge.assigned("U1") == ["a"]
