"""Workspaces that installed the bot: each its own history, tokens renewed by one at a time, words that work once."""

import dataclasses
from datetime import timedelta

import pytest

from storage.installations import Installation
from storage.search import Query
from storage.store import Store
from storage.threads import Told
from tests.storage.samples import NOON, Clock, report

HALF_DAY = timedelta(hours=12)
ONE = Installation(
    team="T1",
    name="One",
    url="https://one.example/",
    app="A1",
    bot_user="U1",
    bot="B1",
    scopes="chat:write",
    token="sealed",
    refresh="sealed too",
    expires_at=NOON + HALF_DAY,
    by="U-anna",
    installed_at=NOON,
)


def test_an_installation_is_kept_and_a_second_one_takes_its_place(store: Store) -> None:
    store.installations.save(ONE)
    assert store.installations.get("T1") == dataclasses.replace(ONE, version=1)
    again = dataclasses.replace(ONE, token="other", refresh=None, expires_at=None)
    store.installations.save(again)
    assert store.installations.all() == [dataclasses.replace(again, version=2)]
    assert store.installations.delete("T1")
    assert not store.installations.delete("T1")
    assert store.installations.get("T1") is None


def test_one_of_many_renews_a_token(store: Store, clock: Clock) -> None:
    store.installations.save(ONE)
    found = store.installations.get("T1")
    assert found is not None
    assert store.installations.claim(found, 30)
    assert not store.installations.claim(found, 30)
    assert store.installations.renew(found, "new", "newer", NOON + 2 * HALF_DAY)
    assert not store.installations.claim(found, 30)  # it was renewed since this was read
    assert not store.installations.renew(found, "late", "later", NOON)
    now = store.installations.get("T1")
    assert now is not None
    assert (now.token, now.refresh, now.expires_at) == ("new", "newer", NOON + 2 * HALF_DAY)
    # Who claimed it died: after a while another may. Who gave up lets others at once.
    assert store.installations.claim(now, 30)
    clock.turn(seconds=31)
    assert store.installations.claim(now, 30)
    store.installations.give_up(now)
    assert store.installations.claim(now, 30)


def test_a_word_that_begins_an_installation_works_once_and_not_for_ever(store: Store, clock: Clock) -> None:
    store.installations.begin("word", 600)
    assert not store.installations.end("other")
    assert store.installations.end("word")
    assert not store.installations.end("word")
    store.installations.begin("late", 600)
    clock.turn(seconds=601)
    assert not store.installations.end("late")


@pytest.fixture
def both(store: Store) -> Store:
    """The same dump told in two workspaces, and one of T2's alone."""
    for team, dump in (("T1", "shared"), ("T2", "shared"), ("T2", "other")):
        own = store.of_tenant(team)
        own.channels.note(team, f"C-{team}", "public")
        stored = own.remember(report(dump, host=f"PC-{team}"))
        own.threads.note(
            Told(
                report_id=stored.id,
                team=team,
                channel=f"C-{team}",
                ts=f"{stored.id}",
                summary_ts=f"{stored.id}.1",
                permalink=f"https://{team}/{stored.id}",
                source=f"https://{team}.example/",
            )
        )
    return store


def test_workspaces_do_not_see_each_other_even_by_the_same_dump(both: Store) -> None:
    for team, other, count in (("T1", "T2", 1), ("T2", "T1", 2)):
        for seen in (both.of_tenant(team), both.of_tenant(team).seen_at(team, f"C-{team}")):
            assert seen.search.count(Query()) == count
            assert seen.reports.count() == count
            shown = repr([seen.search.find(Query()), seen.seen(report("shared")), seen.places(report("shared"))])
            assert f"PC-{other}" not in shown
            assert f"{other}.example" not in shown
            assert f"https://{other}/" not in shown
            same = seen.duplicates.same_dump(report("shared").dump.identity)
            assert same is not None
            assert {thread.team for thread in same.threads} == {team}
        # Not even where a condition names the other's channel.
        assert both.of_tenant(team).seen_from(frozenset({f"C-{other}"})).search.count(Query()) == 0
    assert both.search.count(Query()) == 3


def test_what_people_say_of_a_failure_stays_in_their_workspace(both: Store) -> None:
    failure = report("shared")
    both.of_tenant("T1").knowledge.note(failure.bucket.signature, "assign", "U1", {"to": "U1"}, 1, at=("T1", "C-T1"))
    assert both.of_tenant("T1").known(failure).assigned_to == "U1"
    assert both.of_tenant("T2").known(failure).assigned_to is None


def test_a_workspace_that_goes_takes_its_own_with_it_and_nothing_else(both: Store) -> None:
    both.installations.save(ONE)
    both.of_tenant("T1").remember(report("never told"))
    both.audit.note("ask", "U1", team="T1", channel="C-T1")
    both.audit.note("ask", "U2", team="T2", channel="C-T2")
    gone = both.forget_team("T1")
    assert len(gone.reports) == 2
    assert both.of_tenant("T1").search.count(Query(live=True)) == 0
    assert both.of_tenant("T2").search.count(Query()) == 2
    assert both.installations.all() == []
    assert both.channels.get("T1", "C-T1") is None
    assert both.channels.get("T2", "C-T2") is not None
    assert [entry.by for entry in both.audit.entries()] == ["U2"]


def test_what_one_workspace_decides_about_failures_holds_there_alone(both: Store) -> None:
    for team in ("T1", "T2"):
        own = both.of_tenant(team)
        other = own.remember(report("third", signature="133 other", module="other.sys", lock=None))
        if team == "T1":
            number = own.duplicates.same_dump(report("shared").dump.identity)
            assert number is not None
            assert own.merge(other.id, number.report.id, "U1", lambda _: []) is not None
    shared = report("shared").bucket.signature
    counts = [both.of_tenant(team).search.count(Query(signature=shared)) for team in ("T1", "T2")]
    assert counts == [2, 2]
    assert both.of_tenant("T1").grouping.decisions()
    assert both.of_tenant("T2").grouping.decisions() == []


def test_every_workspaces_reports_are_named_by_new_rules(both: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.renaming.naming_identity", lambda: "new rules")
    monkeypatch.setattr("storage.reports.naming_identity", lambda: "new rules")
    assert both.renaming.outdated() == 3
    assert both.renaming.step()[0] == 3
    assert both.renaming.outdated() == 0


def test_the_operators_own_report_of_a_dump_is_another(both: Store) -> None:
    mine = both.remember(report("shared", host="PC-OPERATOR"), by_operator=True)
    assert mine.host == "PC-OPERATOR"
    assert [crash.host for crash in both.of_tenant("T1").search.find(Query())] == ["PC-T1"]
    assert both.reports.number_of_dump(report("shared").dump.identity) == mine.id
