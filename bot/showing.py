"""What a message about a report says at its place, as of now; and every such message brought up to date.

The same words come from one function, whether a report is told for the first time or what stands there is edited: a
message is what history says of its report, of the failure, and of the place.
"""

import asyncio
import logging
from dataclasses import replace

from analysis.verdict.report import Report
from bot import blocks
from bot.acts import buttons_at
from bot.conversation import message_key
from bot.outbound import Message
from bot.questions import Row
from bot.sending import Refused
from bot.standing import standing
from bot.tools import Tools
from bot.urgency import TALK
from storage.duplicates import SameBucket, SameDump, Similar
from storage.jobs import NewJob
from storage.store import Store
from storage.threads import Thread

log = logging.getLogger(__name__)

SHOW = "show"  # the kind of jobs that bring messages up to date
DETAILS = "details"  # the kind of jobs that follow a short answer with its details
RAW = "raw"  # the kind of jobs that share a report as a file


def message_at(
    store: Store, report: Report, place: Thread, page: str | None = None, new_ticket: str | None = None
) -> Message:
    """What stands at a place that tells a report; ``page`` is the address of its page, ``new_ticket`` begins a ticket
    about it. It says no more of other crashes than every member of the channel may know.
    """
    store = store.seen_at(place.team, place.channel)
    seen = store.seen(report)
    stands = standing(store, report, place.channel)
    before = _before(seen.same_bucket, place)
    match place.form:
        case "pointer":
            first = told_elsewhere(seen.same_dump, place.channel, place.summary_ts)
            message = blocks.duplicate(report, report.analyzed_at, first, stands)
        case "muted":
            message = blocks.muted(report, before, stands)
        case "short" if before is not None:
            message = blocks.again(report, before, place.line, stands)
        case _:
            message = blocks.summary(report, before, _relatives(seen.similar), place.line, stands)
    message = blocks.with_links(message, page, new_ticket)
    if place.name is not None:
        message = blocks.of_archive(place.name, message)
    return blocks.with_buttons(message, buttons_at(place, stands, seen_before=before is not None))


def told_elsewhere(same: SameDump | None, channel: str, own: str) -> str | None:
    """The first thread about this very dump, unless that is this very one, interrupted and resumed."""
    threads = () if same is None else same.threads
    if any((thread.channel, thread.summary_ts) == (channel, own) for thread in threads):
        return None
    return next((thread.permalink for thread in threads if thread.permalink), None)


def posted_as(report: Report, source: str) -> Report:
    """The report as it is shown where its dump was posted under this name, which may not be that of history."""
    return replace(report, dump=replace(report.dump, source=source)) if source else report


def show_job(key: str, place: Thread, *, alone: bool) -> NewJob:
    """The job that brings a place up to date, ``alone`` or with every other one of the same failure."""
    payload = {"team": place.team, "channel": place.channel, "ts": place.ts, "thread": place.ts}
    asked = payload | {"summary": place.summary_ts, "alone": "yes" if alone else ""}
    return NewJob(f"show:{key}", asked, SHOW, priority=TALK)


def details_job(place: Thread) -> NewJob:
    """The job that shows the details of a crash that was answered in short."""
    job = show_job("", place, alone=True)
    return NewJob(f"details:{place.team}:{place.channel}:{place.summary_ts}", job.payload, DETAILS, priority=TALK)


def raw_job(place: Thread, user: str, key: str) -> NewJob:
    """The job that shares the report of a place as a file, for a person who asked for it."""
    job = show_job("", place, alone=True)
    return NewJob(f"raw:{key}", {**job.payload, "by": user}, RAW, priority=TALK)


async def unfold(tools: Tools, payload: dict[str, str]) -> tuple[Thread, Report] | None:
    """Turn a short answer into the whole summary: its place and report; None where history knows neither.

    Raises:
        Unreachable.
    """
    found = await told_at(tools, payload)
    if found is not None and found[0].form == "short":
        await _change(tools, replace(found[0], form="full"))
    return found


async def relabel(tools: Tools, place: Thread, line: str) -> None:
    """Let a message say something else of itself. Raises: Unreachable."""
    await _change(tools, replace(place, line=line))


async def _change(tools: Tools, place: Thread) -> None:
    await asyncio.to_thread(tools.store.threads.note, place)
    await restate(tools, place)


async def told_at(tools: Tools, payload: dict[str, str]) -> tuple[Thread, Report] | None:
    """The place that a job names, and its report; None where history knows neither."""
    threads = tools.store.threads
    place = await asyncio.to_thread(threads.of_summary, payload["team"], payload["channel"], payload["summary"])
    report = None if place is None else await asyncio.to_thread(tools.store.reports.report, place.report_id)
    return None if place is None or report is None else (place, report)


async def show(tools: Tools, payload: dict[str, str]) -> None:
    """Do such a job: the place that it names first, the others from the latest to the oldest.

    Raises:
        Unreachable.
    """
    found = await told_at(tools, payload)
    if found is None:
        return  # it has left history since
    place, report = found
    await restate(tools, place)
    if not payload["alone"]:
        for other in reversed(await asyncio.to_thread(tools.store.places, report)):
            if other != place:
                await restate(tools, other)


async def restate(tools: Tools, place: Thread) -> None:
    """Edit what stands at a place into what holds now. One that Slack refuses, as in an archived channel, stays.

    Raises:
        Unreachable.
    """
    report = await asyncio.to_thread(tools.store.reports.report, place.report_id)
    if report is None:
        return
    async with tools.alone(report.dump.identity):
        now = await asyncio.to_thread(tools.store.threads.of_summary, place.team, place.channel, place.summary_ts)
        if now is None:
            return
        message = await asyncio.to_thread(message_at, tools.store, report, now, *tools.links(report, now))
        key = message_key(now.job or now.summary_ts, now.slot)
        try:
            await tools.sender.edit(now.channel, now.summary_ts, message, key, final=True)
        except Refused as refused:
            log.warning("a message about report %d stays as it was: %s", now.report_id, refused.word)


def seen_here(store: Store, report: Report) -> blocks.Seen | None:
    """How often a failure was seen, for those who see this much of history; None for once."""
    bucket = store.seen(report).same_bucket
    if bucket is None:
        return None
    return blocks.Seen(bucket.count, bucket.first_seen, len(bucket.hosts), None, is_counter=True)


def _before(bucket: SameBucket | None, place: Thread) -> blocks.Seen | None:
    if bucket is None:
        return None
    first = bucket.thread
    link = first.permalink if first is not None and first.created_at <= place.created_at else None
    return blocks.Seen(bucket.count, bucket.first_seen, len(bucket.hosts), link, not bucket.is_latest)


def _relatives(similar: tuple[Similar, ...]) -> tuple[blocks.Relative, ...]:
    return tuple(
        blocks.Relative(Row(item.report, item.thread).text, item.reason, item.thread.permalink if item.thread else None)
        for item in similar
    )
