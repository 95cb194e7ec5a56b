"""The slash command, and the shortcut of a message: both become what a mention with the same words would be.

A command leaves no message behind, so the bot posts one that says who asked what, and answers below it. What cannot be
done is told to the person alone, at the address that Slack gave for that.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from bot.auditing import keep_jobs, note_deed
from bot.fetch.links import find_links
from bot.listeners.buttons import Desk
from bot.listeners.intake import ANALYZE, Rules, is_allowed, requests
from bot.outbound import Message
from bot.sending import Refused, Unreachable
from bot.slack_text import render
from storage.events import fingerprint

log = logging.getLogger(__name__)

MAX_SHOWN = 300

Tell = Callable[[Message], Awaitable[None]]


async def command(desk: Desk, rules: Rules, body: Mapping[str, Any], tell: Tell) -> None:
    """Answer what stands behind the command; ``tell`` says something to the person alone."""
    channel, user, text = (str(body.get(name) or "") for name in ("channel_id", "user_id", "text"))
    if not is_allowed(channel, user, rules, direct=channel.startswith("D")):
        await tell(render("denied_here"))
        await note_deed(desk.store, "command", user, team=_team(body), channel=channel, detail=text, allowed=False)
        return
    if not await _is_first(desk, body):
        return
    links = [link.shown for link in find_links(text)]
    asked = render("asked", [user], person=user, links=links, words="" if links else text[:MAX_SHOWN])
    try:
        ts = await desk.sender.post(channel, None, asked, f"command-{fingerprint(_trigger(body))}")
    except (Refused, Unreachable) as error:
        log.warning("a command was not answered: %s", error)
        await tell(render("not_invited"))
        return
    await _take(desk, rules, body, {"channel": channel, "user": user, "ts": ts, "text": text})


async def shortcut(desk: Desk, rules: Rules, body: Mapping[str, Any], tell: Tell) -> None:
    """Analyse the dumps of a message, whoever posted it, in its thread."""
    channel, user = ((body.get(name) or {}).get("id") or "" for name in ("channel", "user"))
    if not is_allowed(channel, user, rules, direct=channel.startswith("D")):
        await tell(render("denied_here"))
        await note_deed(desk.store, "shortcut", user, team=_team(body), channel=channel, allowed=False)
        return
    message = {name: value for name, value in (body.get("message") or {}).items() if name not in ("bot_id", "subtype")}
    found = await _take(desk, rules, body, {**message, "channel": channel, "user": user}, kinds=(ANALYZE,))
    if found is None:
        await tell(render("told_already"))
    else:
        await tell(render("shortcut_taken", found=found) if found else render("no_dump"))


async def _take(
    desk: Desk, rules: Rules, body: Mapping[str, Any], message: dict[str, Any], kinds: tuple[str, ...] = ()
) -> int | None:
    # What was found to do. None where that was asked before.
    event = {"event": message | {"type": "app_mention"}, "team_id": _team(body)}
    wanted = [one for one in requests(event, rules) if not kinds or one.job.kind in kinds]
    made = await asyncio.to_thread(desk.store.events.accept, None, wanted)
    desk.announce(made)
    await asyncio.to_thread(keep_jobs, desk.store, made, message["user"])
    return len(wanted) if made or not wanted else None


def _team(body: Mapping[str, Any]) -> str:
    return str(body.get("team_id") or (body.get("team") or {}).get("id") or "")


async def _is_first(desk: Desk, body: Mapping[str, Any]) -> bool:
    return await asyncio.to_thread(desk.store.events.first, f"press:{_trigger(body)}")


def _trigger(body: Mapping[str, Any]) -> str:
    return str(body.get("trigger_id"))
