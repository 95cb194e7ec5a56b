"""What stands below somebody's message with a link to a crash's page, as far as everybody who reads it may see that."""

import asyncio
import logging
from dataclasses import replace

from analysis.verdict.report import Report
from bot import blocks
from bot.membership import Membership
from bot.outbound import Message
from bot.sending import Refused
from bot.showing import seen_here
from bot.standing import standing
from bot.tools import Tools
from bot.web.addresses import restored
from storage.sight import Sight
from storage.store import Store

log = logging.getLogger(__name__)


async def readers(membership: Membership, store: Store, place: tuple[str, str], user: str, *, is_shared: bool) -> Sight:
    """What everybody in a channel (``place``: team and channel) may see; ``user`` is who a direct message is with.

    Of one that is not public and of which Slack tells nothing, since the bot is not in it, nobody knows who reads
    there: people of other companies may.
    """
    team, channel = place
    sight = await membership.sight_in(channel, user)
    room = await asyncio.to_thread(store.channels.get, team, channel)
    is_known = room is not None and (room.kind == "public" or room.state in ("open", "archived"))
    return sight if is_known and not is_shared else replace(sight, channels=frozenset({channel}), public_of=None)


def preview(store: Store, sight: Sight, number: int) -> Message | None:
    """A crash for those who see this much; None where they do not see it."""
    here = store.seen_as(sight)
    report = here.reports.report(number)
    if report is None:
        return None
    return blocks.unfurled(report, seen_here(here, report), standing(here, report, whole=False))


async def refresh(tools: Tools, report: Report) -> None:
    """Bring what stands below links to crashes of a failure up to date. One that Slack refuses stays as it is.

    Raises:
        Unreachable.
    """
    store = tools.store
    shown = await asyncio.to_thread(lambda: store.unfurls.of_reports(store.duplicates.members(report)))
    for one in shown:
        room = await asyncio.to_thread(store.channels.get, one.team, one.channel)
        person, is_shared = (None, False) if room is None else (room.person, room.shared)
        sight = await readers(tools.membership, store, (one.team, one.channel), person or "", is_shared=is_shared)
        message, link = await asyncio.to_thread(preview, store, sight, one.report_id), restored(one.link, tools.access)
        if message is None or link is None:
            continue
        try:
            await tools.sender.unfurl(one.channel, one.ts, {link: message})
        except Refused as refused:
            log.info("a preview of crash %d stays as it was: %s", one.report_id, refused.word)
