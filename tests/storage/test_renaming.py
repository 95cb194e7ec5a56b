"""History is named anew when the rules change, and answers to every old name."""

from dataclasses import replace

from analysis.verdict.rebucket import rebucket
from bot.housekeeping import rename
from storage.store import Store
from tests.storage.samples import report


def outdate(store: Store) -> None:
    store._database.change("UPDATE reports SET named_by = 'older rules'")  # as another version left it


def test_a_report_of_todays_rules_is_left_alone(store: Store) -> None:
    store.remember(report())
    assert store.renaming.outdated() == 0
    assert store.renaming.step() == (0, 0)


def test_an_old_report_gets_todays_name_and_keeps_its_own(store: Store) -> None:
    number = store.remember(report(signature="a name of older rules")).id
    outdate(store)
    before = store.reports.get(number)
    assert store.renaming.step() == (1, 1)
    after, told = store.reports.get(number), store.reports.report(number)
    assert before is not None
    assert after is not None
    assert told is not None
    assert after.signature == told.bucket.signature == rebucket(report()).signature != before.signature
    assert "a name of older rules" in store.reports.names(number)
    assert replace(before, signature=after.signature) == after
    assert store.renaming.outdated() == 0


def test_crashes_under_old_and_new_names_meet(store: Store) -> None:
    for dump in ("a", "b"):
        store.remember(report(dump, signature=f"old name of {dump}"))
    fresh = report("c")
    fresh = replace(fresh, bucket=rebucket(fresh))
    assert store.seen(fresh).same_bucket is None
    outdate(store)
    assert rename(store) == 2
    again = store.seen(fresh).same_bucket
    assert again is not None
    assert again.count == 3


def test_a_document_that_cannot_be_read_keeps_its_names(store: Store) -> None:
    number = store.remember(report(signature="kept")).id
    outdate(store)
    store._database.change("UPDATE documents SET document = '{}'")  # of a contract long gone
    assert store.renaming.step() == (1, 0)
    assert store.renaming.outdated() == 0
    assert "kept" in store.reports.names(number)
