"""Choices: typed, kept with who made them, above the operator's defaults and below his locks."""

import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest

from bot.routes_file import read_routes
from storage.choices import Defaults, Locked
from storage.forgetting import Which
from storage.held import Group, Held
from storage.hours import BadChoice, Plan, Quiet
from storage.jobs import NewJob
from storage.routes import Route, most_severe
from storage.store import Store
from tests.bot.reports import sample
from tests.storage.samples import Clock

TEAM, CHANNEL, ANNA, GROUP = "T1", "C0CRASHES1", "U0ANNA0001", "S0STORAGE1"
NIGHT = Quiet.read({"from": "22:00", "to": "07:00", "zone": "Europe/Berlin"})
MONDAY = Plan.read({"every": "week", "at": "09:00", "zone": "UTC"})
ROUTE = Route.read({"name": "storage", "module": "rass*", "mention": GROUP, "severity": "high"})


def test_the_latest_choice_holds_and_each_is_kept_with_who_made_it(store: Store, clock: Clock) -> None:
    choices = store.choices
    assert choices.mode(TEAM, CHANNEL) == "thread"
    choices.choose_mode(TEAM, CHANNEL, "channel", ANNA)
    first = clock()
    clock.turn(300)
    choices.choose_mode(TEAM, CHANNEL, "broadcast", "U0BEN00001")
    choices.choose_mode(TEAM, CHANNEL, "broadcast", ANNA)  # nothing new
    assert choices.mode(TEAM, CHANNEL) == "broadcast"
    assert choices.mode("T2", CHANNEL) == "thread"
    kept = [(change.about, change.name, change.value, change.by) for change in choices.changes(TEAM)]
    assert kept == [
        (CHANNEL, "mode", "broadcast", "U0BEN00001"),
        (CHANNEL, "mode", "channel", ANNA),
    ]
    assert choices.changes(TEAM)[1].at == first


def test_what_the_operator_set_holds_until_somebody_chooses(store: Store) -> None:
    choices = store.choices.above(
        Defaults("broadcast", {"C2": "channel"}, (ROUTE,), {CHANNEL: NIGHT}, {CHANNEL: (MONDAY,)})
    )
    assert (choices.mode(TEAM, CHANNEL), choices.mode(TEAM, "C2")) == ("broadcast", "channel")
    assert choices.quiet(TEAM, CHANNEL) == NIGHT
    assert choices.subscriptions(TEAM) == [(CHANNEL, MONDAY)]
    choices.choose_quiet(TEAM, CHANNEL, None, ANNA)
    choices.choose_plan(TEAM, CHANNEL, "week", None, ANNA)
    choices.choose_mode(TEAM, "", "thread", ANNA)  # for the whole workspace
    assert choices.quiet(TEAM, CHANNEL) is None
    assert choices.subscriptions(TEAM) == []
    assert (choices.mode(TEAM, CHANNEL), choices.mode(TEAM, "C2")) == ("thread", "channel")
    assert choices.routes(TEAM) == (ROUTE,)


def test_what_the_operator_locked_nobody_changes(store: Store) -> None:
    store.choices.choose_mode(TEAM, CHANNEL, "channel", ANNA)
    store.choices.choose_route(TEAM, ROUTE, ANNA)
    choices = store.choices.above(Defaults(locked=frozenset({"mode", "routes", "quiet", "digests"})))
    assert choices.mode(TEAM, CHANNEL) == "thread"
    assert choices.routes(TEAM) == ()
    for change in (
        lambda: choices.choose_mode(TEAM, CHANNEL, "thread", ANNA),
        lambda: choices.choose_quiet(TEAM, ANNA, NIGHT, ANNA),
        lambda: choices.choose_plan(TEAM, CHANNEL, "day", MONDAY, ANNA),
        lambda: choices.choose_route(TEAM, ROUTE, ANNA),
    ):
        with pytest.raises(Locked):
            change()


def test_rules_are_added_changed_and_taken_back(store: Store) -> None:
    choices = store.choices
    made = choices.choose_route(TEAM, ROUTE, ANNA)
    other = choices.choose_route(TEAM, Route.read({"code": "0x9F", "mention": "@here"}), ANNA)
    assert other.code == "0x9f"
    choices.choose_route(TEAM, dataclasses.replace(made, severity="medium"), ANNA)
    assert [(route.number, route.severity) for route in choices.routes(TEAM)] == [
        (made.number, "medium"),
        (other.number, "medium"),
    ]
    assert made.number is not None
    choices.drop_route(TEAM, made.number, ANNA)
    choices.drop_route(TEAM, "nothing", ANNA)
    assert choices.routes(TEAM) == (other,)


@pytest.mark.parametrize(
    ("conditions", "fits"),
    [
        ({"module": "rass*"}, True),
        ({"module": "RASSSTP.SYS"}, True),
        ({"module": "ndis.sys"}, False),
        ({"host": "ws-*"}, True),
        ({"host": "ws-*", "module": "ndis*"}, False),
        ({"code": "0x9f"}, True),
        ({"code": "driver_power*"}, True),
        ({"code": "0x133"}, False),
        ({"team": "storage on-call"}, False),
        ({"channel": CHANNEL}, True),
        ({"channel": "C0GENERAL1"}, False),
    ],
)
def test_a_rule_fits_when_all_its_conditions_hold(conditions: dict[str, str], *, fits: bool) -> None:
    route = Route.read({"mention": GROUP, **conditions})
    assert route.fits(sample("seed"), CHANNEL) is fits


def test_a_rule_about_a_culprit_fits_no_crash_without_one() -> None:
    assert not Route.read({"mention": GROUP, "module": "*"}).fits(sample("cannot_tell"), CHANNEL)


def test_a_teams_rule_goes_by_what_the_operators_rules_say() -> None:
    report = sample("seed")
    ours = dataclasses.replace(report, verdict=dataclasses.replace(report.verdict, team="storage on-call"))
    assert Route.read({"mention": GROUP, "team": "storage on-call"}).fits(ours, CHANNEL)


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({"module": "a.sys"}, {"mention"}),
        ({"mention": "@everyone", "module": "a.sys"}, {"mention"}),
        ({"mention": "<!channel>", "module": "a.sys"}, {"mention"}),
        ({"mention": GROUP}, {"module"}),
        ({"mention": GROUP, "module": "a\nb", "severity": "worst", "colour": "red"}, {"module", "severity", "colour"}),
        ({"mention": GROUP, "channel": "general"}, {"channel"}),
    ],
)
def test_what_is_no_rule_is_refused_by_field(given: dict[str, str], fields: set[str]) -> None:
    with pytest.raises(BadChoice) as refused:
        Route.read(given)
    assert set(refused.value.problems) >= fields


def test_the_highest_severity_counts() -> None:
    rules = [Route.read({"severity": level, "mention": GROUP, "module": "*"}) for level in ("low", "high", "medium")]
    assert most_severe(rules) == "high"
    assert most_severe(rules[:1]) == "low"
    assert most_severe([]) is None


def test_a_held_mention_is_released_once_with_its_job(store: Store, clock: Clock) -> None:
    stored = store.remember(sample("seed"))
    held = Held(TEAM, CHANNEL, GROUP, stored.id, "storage", "rassstp did it", None, clock())
    assert store.held.hold(held)
    assert not store.held.hold(held)
    assert store.held.of_report(TEAM, CHANNEL, stored.id) == {GROUP}
    (group,) = store.held.over()
    assert group == Group(TEAM, CHANNEL, GROUP)
    assert store.held.release(group, lambda batch: NewJob(batch, {"batch": batch}, "held"))
    assert not store.held.release(group, lambda batch: NewJob(batch, {"batch": batch}, "held"))
    (job,) = store.jobs.active()
    assert [one.words for one in store.held.batch(job.payload["batch"])] == ["rassstp did it"]
    assert store.held.over() == []
    assert not store.held.hold(held)  # told already: not again


def test_held_mentions_wait_for_the_end_of_quiet_hours(store: Store, clock: Clock) -> None:
    stored = store.remember(sample("seed"))
    later = clock() + timedelta(hours=2)
    store.held.hold(Held(TEAM, CHANNEL, GROUP, stored.id, "storage", "w", None, later))
    clock.turn(119 * 60)
    assert store.held.over() == []
    clock.turn(60)
    (group,) = store.held.over()
    store.held.extend(group, clock() + timedelta(hours=1))
    assert store.held.over() == []


def test_what_was_chosen_goes_with_its_channel_and_with_its_workspace(store: Store) -> None:
    for channel in (CHANNEL, "C2"):
        store.choices.choose_mode(TEAM, channel, "channel", ANNA)
    store.choices.choose_mode("T2", CHANNEL, "channel", ANNA)
    store.forgetting.forget(Which(team=TEAM, channel=CHANNEL))
    assert store.choices.channels(TEAM) == ["C2"]
    store.forgetting.forget(Which(team=TEAM))
    assert store.choices.channels(TEAM) == []
    assert store.choices.changes(TEAM) == []
    assert store.choices.channels("T2") == [CHANNEL]


def test_the_operators_file_is_read_and_mistakes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "routes.toml"
    path.write_text(
        '[[route]]\nname = "storage"\nmodule = "rass*"\nmention = "S0STORAGE1"\nseverity = "high"\n'
        '[[quiet]]\nwhom = "C0CRASHES1"\nfrom = "22:00"\nto = "07:00"\nzone = "Europe/Berlin"\n'
        '[[digest]]\nchannel = "C0CRASHES1"\nevery = "week"\nat = "9:00"\nzone = "UTC"\n'
    )
    assert read_routes(path) == Defaults(routes=(ROUTE,), quiet={CHANNEL: NIGHT}, plans={CHANNEL: (MONDAY,)})
    path.write_text('[[route]]\nmodule = "a"\n[[quiet]]\nwhom = "me"\n[loud]\n')
    with pytest.raises(
        ValueError, match=r"routes\.toml cannot be used: loud: no such section; route, entry 1: mention:"
    ):
        read_routes(path)
