"""Windows that open from the home tab: at once, and filled when what they show is looked up."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from bot import modals
from bot.home_tab import forms
from bot.home_tab.chosen import chosen_in, room_of, sees
from bot.home_tab.view import CHANNEL, GROUP_QUIET, KNOWN, MY_QUIET, NEW_RULE, RULE, only_words
from bot.home_tab.visits import Used, Visit
from bot.listeners.buttons import Desk
from bot.modals import About
from bot.outbound import View
from bot.permissions import SETTINGS, Permissions, may
from bot.sending import Refused, Unreachable

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Window:
    """A window that something on the tab opens; ``deed`` is what one must be allowed to do, None for
    what everybody may."""

    kind: str
    content: Callable[[Visit], Awaitable[View]]
    deed: str | None


async def open_window(desk: Desk, permissions: Permissions, used: Used) -> bool:
    """Open it; false for a person who may not, and is told so in it. A second delivery finds its trigger used."""
    window = WINDOWS[used.action]
    # At once: who may do what is asked of Slack, too, and a trigger lives three seconds.
    opened = await desk.sender.open_view(used.trigger, modals.loading(window.kind))
    if opened is None:
        return True
    allowed = window.deed is None or await may(desk.membership, permissions, used.person, window.deed)
    if allowed:
        view = await window.content(Visit(desk, await desk.membership.sight_of(used.person), used))
    else:
        view = _only(window.kind, "denied")
    try:
        await desk.sender.change_view(opened, view)
    except (Refused, Unreachable) as error:  # it was closed meanwhile
        log.info("a window was not filled: %s", error)
    return allowed


def _only(kind: str, why: str) -> View:
    return replace(modals.loading(kind), blocks=only_words("home_note", why=why).blocks)


async def _known(visit: Visit) -> View:
    place = await asyncio.to_thread(visit.place)
    if place is None:
        return modals.sorry(modals.KNOWN_FORM)

    def form() -> View:
        report = visit.seen.reports.report(place.report_id)
        here = visit.desk.store.seen_at(place.team, place.channel)
        about = About(place.team, place.channel, place.summary_ts, at_home=True)
        return modals.known_form(about, None if report is None else here.known(report).issue)

    return await asyncio.to_thread(form)


async def _channel(visit: Visit) -> View:
    desk, used = visit.desk, visit.used
    await desk.membership.learn(used.value)
    if not await asyncio.to_thread(sees, desk.store.channels, visit.sight, used.team, used.value):
        return _only(forms.ROOM_FORM, "unseen")
    zone = await desk.membership.zone_of(used.person)
    room = await asyncio.to_thread(room_of, visit.choices, used.team, used.value)
    return forms.room_form(used.team, room, zone, visit.choices.defaults.locked)


async def _rule(visit: Visit) -> View:
    used = visit.used
    if used.action == NEW_RULE:
        return forms.rule_form(used.team, None)

    def form() -> View:
        shown = chosen_in(visit.choices, visit.desk.store.channels, visit.sight, used.team, used.person)
        rule = next((rule for rule in shown.rules if rule.number == used.value), None)
        return _only(forms.RULE_FORM, "removed") if rule is None else forms.rule_form(used.team, rule)

    return await asyncio.to_thread(form)


async def _quiet(visit: Visit) -> View:
    used = visit.used
    whom = used.person if used.action == MY_QUIET else ""
    zone = await visit.desk.membership.zone_of(used.person)
    hours = await asyncio.to_thread(visit.choices.quiet, used.team, whom) if whom else None
    return forms.quiet_form(used.team, whom, hours, zone)


WINDOWS: dict[str, Window] = {
    KNOWN: Window(modals.KNOWN_FORM, _known, "known"),
    CHANNEL: Window(forms.ROOM_FORM, _channel, SETTINGS),
    RULE: Window(forms.RULE_FORM, _rule, SETTINGS),
    NEW_RULE: Window(forms.RULE_FORM, _rule, SETTINGS),
    MY_QUIET: Window(forms.QUIET_FORM, _quiet, None),
    GROUP_QUIET: Window(forms.QUIET_FORM, _quiet, SETTINGS),
}
