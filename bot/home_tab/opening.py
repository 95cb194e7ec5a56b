"""Windows that open from the home tab: at once, and filled when what they show is looked up."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot import modals
from bot.home_tab import forms
from bot.home_tab.chosen import chosen_in, room_of, sees
from bot.home_tab.view import CHANNEL, GROUP_QUIET, KNOWN, MY_QUIET, NEW_RULE, RULE, only_words
from bot.home_tab.visits import Used, Visit
from bot.listeners.buttons import Desk
from bot.modals import About
from bot.outbound import View
from bot.sending import Refused, Unreachable

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Window:
    """A window that something on the tab opens; ``deed`` is what one must be allowed to do."""

    kind: str
    title: str
    content: Callable[[Visit], Awaitable[View]]
    deed: str


async def open_window(desk: Desk, used: Used) -> None:
    """Open it. A second delivery finds its trigger used."""
    window = WINDOWS[used.action]
    opened = await desk.sender.open_view(used.trigger, modals.loading(window.kind, window.title))
    if opened is None:
        return
    visit = Visit(desk, await desk.membership.sight_of(used.person), used)
    try:
        await desk.sender.change_view(opened, await window.content(visit))
    except (Refused, Unreachable) as error:  # it was closed meanwhile
        log.info("a window was not filled: %s", error)


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
        return View(forms.ROOM_FORM, forms.TITLES[forms.ROOM_FORM], only_words("home_note", why="unseen").blocks)
    zone = await desk.membership.zone_of(used.person)
    room = await asyncio.to_thread(room_of, visit.choices, used.team, used.value)
    return forms.room_form(used.team, room, zone, visit.choices.defaults.locked)


async def _rule(visit: Visit) -> View:
    used = visit.used

    def form() -> View:
        shown = chosen_in(visit.choices, visit.desk.store.channels, visit.sight, used.team, used.person)
        return forms.rule_form(used.team, next((rule for rule in shown.rules if rule.number == used.value), None))

    return await asyncio.to_thread(form)


async def _quiet(visit: Visit) -> View:
    used = visit.used
    whom = used.person if used.action == MY_QUIET else ""
    zone = await visit.desk.membership.zone_of(used.person)
    hours = await asyncio.to_thread(visit.choices.quiet, used.team, whom) if whom else None
    return forms.quiet_form(used.team, whom, hours, zone)


def _form(kind: str, content: Callable[[Visit], Awaitable[View]]) -> Window:
    return Window(kind, forms.TITLES[kind], content, "settings")


WINDOWS: dict[str, Window] = {
    KNOWN: Window(modals.KNOWN_FORM, modals.TITLES[modals.KNOWN_FORM], _known, "known"),
    CHANNEL: _form(forms.ROOM_FORM, _channel),
    RULE: _form(forms.RULE_FORM, _rule),
    NEW_RULE: _form(forms.RULE_FORM, _rule),
    MY_QUIET: _form(forms.QUIET_FORM, _quiet),
    GROUP_QUIET: _form(forms.QUIET_FORM, _quiet),
}
