"""What a thread says about a report, given what history knows: new, seen before, this very dump, or like another."""

import asyncio
from dataclasses import dataclass, replace

from analysis.verdict.report import Report
from bot import blocks
from bot.conversation import SUMMARY, Conversation, dump_number, dump_slot
from bot.outbound import Message
from bot.routing import route
from bot.several import Several, recalled
from bot.showing import message_at, posted_as, relabel, show_job, told_elsewhere
from bot.standing import Standing, standing
from bot.tools import Tools
from bot.webhooks.owing import owe
from storage.clock import utc_now
from storage.duplicates import Seen
from storage.threads import Form, Thread

MAX_COUNTERS = 20  # private channels whose first verdict counts on
FORMER = "Edited: this dump was posted again and analyzed anew at"
INSIDE = " › "  # between an archive and what is in it


@dataclass(frozen=True, slots=True)
class _Plan:
    # Where a report is told and in which form, how its failure stood when that was decided, where that was told first.
    place: Thread
    stands: Standing
    first: Thread | None


async def tell(
    tools: Tools,
    talk: Conversation,
    report: Report,
    line: str = "",
    before: Report | None = None,
    *,
    anew: bool = False,
) -> None:
    """Tell a report in its thread: summary and details; in short if the failure was told before; with a pointer if
    this very dump was.

    ``line`` is one about the message itself, as about symbols. With ``before``, the report that was told so far, its
    details are edited. ``anew``: the report takes the place of the one that was told there, so it is told whole.

    Raises:
        Refused, Unreachable.
    """
    own = await talk.begin("Writing the summary") or ""
    plan = await asyncio.to_thread(_plan, tools, talk, report, own, line=line, anew=anew)
    ts = await talk.end(
        await asyncio.to_thread(message_at, tools.store, report, plan.place, *tools.links(report, plan.place)),
        fine=True,
    )
    place = await _note(tools, report, plan, ts)
    if anew:
        await _edit_former(tools, place)
    await route(tools, talk, report, place)
    unfolded = await asyncio.to_thread(tools.store.posts.known, talk.key, "evidence")
    if plan.place.form == "full" or unfolded is not None:
        await talk.details(posted_as(report, plan.place.source), before)


async def tell_several(tools: Tools, talk: Conversation, found: Several) -> None:
    """Tell the dumps of an archive: a summary on top, a reply for each, details for the first dump of each problem.

    Raises:
        Refused, Unreachable.
    """
    await talk.begin("Writing the summary")
    has_failed = any(outcome.report is None for outcome in found.outcomes)
    await talk.end(_summary_of(found), fine=not (has_failed or found.damaged))
    firsts = {id(problem.report) for problem in problems_of(found)}
    for number, outcome in enumerate(found.outcomes, 1):
        if outcome.report is not None:
            await _tell_one(tools, talk, outcome.name, outcome.report, number, whole=id(outcome.report) in firsts)


async def retell_one(tools: Tools, talk: Conversation, place: Thread, report: Report, before: Report) -> None:
    """Edit what is told of one dump of several at its place, and the summary of them all.

    Raises:
        Refused, Unreachable.
    """
    number = dump_number(place.slot)
    await relabel(tools, place, place.line)
    await asyncio.to_thread(owe, tools.store, place.report_id)
    if await asyncio.to_thread(tools.store.posts.known, talk.key, f"evidence-{number}") is not None:
        await talk.details(posted_as(report, place.source), before, number=number)
    memory = await asyncio.to_thread(tools.store.jobs.remembered, talk.key, "dumps")
    found = None if memory is None else await recalled(tools.store, memory)
    if found is not None:
        await talk.change_summary(_summary_of(found))


def _summary_of(found: Several) -> Message:
    failures = tuple((outcome.name, outcome.line) for outcome in found.outcomes if outcome.report is None)
    return blocks.archive(problems_of(found), failures, found.damaged, found.left_out)


def problems_of(found: Several) -> tuple[blocks.Problem, ...]:
    """The different failures among the dumps, most frequent first: dumps of one bucket are one problem."""
    by_bucket: dict[str, list[tuple[str, Report]]] = {}
    for outcome in found.outcomes:
        if outcome.report is not None:
            group = by_bucket.setdefault(outcome.report.bucket.failure_bucket_id, [])
            group.append((outcome.name, outcome.report))
    groups = sorted(by_bucket.values(), key=len, reverse=True)
    return tuple(blocks.Problem(group[0][1], tuple(name for name, _ in group)) for group in groups)


async def _tell_one(tools: Tools, talk: Conversation, name: str, report: Report, number: int, *, whole: bool) -> None:
    # One dump of several. Its own reply is the place where it was told.
    slot = dump_slot(number)
    async with tools.alone(report.dump.identity):
        own = await asyncio.to_thread(tools.store.posts.known, talk.key, slot)
        plan = await asyncio.to_thread(_plan, tools, talk, report, own or "", slot=slot, name=name)
        ts = await talk.tell_one(
            number,
            await asyncio.to_thread(message_at, tools.store, report, plan.place, *tools.links(report, plan.place)),
        )
        place = await _note(tools, report, plan, ts)
    if whole:
        await route(tools, talk, report, place, number)
    if whole and plan.place.form == "full":
        await talk.details(posted_as(report, plan.place.source), number=number)


def _plan(
    tools: Tools,
    talk: Conversation,
    report: Report,
    own: str,
    *,
    line: str = "",
    anew: bool = False,
    slot: str = SUMMARY,
    name: str | None = None,
) -> _Plan:
    at = talk.place
    store = tools.store.seen_at(at.team, at.channel)
    seen = store.seen(report)
    stands = standing(store, report, at.channel)
    known = store.threads.of_summary(at.team, at.channel, own)
    form = _form(seen, stands, known, at.channel, own, anew=anew)
    number = store.reports.number_of_dump(report.dump.identity, report.dump.sha256) or 0
    told = utc_now() if known is None else known.created_at
    place = Thread(
        report_id=number,
        team=at.team,
        channel=at.channel,
        ts=talk.thread,
        summary_ts=own,
        created_at=told,
        form=form,
        line=line,
        job=talk.key,
        slot=slot,
        name=name,
        source=_shown_as(report, talk.source) if name is None else f"{talk.source}{INSIDE}{name}",
    )
    return _Plan(place, stands, None if seen.same_bucket is None else seen.same_bucket.thread)


def _form(seen: Seen, stands: Standing, known: Thread | None, channel: str, own: str, *, anew: bool) -> Form:
    if not anew and told_elsewhere(seen.same_dump, channel, own) is not None:
        return "pointer"
    was_told = seen.same_bucket is not None and seen.same_bucket.thread is not None
    if known is not None and known.form != "pointer":  # it keeps its form, unless there is no other to point to
        return "full" if known.form == "short" and not was_told else known.form
    if anew:
        return "full"
    return "muted" if stands.is_muted else "short" if was_told else "full"


def _shown_as(report: Report, posted: str) -> str:
    # History may know the dump by another link, from a place that is not for everybody here.
    source = report.dump.source
    return source if source == posted or source.startswith(f"{posted}{INSIDE}") else posted


async def _note(tools: Tools, report: Report, plan: _Plan, ts: str) -> Thread:
    # Where a report was told, for those who post the same dump later and for all that is said of the failure later.
    if not plan.place.report_id:
        return plan.place
    link = tools.permalink(plan.place.channel, ts, plan.place.ts)
    place = replace(plan.place, summary_ts=ts, permalink=link)
    await asyncio.to_thread(tools.store.threads.note, place)
    await asyncio.to_thread(owe, tools.store, place.report_id)
    key = f"{place.job}:{place.slot}"
    sighted = await asyncio.to_thread(tools.store.seen_at, place.team, place.channel)
    if await asyncio.to_thread(standing, sighted, report, place.channel) != plan.stands:
        # Somebody said something while this was being told, and it could not be edited then.
        await asyncio.to_thread(tools.store.jobs.enqueue, show_job(key, place, alone=True))
    if place.form in ("short", "muted") and plan.first is not None:
        counter = show_job(f"{key}:counter", plan.first, alone=True)
        await asyncio.to_thread(tools.store.jobs.enqueue, counter)
    for number, other in enumerate(await asyncio.to_thread(_counting_on, tools, report, place)):
        await asyncio.to_thread(tools.store.jobs.enqueue, show_job(f"{key}:elsewhere-{number}", other, alone=True))
    return place


async def _edit_former(tools: Tools, place: Thread) -> None:
    # The dump was told before, with a verdict that no longer holds: no two stand side by side.
    line = f"{FORMER} {utc_now():%Y-%m-%d %H:%M} UTC: this is the verdict of then; the details below are from before."
    others = [
        one
        for one in await asyncio.to_thread(tools.store.threads.of_report, place.report_id)
        if (one.channel, one.summary_ts) != (place.channel, place.summary_ts)
    ]
    for number, other in enumerate(others):
        await asyncio.to_thread(tools.store.threads.note, replace(other, line=line))
        job = show_job(f"{place.job}:{place.slot}:former-{number}", other, alone=True)
        await asyncio.to_thread(tools.store.jobs.enqueue, job)


def _counting_on(tools: Tools, report: Report, place: Thread) -> list[Thread]:
    # What is told in public counts in private channels, too: the first verdict about the failure in each. Nothing of
    # them shows here.
    room = tools.store.channels.get(place.team, place.channel)
    if room is None or room.kind != "public":
        return []
    firsts: dict[str, Thread] = {}
    for other in tools.store.places(report):
        if other.form == "full" and other.channel != place.channel and other.team == place.team:
            firsts.setdefault(other.channel, other)
    rooms = {channel: tools.store.channels.get(place.team, channel) for channel in firsts}
    private = [one for channel, one in firsts.items() if (found := rooms[channel]) is None or found.kind != "public"]
    return private[:MAX_COUNTERS]
