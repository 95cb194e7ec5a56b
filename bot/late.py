"""Symbols that come after the first verdict: waited for, the dump analysed again, the story edited in place.

The job's memory says how far that is, so that whoever runs the job next goes on there: ``late`` where the first verdict
went without files that were on their way, ``edited`` once that is settled (the line that the story then carries, empty
where nothing came).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from analysis.verdict.report import Report
from bot.child import AnalysisFailed
from bot.conversation import Conversation
from bot.fetch.download import Fetched
from bot.fetch.problems import FetchFailed
from bot.symbols.fetching import SymbolServers
from bot.telling import tell
from bot.tools import Tools
from storage.jobs import Job

log = logging.getLogger(__name__)

PENDING = "Symbols are still on their way: this is edited when they change anything."
SHOWN_NAMES = 2

Remember = Callable[..., Awaitable[None]]


def is_due(job: Job) -> bool:
    """Whether a predecessor told a first verdict of this job and did not come to the late symbols."""
    return bool(job.memory.get("late")) and "edited" not in job.memory


async def revise(
    tools: Tools,
    talk: Conversation,
    first: Report,
    remember: Remember,
    *,
    fetched: Fetched,
    symbols: SymbolServers,
    resumed: bool = False,
) -> None:
    """Wait for late symbols, analyse again if any came, and edit what was told of ``first``.

    A resumed job does not know what was late, and analyses again in any case.

    Raises:
        Refused, Unreachable.
    """
    came = await asyncio.to_thread(symbols.await_late)
    if not came and not resumed:
        await leave(tools, talk, first, remember)
        return
    async with tools.alone(fetched.identity):
        try:
            second = await tools.analyse(fetched, lambda _stage, _fraction: None, symbols)
        except (AnalysisFailed, FetchFailed) as failed:
            log.warning("the analysis with late symbols failed: %s", failed.kind)
            second = first
        line = edited_line(first, second, came)
        if not line:
            await leave(tools, talk, first, remember)
            return
        stored = await asyncio.to_thread(tools.store.remember, second)
        await remember(report=stored.id, edited=line)
        await tell(tools, talk, second, line, before=first)


async def leave(tools: Tools, talk: Conversation, first: Report, remember: Remember) -> None:
    """Nothing came of the late symbols: the first verdict stands, and no longer says that it may be edited."""
    await remember(edited="")
    await tell(tools, talk, first)


def edited_line(first: Report, second: Report, came: tuple[str, ...]) -> str:
    """What the edited story says about itself; empty where it is the old one."""
    if (first.verdict, first.threads) == (second.verdict, second.threads):
        return ""
    names = list(dict.fromkeys(came))
    shown, more = names[:SHOWN_NAMES], len(names) - SHOWN_NAMES
    which = f" ({', '.join(shown)}{f' and {more} more' if more > 0 else ''})" if shown else ""
    line = f"Edited: symbols that came late{which} are taken into account."
    before, after = blamed(first), blamed(second)
    return line if before == after else f"{line} The first verdict blamed {before or 'nobody'}."


def blamed(report: Report) -> str | None:
    """Whom a report blames; None for nobody."""
    culprit = report.verdict.culprit
    return (culprit.module or culprit.function) if culprit else None
