"""Jobs are done here: fetch, analyse in a child, remember, tell. Whatever happens, the asker gets an answer.

A worker holds its job by a lease that it renews. Killed, it leaves the job to the next one, which goes on where
the thread and the job's memory say. Stopped gracefully, it gives the job back at once.
"""

import asyncio
import functools
import logging
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.errors import BadRules
from analysis.verdict.report import Report
from bot import blocks, late
from bot.child import AnalysisFailed
from bot.conversation import Conversation, Place
from bot.fetch.download import Arrived, Fetched
from bot.fetch.links import link
from bot.fetch.pasted import pasted
from bot.fetch.problems import FetchFailed, Unchanged
from bot.fetch.ranged import Whole
from bot.fetch.workspace import job_name, workspace_aside
from bot.listeners.intake import ANALYZE, ASK
from bot.orphans import worker_name
from bot.sending import Refused, Unreachable
from bot.symbols.fetching import SymbolServers
from bot.telling import tell
from bot.tools import Tools
from storage.jobs import Job

log = logging.getLogger(__name__)

IDLE_SECONDS = 1.0  # how often a worker looks for work that nobody announced, such as a lease that ran out
RETRY_SECONDS = 30.0


class LostJob(Exception):
    """The lease ran out and another worker has the job."""


async def work(tools: Tools, number: int, news: asyncio.Event, stop: asyncio.Event) -> None:
    """Take jobs one after another until ``stop`` is set; the job in hand then goes back to the queue."""
    name = worker_name(number)
    while not stop.is_set():
        news.clear()
        job = await asyncio.to_thread(tools.store.jobs.take, name, tools.lease_seconds, (ANALYZE, ASK))
        if job is None:
            await _first(asyncio.create_task(stop.wait()), asyncio.create_task(news.wait()), timeout=IDLE_SECONDS)
            continue
        await _hold(tools, job, stop)


async def _hold(tools: Tools, job: Job, stop: asyncio.Event) -> None:
    # Runs one job beside its heartbeat; ends with the job finished, failed or back in the queue.
    doing = asyncio.create_task(_do(tools, job))
    beating = asyncio.create_task(_heartbeat(tools, job))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({doing, beating, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finished = doing.done()
    for task in (doing, beating, stopping):
        task.cancel()
    await asyncio.gather(doing, beating, stopping, return_exceptions=True)
    if doing.cancelled() or not finished:
        if stop.is_set():
            await asyncio.to_thread(tools.store.jobs.requeue, job)
            log.info("job %d goes back to the queue", job.id)
        return
    error = doing.exception()
    if error is not None:
        await _trouble(tools, job, error)


async def _trouble(tools: Tools, job: Job, error: BaseException) -> None:
    if isinstance(error, LostJob):
        log.warning("job %d is another worker's now", job.id)
    elif isinstance(error, Refused):
        log.error("job %d: Slack refused: %s", job.id, error.word)
        await asyncio.to_thread(tools.store.jobs.fail, job, "slack", error.word)
    elif isinstance(error, Unreachable):
        log.error("job %d: Slack out of reach: %s", job.id, error)
        await asyncio.to_thread(tools.store.jobs.requeue, job, RETRY_SECONDS)
    else:
        log.error("job %d: %s", job.id, type(error).__name__, exc_info=error)
        await asyncio.to_thread(tools.store.jobs.requeue, job, 1.0, count_attempt=True)


async def _heartbeat(tools: Tools, job: Job) -> None:
    while await asyncio.to_thread(tools.store.jobs.renew, job, tools.lease_seconds):  # noqa: ASYNC110  # a clock
        await asyncio.sleep(tools.lease_seconds / 4)
    log.warning("job %d lost its lease", job.id)


async def _do(tools: Tools, job: Job) -> None:
    talk = _conversation(tools, job)
    try:
        if job.kind == ASK:
            await _reply(tools, job, talk)
        elif job.is_exhausted:
            await _give_up(tools, job, talk)
        else:
            await _analyse(tools, job, talk)
    finally:
        await talk.hush()


def _conversation(tools: Tools, job: Job) -> Conversation:
    asked = job.payload
    place = Place(
        asked["team"], asked["channel"], asked["ts"], asked["thread"], asked["channel"] in tools.broadcast_channels
    )

    async def settle(fine: bool) -> list[bool | None]:
        await _remember(tools, job, fine=fine)
        return await asyncio.to_thread(tools.store.events.outcomes, place.team, place.channel, place.ts)

    return Conversation(tools.sender, tools.store.posts, place, job.key, asked.get("shown", ""), settle=settle)


async def _reply(tools: Tools, job: Job, talk: Conversation) -> None:
    message = await asyncio.to_thread(tools.answer, job.payload["question"], talk.place)
    await talk.reply(message)
    await asyncio.to_thread(tools.store.jobs.finish, job)


async def _give_up(tools: Tools, job: Job, talk: Conversation) -> None:
    told, _ = await _recalled(tools, job)
    if told is not None:  # what failed again and again was to better a verdict
        await _tell(tools, talk, told)
        await asyncio.to_thread(tools.store.jobs.finish, job)
        return
    line = f"The analysis ended without a result {job.attempts_allowed} times; it will not be tried again."
    await talk.end(blocks.failure(line, talk.source), fine=False)
    await asyncio.to_thread(tools.store.jobs.fail, job, "exhausted", line)


async def _analyse(tools: Tools, job: Job, talk: Conversation) -> None:
    symbols = await asyncio.to_thread(tools.symbols)
    try:
        async with (
            workspace_aside(tools.home, job_name(job.id), keep=tools.keep_dumps) as directory,
            AsyncExitStack() as files,
        ):
            report = await _story(tools, job, talk, _Desk(directory, files, symbols))
    except (FetchFailed, AnalysisFailed) as failed:
        log.info("job %d failed: %s", job.id, failed.kind)
        await talk.end(blocks.failure(_sentence(failed), talk.source), fine=False)
        await asyncio.to_thread(tools.store.jobs.fail, job, failed.kind, failed.line)
        return
    finally:
        if symbols is not None:
            symbols.close()
    await asyncio.to_thread(tools.store.jobs.finish, job, {"identity": report.dump.identity})
    log.info("job %d done: failure %s", job.id, report.bucket.failure_id_hash)


@dataclass(frozen=True, slots=True)
class _Desk:
    # What one job works with: where its files lie, those to be closed at its end, what fetches its symbols.
    directory: Path
    files: AsyncExitStack
    symbols: SymbolServers | None


async def _story(tools: Tools, job: Job, talk: Conversation, desk: _Desk) -> Report:
    # From the file to the verdict that was told. Raises: FetchFailed, AnalysisFailed, as long as none was.
    symbols = desk.symbols
    remember = functools.partial(_remember, tools, job)
    told, anew = await _recalled(tools, job)
    if told is not None:
        line = late.PENDING if late.is_due(job) else job.memory.get("edited") or ""
        await _tell(tools, talk, told, line, anew=anew)
        if symbols is not None and late.is_due(job):
            try:
                found = await _file(tools, job, talk, desk, again=True)
            except FetchFailed:
                await late.leave(tools, talk, told, remember)
            else:
                assert isinstance(found, Fetched)  # noqa: S101  # without a tag, a server cannot say "unchanged"
                await late.revise(tools, talk, told, remember, fetched=found, symbols=symbols, resumed=True)
        return told
    await talk.begin("Reading" if job.payload.get("pasted") else "Downloading")
    found = await _file(tools, job, talk, desk)
    if isinstance(found, Report):
        await _tell(tools, talk, found)
        return found
    try:
        report, anew = await _report(tools, job, talk, found, symbols)
    except Whole as why:  # what was read of it so far may be of two different files
        found = await _file(tools, job, talk, desk, whole=why.line)
        assert isinstance(found, Fetched)  # noqa: S101  # without a tag, a server cannot say "unchanged"
        report, anew = await _report(tools, job, talk, found, symbols)
    if symbols is None or not symbols.late():
        await _tell(tools, talk, report, anew=anew)
        return report
    await _tell(tools, talk, report, late.PENDING, anew=anew)
    await late.revise(tools, talk, report, remember, fetched=found, symbols=symbols)
    return report


async def _tell(tools: Tools, talk: Conversation, report: Report, line: str = "", *, anew: bool = False) -> None:
    async with tools.alone(report.dump.identity):
        await tell(tools, talk, report, line, anew=anew)


def _sentence(failed: FetchFailed | AnalysisFailed) -> str:
    if isinstance(failed, FetchFailed):
        return f"I could not read this link: {failed.line}."
    return f"{failed.line[:1].upper()}{failed.line[1:].rstrip('.')}."


async def _recalled(tools: Tools, job: Job) -> tuple[Report | None, bool]:
    # The report that a predecessor of this very job stored before it died.
    number = job.memory.get("report")
    report = None if number is None else await asyncio.to_thread(tools.store.reports.report, number)
    return report, bool(job.memory.get("anew"))


async def _file(
    tools: Tools, job: Job, talk: Conversation, desk: _Desk, *, again: bool = False, whole: str | None = None
) -> Fetched | Report:
    # The dump; or its report, where the server says that it is still the one we had from this link.
    if job.payload.get("pasted"):
        return await asyncio.to_thread(pasted, desk.directory / "pasted.txt", job.secret or "", job.payload["shown"])
    found = await _fetched(tools, job, talk, desk.directory / "dump", again=again, whole=whole)
    if isinstance(found, Fetched) and found.pages is not None:
        desk.files.push_async_callback(asyncio.to_thread, found.pages.close)
    return found


async def _report(
    tools: Tools, job: Job, talk: Conversation, fetched: Fetched, symbols: SymbolServers | None
) -> tuple[Report, bool]:
    # The report, and whether it takes the place of an older one of the same dump.
    async with tools.alone(fetched.identity):
        same = await asyncio.to_thread(tools.store.duplicates.same_dump, fetched.identity, fetched.sha256)
        known = None if same is None else await asyncio.to_thread(tools.store.reports.report, same.report.id)
        if same is not None and known is not None and await _is_current(tools, known):
            await _remember(tools, job, report=same.report.id, tag=fetched.tag)
            return known, False
        talk.progress("Analysing", 0.0)
        pages = fetched.pages

        def told(stage: str, fraction: float | None) -> None:
            talk.progress(f"Analysing: {stage}", fraction, "" if pages is None else pages.said)

        report = await tools.analyse(fetched, told, symbols)
        stored = await asyncio.to_thread(tools.store.remember, report)
        is_late = symbols is not None and symbols.late()
        anew = same is not None
        await _remember(tools, job, report=stored.id, tag=fetched.tag, anew=anew, **({"late": True} if is_late else {}))
        return report, anew


async def _is_current(tools: Tools, known: Report) -> bool:
    # By other rules, or by another version, the same dump may get another verdict: then it is analysed again.
    try:
        return known.analyzer == await asyncio.to_thread(tools.analyzer)
    except BadRules:
        return True  # nothing better can be made as long as the rules cannot be read


async def _fetched(
    tools: Tools, job: Job, talk: Conversation, path: Path, *, again: bool, whole: str | None
) -> Fetched | Report:
    # ``again``: a verdict stands in the thread already, and no progress may take its place. ``whole``: why the file
    # may not stay where it is.
    wanted = link(job.secret or job.payload["shown"])
    answered = await asyncio.to_thread(tools.store.events.answered, wanted.url)
    tag, number = answered or (None, 0)
    known = None if answered is None or again or whole else await asyncio.to_thread(tools.store.reports.report, number)
    if known is not None and not await _is_current(tools, known):
        known = None

    def arrived(so_far: Arrived) -> None:
        if not again:
            talk.progress("Downloading", so_far.fraction, str(so_far))

    try:
        return await tools.fetch(wanted, path, arrived, None if known is None else tag, whole)
    except Unchanged:
        if known is None:
            raise
        await _remember(tools, job, report=number, tag=tag)
        return known


async def _remember(tools: Tools, job: Job, **facts: Any) -> None:
    if not await asyncio.to_thread(functools.partial(tools.store.jobs.remember, job, **facts)):
        raise LostJob


async def _first(*tasks: asyncio.Task[Any], timeout: float) -> None:  # noqa: ASYNC109  # that is what it does
    await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
