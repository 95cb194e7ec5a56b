"""What people decide about which crashes are one failure holds everywhere, and can be taken back."""

from dataclasses import replace

from analysis.verdict.report import Report
from analysis.verdict.signature import Signature
from storage.forgetting import Which
from storage.grouping import Decision
from storage.jobs import NewJob
from storage.search import Query
from storage.store import Store
from tests.storage.samples import Clock, report

HALT = Signature("0x9f:4", "acme.sys", ("acme!Halt",), "nt!Lock")
OTHER = Signature("0xe2", "zork.sys", ("zork!Spin",))


def told(dump: str, signature: Signature = HALT) -> Report:
    return report(dump, signature=str(signature), aliases=signature.less_known())


def nothing(_: Decision) -> list[NewJob]:
    return []


def kept(store: Store, made: Report) -> int:
    return store.remember(made).id


def test_merged_failures_count_as_one_wherever_they_are_asked_for(store: Store, clock: Clock) -> None:
    a, b, c = (kept(store, told(name, sign)) for name, sign in (("a", HALT), ("b", HALT), ("c", OTHER)))
    store.knowledge.note(str(OTHER), "known", "U1", {"note": "update"})
    merged = store.merge(a, c, "U7", nothing)
    assert merged is not None
    assert (merged.name, merged.into, merged.by, merged.report_id) == (str(HALT), str(OTHER), "U7", a)
    for made in (told("a"), told("new"), told("c", OTHER), told("new", OTHER)):
        assert store.duplicates.members(made) == {a, b, c}
        issue = store.known(made).issue
        assert issue is not None
        assert issue.note == "update"
    for name in (str(HALT), str(OTHER)):
        assert store.search.count(Query(signature=name)) == 3
    (problem,) = store.overview.problems(clock.now)
    assert (problem.signature, problem.count) == (str(OTHER), 3)
    later = kept(store, told("later"))
    assert store.reports.get(later).signature == str(OTHER)  # type: ignore[union-attr]  # stored a line ago
    assert store.merge(b, c, "U7", nothing) is None


def test_a_merge_that_is_taken_back_leaves_no_trace_but_who_and_when(store: Store, clock: Clock) -> None:
    a, c = kept(store, told("a")), kept(store, told("c", OTHER))
    merged = store.merge(a, c, "U7", nothing)
    assert merged is not None
    later = kept(store, told("later"))
    clock.turn(60)
    undone = store.undo(merged.id, "U8", nothing)
    assert undone is not None
    assert (undone.undone_by, undone.undone_at) == ("U8", clock.now)
    assert store.duplicates.members(told("a")) == {a, later}
    assert store.duplicates.members(told("c", OTHER)) == {c}
    assert [store.search.count(Query(signature=str(name))) for name in (HALT, OTHER)] == [2, 1]
    assert store.reports.names(c) == {str(OTHER), *OTHER.less_known()}
    assert store.undo(merged.id, "U8", nothing) is None
    assert store.undo(99, "U8", nothing) is None
    assert store.grouping.decisions() == [undone]


def test_a_third_bug_of_the_driver_is_not_drawn_in(store: Store) -> None:
    start = replace(HALT, frames=("acme!Start",))
    third = kept(store, told("third", start))
    vague = kept(store, told("vague", replace(HALT, frames=(), lock=None)))
    a, c = kept(store, told("a")), kept(store, told("c", OTHER))
    store.merge(a, c, "U7", nothing)
    assert store.duplicates.members(told("new", OTHER)) == {a, c, vague}
    assert store.duplicates.members(told("new", start)) == {third, vague}


def test_merges_chain_and_come_apart_at_the_one_that_is_taken_back(store: Store) -> None:
    names = [replace(OTHER, culprit=f"{letter}.sys") for letter in "abcd"]
    a, b, c, d = (kept(store, told(str(name), name)) for name in names)
    for one, into in ((a, b), (c, d)):
        store.merge(one, into, "U", nothing)
    bridge = store.merge(a, c, "U", nothing)
    assert bridge is not None
    assert store.duplicates.members(told("new", names[1])) == {a, b, c, d}
    store.undo(bridge.id, "U", nothing)
    assert store.duplicates.members(told("new", names[0])) == {a, b}
    assert store.duplicates.members(told("new", names[3])) == {c, d}


def test_a_crash_that_does_not_belong_is_on_its_own(store: Store, clock: Clock) -> None:
    a, b, c = (kept(store, told(name)) for name in "abc")
    store.knowledge.note(str(HALT), "acknowledge", "U1")
    split = store.split(b, "U7", nothing)
    assert split is not None
    assert split.name == f"crash {b}: {HALT}"
    assert store.duplicates.members(told("a")) == {a, c}
    assert store.duplicates.members(told("b")) == {b}
    assert store.known(told("b")).acknowledged_by is None
    assert store.seen(told("b")).same_bucket is None
    assert store.search.count(Query(signature=str(HALT))) == 2
    assert [problem.count for problem in store.overview.problems(clock.now)] == [2, 1]
    kept(store, told("b"))  # analysed again
    assert store.duplicates.members(told("b")) == {b}
    assert store.split(b, "U7", nothing) is None
    assert store.undo(split.id, "U8", nothing) is not None
    assert store.duplicates.members(told("b")) == {a, b, c}
    assert store.known(told("b")).acknowledged_by == "U1"


def test_a_crash_that_was_split_off_can_be_merged_elsewhere(store: Store) -> None:
    a, b, c = kept(store, told("a")), kept(store, told("b")), kept(store, told("c", OTHER))
    store.split(b, "U", nothing)
    store.merge(b, c, "U", nothing)
    assert store.duplicates.members(told("b")) == store.duplicates.members(told("c", OTHER)) == {b, c}
    assert store.duplicates.members(told("a")) == {a}
    assert store.split(a, "U", nothing) is None  # it is alone already


def test_a_merge_survives_new_rules(store: Store) -> None:
    a, c = kept(store, told("a")), kept(store, told("c", OTHER))
    store.merge(a, c, "U7", nothing)
    renamed = replace(HALT, frames=("acme!HaltEx",))
    store.grouping.renamed(str(HALT), str(renamed))
    bucket = told("a", renamed).bucket
    again = replace(told("a"), bucket=replace(bucket, aliases=(*bucket.aliases, str(HALT))))
    assert kept(store, again) == a
    assert store.duplicates.members(told("c", OTHER)) == {a, c}
    assert store.duplicates.members(told("new", renamed)) == {a, c}
    assert store.search.count(Query(signature=str(HALT))) == 2
    assert [one.by for one in store.grouping.decisions(str(renamed))] == ["the rules", "U7"]


def test_a_decision_is_kept_together_with_the_jobs_that_show_it(store: Store) -> None:
    a, c = kept(store, told("a")), kept(store, told("c", OTHER))
    store.merge(a, c, "U7", lambda made: [NewJob(f"show {made.id}", {})])
    assert [job.key for job in store.jobs.active()] == ["show 1"]


def test_decisions_go_with_the_last_crash(store: Store) -> None:
    a, c = kept(store, told("a")), kept(store, told("c", OTHER))
    store.merge(a, c, "U7", nothing)
    store.forget(Which(numbers=(a,)))
    assert len(store.grouping.decisions()) == 1
    store.forget(Which(numbers=(c,)))
    assert store.grouping.decisions() == []
