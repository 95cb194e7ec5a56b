"""A crash that was told in private channels alone is not there for others: in no list, count, document or name."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from storage.channels import Kind
from storage.search import Column, Query, Vocabulary, where
from storage.sight import Sight
from storage.store import Store
from storage.threads import Told
from tests.storage.samples import NOON, Clock, report

TEAM, OPEN, SECRET, HERE, DIRECT = "T1", "C-open", "C-secret", "C-here", "D-anna"
WEEK = timedelta(days=7)
PUBLIC = Sight(frozenset(), TEAM)


def tell(store: Store, channel: str, dump: str, source: str = "", **facts: Any) -> int:
    stored = store.remember(report(dump, **facts))
    ts = f"{stored.id}.{len(channel)}"
    link = f"https://slack/{channel}/{ts}"
    store.threads.note(
        Told(
            report_id=stored.id,
            team=TEAM,
            channel=channel,
            ts=ts,
            summary_ts=f"{ts}1",
            permalink=link,
            source=source or dump,
        )
    )
    return stored.id


@pytest.fixture
def told(store: Store) -> Store:
    """Two crashes of one failure: one told in a public channel, one in a private one."""
    for channel, kind in ((OPEN, "public"), (SECRET, "private"), (DIRECT, "im")):
        person = "U-anna" if kind == "im" else None
        store.channels.note(TEAM, channel, kind, person=person)  # type: ignore[arg-type]  # one of the kinds above
    tell(store, OPEN, "first", host="PC-1")
    tell(store, SECRET, "second", host="PC-SECRET")
    tell(store, SECRET, "third", code="0x133", signature="133 spooky", module="spooky.sys", host="PC-SECRET")
    return store


# Everything that can be asked, as text in which the private crash would show.
ASKED: dict[str, Callable[[Store], object]] = {
    "a list": lambda store: store.search.find(Query(live=True), 50),
    "words": lambda store: store.search.find(Query(words="spooky"), 50),
    "hosts": lambda store: store.search.top(Query(), "host"),
    "modules": lambda store: store.search.top(Query(), "module"),
    "a span": lambda store: store.search.span(Query()),
    "new ones": lambda store: store.search.fresh(Query(since=NOON - WEEK)),
    "names": lambda store: dict(store.search.vocabulary()),
    "problems": lambda store: store.overview.problems(NOON - WEEK),
    "new problems": lambda store: store.overview.fresh(NOON - WEEK),
    "a glance": lambda store: store.glance.of(NOON),
    "failures": lambda store: store.trends.failures(Query()),
    "where": lambda store: store.trends.spread(Query()),
    "a private day": lambda store: "spooky" if store.trends.year(Query(module="spooky.sys"), NOON)[-1][1] else "",
    "one": lambda store: store.reports.get(3),
    "its document": lambda store: store.reports.document(3),
    "duplicates": lambda store: store.seen(report("other", host="PC-9")),
    "the same dump": lambda store: store.seen(report("second", host="PC-SECRET")).same_dump,
    "threads": lambda store: store.places(report("other")),
    "its thread": lambda store: store.threads.of_report(2),
}


@pytest.mark.parametrize("asked", ASKED)
def test_what_was_told_in_private_is_in_no_answer_to_others(told: Store, asked: str) -> None:
    words = ("PC-SECRET", "spooky", SECRET)
    for sight in (PUBLIC, told.channels.seen_at(TEAM, HERE), Sight(frozenset({OPEN})), Sight(frozenset(), "T2")):
        answer = repr(ASKED[asked](told.seen_as(sight)))
        assert not any(word in answer for word in words), answer
    members = repr(ASKED[asked](told.seen_at(TEAM, SECRET))) + repr(ASKED[asked](told))
    assert any(word in members for word in words)


def test_counts_count_what_is_seen(told: Store) -> None:
    count = {
        name: told.seen_as(sight).search.count(Query())
        for name, sight in {
            "public": PUBLIC,
            "secret": told.channels.seen_at(TEAM, SECRET),
            "anna's": Sight(frozenset({DIRECT}), TEAM),
            "a guest's": Sight(frozenset({DIRECT})),
            "other team's": Sight(frozenset(), "T2"),
        }.items()
    }
    assert count == {"public": 1, "secret": 3, "anna's": 1, "a guest's": 0, "other team's": 0}
    other = report("other")
    seen = {channel: told.seen_at(TEAM, channel).seen(other).same_bucket for channel in (OPEN, SECRET)}
    assert {channel: bucket and (bucket.count, bucket.hosts) for channel, bucket in seen.items()} == {
        OPEN: (2, ("PC-1",)),
        SECRET: (3, ("PC-1", "PC-SECRET")),
    }
    days = [
        sum(n for _, n in told.seen_as(sight).overview.daily(NOON - WEEK, NOON + WEEK)) for sight in (PUBLIC, Sight())
    ]
    assert days == [1, 3]


def test_a_channel_of_which_nothing_is_known_counts_as_private(store: Store) -> None:
    tell(store, "C-new", "first")
    assert store.seen_as(PUBLIC).search.count(Query()) == 0
    assert store.seen_at(TEAM, "C-new").search.count(Query()) == 1
    store.channels.note(TEAM, "C-new", "public")
    assert store.seen_as(PUBLIC).search.count(Query()) == 1


@pytest.mark.parametrize("kind", ["private", "im", "mpim"])
def test_an_event_can_close_a_channel_and_not_open_it(store: Store, kind: Kind) -> None:
    tell(store, "C1", "first")
    store.channels.hear(TEAM, "C1", "public")
    assert store.seen_as(PUBLIC).search.count(Query()) == 1
    store.channels.hear(TEAM, "C1", kind)
    assert store.seen_as(PUBLIC).search.count(Query()) == 0
    store.channels.hear(TEAM, "C1", "public")  # an old event that comes again
    assert store.seen_as(PUBLIC).search.count(Query()) == 0
    store.channels.note(TEAM, "C1", "public")
    assert store.seen_as(PUBLIC).search.count(Query()) == 1


def test_people_of_another_workspace_in_a_channel_see_that_channel_alone(told: Store) -> None:
    told.channels.note(TEAM, HERE, "private", shared=True)
    assert told.seen_at(TEAM, HERE).search.count(Query()) == 0
    told.channels.note(TEAM, HERE, "private", shared=False)
    assert told.seen_at(TEAM, HERE).search.count(Query()) == 1


def test_what_is_said_in_private_of_a_failure_stays_there(told: Store) -> None:
    failure = report("first")
    name = failure.bucket.signature
    told.knowledge.note(name, "known", "U-ben", {"note": "an unannounced product"}, 2, at=(TEAM, SECRET))
    assert told.seen_at(TEAM, OPEN).known(failure).issue is None
    assert told.seen_as(PUBLIC).known(failure).issue is None
    issue = told.seen_at(TEAM, SECRET).known(failure).issue
    assert issue is not None
    assert issue.note == "an unannounced product"
    told.knowledge.note(name, "assign", "U-ben", {"to": "U-eve"}, 1, at=(TEAM, OPEN))
    told.knowledge.note(name, "acknowledge", "the operator")
    for sight in (told.channels.seen_at(TEAM, SECRET), PUBLIC):
        known = told.seen_as(sight).known(failure)
        assert (known.assigned_to, known.acknowledged_by) == ("U-eve", "the operator")


def test_a_dump_has_the_name_that_it_was_posted_under_where_it_is_seen(store: Store) -> None:
    store.channels.note(TEAM, OPEN, "public")
    number = tell(store, SECRET, "first", "https://merger.example/a.dmp")
    assert tell(store, OPEN, "first", "https://dumps.example/b.dmp") == number
    seen = store.seen_as(PUBLIC)
    assert seen.search.find(Query())[0].source == "https://dumps.example/b.dmp"
    assert (seen.reports.document(number) or {})["dump"]["source"] == "https://dumps.example/b.dmp"
    assert store.seen_at(TEAM, SECRET).search.find(Query())[0].source == "https://merger.example/a.dmp"
    store.threads.note(Told(report_id=number, team="T2", channel="C-nameless", ts="9", summary_ts="9.1"))
    assert store.seen_from(frozenset({"C-nameless"})).search.find(Query())[0].source == "a dump"


def test_what_the_operator_analysed_is_for_the_workspace_and_not_for_links_of_a_channel(store: Store) -> None:
    store.remember(report("first"), by_operator=True)
    store.remember(report("second"))
    assert store.seen_as(PUBLIC).search.count(Query()) == 1
    assert store.seen_from(frozenset({OPEN})).search.count(Query()) == 0
    # Analysed by the operator after it was told in private, it stays there.
    tell(store, SECRET, "third")
    store.remember(report("third"), by_operator=True)
    assert store.seen_as(PUBLIC).search.count(Query()) == 1


def test_channels_are_looked_up_again_after_a_while_those_unknown_first(store: Store, clock: Clock) -> None:
    for number, channel in enumerate(("C-known", "C-new", "D-direct")):
        tell(store, channel, str(number))
    store.channels.note(TEAM, "C-known", "public")
    hour = timedelta(hours=1)
    assert store.channels.unchecked(hour) == [(TEAM, "C-new")]
    clock.turn(seconds=3601)
    assert store.channels.unchecked(hour) == [(TEAM, "C-new"), (TEAM, "C-known")]


@pytest.mark.parametrize("query", [Query(), Query(since=NOON - WEEK), Query(code="0x9f"), Query(host="PC-1")])
def test_sqlite_counts_what_is_seen_without_a_look_at_the_rows(tmp_path: Path, query: Query) -> None:
    with Store.open(tmp_path / "pileup.sqlite", Clock()) as opened:
        condition, values = where(query, Sight(frozenset({OPEN}), TEAM), "sqlite")
        plan = opened.reports._database.rows(
            f"EXPLAIN QUERY PLAN SELECT host, count(*), min(seen_at) FROM reports WHERE {condition} GROUP BY +host",
            values,
        )
    steps = [row["detail"] for row in plan if " reports " in row["detail"] or " threads " in row["detail"]]
    assert len(steps) == 2
    assert all("COVERING INDEX" in step for step in steps), steps


def test_names_are_read_column_by_column_and_once() -> None:
    asked: list[str] = []

    def read(column: Column) -> list[str]:
        asked.append(column)
        return [f"a {column}"]

    names = Vocabulary(read)
    assert (names["module"], names["module"], asked) == (["a module"], ["a module"], ["module"])
    assert "build" not in names


def test_the_first_threads_of_many_crashes_are_those_of_each(told: Store) -> None:
    told.threads.note(Told(report_id=1, team=TEAM, channel=SECRET, ts="9", summary_ts="91", form="pointer"))
    numbers = [1, 2, 3, 4]
    for store in (told, told.seen_as(PUBLIC)):
        firsts = store.threads.firsts(numbers)
        assert firsts == {number: first for number in numbers if (first := store.threads.first(number))}
    assert set(told.seen_as(PUBLIC).threads.firsts(numbers)) == {1}
