"""What a thread says about a report, given what history knows: new, seen before, this very dump, or like another."""

import asyncio

from analysis.verdict.report import Report
from bot import blocks
from bot.conversation import Conversation
from bot.questions import Row
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
    if seen.same_dump is not None:
        await asyncio.to_thread(
            tools.store.threads.add,
            seen.same_dump.report.id,
            team=talk.place.team,
            channel=talk.place.channel,
            ts=talk.place.thread,
            summary_ts=ts,
            permalink=tools.permalink(talk.place.channel, ts, talk.place.thread),
        )
    await talk.details(report, before)


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
