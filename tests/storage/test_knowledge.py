"""What people say of a failure holds for every crash of it, and every act is kept."""

from dataclasses import replace
from datetime import timedelta

import pytest

from analysis.verdict.report import Report
from analysis.verdict.signature import Signature
from storage.knowledge import MAX_TEXT, NOTHING, Known, KnownIssue, numbers
from storage.store import Store
from tests.storage.samples import NOON, Clock, report

WHOLE = Signature("0x9f:4", "acme.sys", ("acme!Halt",), "nt!Lock")


def told(dump: str, signature: Signature, version: str | None = None) -> Report:
    made = report(dump, signature=str(signature), aliases=signature.less_known())
    assert made.verdict.culprit is not None
    culprit = replace(made.verdict.culprit, version=version)
    return replace(made, verdict=replace(made.verdict, culprit=culprit))


def test_nothing_is_known_of_a_first_crash(store: Store) -> None:
    assert store.known(report()) == NOTHING


def test_the_state_is_what_the_acts_come_to(store: Store, clock: Clock) -> None:
    store.knowledge.note("s", "acknowledge", "U1")
    store.knowledge.note("s", "assign", "U1", {"to": "U2"})
    store.knowledge.note("s", "mute", "U1", {"channel": "C1"})
    store.knowledge.note("s", "mute", "U1", {"channel": "C2"})
    store.knowledge.note("s", "unmute", "U2", {"channel": "C1"})
    clock.turn(60)
    doubt = store.knowledge.note("s", "wrong", "U3", {"reason": "it was the SSD"})
    store.knowledge.note("s", "known", "U2", {"note": "update", "ticket": "https://t/1", "fixed_in": "4.2.1"})
    known = store.knowledge.of(["s"])
    issue = KnownIssue("update", "https://t/1", "4.2.1", "U2", NOON + timedelta(seconds=60))
    assert known == Known("U1", "U2", issue, frozenset({"C2"}), (doubt,))
    store.knowledge.note("s", "forget", "U1")
    assert store.knowledge.of(["s"]).issue is None
    assert [act.deed for act in store.knowledge.acts(["s"])][-2:] == ["known", "forget"]
    assert store.knowledge.of(["other"]) == NOTHING


def test_it_holds_for_a_crash_of_the_same_bug_with_fewer_symbols_and_for_no_other(store: Store) -> None:
    store.remember(told("a", WHOLE))
    store.knowledge.note(str(WHOLE), "acknowledge", "U1")
    assert store.known(told("b", replace(WHOLE, frames=("acme",), lock=None))).acknowledged_by == "U1"
    assert store.known(told("c", replace(WHOLE, frames=("acme!Start",)))) == NOTHING


def test_it_holds_when_the_rules_have_renamed_the_failure(store: Store) -> None:
    store.remember(report("a", signature="an old name"))
    store.knowledge.note("an old name", "acknowledge", "U1")
    store.remember(report("a", signature="a new name"))
    assert store.known(report("a", signature="a new name")).acknowledged_by == "U1"


@pytest.mark.parametrize(
    ("version", "regression"),
    [
        ("4.2.1", True),
        ("4.2.1.0", True),
        ("4.10", True),
        ("5", True),
        ("4.2.0.9", False),
        ("4.2", False),
        (None, False),
    ],
)
def test_a_mended_version_that_crashes_is_a_regression(version: str | None, *, regression: bool) -> None:
    issue = KnownIssue("", None, "v4.2.1 (hotfix)", "U1", NOON)
    assert Known(issue=issue).is_regression(version) is regression
    assert not Known().is_regression(version)


def test_versions_are_numbers_not_texts() -> None:
    assert numbers("v4.2.1 (beta)") == (4, 2, 1)
    assert numbers("10.0.19041.1.7") == (10, 0, 19041, 1)
    assert numbers("unknown") is None


def test_doubts_are_counted_by_rule(store: Store) -> None:
    one = store.remember(report("a")).id
    other = store.remember(report("b", code="0x50", module=None, signature="x")).id
    for number in (one, one, other):
        store.knowledge.note("s", "wrong", "U1", {"reason": "no"}, number)
    store.knowledge.note("s", "acknowledge", "U1", report=one)
    assert store.knowledge.doubts() == [("0x9f rassstp.sys", 2), ("0x50 nobody", 1)]


def test_texts_are_cut_and_deeds_are_checked(store: Store) -> None:
    act = store.knowledge.note("s", "wrong", "U1", {"reason": "x" * 9999, "empty": "", "none": None})
    assert act.detail == {"reason": "x" * MAX_TEXT}
    with pytest.raises(ValueError, match="nobody can"):
        store.knowledge.note("s", "explode", "U1")  # type: ignore[arg-type]  # as a forged button would
    assert store.knowledge.acts([]) == ()


def test_what_was_said_outlives_the_report(store: Store) -> None:
    number = store.remember(report()).id
    store.knowledge.note("s", "acknowledge", "U1", report=number)
    store.reports.forget(number)
    (act,) = store.knowledge.acts(["s"])
    assert act.report_id is None
