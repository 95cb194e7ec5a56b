"""What a person does on the home tab: about a failure, as below its verdict; or with what can be chosen there.

Nothing that comes with a press is believed: crash, rule and channel are looked up as that person may see them. What was
not done is said at the top of the tab.
"""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bot import modals
from bot.auditing import note_deed
from bot.home_tab import forms, keeping
from bot.home_tab.chosen import sees
from bot.home_tab.opening import WINDOWS, open_window
from bot.home_tab.showing import show_home
from bot.home_tab.view import ACKNOWLEDGE, ASSIGN_ME, MODE
from bot.home_tab.visits import Used, Visit, used_in
from bot.listeners.buttons import Desk
from bot.listeners.intake import Rules, is_allowed
from bot.permissions import SETTINGS, may
from bot.showing import show_job
from storage.choices import MODES, Locked
from storage.hours import BadChoice
from storage.knowledge import Deed

log = logging.getLogger(__name__)

Do = Callable[[Visit], Awaitable[str]]  # gives a word for why it was not done, empty where it was


@dataclass(frozen=True, slots=True)
class Act:
    """What something on the tab does at once, and what one must be allowed to do for it."""

    do: Do
    deed: str


async def press(desk: Desk, rules: Rules, team: str, body: Mapping[str, Any]) -> None:
    """Do what was pressed or chosen on the tab, and show it as it is then."""
    used = used_in(team, body)
    if used is None or used.action not in ACTIONS or not is_allowed("", used.person, rules, direct=True):
        return
    log.info("home tab: %s", used.action)
    if used.action in WINDOWS:
        if not await open_window(desk, rules.permissions, used):
            await _note(desk, used, WINDOWS[used.action].deed or "", allowed=False)
    elif await may(desk.membership, rules.permissions, used.person, ACTS[used.action].deed):
        await show_home(desk, rules, team, used.person, await _act(desk, used))
    else:
        await _note(desk, used, ACTS[used.action].deed, allowed=False)
        await show_home(desk, rules, team, used.person, "denied")


async def submit(desk: Desk, rules: Rules, team: str, body: Mapping[str, Any]) -> None:
    """Keep what a form of the tab says; one with mistakes was refused already."""
    view = body.get("view") or {}
    form = forms.unpack(view.get("private_metadata"))
    person = str((body.get("user") or {}).get("id") or "")
    kind, given = str(view.get("callback_id")), modals.filled_in(view)
    if form is None or forms.mistakes(kind, given) or not is_allowed("", person, rules, direct=True):
        return
    used = Used(kind, form.about, person, team, str(body.get("trigger_id") or ""))
    is_own = kind == forms.QUIET_FORM and form.about == person  # whether to be called at night is for everybody to say
    allowed = is_own or await may(desk.membership, rules.permissions, person, SETTINGS)
    said = "" if allowed else "denied"
    if allowed:
        said = await _keep(Visit(desk, await desk.membership.sight_of(person), used), form, given)
    await _note(desk, used, SETTINGS, allowed=allowed)
    await show_home(desk, rules, team, person, said)


async def _act(desk: Desk, used: Used) -> str:
    if not await asyncio.to_thread(desk.store.events.first, f"press:{used.trigger}"):
        return ""
    act = ACTS[used.action]
    said = await act.do(Visit(desk, await desk.membership.sight_of(used.person), used))
    if not said:
        await _note(desk, used, act.deed, allowed=True)
    return said


async def _note(desk: Desk, used: Used, deed: str, *, allowed: bool) -> None:
    channel = used.value if used.value[:1] in ("C", "G") else ""
    detail = f"crash {used.value}" if used.value.isdecimal() else f"{used.action} {used.value}".strip()
    await note_deed(desk.store, deed, used.person, team=used.team, channel=channel, detail=detail, allowed=allowed)


async def _keep(visit: Visit, form: forms.Form, given: Mapping[str, str]) -> str:
    desk, used = visit.desk, visit.used
    if used.action == forms.ROOM_FORM and not await asyncio.to_thread(
        sees, desk.store.channels, visit.sight, used.team, form.about
    ):
        return "unseen"
    if form.team != used.team or (used.action == forms.QUIET_FORM and form.about not in ("", used.person)):
        return "denied"
    try:
        return await asyncio.to_thread(keeping.keep, visit.choices, used.action, form, given, used.person)
    except BadChoice as bad:
        log.warning("a form was not kept: %s", bad)
        return "denied"


def _deed(deed: Deed, detail: Callable[[Used], dict[str, str]]) -> Act:
    async def do(visit: Visit) -> str:
        desk, used, place = visit.desk, visit.used, await asyncio.to_thread(visit.place)
        if place is None:
            return "gone"
        job, at = show_job(used.trigger, place, alone=False), (place.team, place.channel)
        act = functools.partial(desk.store.act, place.report_id, deed, used.person, detail(used), job, at=at)
        done = await asyncio.to_thread(act)
        desk.announce([] if done is None else [done])
        return "gone" if done is None else ""

    return Act(do, deed)


async def _mode(visit: Visit) -> str:
    used = visit.used
    if used.value not in MODES:
        return "denied"
    try:
        await asyncio.to_thread(visit.choices.choose_mode, used.team, "", used.value, used.person)
    except Locked:
        return "locked"
    return ""


ACTS: dict[str, Act] = {
    ACKNOWLEDGE: _deed("acknowledge", lambda _: {}),
    ASSIGN_ME: _deed("assign", lambda used: {"to": used.person}),
    MODE: Act(_mode, SETTINGS),
}
ACTIONS = (*ACTS, *WINDOWS)
