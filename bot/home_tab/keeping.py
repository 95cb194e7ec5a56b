"""What a form of the home tab says, kept: the fields that somebody changed in it, and nothing else, since others may
have chosen something while it was open.
"""

from collections.abc import Callable, Mapping

from bot.home_tab.forms import QUIET_FORM, ROOM_FORM, RULE_FORM, Form, fields_of, plan_in, quiet_in, rule_in
from storage.choices import Choices, Locked
from storage.routes import Route

MAX_RULES = 100  # Slack lets choose among so many

Given = Mapping[str, str]
Deeds = list[Callable[[], object]]


class NotKept(Exception):
    """It cannot be kept any more; ``why`` is the word for it on the tab."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def keep(choices: Choices, kind: str, form: Form, given: Given, by: str) -> str:
    """Keep what a form says; a word for why not all of it was, empty where it was. Raises: BadChoice."""
    try:
        taken = [_taken(deed) for deed in _KEEP[kind](choices, form, given, by)]
    except NotKept as not_kept:
        return not_kept.why
    return "" if all(taken) else "locked"


def _taken(deed: Callable[[], object]) -> bool:
    try:
        deed()
    except Locked:
        return False
    return True


def _keep_room(choices: Choices, form: Form, given: Given, by: str) -> Deeds:
    team, channel = form.team, form.about
    deeds: Deeds = []
    if form.is_touched(given, "mode"):
        deeds.append(lambda: choices.choose_mode(team, channel, given["mode"], by))
    hours = quiet_in(given)
    if form.is_touched(given, "from", "to", "days", *(["zone"] if hours else [])) and "from" in given:
        deeds.append(lambda: choices.choose_quiet(team, channel, hours, by))
    day, week = plan_in(given, "day"), plan_in(given, "week")
    if form.is_touched(given, "day", *(["zone"] if day else [])) and "day" in given:
        deeds.append(lambda: choices.choose_plan(team, channel, "day", day, by))
    if form.is_touched(given, "week", *(["weekday", "zone"] if week else [])) and "week" in given:
        deeds.append(lambda: choices.choose_plan(team, channel, "week", week, by))
    return deeds


def _keep_rule(choices: Choices, form: Form, given: Given, by: str) -> Deeds:
    mine = [rule for rule in choices.routes(form.team) if rule.number is not None]
    if not form.about:
        if len(mine) >= MAX_RULES:
            raise NotKept("full")
        return [lambda: choices.choose_route(form.team, rule_in(given, None), by)]
    before = next((rule for rule in mine if rule.number == form.about), None)
    if before is None:
        raise NotKept("removed")
    if given.get("remove"):
        return [lambda: choices.drop_route(form.team, form.about, by)]
    rule = rule_in(_merged(form, given, before), form.about)
    return [lambda: choices.choose_route(form.team, rule, by)]


def _merged(form: Form, given: Given, before: Route) -> Given:
    # Whom a rule mentions is said in two fields, so it is one choice.
    stands = fields_of(before)
    merged = {name: value for name, value in given.items() if form.is_touched(given, name)}
    if merged.keys() & {"person", "mention"}:
        merged |= {"person": given.get("person", ""), "mention": given.get("mention", "")}
    return stands | merged


def _keep_quiet(choices: Choices, form: Form, given: Given, by: str) -> Deeds:
    hours = quiet_in(given)
    return [lambda: choices.choose_quiet(form.team, form.about or given["group"], hours, by)]


_KEEP: dict[str, Callable[[Choices, Form, Given, str], Deeds]] = {
    ROOM_FORM: _keep_room,
    RULE_FORM: _keep_rule,
    QUIET_FORM: _keep_quiet,
}
