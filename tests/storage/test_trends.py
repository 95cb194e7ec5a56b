"""Counts over time: crashes a day, failures and versions of what a query picks, spikes; each as far as it is seen."""

import json
from datetime import date, timedelta

import pytest

from storage import Query, Store
from storage.sight import Sight
from storage.threads import Told
from tests.storage.samples import NOON, report

TODAY = NOON.date()
WHERE = {"C1": Sight(frozenset({"C1"})), "all": Sight()}


def add(store: Store, days: float, *, channel: str = "C1", host: str | None = "PC-1", **more: str) -> int:
    """A crash so many days ago, told in a channel."""
    name = f"{days}/{store.reports.count()}"
    made = report(name, host=host, crashed=NOON - timedelta(days=days), **more)  # type: ignore[arg-type]  # texts
    number = store.remember(made).id
    store.threads.note(
        Told(report_id=number, team="T", channel=channel, ts="1", summary_ts=str(number), permalink=None)
    )
    return number


def spread(store: Store, weeks: int, each: int, **more: str) -> None:
    """So many crashes in each of the weeks before the last."""
    for week in range(1, weeks + 1):
        for number in range(each):
            add(store, 7 * week + number % 7, **more)


def test_days_are_whole_ones_in_utc_and_today_is_the_last(store: Store) -> None:
    for days in (0, 0.5, 0.6, 6, 7):
        add(store, days)
    add(store, 0, module="other.sys", signature="other")
    found = store.trends.daily(Query(module="RASSSTP.SYS"), TODAY - timedelta(days=6), TODAY)
    assert found[0] == (date(2026, 6, 9), 1)
    assert found[-2:] == [(date(2026, 6, 14), 1), (date(2026, 6, 15), 2)]
    assert len(found) == 7
    assert sum(count for _, count in found) == 4


@pytest.mark.parametrize("known", ["all", "C1"])
def test_a_failure_that_comes_far_more_often_than_before_is_a_spike(store: Store, known: str) -> None:
    seen = store.seen_as(WHERE[known])
    spread(store, 8, 2)
    spread(store, 8, 2, module="calm.sys", signature="calm")
    for number in range(9):
        add(store, number % 7, host=f"PC-{number}")
    for number in range(3):
        add(store, number, module="calm.sys", signature="calm")
    (rising,) = seen.trends.rising(NOON)
    assert (rising.problem.signature, rising.problem.count, rising.problem.hosts) == ("9f/4 rassstp PiEngineLock", 9, 9)
    assert (rising.spike.count, rising.spike.usual, rising.spike.weeks) == (9, 2, 8)
    assert seen.trends.spike(Query(module="rassstp.sys"), NOON) == rising.spike
    assert seen.trends.spike(Query(module="calm.sys"), NOON) is None
    assert seen.trends.rising(NOON + timedelta(days=8)) == []


def test_what_is_told_elsewhere_makes_no_spike_and_hides_none(store: Store) -> None:
    spread(store, 8, 1)
    for number in range(9):
        add(store, number % 7, channel="G9")
    spread(store, 8, 8, channel="G9")
    for number in range(6):
        add(store, number)
    assert [one.spike.count for one in store.seen_as(WHERE["C1"]).trends.rising(NOON)] == [6]
    assert store.trends.rising(NOON) == []
    assert store.seen_as(Sight(frozenset({"C2"}))).trends.rising(NOON) == []


def test_a_dump_with_a_wrong_clock_does_not_make_a_history_old(store: Store) -> None:
    add(store, 3650, module="old.sys", signature="old")
    for number in range(9):
        add(store, number % 7)
    assert store.trends.rising(NOON) == []
    add(store, 23, module="old.sys", signature="old")
    assert [one.spike.weeks for one in store.trends.rising(NOON)] == [3]


def test_live_dumps_are_no_crashes_of_a_spike(store: Store) -> None:
    spread(store, 8, 1)
    for number in range(9):
        store.remember(report(f"live {number}", crashed=NOON - timedelta(days=number % 7), live=True))
    assert store.trends.rising(NOON) == []


def test_the_failures_of_a_host_come_with_their_counts_there(store: Store) -> None:
    for days, host, signature in ((1, "PC-1", "a"), (2, "PC-1", "a"), (3, "PC-2", "a"), (4, "pc-1", "b")):
        add(store, days, host=host, signature=signature)
    found = store.trends.failures(Query(host="PC-1"))
    assert [(one.signature, one.count, one.hosts) for one in found] == [("a", 2, 1), ("b", 1, 1)]
    assert [one.signature for one in store.trends.failures(Query(host="PC-1"), 1, 1)] == ["b"]
    assert found[0].first_seen == NOON - timedelta(days=2)
    assert store.seen_as(Sight(frozenset({"C2"}))).trends.failures(Query(host="PC-1")) == []


def test_versions_tell_crashing_from_clean_across_hosts(store: Store) -> None:
    for days, host, channel, version, blamed in (
        (1, "PC-1", "C1", "1.0", 1), (2, "PC-2", "C1", "1.0", 1), (3, "PC-2", "C1", "1.0", 0),
        (4, "PC-3", "C1", "2.0", 0), (5, "PC-4", "G9", "3.0", 1), (6, None, "C1", "2.0", 0),
    ):  # fmt: skip
        number = add(store, days, host=host, channel=channel)
        store.reports._database.change("INSERT INTO drivers VALUES (?, 'acme.sys', ?, ?)", [number, version, blamed])
    bad, worst, good = store.trends.versions("ACME.sys")
    assert (bad.version, bad.loaded, bad.hosts, bad.blamed, bad.blamed_hosts) == ("1.0", 3, 2, 2, 2)
    assert (worst.version, worst.blamed, worst.blamed_hosts) == ("3.0", 1, 1)
    assert (good.version, good.loaded, good.hosts, good.blamed, good.blamed_hosts) == ("2.0", 2, 1, 0, 0)
    assert (good.first_seen, good.last_seen) == (NOON - timedelta(days=6), NOON - timedelta(days=4))
    seen = store.seen_as(WHERE["C1"]).trends.versions("acme.sys")
    assert [one.version for one in seen] == ["1.0", "2.0"]
    assert [one.version for one in store.trends.versions("acme.sys", 1)] == ["1.0"]


def test_what_a_version_before_did_not_keep_is_read_again(store: Store) -> None:
    number = store.remember(report("first")).id
    database = store.reports._database
    document = store.reports.document(number)
    assert document is not None
    document["verdict"]["team"] = "Storage"
    database.change("UPDATE documents SET document = ? WHERE report_id = ?", [json.dumps(document), number])
    database.change("UPDATE reports SET named_by = NULL")
    assert store.search.count(Query(owner="storage")) == 0
    store.renaming.step()
    assert store.search.count(Query(owner="storage")) == 1
    assert store.search.top(Query(), "owner") == [("Storage", 1)]
    assert store.search.count(Query(build="10.0.19041.804", owner="Storage")) == 1
    assert store.search.count(Query(build="10.0.1", owner="Storage")) == 0


def test_a_failure_is_new_to_whoever_saw_none_of_its_crashes_before(store: Store) -> None:
    week = NOON - timedelta(days=7)
    add(store, 10, channel="G9", signature="a")
    for days, signature in ((1, "a"), (2, "a"), (3, "b"), (30, "c"), (4, "c")):
        add(store, days, signature=signature)
    assert [(one.signature, one.count) for one in store.overview.fresh(week)] == [("b", 1)]
    seen = store.seen_as(WHERE["C1"]).overview.fresh(week)
    assert [(one.signature, one.count) for one in seen] == [("a", 2), ("b", 1)]
    assert [one.signature for one in store.seen_as(WHERE["C1"]).overview.fresh(week, 1)] == ["a"]
    assert store.seen_as(Sight(frozenset({"C2"}))).overview.fresh(week) == []


@pytest.mark.parametrize("known", ["all", "C1"])
def test_a_glance_is_what_each_question_tells_by_itself(store: Store, known: str) -> None:
    seen = store.seen_as(WHERE[known])
    spread(store, 8, 2)
    for number in range(9):
        add(store, number % 7, host=f"PC-{number}")
    for days, code, module in (
        (0, "0xd1", "a.sys"),
        (27, "0xd1", "b.sys"),
        (28, "0x50", "c.sys"),
        (3, "0x50", "a.sys"),
    ):
        add(store, days, code=code, module=module, signature=module, host=None)
    add(store, 1, channel="G9", code="0x7e", module="hidden.sys", signature="hidden", host="PC-9")
    found = seen.glance.of(NOON)
    start = TODAY - timedelta(days=27)
    since = NOON - timedelta(days=27, hours=12)
    assert found.daily == seen.trends.daily(Query(), start, TODAY)
    assert found.problems == seen.overview.problems(since)
    assert found.rising == seen.trends.rising(NOON)
    assert found.fresh == seen.overview.fresh(NOON - timedelta(days=6, hours=12))
    assert [one.signature for one in found.fresh] == (["hidden"] if known == "all" else []) + ["a.sys"]
    assert [one.spike.count for one in found.rising] == [9]
    hidden = [("hidden.sys", 1)] if known == "all" else []
    assert found.modules == [("rassstp.sys", 15), ("a.sys", 2), ("b.sys", 1), *hidden]
    assert found.codes == [("0x9f", 15), ("0xd1", 2), ("0x50", 1), *([("0x7e", 1)] if hidden else [])]
    assert found.hosts[0] == ("PC-1", 7)
    assert ("PC-9", 1) in found.hosts or not hidden
    few = seen.glance.of(NOON, 2)
    assert (few.modules, few.problems) == (found.modules[:2], found.problems[:2])


def test_a_glance_at_nothing_is_empty(store: Store) -> None:
    found = store.glance.of(NOON)
    assert [count for _, count in found.daily] == [0] * 28
    assert (found.modules, found.problems, found.rising, found.fresh) == ([], [], [], [])
