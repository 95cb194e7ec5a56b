"""A dump analysed again because somebody asked: fetched anew by the link in its message, its story edited in place.

The link was forgotten when its job ended, since it may carry a signature; the message that it was posted in has it.
Whatever goes wrong, the verdict that stands there stays, with a line about it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from analysis.verdict.report import Report
from bot import urgency
from bot.archives.limits import ArchiveFailed
from bot.child import AnalysisFailed
from bot.conversation import Conversation
from bot.fetch.download import Fetched
from bot.fetch.problems import FetchFailed
from bot.late import Remember, blamed
from bot.listeners.intake import Rules, requests
from bot.showing import relabel
from bot.slack_text import render
from bot.symbols.fetching import SymbolServers
from bot.telling import retell_one, tell
from bot.tools import Tools
from storage.clock import utc_now
from storage.jobs import Job, NewJob
from storage.threads import Thread

log = logging.getLogger(__name__)

UNDER_WAY = "Being analyzed again."
IN_VAIN = "It could not be analyzed again, so the verdict is the one from before"
AGAIN = "again"  # the kind of jobs that look for the link and ask for the analysis


def again_job(place: Thread, user: str) -> NewJob:
    """The job of a person who wants the dump of this place analysed again."""
    payload = {"team": place.team, "channel": place.channel, "ts": place.ts, "thread": place.ts}
    key = f"again:{place.team}:{place.channel}:{place.summary_ts}"
    return NewJob(key, payload | {"summary": place.summary_ts, "by": user}, AGAIN, priority=urgency.TALK)


async def ask_again(tools: Tools, job: Job) -> bool:
    """Find the link in its message, and ask for its analysis under the key of the first one; False where that one has
    not ended yet, its details are still being told, or another dump of the archive is being analysed again.

    Raises:
        Refused, Unreachable.
    """
    asked = job.payload
    place = await asyncio.to_thread(tools.store.threads.of_summary, asked["team"], asked["channel"], asked["summary"])
    wanted = None if place is None else await _wanted(tools, place)
    if wanted is None:
        await tools.sender.whisper(asked["channel"], asked["thread"], asked["by"], render("out_of_reach"))
        return True
    payload = {**wanted.payload, "again": asked["summary"]}
    made = await asyncio.to_thread(tools.store.jobs.enqueue, replace(wanted, payload=payload))
    return made.created or made.job.payload.get("again") == asked["summary"]


async def _wanted(tools: Tools, place: Thread) -> NewJob | None:
    # The job that the message asks for today, if that is the one that was told here.
    ts = (place.job or "").split(":")[2:3]
    # Where the verdict stands in the channel itself, the message is no part of its thread.
    under = ts[0] if ts and place.ts == place.summary_ts else place.ts
    message = await tools.sender.message(place.channel, under, ts[0]) if ts else None
    if message is None:
        return None
    event = {**message, "type": "app_mention", "channel": place.channel}
    found = requests({"event": event, "team_id": place.team}, Rules(bot_user=""))
    return next((request.job for request in found if request.job.key == place.job), None)


async def analyse_again(
    tools: Tools,
    job: Job,
    talk: Conversation,
    fetch: Callable[[], Awaitable[tuple[tuple[str, Fetched], ...]]],
    *,
    symbols: SymbolServers | None,
    remember: Remember,
) -> None:
    """Analyse the dump that ``fetch`` gets, and edit the story that is told of it.

    Raises:
        LostJob, Refused, Unreachable.
    """
    found = await _told(tools, job)
    if found is None:
        return
    place, first = found
    line = job.memory.get("line")
    if line is None:
        await relabel(tools, place, UNDER_WAY)
        try:
            second = await _second(tools, _same_dump(place, first, await fetch()), symbols)
        except (FetchFailed, ArchiveFailed, AnalysisFailed) as failed:
            log.info("job %d: not analysed again: %s", job.id, failed.kind)
            await relabel(tools, place, f"{IN_VAIN}: {failed.line}.")
            return
        line = _line(first, second)
        await asyncio.to_thread(tools.store.remember, second)
        await remember(line=line)
    latest = await asyncio.to_thread(tools.store.reports.report, place.report_id)
    async with tools.alone(first.dump.identity):
        if place.name is None:
            await tell(tools, talk, latest or first, line, before=first)
    if place.name is not None:
        await retell_one(tools, talk, replace(place, line=line), latest or first, first)


async def leave(tools: Tools, job: Job) -> None:
    """The second analysis came to nothing: the verdict stays as it was. Raises: Unreachable."""
    found = await _told(tools, job)
    if found is not None:
        await relabel(tools, found[0], f"{IN_VAIN}.")


async def _told(tools: Tools, job: Job) -> tuple[Thread, Report] | None:
    asked = job.payload
    place = await asyncio.to_thread(tools.store.threads.of_summary, asked["team"], asked["channel"], asked["again"])
    report = None if place is None else await asyncio.to_thread(tools.store.reports.report, place.report_id)
    return None if place is None or report is None else (place, report)


def _same_dump(place: Thread, first: Report, dumps: tuple[tuple[str, Fetched], ...]) -> Fetched:
    # Of an archive the dump with this content, whatever else is in it by now.
    found = [fetched for _, fetched in dumps if fetched.identity == first.dump.identity]
    if not found or (place.name is None and len(dumps) > 1):
        raise FetchFailed("changed", "its link leads to another file now")
    return found[0]


async def _second(tools: Tools, fetched: Fetched, symbols: SymbolServers | None) -> Report:
    async with tools.alone(fetched.identity):
        second = await tools.analyse(fetched, lambda _stage, _fraction: None, symbols)
        came = await asyncio.to_thread(symbols.await_late) if symbols is not None and symbols.late() else ()
        if came:
            second = await tools.analyse(fetched, lambda _stage, _fraction: None, symbols)
        return second


def _line(first: Report, second: Report) -> str:
    line = f"Edited: analyzed again at {utc_now():%Y-%m-%d %H:%M} UTC"
    if (first.verdict, first.threads) == (second.verdict, second.threads):
        return f"{line}, with the same result."
    before, after = blamed(first), blamed(second)
    return f"{line}." if before == after else f"{line}. The verdict before blamed {before or 'nobody'}."
