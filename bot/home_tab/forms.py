"""Windows of the home tab in which something is chosen: for a channel, a rule, somebody's quiet hours.

A form carries what it is about and what stood in it; only what somebody changed in it is kept. What is typed is checked
without a look at anything, since Slack waits for the answer.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bot.fields import channel_field, choice_field, person_field, text_field, tick_field
from bot.home_tab.chosen import HIDDEN, Room
from bot.home_tab.view import MODES
from bot.outbound import Block, View
from bot.timetable import days_of
from storage.choices import Choices, Locked
from storage.hours import WEEKDAYS, BadChoice, Plan, Quiet, clock
from storage.routes import Route

ROOM_FORM, RULE_FORM, QUIET_FORM = "channel-settings-form", "rule-form", "quiet-form"
FORMS = (ROOM_FORM, RULE_FORM, QUIET_FORM)
TITLES = {ROOM_FORM: "Settings of a channel", RULE_FORM: "Routing rule", QUIET_FORM: "Quiet hours"}
SEVERITY_WORDS = {
    "high": "high: mentions at any hour",
    "medium": "medium: not in quiet hours",
    "low": "low: mentions nobody",
}
EMPTY_HOURS = "As 22:00. Left empty: mentions at any hour."
EMPTY_DAYS = "The days on which they begin, as Mon Tue Wed. Left empty: every day."
NEVER = "As 09:00. Left empty: none."
ANY = "All conditions that are given must hold; * stands for anything."
GROUPS = "The id of a user group (S…), @here or @channel."
DAYS = tuple((str(number), name) for number, name in enumerate(WEEKDAYS))
_GROUP = re.compile(r"S[A-Z0-9]{7,20}")
RULE_FIELDS = ("name", "severity", "mention", "module", "host", "code", "team", "channel")


@dataclass(frozen=True, slots=True)
class Form:
    """What a form is about: ``about`` is a channel, a rule's number, or whose hours. ``stood`` is what stood in it: a
    channel's zone, or that a rule is for a channel that was not shown."""

    team: str
    about: str
    stood: str = ""

    def pack(self) -> str:
        """As it travels with the window."""
        return json.dumps([self.team, self.about, self.stood])


def unpack(text: object) -> Form | None:
    """What came back with a window; None where it is nothing of ours."""
    try:
        team, about, stood = json.loads(str(text))
    except (ValueError, TypeError):
        return None
    return Form(str(team), str(about), str(stood))


def room_form(team: str, room: Room, zone: str, locked: frozenset[str]) -> View:
    """What is chosen for a channel. ``zone`` is taken where nothing is chosen yet."""
    hours = room.quiet
    zone = next((one.zone for one in (hours, room.day, room.week) if one is not None), zone)
    fields: list[Block] = []
    if "mode" not in locked:
        fields.append(choice_field("mode", "How verdicts stand", MODES, room.mode))
    if "quiet" not in locked:
        fields += [
            text_field(
                "from", "No mentions from", clock(hours.start) if hours else "", hint=EMPTY_HOURS, optional=True
            ),
            text_field("to", "until", clock(hours.end) if hours else "", optional=True),
            text_field("days", "on", days_of(hours) if hours else "", hint=EMPTY_DAYS, optional=True),
        ]
    if "digests" not in locked:
        day, week = room.day, room.week
        weekday = str(week.weekday) if week else "0"
        fields += [
            text_field("day", "A digest every day at", clock(day.minute) if day else "", hint=NEVER, optional=True),
            text_field("week", "A digest every week at", clock(week.minute) if week else "", hint=NEVER, optional=True),
            choice_field("weekday", "on", DAYS, weekday),
        ]
    if {"quiet", "digests"} - locked:
        fields.append(text_field("zone", "Time zone, such as Europe/Berlin", zone))
    return View(ROOM_FORM, TITLES[ROOM_FORM], tuple(fields), "Save", Form(team, room.channel, zone).pack())


def rule_form(team: str, rule: Route | None) -> View:
    """A rule, to be made or changed."""
    said = {} if rule is None else rule.to_json()
    mention, channel = said.get("mention", ""), said.get("channel", "")
    person = mention if mention[:1] in ("U", "W") else ""
    fields = [
        text_field("name", "What it is called below a verdict", said.get("name", "")),
        text_field("module", "Driver, such as stor*.sys", said.get("module", ""), hint=ANY, optional=True),
        text_field("host", "Machine, such as WS-*", said.get("host", ""), optional=True),
        text_field("code", "Stop code or its name, such as 0x9f", said.get("code", ""), optional=True),
        text_field("team", "Who the operator's rules say looks after the driver", said.get("team", ""), optional=True),
        channel_field("channel", "Only in this channel", "" if channel == HIDDEN else channel),
        choice_field("severity", "Severity", list(SEVERITY_WORDS.items()), said.get("severity", "medium")),
        person_field("person", "Mention this person", person),
        text_field("mention", "or this user group", "" if person else mention, hint=GROUPS, optional=True),
    ]
    if rule is not None:
        fields.append(tick_field("remove", "Remove", "Remove this rule"))
    about = Form(team, (rule and rule.number) or "", HIDDEN if channel == HIDDEN else "")
    return View(RULE_FORM, TITLES[RULE_FORM], tuple(fields), "Save", about.pack())


def quiet_form(team: str, whom: str, hours: Quiet | None, zone: str) -> View:
    """The quiet hours of a person; of a user group that is yet to be named, where ``whom`` is empty."""
    group = () if whom else (text_field("group", "User group", hint="Its id, S…"),)
    fields = (
        *group,
        text_field("from", "No mentions from", clock(hours.start) if hours else "", hint=EMPTY_HOURS, optional=True),
        text_field("to", "until", clock(hours.end) if hours else "", optional=True),
        text_field("days", "on", days_of(hours) if hours else "", hint=EMPTY_DAYS, optional=True),
        text_field("zone", "Time zone, such as Europe/Berlin", hours.zone if hours else zone),
    )
    return View(QUIET_FORM, TITLES[QUIET_FORM], fields, "Save", Form(team, whom).pack())


def mistakes(kind: str, given: Mapping[str, str]) -> dict[str, str]:
    """What must be mended before a form can be taken, by field."""
    try:
        _READ[kind](given)
    except BadChoice as bad:
        return {field: text for field, text in bad.problems.items() if field in given} or {
            next(iter(given), "name"): str(bad)
        }
    return {}


def quiet_in(given: Mapping[str, str]) -> Quiet | None:
    """The quiet hours of a form; None for none. Raises: BadChoice."""
    if not _GROUP.fullmatch(given.get("group", "S0000000")):
        raise BadChoice({"group": "This is the id of a user group, S…"})
    fields = {name: given.get(name) or "" for name in ("from", "to", "days", "zone")}
    if not (fields["from"] or fields["to"]):
        return None
    return Quiet.read(fields)


def plan_in(given: Mapping[str, str], every: str) -> Plan | None:
    """The digest of that kind in a form; None for never. Raises: BadChoice."""
    if not given.get(every):
        return None
    try:
        weekday = given.get("weekday") or "0"
        return Plan.read({"every": every, "at": given[every], "zone": given.get("zone"), "weekday": weekday})
    except BadChoice as bad:
        raise BadChoice({every if field == "at" else field: text for field, text in bad.problems.items()}) from None


def rule_in(given: Mapping[str, str], number: str | None) -> Route:
    """The rule of a form. Raises: BadChoice."""
    fields = {name: given.get(name) or None for name in RULE_FIELDS}
    if given.get("person") and given.get("mention"):
        raise BadChoice({"mention": "Choose a person or a group: a rule mentions one."})
    fields["mention"] = given.get("person") or fields["mention"]
    return Route.read(fields, number)


def _room_in(given: Mapping[str, str]) -> None:
    problems: dict[str, str] = {}
    for read in (lambda: quiet_in(given), lambda: plan_in(given, "day"), lambda: plan_in(given, "week")):
        try:
            read()
        except BadChoice as bad:
            problems |= bad.problems
    if problems:
        raise BadChoice(problems)


def _rule_in(given: Mapping[str, str]) -> None:
    if not given.get("remove"):
        rule_in(given, None)


_READ: dict[str, Callable[[Mapping[str, str]], Any]] = {ROOM_FORM: _room_in, RULE_FORM: _rule_in, QUIET_FORM: quiet_in}


def keep(choices: Choices, kind: str, form: Form, given: Mapping[str, str], by: str) -> bool:
    """Keep what a form says. False: some of it is the operator's. Raises: BadChoice."""
    deeds = _KEEP[kind](choices, form, given, by)
    taken = [_taken(deed) for deed in deeds]
    return all(taken)


def _taken(deed: Callable[[], object]) -> bool:
    try:
        deed()
    except Locked:
        return False
    return True


def _keep_room(choices: Choices, form: Form, given: Mapping[str, str], by: str) -> list[Callable[[], object]]:
    team, channel = form.team, form.about
    is_moved = given.get("zone", form.stood) != form.stood
    deeds: list[Callable[[], object]] = []
    if "mode" in given and given["mode"] != choices.mode(team, channel):
        deeds.append(lambda: choices.choose_mode(team, channel, given["mode"], by))
    if "from" in given:
        hours, before = quiet_in(given), choices.quiet(team, channel)
        if _is_new(hours, before, is_moved=is_moved):
            deeds.append(lambda: choices.choose_quiet(team, channel, hours, by))
    if "day" in given:
        day = plan_in(given, "day")
        if _is_new(day, choices.plan(team, channel, "day"), is_moved=is_moved):
            deeds.append(lambda: choices.choose_plan(team, channel, "day", day, by))
        week = plan_in(given, "week")
        if _is_new(week, choices.plan(team, channel, "week"), is_moved=is_moved):
            deeds.append(lambda: choices.choose_plan(team, channel, "week", week, by))
    return deeds


def _is_new(one: Quiet | Plan | None, before: Quiet | Plan | None, *, is_moved: bool) -> bool:
    # Where nobody touched the zone, one that differs from what stood in the form is left as it is.
    if one is None or before is None:
        return one is not before
    fields = [{**each.to_json(), "zone": ""} for each in (one, before)]
    return fields[0] != fields[1] or (is_moved and one.zone != before.zone)


def _keep_rule(choices: Choices, form: Form, given: Mapping[str, str], by: str) -> list[Callable[[], object]]:
    number = form.about or None
    before = next((rule for rule in choices.routes(form.team) if number and rule.number == number), None)
    if number is not None and before is None:
        return []  # it was removed meanwhile
    if number is not None and given.get("remove"):
        return [lambda: choices.drop_route(form.team, number, by)]
    rule = rule_in(given, number)
    if before is not None and form.stood == HIDDEN and rule.channel is None:
        rule = replace(rule, channel=before.channel)  # who changes a rule need not see where it holds
    return [lambda: choices.choose_route(form.team, rule, by)]


def _keep_quiet(choices: Choices, form: Form, given: Mapping[str, str], by: str) -> list[Callable[[], object]]:
    hours = quiet_in(given)
    return [lambda: choices.choose_quiet(form.team, form.about or given["group"], hours, by)]


_KEEP = {ROOM_FORM: _keep_room, RULE_FORM: _keep_rule, QUIET_FORM: _keep_quiet}
