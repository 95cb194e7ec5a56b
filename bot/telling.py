"""What a thread says about a report, given what history knows: new, seen before, this very dump, or like another."""

import asyncio

from analysis.verdict.report import Report
from bot import blocks
from bot.conversation import Conversation
from bot.questions import Row
from bot.several import Several
from bot.tools import Tools
from storage.duplicates import SameBucket, SameDump, Similar


async def tell(
    tools: Tools,
    talk: Conversation,
    report: Report,
    line: str = "",
    before: Report | None = None,
    *,
    anew: bool = False,
) -> None:
    """Tell a report in its thread: summary and details, or a pointer to where this dump was told first.

    ``line`` is one about the symbols. With ``before``, the report that was told so far, its details are edited.
    ``anew``: the report takes the place of the one that was told there, so it is told whole.

    Raises:
        Refused, Unreachable.
    """
    seen = await asyncio.to_thread(tools.store.seen, report)
    own = await talk.begin("Writing the summary")
    first = None if anew else _told_elsewhere(seen.same_dump, talk.place.channel, own)
    if first is not None:
        await talk.end(blocks.duplicate(report, report.analyzed_at, first), fine=True)
        return
    summary = blocks.summary(report, _seen(seen.same_bucket), _relatives(seen.similar), line)
    ts = await talk.end(summary, fine=True)
    await _note(tools, talk, seen.same_dump, ts)
    await talk.details(report, before)


async def tell_several(tools: Tools, talk: Conversation, found: Several) -> None:
    """Tell the dumps of an archive: a summary on top, a reply for each, details for the first dump of each problem.

    Raises:
        Refused, Unreachable.
    """
    await talk.begin("Writing the summary")
    problems = problems_of(found)
    failures = tuple((outcome.name, outcome.line) for outcome in found.outcomes if outcome.report is None)
    summary = blocks.archive(problems, failures, found.damaged, found.left_out)
    await talk.end(summary, fine=not (failures or found.damaged))
    firsts = {id(problem.report) for problem in problems}
    for number, outcome in enumerate(found.outcomes, 1):
        if outcome.report is not None:
            await _tell_one(tools, talk, outcome.name, outcome.report, number, whole=id(outcome.report) in firsts)


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
    async with tools.alone(report.dump.identity):
        seen = await asyncio.to_thread(tools.store.seen, report)
        own = await asyncio.to_thread(tools.store.posts.known, talk.key, f"dump-{number}")
        first = _told_elsewhere(seen.same_dump, talk.place.channel, own or "")
        if first is not None:
            await talk.tell_one(number, blocks.of_archive(name, blocks.duplicate(report, report.analyzed_at, first)))
            return
        message = blocks.summary(report, _seen(seen.same_bucket), _relatives(seen.similar))
        ts = await talk.tell_one(number, blocks.of_archive(name, message))
        await _note(tools, talk, seen.same_dump, ts)
    if whole:
        await talk.details(report, number=number)


async def _note(tools: Tools, talk: Conversation, same: SameDump | None, ts: str) -> None:
    # Where a report was told, for those who post the same dump later.
    if same is not None:
        await asyncio.to_thread(
            tools.store.threads.add,
            same.report.id,
            team=talk.place.team,
            channel=talk.place.channel,
            ts=talk.place.thread,
            summary_ts=ts,
            permalink=tools.permalink(talk.place.channel, ts, talk.place.thread),
        )


def _told_elsewhere(same: SameDump | None, channel: str, own: str) -> str | None:
    # The first thread about this dump, unless that is this very one, interrupted and resumed.
    threads = () if same is None else same.threads
    if any((thread.channel, thread.summary_ts) == (channel, own) for thread in threads):
        return None
    return next((thread.permalink for thread in threads if thread.permalink), None)


def _seen(bucket: SameBucket | None) -> blocks.Seen | None:
    if bucket is None:
        return None
    first = None if bucket.thread is None else bucket.thread.permalink
    return blocks.Seen(bucket.count, bucket.first_seen, len(bucket.hosts), first)


def _relatives(similar: tuple[Similar, ...]) -> tuple[blocks.Relative, ...]:
    return tuple(
        blocks.Relative(Row(item.report, item.thread).text, item.reason, item.thread.permalink if item.thread else None)
        for item in similar
    )
