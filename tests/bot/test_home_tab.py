"""The home tab: what it shows to whom, what its buttons do, and what is chosen there."""

import json
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot import modals
from bot.home_tab import forms, view
from bot.home_tab.chosen import chosen_in
from bot.home_tab.keeping import MAX_RULES, keep
from bot.home_tab.page import page_of
from bot.home_tab.view import home_view
from bot.install.scopes import bot_events, bot_scopes
from bot.mrkdwn import plain
from bot.outbound import View, checked_home, checked_view
from bot.sandbox import StandIn
from bot.sandbox.payloads import action_of, view_press_of
from bot.sandbox.workspace import Channel
from storage.choices import Choices
from storage.database import Place
from storage.hours import Plan, Quiet
from storage.routes import Route
from storage.sight import Sight
from storage.store import Store
from tests.bot.kit import ANNA, CRASHES, Analyst, bot, dump, is_told, mishaps, replies, shown, until
from tests.bot.past import TEAM, told
from tests.bot.reports import GOLDEN
from tests.bot.server import page, serving
from tests.bot.test_buttons import window
from tests.storage.samples import Clock

BEN, GENERAL, SECRET, GROUP = "U0BEN00001", "C0GENERAL1", "C0SECRET01", "S0STORAGE1"
HOSTILE = "<!channel>*`&"
SEES = Sight(frozenset({CRASHES, GENERAL}))
RULE = Route.read({"name": "storage", "module": "stor*.sys", "mention": GROUP, "severity": "high"})


@pytest.fixture
def at() -> Clock:
    return Clock(datetime(2026, 11, 23, 12, tzinfo=UTC))


@pytest.fixture
def store(place: Place, at: Clock) -> Iterator[Store]:
    with Store.open(place, at) as opened:
        yield opened


def history(store: Store, at: Clock) -> None:
    """Failures of every standing, and choices of every kind."""
    told(store, at, "power", 5)
    fixed = told(store, at, "mended", 4, module="ndis.sys", code="0xd1", version="1.0")
    back = told(store, at, "came back", 3, module="acmenet.sys", code="0x133", version="2.1")
    told(store, at, "hidden", 9, SECRET, module="secret.sys", code="0x3b")
    told(store, at, HOSTILE, 1, module=HOSTILE, code="0xa")
    store.knowledge.note("mended", "known", ANNA, {"note": "loses requests", "fixed_in": "2.0"}, fixed)
    store.knowledge.note("came back", "known", ANNA, {"note": "late " + HOSTILE, "fixed_in": "2.0"}, back)
    store.knowledge.note("came back", "assign", BEN, {"to": ANNA}, back)
    store.knowledge.note("power", "acknowledge", BEN, {}, 1)
    choices = store.choices
    choices.choose_mode(TEAM, CRASHES, "broadcast", ANNA)
    choices.choose_plan(TEAM, CRASHES, "week", Plan("week", 9 * 60, "Europe/Berlin", 0), ANNA)
    choices.choose_quiet(TEAM, SECRET, Quiet(0, 60, "UTC"), BEN)
    choices.choose_quiet(TEAM, ANNA, Quiet(22 * 60, 7 * 60, "Europe/Berlin", frozenset(range(5))), ANNA)
    choices.choose_quiet(TEAM, BEN, Quiet(1, 2, "UTC"), BEN)
    choices.choose_route(TEAM, RULE, ANNA)
    choices.choose_route(TEAM, Route.read({"name": "x", "code": "0x9f", "channel": SECRET, "mention": BEN}), BEN)
    at.turn(1)


def tab(store: Store, at: Clock, person: str = ANNA, sight: Sight = SEES) -> View:
    seen = store.seen_as(sight)
    chosen = chosen_in(store.choices, store.channels, sight, TEAM, person)
    return home_view(page_of(seen, person, at()), chosen, lambda place: f"https://pileup.example/{place.report_id}")


def words(content: Any) -> str:
    """Everything that a view shows."""
    return plain("\n".join(strings(content)))


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["text"]] if isinstance(value.get("text"), str) else []
        return own + [text for item in value.values() if not isinstance(item, str) for text in strings(item)]
    return [text for item in value for text in strings(item)] if isinstance(value, list | tuple) else []


def test_the_tab_reads_as_agreed(store: Store, at: Clock) -> None:
    history(store, at)
    made = tab(store, at)
    content = checked_home(made.blocks, made.mentions)
    path = GOLDEN / "slack" / "home_tab.json"
    rule = next(one for one in store.choices.routes(TEAM) if one.name == "storage").number or ""
    other = next(one for one in store.choices.routes(TEAM) if one.name == "x").number or ""
    text = json.dumps(content, indent=1, ensure_ascii=False).replace(rule, "RULE1").replace(other, "RULE2") + "\n"
    if os.environ.get("PILEUP_WRITE_GOLDEN"):
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")


def test_what_is_mended_is_not_open_and_what_came_back_is(store: Store, at: Clock) -> None:
    history(store, at)
    seen = page_of(store.seen_as(SEES), ANNA, at())
    assert [(item.text, item.count, item.hosts) for item in seen.open] == [
        ("0x9F rassstp.sys", 5, 3),
        ("0x133 acmenet.sys", 3, 3),
        (f"0xA {HOSTILE}", 1, 1),
    ]
    assert [item.text for item in seen.mine] == ["0x133 acmenet.sys"]
    assert page_of(store.seen_as(SEES), BEN, at()).mine == ()
    assert dict(seen.drivers)["rassstp.sys"] == 5
    at.turn(days=29)
    later = page_of(store.seen_as(SEES), ANNA, at())
    assert (later.open, later.drivers, len(later.mine)) == ((), (), 1)


def test_what_was_said_of_a_failure_under_a_former_name_holds(
    store: Store, at: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = told(store, at, "a former name", 1)
    store.knowledge.note("a former name", "assign", BEN, {"to": ANNA}, number)
    monkeypatch.setattr("storage.renaming.naming_identity", lambda: "new rules")
    assert store.renaming.step() == (1, 1)
    line = store.reports.get(number)
    assert line is not None
    told(store, at, line.signature, 1)  # which never had the former name
    at.turn(1)
    seen = page_of(store, ANNA, at())
    assert [(item.count, item.stands.known.assigned_to) for item in (*seen.open, *seen.mine)] == [(2, ANNA)] * 2


def test_nothing_of_what_somebody_does_not_see_is_on_his_tab(store: Store, at: Clock) -> None:
    history(store, at)
    made = tab(store, at)
    assert "secret.sys" not in words(made.blocks)
    assert SECRET not in str(made.blocks)
    assert "in a channel that you are not in" in words(made.blocks)
    assert "00:01" not in words(made.blocks)  # Ben's hours
    everything = tab(store, at, BEN, Sight(frozenset({CRASHES, SECRET})))
    assert "secret.sys" in words(everything.blocks)
    assert SECRET in str(everything.blocks)


def test_every_line_says_its_state_in_words(store: Store, at: Clock) -> None:
    history(store, at)
    said = words(tab(store, at).blocks)
    for phrase in (
        "5 crashes on 3 hosts reported in four weeks, first 2026-11-23, last 2026-11-23 17:00 UTC — thread — report",
        f"\nacknowledged by @{BEN}",
        "Regression: this failure was fixed in acmenet.sys 2.0, and 2.1 crashes the same way.",
        "nobody has acknowledged it",
        f"#{CRASHES}: verdicts in the thread, and shown in the channel; digest every Monday at 09:00 (Europe/Berlin)",
        "*storage* (high), driver `stor*.sys`: mentions !subteam^S0STORAGE1 at any hour",
        "from 22:00 to 07:00 (Europe/Berlin), on Mon Tue Wed Thu Fri",
    ):
        assert phrase in said


def test_the_fullest_tab_keeps_slacks_limits(store: Store, at: Clock) -> None:
    for number in range(12):
        last = told(store, at, f"failure {number} {'long ' * 50}", 1, module=f"{'m' * 250}{number}.sys")
        store.knowledge.note(f"failure {number} {'long ' * 50}", "assign", BEN, {"to": ANNA}, last)
        store.knowledge.note(
            f"failure {number} {'long ' * 50}", "known", BEN, {"note": "&\n" * 1000, "ticket": "&" * 300}, last
        )
        for _ in range(3):
            store.knowledge.note(f"failure {number} {'long ' * 50}", "wrong", BEN, {"reason": "&\n" * 1000}, last)
    for number in range(120):
        store.choices.choose_route(TEAM, replace(RULE, name=f"{'r' * 110}{number}", host="h" * 110), ANNA)
    for number in range(60):
        store.choices.choose_quiet(TEAM, f"C0CHANNE{number:02}", Quiet(1, 2, "UTC"), ANNA)
    at.turn(1)
    made = tab(store, at, sight=Sight())
    assert len(checked_home(made.blocks, made.mentions)["blocks"]) <= 100
    assert "4 more are not shown." in words(made.blocks)


def test_an_empty_tab_says_so(store: Store, at: Clock) -> None:
    said = words(tab(store, at).blocks)
    for phrase in (
        "No open problem.",
        "Nothing is assigned to you.",
        "No crash in the last seven days",
        "There is none",
    ):
        assert phrase in said


def test_what_the_operator_keeps_for_himself_has_no_button(store: Store, at: Clock) -> None:
    locked = replace(store.choices.defaults, locked=frozenset({"mode", "routes", "quiet", "digests"}))
    choices = store.choices.above(locked)
    made = home_view(page_of(store, ANNA, at()), chosen_in(choices, store.channels, SEES, TEAM, ANNA), lambda _: None)
    actions = [item["action_id"] for block in made.blocks if block["type"] == "actions" for item in block["elements"]]
    assert actions == []
    assert words(made.blocks).count("set by whoever runs Pileup") == 4


ROOM_GIVEN = {
    "mode": "channel", "from": "22:00", "to": "07:00", "days": "", "day": "", "week": "09:00", "weekday": "4",
    "zone": "Europe/Berlin",
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "given", "wrong"),
    [
        (forms.ROOM_FORM, {}, set()),
        (forms.ROOM_FORM, {"from": "25:00", "zone": "Mars/Base", "day": "nine"}, {"from", "zone", "day"}),
        (forms.ROOM_FORM, {"to": ""}, {"to"}),
        (forms.ROOM_FORM, {"days": "Mon Funday"}, {"days"}),
        (forms.RULE_FORM, {"name": "a", "module": "*", "mention": GROUP, "severity": "high"}, set()),
        (forms.RULE_FORM, {"name": "a", "module": "", "mention": "", "person": ANNA, "severity": "high"}, {"module"}),
        (forms.RULE_FORM, {"name": "a", "module": "*", "mention": "me", "person": "", "severity": "low"}, {"mention"}),
        (forms.RULE_FORM, {"name": "a", "module": "*", "mention": GROUP, "person": ANNA}, {"mention"}),
        (forms.RULE_FORM, {"name": "a", "module": "*", "mention": "me", "remove": "yes"}, set()),
        (forms.QUIET_FORM, {"from": "1:00", "to": "2:00", "days": "", "zone": "UTC", "group": "storage"}, {"group"}),
        (forms.QUIET_FORM, {"from": "", "to": "", "days": "", "zone": "UTC"}, set()),
    ],
)
def test_what_is_typed_wrong_is_said_at_its_field(kind: str, given: dict[str, str], wrong: set[str]) -> None:
    assert set(forms.mistakes(kind, (ROOM_GIVEN if kind == forms.ROOM_FORM else {}) | given)) == wrong


def form_of(made: View) -> forms.Form:
    found = forms.unpack(checked_view(made)["private_metadata"])
    assert found is not None
    return found


def filled(made: View) -> dict[str, str]:
    """A form as it is sent when nobody touches it."""
    found = {}
    for block in made.blocks:
        item = block["element"]
        first = item.get("initial_option") or {}
        found[block["block_id"]] = str(
            item.get("initial_value")
            or item.get("initial_user")
            or item.get("initial_conversation")
            or first.get("value", "")
        )
    return found


def test_a_form_that_nobody_touched_changes_nothing(store: Store, at: Clock) -> None:
    history(store, at)
    plan = Plan("day", 8 * 60, "America/New_York")
    store.choices.choose_plan(TEAM, CRASHES, "day", plan, ANNA)  # in another zone than the week's
    before = store.choices.changes(TEAM)
    seen = chosen_in(store.choices, store.channels, SEES, TEAM, ANNA)
    room = forms.room_form(TEAM, seen.rooms[0], "UTC", frozenset())
    assert keep(store.choices, forms.ROOM_FORM, form_of(room), filled(room), BEN) == ""
    mine = forms.quiet_form(TEAM, ANNA, seen.mine, "UTC")
    assert keep(store.choices, forms.QUIET_FORM, form_of(mine), filled(mine), ANNA) == ""
    for rule in seen.rules:
        made = forms.rule_form(TEAM, rule)
        assert keep(store.choices, forms.RULE_FORM, form_of(made), filled(made), BEN) == ""
    assert store.choices.changes(TEAM) == before


def test_a_digest_ends_when_its_time_is_taken_away_and_a_removed_rule_stays_removed(store: Store, at: Clock) -> None:
    history(store, at)
    seen = chosen_in(store.choices, store.channels, SEES, TEAM, ANNA)
    room = forms.room_form(TEAM, seen.rooms[0], "UTC", frozenset())
    keep(store.choices, forms.ROOM_FORM, form_of(room), filled(room) | {"week": ""}, BEN)
    assert store.choices.subscriptions(TEAM) == []
    made = forms.rule_form(TEAM, seen.rules[0])
    keep(store.choices, forms.RULE_FORM, form_of(made), filled(made) | {"remove": "yes"}, BEN)
    # Somebody else had it open.
    assert keep(store.choices, forms.RULE_FORM, form_of(made), filled(made), BEN) == "removed"
    assert [rule.name for rule in store.choices.routes(TEAM)] == ["x"]
    locked = store.choices.above(replace(store.choices.defaults, locked=frozenset({"mode"})))
    assert keep(locked, forms.ROOM_FORM, form_of(room), filled(room) | {"mode": "channel"}, BEN) == "locked"


def test_what_others_chose_while_a_form_was_open_stays(store: Store, at: Clock) -> None:
    history(store, at)
    choices = store.choices
    seen = chosen_in(choices, store.channels, SEES, TEAM, ANNA)
    room, rule = forms.room_form(TEAM, seen.rooms[0], "UTC", frozenset()), forms.rule_form(TEAM, seen.rules[0])
    (number,) = (one.number for one in choices.routes(TEAM) if one.name == "storage")
    choices.choose_mode(TEAM, CRASHES, "channel", BEN)
    choices.choose_route(TEAM, replace(RULE, number=number, severity="low", mention=BEN), BEN)
    keep(choices, forms.ROOM_FORM, form_of(room), filled(room) | {"from": "21:00", "to": "6:00"}, ANNA)
    keep(choices, forms.RULE_FORM, form_of(rule), filled(rule) | {"host": "WS-*"}, ANNA)
    assert (choices.mode(TEAM, CRASHES), choices.quiet(TEAM, CRASHES)) == (
        "channel",
        Quiet(21 * 60, 6 * 60, "Europe/Berlin"),
    )
    (kept,) = (one for one in choices.routes(TEAM) if one.number == number)
    assert kept == replace(RULE, number=number, severity="low", mention=BEN, host="WS-*")
    keep(choices, forms.RULE_FORM, form_of(rule), filled(rule) | {"person": ANNA, "mention": ""}, ANNA)
    assert [one.mention for one in choices.routes(TEAM) if one.number == number] == [ANNA]


def test_there_are_as_many_rules_as_can_be_chosen_among(store: Store) -> None:
    for number in range(MAX_RULES):
        store.choices.choose_route(TEAM, replace(RULE, name=f"rule {number}"), ANNA)
    new = forms.rule_form(TEAM, None)
    given = filled(new) | {"name": "one more", "module": "*", "mention": GROUP}
    assert keep(store.choices, forms.RULE_FORM, form_of(new), given, ANNA) == "full"
    assert len(store.choices.routes(TEAM)) == MAX_RULES


def test_more_problems_than_were_looked_at_are_not_counted_as_few(
    store: Store, at: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.home_tab.page.MAX_LOOKED_AT", 9)
    for number in range(10):
        told(store, at, f"failure {number}", 1)
    at.turn(1)
    assert "At least 1 more is not shown." in words(tab(store, at).blocks)


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    scopes, events = frozenset(bot_scopes(("home",))), frozenset(bot_events(("home",)))
    async with StandIn(scopes=scopes, events=events) as stand_in:
        yield stand_in


def home(slack: StandIn, person: str = ANNA) -> str:
    found = slack.workspace.homes.get(person)
    return "" if found is None else words(found.content["blocks"])


def use(slack: StandIn, action: str, chosen: str = "", beside: str = "") -> None:
    """Press or choose something on Anna's tab; of several the one ``beside`` which this stands."""
    tab = slack.workspace.homes[ANNA]
    blocks = tab.content["blocks"]
    at = next((n for n, block in enumerate(blocks) if beside and beside in str(block)), -1)
    block = next(block for block in blocks[at + 1 :] if f"'{action}'" in str(block))
    used = action_of([block], action, [chosen] if chosen else [])
    slack.deliveries.interact(view_press_of(slack.workspace, tab, used, {}))


@pytest.mark.parametrize("transport", ["socket", "http"])
async def test_the_tab_shows_what_is_open_and_its_buttons_act(slack: StandIn, tmp_path: Path, transport: str) -> None:
    routes = {"a.dmp": page(dump("seed")), "b.dmp": page(dump("exception"))}
    async with serving(**routes) as files, bot(slack, tmp_path, Analyst(), transport=transport):
        said = [slack.workspace.say(CRASHES, ANNA, files.url(f"/{name}")) for name in routes]
        await until(lambda: all(is_told(slack, one) for one in said))
        verdict = replies(slack, said[0])[0]
        opened = slack.open_home(ANNA)
        await until(lambda: "0x9F rassstp.sys" in home(slack))
        assert opened.acked_after is not None
        assert len(slack.calls_of("views.publish")) == 2  # at once that it is looking, then what it found
        use(slack, view.ACKNOWLEDGE, beside="rassstp.sys")
        await until(
            lambda: f"acknowledged by @{ANNA}" in home(slack) and f"<@{ANNA}>" in shown(verdict) + str(verdict.blocks)
        )
        use(slack, view.ASSIGN_ME, beside="rassstp.sys")
        await until(lambda: "Nothing is assigned to you." not in home(slack))
        await until(lambda: f"assigned to <@{ANNA}>" in str(verdict.blocks))
        use(slack, view.KNOWN, beside="Assigned to you")
        form = await window(slack)
        await slack.submit(form.id, {"note": "loses requests", "fixed_in": "99.1"})
        await until(lambda: "Known issue: loses requests" in shown(verdict))
        await until(lambda: home(slack).count("0x9F rassstp.sys") == 1)  # mine, and no more among the open ones
        assert "Known issue: loses requests; fixed in rassstp.sys 99.1" in home(slack)
        slack.press(CRASHES, replies(slack, said[1])[0].ts, "assign-me", ANNA)  # below a verdict
        await until(lambda: home(slack).count(f"assigned to @{ANNA}") == 3)  # the other one is mine, and open
        slack.open_home(ANNA)
        await until(lambda: slack.deliveries.all[-1].acked_after is not None)
        assert mishaps(slack) == []
    with Store.open(tmp_path / "pileup.sqlite") as store:
        deeds = [(entry.deed, entry.by, entry.allowed) for entry in store.audit.entries()]
        assert ("acknowledge", ANNA, True) in deeds
        place = store.threads.of_summary(TEAM, CRASHES, verdict.ts)
        assert place is not None
        names = store.reports.names(place.report_id)
        assert [act.deed for act in store.knowledge.acts(names)] == ["acknowledge", "assign", "known"]


@pytest.mark.parametrize("transport", ["socket", "http"])
async def test_channels_rules_and_quiet_hours_are_chosen_on_the_tab(
    slack: StandIn, tmp_path: Path, transport: str
) -> None:
    def kept() -> Choices:
        return Store.open(tmp_path / "pileup.sqlite").choices

    async with bot(slack, tmp_path, Analyst(), transport=transport):
        slack.open_home(ANNA)
        await until(lambda: "Settings" in home(slack))
        use(slack, view.MODE, "broadcast")
        await until(lambda: "Verdicts stand in the thread, and shown in the channel" in home(slack))

        use(slack, view.CHANNEL, GENERAL)
        form = await window(slack)
        await slack.submit(form.id, {"from": "22:00", "to": "late", "week": "09:00"})
        assert set(form.errors) == {"to"}
        await slack.submit(form.id, {"mode": "channel", "from": "22:00", "to": "7:00", "week": "09:00", "weekday": "4"})
        await until(
            lambda: (
                f"#{GENERAL}: verdicts in the channel itself; no mentions from 22:00 to 07:00 (Europe/Berlin); "
                "digest every Friday at 09:00 (Europe/Berlin)" in home(slack)
            )
        )

        use(slack, view.NEW_RULE)
        form = await window(slack)
        await slack.submit(form.id, {"name": "power", "code": "0x9f"})
        assert set(form.errors) == {"mention"}
        await slack.submit(form.id, {"name": "power", "code": "0x9f", "person": BEN, "severity": "high"})
        await until(lambda: f"*power* (high), stop code `0x9f`: mentions @{BEN} at any hour" in home(slack))
        (rule,) = kept().routes(TEAM)
        use(slack, view.RULE, rule.number or "")
        form = await window(slack)
        await slack.submit(form.id, {"severity": "low"})
        await until(lambda: "*power* (low), stop code `0x9f`: mentions nobody" in home(slack))
        use(slack, view.RULE, rule.number or "")
        form = await window(slack)
        await slack.submit(form.id, {"remove": ["yes"]})
        await until(lambda: "There is none: a crash mentions nobody." in home(slack))

        use(slack, view.MY_QUIET)
        form = await window(slack)
        assert "Europe/Berlin" in str(form.content)
        await slack.submit(form.id, {"from": "20:00", "to": "8:00"})
        await until(lambda: "You: no mentions of medium severity from 20:00 to 08:00 (Europe/Berlin)" in home(slack))
        use(slack, view.GROUP_QUIET)
        form = await window(slack)
        await slack.submit(form.id, {"group": GROUP, "from": "1:00", "to": "2:00", "zone": "UTC"})
        await until(lambda: "S0STORAGE1: from 01:00 to 02:00 (UTC)" in home(slack))
        assert mishaps(slack) == []
    assert kept().mode(TEAM, GENERAL) == "channel"


async def test_who_may_not_is_told_on_the_tab_and_a_channel_that_is_not_seen_stays_as_it_is(
    slack: StandIn, tmp_path: Path
) -> None:
    slack.workspace.channels[SECRET] = Channel(SECRET, "secret", {BEN, slack.workspace.bot.id}, is_private=True)
    Store.open(tmp_path / "pileup.sqlite").close()
    async with bot(slack, tmp_path, Analyst(), may=f"settings={BEN}", users=f"{ANNA},{BEN}"):
        slack.open_home(ANNA)
        await until(lambda: "Settings" in home(slack))
        use(slack, view.MODE, "channel")
        await until(lambda: "Nothing was changed: you may not do this." in home(slack))
        use(slack, view.NEW_RULE)
        form = await window(slack)
        assert "you may not do this" in words(form.content["blocks"])
        assert "submit" not in form.content
        slack.workspace.views.clear()
        use(slack, view.MY_QUIET)  # whether to be called at night is for everybody to say
        form = await window(slack)
        await slack.submit(form.id, {"from": "20:00", "to": "8:00"})
        await until(lambda: "You: no mentions of medium severity from 20:00 to 08:00 (Europe/Berlin)" in home(slack))
    async with bot(slack, tmp_path, Analyst(), users=ANNA):
        use(slack, view.CHANNEL, SECRET)
        form = await window(slack)
        assert "you do not see that channel" in words(form.content)
        slack.workspace.views.clear()
        use(slack, view.CHANNEL, GENERAL)
        form = await window(slack)
        form.content = form.content | {"private_metadata": forms.Form(TEAM, SECRET).pack()}  # as nobody can
        await slack.submit(form.id, {"mode": "channel"})
        await until(lambda: "you do not see that channel" in home(slack))
        assert home(slack, BEN) == ""
    with Store.open(tmp_path / "pileup.sqlite") as store:
        assert [(change.about, change.name) for change in store.choices.changes(TEAM)] == [(ANNA, "quiet")]
        refused = [(entry.deed, entry.by) for entry in store.audit.entries() if not entry.allowed]
        assert refused.count(("settings", ANNA)) == 2


async def test_a_guest_chooses_nothing_that_others_live_with(slack: StandIn, tmp_path: Path) -> None:
    slack.workspace.users[ANNA].is_guest = True
    async with bot(slack, tmp_path, Analyst()):
        slack.open_home(ANNA)
        await until(lambda: "Settings" in home(slack))
        use(slack, view.MODE, "channel")
        await until(lambda: "every member of the workspace who is not a guest" in home(slack))
        use(slack, view.CHANNEL, GENERAL)
        assert "you may not do this" in words((await window(slack)).content["blocks"])
    with Store.open(tmp_path / "pileup.sqlite") as store:
        assert store.choices.changes(TEAM) == []
    slack.workspace.views.clear()
    async with bot(slack, tmp_path, Analyst(), may=f"settings={ANNA}"):  # said by name
        use(slack, view.MODE, "channel")
        await until(lambda: "Verdicts stand in the channel itself" in home(slack))


@pytest.mark.parametrize("answer", ["invalid_arguments", "view_too_large"])
async def test_a_tab_that_slack_does_not_take_says_so(slack: StandIn, tmp_path: Path, answer: str) -> None:
    async with bot(slack, tmp_path, Analyst()):
        slack.open_home(ANNA)
        await until(lambda: "Settings" in home(slack))
        slack.faults.fail("views.publish", answer)
        use(slack, view.MODE, "broadcast")
        await until(lambda: home(slack).startswith("This cannot be shown: Slack refused it."))


async def test_a_stranger_gets_one_sentence(slack: StandIn, tmp_path: Path) -> None:
    async with bot(slack, tmp_path, Analyst(), users=BEN):
        slack.open_home(ANNA)
        await until(lambda: home(slack) == "Pileup does not listen to you here.")


def test_a_form_from_the_tab_says_so_when_it_comes_back() -> None:
    about = modals.About(TEAM, CRASHES, "1.1", at_home=True)
    assert modals.unpack(about.pack()) == about
    assert modals.unpack(modals.About(TEAM, CRASHES, "1.1").pack()) == modals.About(TEAM, CRASHES, "1.1")
