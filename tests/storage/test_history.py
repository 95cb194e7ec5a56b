"""Reports in history: stored whole, one row a dump, found by everything a person may remember."""

from datetime import UTC, datetime, timedelta

import fastjsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.clock import moment, stamp
from storage.columns import frame_name, seen_at, story_frames
from storage.search import Query
from storage.store import Store
from storage.threads import Told
from storage.words import index_text, match_query, pieces
from tests.storage.samples import NOON, Clock, identity_of, report


def found(store: Store, query: Query) -> list[str]:
    return [line.source.removesuffix(".dmp") for line in store.search.find(query)]


def test_a_stored_report_comes_back_whole(store: Store) -> None:
    told = report(host="PC-7", crashed=NOON - timedelta(days=3), service="RasSstp")
    line = store.remember(told)
    assert store.reports.report(line.id) == told
    assert (line.code, line.module, line.lock, line.host, line.service) == (
        "0x9f",
        "rassstp.sys",
        "nt!PiEngineLock",
        "PC-7",
        "RasSstp",
    )
    assert (line.crash_time, line.seen_at, line.reported_at) == (
        NOON - timedelta(days=3),
        NOON - timedelta(days=3),
        NOON,
    )
    assert store.reports.get(line.id) == line


def test_a_report_that_breaks_the_contract_is_not_stored(store: Store) -> None:
    with pytest.raises(fastjsonschema.JsonSchemaException):
        store.remember(report(code="not hex"))
    assert store.reports.count() == 0


def test_half_characters_of_a_hostile_dump_are_kept_as_marks(store: Store) -> None:
    evil = report(host="PC\ud800", module="a\udfff.sys", signature="s\ud800", lock="nt!\ud800", frames=("x\ud800!F",))
    line = store.remember(evil)
    assert (line.host, line.module) == ("PC?", "a?.sys")
    assert store.reports.report(line.id) == evil
    assert store.seen(evil).same_dump is not None


def test_the_same_dump_again_is_one_row_with_all_its_names(store: Store, clock: Clock) -> None:
    first = store.remember(report(signature="old name"))
    clock.turn(days=2)
    again = store.remember(report(signature="new name", aliases=("middle name",), module="other.sys"))
    assert (again.id, again.reported_at, again.module) == (first.id, NOON, "other.sys")
    assert store.reports.names(first.id) == {"old name", "middle name", "new name"}
    assert store.reports.count() == 1
    assert found(store, Query(words="rassstp.sys+0x12")) == []
    assert found(store, Query(words="other.sys")) == ["first"]


def test_a_dump_is_known_by_identity_or_by_all_its_bytes(store: Store) -> None:
    line = store.remember(report("first", sha256="a" * 64))
    assert store.reports.of_dump(identity_of("first")) == line
    assert store.reports.of_dump(identity_of("elsewhere"), "a" * 64) == line
    assert store.reports.of_dump(identity_of("elsewhere")) is None
    assert store.reports.of_dump(identity_of("first"), "b" * 64) is None


def test_other_bytes_under_the_same_identity_are_another_dump(store: Store) -> None:
    one = store.remember(report("first", sha256="a" * 64))
    other = store.remember(report("first", sha256="b" * 64))
    assert one.id != other.id
    assert store.reports.of_dump(identity_of("first"), "b" * 64) == other
    seen = store.seen(report("first", sha256="b" * 64))
    assert seen.same_dump is not None
    assert seen.same_dump.report.id == other.id
    assert seen.same_bucket is not None
    assert seen.same_bucket.count == 2


def test_a_hash_that_becomes_known_is_kept_with_its_dump(store: Store) -> None:
    partial = store.remember(report("first"))
    whole = store.remember(report("first", sha256="a" * 64))
    again = store.remember(report("first"))
    assert partial.id == whole.id == again.id
    assert again.sha256 == "a" * 64


def test_a_forgotten_report_leaves_nothing_behind(store: Store) -> None:
    line = store.remember(report())
    store.threads.note(Told(report_id=line.id, team="T", channel="C", ts="1", summary_ts="2"))
    assert store.reports.forget(line.id)
    assert not store.reports.forget(line.id)
    assert store.reports.document(line.id) is None
    assert store.reports.report(line.id) is None
    assert store.threads.first(line.id) is None
    assert store.reports.names(line.id) == frozenset()
    assert found(store, Query(words="rassstp")) == []


@pytest.mark.parametrize(
    ("words", "hits"),
    [
        ("nt!PiEngineLock", 1),
        ("piengine", 1),
        ("engine lock", 1),
        ("RASSSTP", 1),
        ("rassstp.sys", 1),
        ("0x9f", 1),
        ("power_state", 0),  # a word is found from its start
        ("DRIVER_POWER", 1),
        ("power failure", 1),
        ("ndis!NdisUnbind", 1),
        ("ndis!Unbind", 0),
        ("engine tea", 0),
        ('" OR 1', 0),
        ("!!!", 0),
        ("", 0),
    ],
)
def test_symbols_are_found_by_name_and_by_part(store: Store, words: str, hits: int) -> None:
    store.remember(report())
    assert len(store.search.find(Query(words=words))) == hits


@given(st.text(max_size=60))
def test_no_text_breaks_the_query_language(text: str) -> None:
    query = match_query(text)
    words = index_text([text]).split()
    assert query is None or query.count('"') % 2 == 0
    assert all(piece in words for word in text.split() for piece in pieces(word))


@given(st.text(max_size=60))
def test_a_text_is_found_by_itself(text: str) -> None:
    import sqlite3

    connection = sqlite3.connect(":memory:")
    connection.execute(
        "CREATE VIRTUAL TABLE w USING fts5 (body, tokenize = \"unicode61 remove_diacritics 2 tokenchars '_'\")"
    )
    connection.execute("INSERT INTO w VALUES (?)", [index_text([text])])
    query = match_query(text)
    if query is not None:
        connection.execute("SELECT count(*) FROM w WHERE w MATCH ?", [query]).fetchone()  # is valid
    connection.close()


def test_the_index_holds_a_symbol_whole_and_in_parts() -> None:
    assert index_text(["nt!KiSwapContext+0x76"]).split() == ["nt", "kiswapcontext", "0x76", "ki", "swap", "context"]
    assert index_text([None, "DRIVER_POWER"]).split() == ["driver_power", "driver", "power"]


def test_conditions_narrow_the_answer(store: Store, clock: Clock) -> None:
    store.remember(report("a", host="PC-1"))
    clock.turn(days=1)
    store.remember(report("b", host="PC-2", code="0xe2"))
    clock.turn(days=1)
    store.remember(report("c", module="ndis.sys", signature="other", host="PC-1"))
    assert found(store, Query()) == ["c", "b", "a"]
    assert found(store, Query(module="RASSSTP.SYS")) == ["b", "a"]
    assert found(store, Query(code="0xe2")) == ["b"]
    assert found(store, Query(host="pc-1")) == ["c", "a"]
    assert found(store, Query(signature="other")) == ["c"]
    assert found(store, Query(host="pc-1", module="rassstp.sys")) == ["a"]
    assert [line.source for line in store.search.find(Query(), limit=1)] == ["c.dmp"]


def test_a_window_holds_what_happened_or_was_reported_in_it(store: Store, clock: Clock) -> None:
    may, june = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
    store.remember(report("crashed in May", crashed=may + timedelta(days=3)))  # reported in mid June
    store.remember(report("crashed in 2021", crashed=datetime(2021, 3, 1, tzinfo=UTC)))
    assert found(store, Query(since=may, until=june)) == ["crashed in May"]
    assert found(store, Query(since=june)) == ["crashed in May", "crashed in 2021"]
    assert found(store, Query(until=may)) == ["crashed in 2021"]
    # Before and after the window, never in it.
    assert found(store, Query(since=datetime(2025, 1, 1, tzinfo=UTC), until=may)) == []
    assert found(store, Query(since=NOON + timedelta(seconds=1))) == []


def test_live_dumps_are_no_crashes(store: Store) -> None:
    store.remember(report("live", live=True, host="PC-9"))
    assert found(store, Query()) == []
    assert found(store, Query(live=True)) == ["live"]
    assert store.search.span(Query()).count == 0


def test_spans_and_tops(store: Store, clock: Clock) -> None:
    for number, host in enumerate(["PC-2", "PC-1", "PC-2", None]):
        store.remember(report(f"d{number}", host=host))
        clock.turn(days=1)
    span = store.search.span(Query(module="rassstp.sys"))
    assert (span.count, span.hosts) == (4, ("PC-2", "PC-1"))
    assert (span.first_seen, span.last_seen) == (NOON, NOON + timedelta(days=3))
    assert store.search.top(Query(), "module") == [("rassstp.sys", 4)]
    assert store.search.top(Query(), "host", limit=1) == [("PC-2", 2)]
    nothing = store.search.span(Query(module="nobody.sys"))
    assert (nothing.count, nothing.first_seen, nothing.last_seen) == (0, None, None)
    assert store.search.vocabulary()["module"] == ["rassstp.sys"]


def test_a_dump_from_the_future_counts_when_it_was_reported() -> None:
    reported = stamp(NOON)
    assert seen_at(None, reported) == reported
    assert seen_at(stamp(NOON - timedelta(days=400)), reported) == stamp(NOON - timedelta(days=400))
    assert seen_at(stamp(NOON + timedelta(hours=2)), reported) == stamp(NOON + timedelta(hours=2))
    assert seen_at(stamp(NOON + timedelta(days=300)), reported) == reported


def test_stamps_sort_as_times_do() -> None:
    assert moment(stamp(NOON)) == NOON
    assert stamp(NOON) < stamp(NOON + timedelta(microseconds=1)) < stamp(NOON + timedelta(seconds=1))
    assert moment("2021-03-01T10:11:12Z").tzinfo is not None
    assert moment("2021-03-01T10:11:12").tzinfo is UTC
    with pytest.raises(ValueError, match="time zone"):
        stamp(datetime(2026, 1, 1))  # noqa: DTZ001  # that is the point


def test_the_story_is_the_root_s_stack_without_offsets() -> None:
    assert story_frames(report()) == ["nt!kewaitforsingleobject", "ndis!ndisunbind", "rassstp", "nt!pnpworker"]
    assert frame_name("rassstp!Foo+0x1f") == "rassstp!foo"


def test_names_longer_than_any_index_takes_are_kept_short(store: Store) -> None:
    long = "驱" * 5000
    line = store.remember(
        report("a", module=f"{long}.sys", host=long, lock=f"nt!{long}", service=long, signature=long[:255])
    )
    assert line.module == "驱" * 85
    assert store.search.count(Query(host="驱" * 85)) == 1
    assert store.seen(report("b", module=f"{long}.sys", signature=long[:255])).same_bucket is not None


def test_a_name_with_a_nul_is_kept_with_a_question_mark(store: Store) -> None:
    assert store.remember(report("a", host="PC\x001")).host == "PC?1"
    assert store.search.count(Query(words="PC\x001")) == 1
