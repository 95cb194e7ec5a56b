"""What people did in Slack, as entries of the audit log: questions, analyses, deeds, and what was refused."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from bot.listeners.intake import ANALYZE, ASK, UNLOCK, Rules, refused
from storage.jobs import Job
from storage.store import Store

DEEDS = {ANALYZE: "analyze", ASK: "ask", UNLOCK: "password"}


def keep_jobs(store: Store, jobs: Iterable[Job], by: str) -> None:
    """Somebody asked for these."""
    for job in jobs:
        asked = job.payload
        words = asked.get("question") or asked.get("shown") or ""  # of a password, nothing
        team, channel = asked.get("team") or "", asked.get("channel") or ""
        store.audit.note(DEEDS.get(job.kind, job.kind), by, team=team, channel=channel, detail=words)


async def note_refused(store: Store, body: Mapping[str, Any], rules: Rules) -> None:
    """Somebody spoke to the bot where it does not listen, or is nobody to whom it listens."""
    who = refused(body, rules)
    if who is not None and await asyncio.to_thread(store.events.first, f"refused:{who.channel}:{who.ts}"):
        await note_deed(store, "ask", who.user, team=who.team, channel=who.channel, allowed=False)


async def note_deed(
    store: Store, deed: str, by: str, *, team: str, channel: str, detail: str = "", allowed: bool = True
) -> None:
    """Somebody did something, or wanted to."""
    await asyncio.to_thread(
        lambda: store.audit.note(deed, by, team=team, channel=channel, detail=detail, allowed=allowed)
    )
