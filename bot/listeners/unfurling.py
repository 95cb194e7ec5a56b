"""Links to our own pages that somebody posts: the verdict in short below the message, where everybody who reads it may
see that crash, and nothing elsewhere.

What a signed link lets its holder see counts for nothing here: it says who may open the page, not who may read along.
Source: docs.slack.dev/reference/events/link_shared, docs.slack.dev/messaging/unfurling-links-in-messages.
"""

import asyncio
import html
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bot.listeners.buttons import Desk
from bot.listeners.intake import Rules, is_allowed
from bot.outbound import Message
from bot.previews import preview, readers
from bot.sending import Refused, Unreachable
from bot.web.addresses import Linked, linked, unsigned
from bot.web.guard import Access
from storage.clock import utc_now
from storage.sight import Sight
from storage.store import Store
from storage.unfurls import Unfurled

log = logging.getLogger(__name__)

MAX_LINKS = 5  # of one message; Slack shows no more

Found = dict[str, Linked]  # by the link as Slack names it


async def unfurl(desk: Desk, rules: Rules, access: Access, team: str, body: Mapping[str, Any]) -> None:
    """Show what links in a message lead to, as far as all who read it may see it."""
    event = body["event"]
    made = await _made(desk, rules, access, team, body)
    log.info("links to pages: %d of %d are shown", len(made), len(event.get("links") or []))
    if not made:
        return
    try:
        await desk.sender.unfurl(event["channel"], event["message_ts"], made)
        await asyncio.to_thread(_keep, desk.store, access, team, event, made.keys())
    except (Refused, Unreachable) as error:  # the message was deleted or edited meanwhile
        log.warning("links to pages are not shown: %s", error)


async def _made(desk: Desk, rules: Rules, access: Access, team: str, body: Mapping[str, Any]) -> dict[str, Message]:
    event = body["event"]
    channel, user = (str(event.get(name) or "") for name in ("channel", "user"))
    if event.get("source") == "composer" or channel[:1] not in ("C", "G", "D"):
        return {}  # nobody knows yet who is to read it
    if user == rules.bot_user or not is_allowed(channel, user, rules, direct=channel.startswith("D")):
        return {}
    found = dict(_found(event, access))
    if not found or not await asyncio.to_thread(desk.store.events.first, f"unfurl:{body.get('event_id')}"):
        return {}
    is_shared = bool(body.get("is_ext_shared_channel"))
    sight = await readers(desk.membership, desk.store, (team, channel), user, is_shared=is_shared)
    return await asyncio.to_thread(_previews, desk.store, sight, found)


def _found(event: Mapping[str, Any], access: Access) -> Iterator[tuple[str, Linked]]:
    for link in (event.get("links") or [])[:MAX_LINKS]:
        url = str(link.get("url") or "")
        about = linked(html.unescape(url), access, utc_now())
        if about is not None:
            yield url, about


def _previews(store: Store, sight: Sight, found: Found) -> dict[str, Message]:
    made = {url: preview(store, sight, about.number) for url, about in found.items() if _leads_there(store, about)}
    return {url: message for url, message in made.items() if message is not None}


def _leads_there(store: Store, about: Linked) -> bool:
    # Whether the link itself shows the crash to whoever opens it.
    return store.seen_as(about.sight).reports.get(about.number) is not None


def _keep(store: Store, access: Access, team: str, event: Mapping[str, Any], urls: Iterable[str]) -> None:
    # So that they change with what is said of the crash.
    for url, about in _found(event, access):
        link = unsigned(url, access) if url in urls else None
        if link is not None:
            store.unfurls.note(Unfurled(about.number, team, event["channel"], event["message_ts"], link))
