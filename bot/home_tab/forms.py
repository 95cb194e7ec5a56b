"""Windows of the home tab in which something is chosen: for a channel, a rule, somebody's quiet hours.

A form carries what it is about and a mark of what stood in each field, so that what nobody touched stays as it is by
the time the form comes back. What is typed is checked without a look at anything, since Slack waits for the answer.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.fields import channel_field, choice_field, person_field, text_field, tick_field
from bot.home_tab.chosen import HIDDEN, Room
from bot.outbound import Block, View
from bot.timetable import days_of
from bot.words import WindowWords, window_words
from storage.hours import BadChoice, Plan, Quiet, clock
from storage.routes import Route

ROOM_FORM, RULE_FORM, QUIET_FORM = "channel-settings-form", "rule-form", "quiet-form"
FORMS = (ROOM_FORM, RULE_FORM, QUIET_FORM)
_GROUP = re.compile(r"S[A-Z0-9]{7,20}")
RULE_FIELDS = ("name", "severity", "mention", "module", "host", "code", "team", "channel")


@dataclass(frozen=True, slots=True)
class Form:
    """What a form is about: ``about`` is a channel, a rule's number, or whose hours. ``stood`` has a mark of what stood
    in each field."""

    team: str
    about: str
    stood: Mapping[str, str] = field(default_factory=dict)

    def pack(self) -> str:
        """As it travels with the window."""
        return json.dumps([self.team, self.about, dict(self.stood)])

    def is_touched(self, given: Mapping[str, str], *fields: str) -> bool:
        """Whether somebody changed any of these fields."""
        return any(_mark(given[name]) != self.stood.get(name) for name in fields if name in given)


def unpack(text: object) -> Form | None:
    """What came back with a window; None where it is nothing of ours."""
    try:
        team, about, stood = json.loads(str(text))
        return Form(str(team), str(about), {str(name): str(mark) for name, mark in stood.items()})
    except (ValueError, TypeError, AttributeError):
        return None


def room_form(team: str, room: Room, zone: str, locked: frozenset[str]) -> View:
    """What is chosen for a channel. ``zone`` is taken where nothing is chosen yet."""
    words = window_words(ROOM_FORM)
    hours, day, week = room.quiet, room.day, room.week
    zone = next((one.zone for one in (hours, day, week) if one is not None), zone)
    fields: list[Block] = []
    if "mode" not in locked:
        fields.append(choice_field(words["mode"], room.mode))
    if "quiet" not in locked:
        fields += _hours_fields(words, hours)
    if "digests" not in locked:
        fields += [
            text_field(words["day"], clock(day.minute) if day else "", optional=True),
            text_field(words["week"], clock(week.minute) if week else "", optional=True),
            choice_field(words["weekday"], str(week.weekday) if week else "0"),
        ]
    if {"quiet", "digests"} - locked:
        fields.append(text_field(words["zone"], zone))
    return _view(ROOM_FORM, team, room.channel, fields)


def rule_form(team: str, rule: Route | None) -> View:
    """A rule, to be made or changed. The channel of a rule for one that is not seen does not stand there."""
    words = window_words(RULE_FORM)
    said = fields_of(rule)
    channel = "" if said["channel"] == HIDDEN else said["channel"]
    fields = [
        text_field(words["name"], said["name"]),
        *(text_field(words[name], said[name], optional=True) for name in ("module", "host", "code", "team")),
        channel_field(words["channel"], channel),
        choice_field(words["severity"], said["severity"]),
        person_field(words["person"], said["person"]),
        text_field(words["mention"], said["mention"], optional=True),
    ]
    if rule is not None:
        fields.append(tick_field(words["remove"]))
    return _view(RULE_FORM, team, (rule and rule.number) or "", fields)


def quiet_form(team: str, whom: str, hours: Quiet | None, zone: str) -> View:
    """The quiet hours of a person; of a user group that is yet to be named, where ``whom`` is empty."""
    words = window_words(QUIET_FORM)
    group = [] if whom else [text_field(words["group"])]
    zone_field = text_field(words["zone"], hours.zone if hours else zone)
    return _view(QUIET_FORM, team, whom, [*group, *_hours_fields(words, hours), zone_field])


def fields_of(rule: Route | None) -> dict[str, str]:
    """A rule as it stands in its form; empty fields where there is none yet."""
    said = {} if rule is None else rule.to_json()
    found = {name: str(said.get(name) or "") for name in RULE_FIELDS} | {"person": ""}
    found["severity"] = found["severity"] or "medium"
    if found["mention"][:1] in ("U", "W"):
        found |= {"person": found["mention"], "mention": ""}
    return found


def mistakes(kind: str, given: Mapping[str, str]) -> dict[str, str]:
    """What must be mended before a form can be taken, by field."""
    try:
        _READ[kind](given)
    except BadChoice as bad:
        return {name: text for name, text in bad.problems.items() if name in given} or {
            next(iter(given), "name"): str(bad)
        }
    return {}


def quiet_in(given: Mapping[str, str]) -> Quiet | None:
    """The quiet hours of a form; None for none. Raises: BadChoice."""
    if not _GROUP.fullmatch(given.get("group", "S0000000")):
        raise BadChoice({"group": window_words(QUIET_FORM).mistakes["group"]})
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
        raise BadChoice({every if name == "at" else name: text for name, text in bad.problems.items()}) from None


def rule_in(given: Mapping[str, str], number: str | None) -> Route:
    """The rule of a form. Raises: BadChoice."""
    fields = {name: given.get(name) or None for name in RULE_FIELDS}
    if given.get("person") and given.get("mention"):
        raise BadChoice({"mention": window_words(RULE_FORM).mistakes["mention"]})
    fields["mention"] = given.get("person") or fields["mention"]
    return Route.read(fields, number)


def _hours_fields(words: WindowWords, hours: Quiet | None) -> list[Block]:
    return [
        text_field(words["from"], clock(hours.start) if hours else "", optional=True),
        text_field(words["to"], clock(hours.end) if hours else "", optional=True),
        text_field(words["days"], days_of(hours) if hours else "", optional=True),
    ]


def _view(kind: str, team: str, about: str, fields: list[Block]) -> View:
    words, stood = window_words(kind), dict(_standing(fields))
    return View(kind, words.title, tuple(fields), words.send, Form(team, about, stood).pack())


def _standing(fields: list[Block]) -> Iterator[tuple[str, str]]:
    for block in fields:
        item = block["element"]
        first = item.get("initial_option") or {}
        names = ("initial_value", "initial_user", "initial_conversation")
        text = next((item[name] for name in names if name in item), first.get("value", ""))
        yield block["block_id"], _mark(text)


def _mark(text: str) -> str:
    return hashlib.sha256(text.strip().encode()).hexdigest()[:8]


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
