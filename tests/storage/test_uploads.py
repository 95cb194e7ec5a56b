"""Uploads in the database: quotas by owner, and who sees what came of them."""

from datetime import timedelta

import pytest

from storage import Query, Store
from storage.forgetting import Which
from storage.jobs import NewJob
from storage.sight import Sight
from storage.uploads import Quota, TooMany
from tests.storage.samples import Clock, report

QUOTA = Quota(at_once=2, a_day=3)


def test_what_came_of_an_upload_is_seen_where_it_belongs_and_nowhere_else(store: Store) -> None:
    mine = store.remember(report("mine", host="PC-1", sha256="1" * 64)).id
    store.remember(report("theirs", host="PC-2", sha256="2" * 64))
    store.uploads.show([mine], "T1", ["token:1", "C1"], "MEMORY.DMP")
    store.uploads.show([mine], "T1", ["token:1"], "another name")
    for channels, seen in (({"token:1"}, [mine]), ({"C1"}, [mine]), ({"C2", "token:2"}, []), (set[str](), [])):
        sight = store.seen_as(Sight(frozenset(channels)))
        assert [line.id for line in sight.search.find(Query(live=True))] == seen
        assert (sight.reports.document(mine) is not None) == bool(seen)
    (line,) = store.seen_from(frozenset({"C1"})).search.find(Query(live=True))
    assert line.source == "MEMORY.DMP"
    assert store.seen_from(frozenset({"C1"})).search.top(Query(live=True), "host") == [("PC-1", 1)]


def test_what_leaves_history_is_seen_by_nobody(store: Store) -> None:
    number = store.remember(report("mine")).id
    store.uploads.show([number], "T1", ["token:1"], "x")
    store.reports.forget(number)
    assert store.seen_from(frozenset({"token:1"})).search.find(Query(live=True)) == []


def test_an_owner_has_so_many_at_once_and_so_many_a_day(store: Store, clock: Clock) -> None:
    first = store.uploads.begin("a", "1.dmp", QUOTA)
    store.uploads.begin("a", "2.dmp", QUOTA)
    with pytest.raises(TooMany) as refused:
        store.uploads.begin("a", "3.dmp", QUOTA)
    assert not refused.value.a_day
    store.uploads.begin("b", "3.dmp", QUOTA)
    store.uploads.drop(first)
    second = store.uploads.begin("a", "4.dmp", QUOTA)
    store.uploads.received(second, 9, NewJob("k", {}), "renamed.dmp")
    held = store.jobs.take("w", 60)
    assert held is not None
    store.jobs.finish(held)
    store.uploads.begin("a", "5.dmp", QUOTA)
    clock.turn(seconds=7 * 3600)  # the two that never came are given up
    with pytest.raises(TooMany) as refused:
        store.uploads.begin("a", "6.dmp", QUOTA)
    assert refused.value.a_day
    clock.turn(days=1)
    store.uploads.begin("a", "7.dmp", QUOTA)
    found = store.uploads.get(second)
    assert found is not None
    assert (found.name, found.size, found.job) == ("renamed.dmp", 9, held.id)


def test_uploads_are_forgotten_by_age(store: Store, clock: Clock) -> None:
    store.uploads.begin("a", "x", QUOTA)
    clock.turn(days=2)
    assert store.uploads.unread() == frozenset()
    assert store.uploads.prune(timedelta(days=1)) == 1


def test_forgetting_a_channel_takes_what_was_uploaded_for_it_alone(store: Store) -> None:
    alone, shared = (store.remember(report(dump, sha256=dump * 64)).id for dump in "12")
    store.uploads.show([alone, shared], "T1", ["C1"], "x")
    store.uploads.show([shared], "T1", ["token:1"], "x")
    upload = store.uploads.begin("token:1", "secret name.dmp", QUOTA)
    job = store.uploads.received(upload, 1, NewJob("k", {"team": "", "channel": ""}))
    store.jobs.note(job.id, report=alone)
    gone = store.forget(Which(channel="C1"))
    assert [line.id for line in gone.reports] == [alone]
    assert store.reports.get(shared) is not None
    assert store.seen_from(frozenset({"C1"})).search.find(Query(live=True)) == []
    assert store.uploads.get(upload) is None
