"""The home tab shown to a person: when it is opened, and again after whatever that person did."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from bot.home_tab.chosen import chosen_in
from bot.home_tab.page import page_of
from bot.home_tab.view import home_view, only_words
from bot.listeners.buttons import Desk
from bot.listeners.intake import Rules, is_allowed
from bot.outbound import BadMessage, View
from bot.sending import TOO_RICH, Refused, Unreachable
from storage.clock import utc_now
from storage.sight import Sight

log = logging.getLogger(__name__)

UNFIT = TOO_RICH | {"view_too_large", "invalid_arguments"}  # what Slack says of a view that it does not take


async def opened(desk: Desk, rules: Rules, team: str, event: Mapping[str, Any]) -> None:
    """Somebody opened the home tab."""
    person = str(event.get("user") or "")
    if event.get("tab") != "home" or not person:
        return
    desk.watchers.note((team, person))
    if "view" not in event:  # nothing stands there yet
        await _publish(desk, person, only_words("home_loading"))
    await show_home(desk, rules, team, person)


async def show_home(desk: Desk, rules: Rules, team: str, person: str, note: str = "") -> None:
    """Show the tab as of now, with a word for why something was not done."""
    if not is_allowed("", person, rules, direct=True):
        await _publish(desk, person, only_words("home_note", why="stranger"))
        return
    async with desk.watchers.turn((team, person)):
        sight = await desk.membership.sight_of(person)
        await _publish(desk, person, await asyncio.to_thread(_made, desk, sight, team, person, note))


async def follow(desk: Desk, rules: Rules, team: str, body: Mapping[str, Any], *, surely: bool = False) -> None:
    """Bring the tab up to date after a press or a form elsewhere, if the person is known to look at it."""
    person = str((body.get("user") or {}).get("id") or "")
    if surely or (team, person) in desk.watchers:
        await show_home(desk, rules, team, person)


def _made(desk: Desk, sight: Sight, team: str, person: str, note: str) -> View:
    store = desk.store.seen_as(sight)
    chosen = chosen_in(store.choices.above(desk.defaults), store.channels, sight, team, person)
    return home_view(page_of(store, person, utc_now()), chosen, desk.page, note)


async def _publish(desk: Desk, person: str, view: View) -> None:
    try:
        await _publish_richest(desk, person, view)
    except (Refused, Unreachable) as error:
        log.warning("the home tab of %s was not shown: %s", person, error)


async def _publish_richest(desk: Desk, person: str, view: View) -> None:
    # Something must stand there, and not "looking it up" for good.
    try:
        await desk.sender.publish(person, view)
    except (BadMessage, Refused) as error:
        if isinstance(error, Refused) and error.word not in UNFIT:
            raise
        log.exception("the home tab of %s cannot be shown", person)
        await desk.sender.publish(person, only_words("home_note", why="broken"))
