"""A workspace that takes the app away: its jobs end, and whatever is kept of it is deleted, once."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.remains import forget_team
from bot.stopping import Stops
from storage.store import Store

log = logging.getLogger(__name__)

EVENTS = ("app_uninstalled", "tokens_revoked")


def is_goodbye(event: Mapping[str, Any]) -> bool:
    """Whether an event says that the bot has no token any more; that of a person alone does not."""
    revoked = event.get("tokens") or {}
    return event.get("type") == "app_uninstalled" or bool(isinstance(revoked, Mapping) and revoked.get("bot"))


async def leave(store: Store, stops: Stops, home: Path, body: Mapping[str, Any]) -> bool:
    """Delete what is kept of the workspace of such an event. False: it stays, since it is not installed, or was
    installed again after that.
    """
    team = str(body.get("team_id") or "")
    installed = await asyncio.to_thread(store.installations.get, team)
    at = datetime.fromtimestamp(float(body.get("event_time") or 0), UTC)
    # An event that comes late must not undo a new installation. Its time has whole seconds.
    if installed is None or not is_goodbye(body["event"]) or installed.installed_at.replace(microsecond=0) > at:
        return False
    for job in await asyncio.to_thread(store.jobs.active):
        if job.payload.get("team") == team:
            stops.ask(job.id)
    gone = await asyncio.to_thread(forget_team, store, home, team)
    await asyncio.to_thread(lambda: store.audit.note("uninstall", "the workspace", detail=team))
    log.info("workspace %s took the app away: %d crashes, %d jobs deleted", team, len(gone.reports), len(gone.jobs))
    return True
