"""Jobs are done here: fetch, analyse in a child, remember, tell. Whatever happens, the asker gets an answer.

A worker holds its job by a lease that it renews. Killed, it leaves the job to the next one, which goes on where
the thread and the job's memory say. Stopped gracefully, it gives the job back at once.
"""

import asyncio
import errno
import logging
import socket
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import Any

from bot import blocks, logs, posted
from bot.again import AGAIN, ask_again, leave
from bot.archives.limits import ArchiveFailed
from bot.child import AnalysisFailed
from bot.conversation import BAD, SEEN, Conversation, Place, dump_number
from bot.digests import DIGEST, send_digest
from bot.ending import Ending
from bot.fetch.problems import FetchFailed
from bot.fetch.workspace import job_name, workspace_aside
from bot.listeners.buttons import STOP
from bot.listeners.intake import ANALYZE, ASK, UNLOCK
from bot.orphans import worker_name
from bot.placing import mode_of
from bot.previews import refresh
from bot.reading import Desk, LostJob, NothingToSay, remember, retold, story
from bot.routing import HELD, tell_held
from bot.sending import Refused, Unreachable
from bot.showing import DETAILS, RAW, SHOW, posted_as, show, told_at, unfold
from bot.slack_text import render
from bot.stopping import SAID
from bot.symbols.fetching import SymbolServers
from bot.tools import Tools
from storage.errors import AWAY, StorageError
from storage.jobs import Job

log = logging.getLogger(__name__)

IDLE_SECONDS = 1.0  # how often a worker looks for work that nobody announced, such as a lease that ran out
RETRY_SECONDS = 30.0
MAX_HELD = 250  # jobs of one worker whose details are still to be told
PASSWORD_SECONDS = 24 * 3600.0
ROOM_SECONDS = (5, 10, 20, 40, 60, 60, 60, 60)  # between tries of a dump that found no room on the disk
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)

QUICK = (
    ASK,
    UNLOCK,
    SHOW,
    DETAILS,
    RAW,
    AGAIN,
    HELD,
    DIGEST,
    posted.POSTED,
)  # kinds of jobs that take no time to speak of
ALL = (ANALYZE, *QUICK)
TELLING = (SHOW, DETAILS, RAW, HELD, DIGEST)  # kinds that only wait for Slack's leave: nobody waits for them


async def work(tools: Tools, number: int, news: asyncio.Event, ending: Ending, kinds: tuple[str, ...] = ALL) -> None:
    """Take jobs of these kinds one after another until asked to stop; a job in hand is done, or given back in time.

    A database that is out of reach, or busy, is asked again.
    """
    name = worker_name(number)
    in_hand = InHand(tools, ending)
    while not ending.stop.is_set():
        news.clear()
        try:
            job = await asyncio.to_thread(tools.store.jobs.take, name, tools.lease_seconds, kinds, tools.limits)
        except AWAY as error:
            log.warning("no jobs can be taken: %s", type(error).__name__)
            job = None
        if job is None:
            await _first(
                asyncio.create_task(ending.stop.wait()), asyncio.create_task(news.wait()), timeout=IDLE_SECONDS
            )
        else:
            await in_hand.do(job)
    await in_hand.end()


class InHand:
    """The jobs that a worker has taken and that have not ended. One whose verdict stands in the thread keeps nobody
    waiting while its details follow, a message a second: the next one is taken meanwhile."""

    def __init__(self, tools: Tools, ending: Ending) -> None:
        self._tools, self._ending = tools, ending
        self._held: set[asyncio.Task[None]] = set()

    async def do(self, job: Job) -> None:
        """Begin a job, which was just taken; back when its verdict stands, or it has ended one way or another."""
        told = asyncio.Event()
        holding = asyncio.create_task(hold(self._tools, job, self._ending, told))
        self._held.add(holding)
        telling = asyncio.create_task(told.wait())
        await asyncio.wait({holding, telling}, return_when=asyncio.FIRST_COMPLETED)
        telling.cancel()
        if len(self._held) > MAX_HELD:
            await asyncio.wait(self._held, return_when=asyncio.FIRST_COMPLETED)
        for done in [task for task in self._held if task.done()]:
            self._held.discard(done)
            done.result()

    async def end(self) -> None:
        """Wait until every one has ended."""
        await asyncio.gather(*self._held)


async def hold(tools: Tools, job: Job, ending: Ending, told: asyncio.Event) -> None:
    """Run a job beside its heartbeat; it ends finished, failed, withdrawn or back in the queue. ``told``: its verdict
    stands in the thread."""
    logs.begin(job=job.id)
    try:
        await _held(tools, job, ending, told)
    except AWAY as error:
        log.warning("job %d is left to its lease: %s", job.id, type(error).__name__)


async def _held(tools: Tools, job: Job, ending: Ending, told: asyncio.Event) -> None:
    mine = tools if _is_anybodys(job) else await tools.of_team(job.payload.get("team") or "")
    if mine is None:
        await asyncio.to_thread(tools.store.jobs.fail, job, "uninstalled", "the workspace has not installed the bot")
    else:
        await _run(mine, job, ending, told)
    await posted.tidy(tools, job)


def _is_anybodys(job: Job) -> bool:
    # A machine posted it, and no workspace is told.
    return bool(job.payload.get("untold")) and not job.payload["team"]


async def _run(tools: Tools, job: Job, ending: Ending, told: asyncio.Event) -> None:
    doing = asyncio.create_task(_do(tools, job, told))
    others = (
        asyncio.create_task(_heartbeat(tools, job)),
        asyncio.create_task(ending.give_back.wait()),
        asyncio.create_task(tools.stops.wait(job.id)),
    )
    await asyncio.wait({doing, *others}, return_when=asyncio.FIRST_COMPLETED)
    finished, is_unwanted = doing.done(), others[2].done()
    for task in (doing, *others):
        task.cancel()
    await asyncio.gather(doing, *others, return_exceptions=True)
    tools.stops.forget(job.id)
    error = None if doing.cancelled() else doing.exception()
    if not finished and is_unwanted:
        error = await _withdrawn(tools, job)
    elif doing.cancelled() or not finished:
        if ending.give_back.is_set():
            await asyncio.to_thread(tools.store.jobs.requeue, job)
            log.info("job %d goes back to the queue", job.id)
        return
    if error is not None:
        await _trouble(tools, job, error)


async def _withdrawn(tools: Tools, job: Job) -> Exception | None:
    # Says that a job was stopped on request, where anything of it was said; what went wrong with that.
    now = await asyncio.to_thread(tools.store.jobs.get, job.id) or job
    line = SAID.get(now.memory.get("stopped", ""), SAID["asked"])
    talk = await _conversation(tools, job, asyncio.Event())
    try:
        if job.payload.get("again"):
            await leave(tools, job)
        else:
            await talk.withdraw(blocks.failure(line, talk.source))
    except (Refused, Unreachable, LostJob) as error:
        return error
    await asyncio.to_thread(tools.store.jobs.fail, job, "stopped", line)
    log.info("job %d: %s", job.id, line)
    return None


async def _trouble(tools: Tools, job: Job, error: BaseException) -> None:
    if isinstance(error, LostJob):
        log.warning("job %d is another worker's now", job.id)
    elif isinstance(error, Refused):
        log.error("job %d: Slack refused: %s", job.id, error.word)
        await _mark_failed(tools, job)
        await asyncio.to_thread(tools.store.jobs.fail, job, "slack", error.word)
    elif isinstance(error, Unreachable):
        log.error("job %d: Slack out of reach: %s", job.id, error)
        await asyncio.to_thread(tools.store.jobs.requeue, job, RETRY_SECONDS)
    elif isinstance(error, AWAY):
        log.error("job %d: the database: %s", job.id, type(error).__name__)
        await asyncio.to_thread(tools.store.jobs.requeue, job, 1.0)
    else:
        log.error("job %d: %s", job.id, type(error).__name__, exc_info=error)
        await asyncio.to_thread(tools.store.jobs.requeue, job, 1.0, count_attempt=True)


async def _mark_failed(tools: Tools, job: Job) -> None:
    # Where nothing may be said, a reaction may still be left. Where the channel is closed, it is refused, too.
    if job.kind == ANALYZE and not job.payload.get("untold") and not job.payload.get("again"):
        place = job.payload["channel"], job.payload["ts"]
        with suppress(Unreachable):
            if await tools.sender.react(*place, BAD):
                await tools.sender.react(*place, SEEN, add=False)


async def _heartbeat(tools: Tools, job: Job) -> None:
    while True:
        try:
            if not await asyncio.to_thread(tools.store.jobs.renew, job, tools.lease_seconds):
                break
            now = await asyncio.to_thread(tools.store.jobs.get, job.id)
            if now is not None and "stopped" in now.memory:  # by another process
                tools.stops.ask(job.id)
        except AWAY as error:  # whether the job is still ours shows when the database is back
            log.warning("job %d: its lease was not renewed: %s", job.id, type(error).__name__)
        await asyncio.sleep(tools.lease_seconds / 4)
    log.warning("job %d lost its lease", job.id)


async def _do(tools: Tools, job: Job, told: asyncio.Event) -> None:
    talk = await _conversation(tools, job, told)
    if job.kind in TELLING:
        told.set()
    try:
        if "stopped" in job.memory:
            tools.stops.ask(job.id)
            await asyncio.Event().wait()  # the holder withdraws it
        elif job.is_exhausted:
            await _give_up(tools, job, talk)
        elif job.kind == ASK:
            await _reply(tools, job, talk)
        elif job.kind == UNLOCK:
            await _unlock(tools, job)
        elif job.kind == SHOW:
            await show(tools, job.payload)
            if not job.payload["alone"] and (shown := await told_at(tools, job.payload)) is not None:
                await refresh(tools, shown[1])
            await asyncio.to_thread(tools.store.jobs.finish, job)
        elif job.kind == DETAILS:
            await _unfold(tools, job)
        elif job.kind == RAW:
            await _share_report(tools, job)
        elif job.kind == AGAIN:
            if await ask_again(tools, job):
                await asyncio.to_thread(tools.store.jobs.finish, job)
            else:
                await asyncio.to_thread(tools.store.jobs.requeue, job, IDLE_SECONDS)
        elif job.kind == posted.POSTED:
            await posted.announce(tools, job)
        elif job.kind == DIGEST:
            await send_digest(tools, talk, job)
            await asyncio.to_thread(tools.store.jobs.finish, job)
        elif job.kind == HELD:
            await tell_held(tools, talk, job.payload["batch"])
            await asyncio.to_thread(tools.store.jobs.finish, job)
        else:
            await _analyse(tools, job, talk)
    finally:
        await talk.leave()


async def _conversation(tools: Tools, job: Job, told: asyncio.Event) -> Conversation:
    asked = job.payload
    mode = await asyncio.to_thread(mode_of, tools.store, tools.choices, job)
    place = Place(asked["team"], asked["channel"], asked["ts"], asked["thread"], mode)

    async def settle(fine: bool) -> list[bool | None]:
        told.set()
        await remember(tools, job, fine=fine)
        await asyncio.to_thread(tools.store.jobs.pass_gates, job)
        return await asyncio.to_thread(tools.store.events.outcomes, place.team, place.channel, place.ts)

    if asked.get("untold"):
        return posted.Unspoken(tools.sender, tools.store.posts, place, job.key, asked.get("shown", ""), settle=settle)
    stopping = blocks.button(STOP, str(job.id), is_danger=True)
    return Conversation(
        tools.sender, tools.store.posts, place, job.key, asked.get("shown", ""), settle=settle, buttons=(stopping,)
    )


async def _reply(tools: Tools, job: Job, talk: Conversation) -> None:
    sight = await tools.membership.sight_in(talk.place.channel, job.payload.get("user"))
    said = await asyncio.to_thread(tools.answer, job.payload["question"], talk.place, sight)
    if said.file is None or not job.payload.get("export"):  # whoever wants the table has the answer before his eyes
        await talk.reply(said.message)
    if said.file is not None:
        await talk.attach("table", said.file)
    await asyncio.to_thread(tools.store.jobs.finish, job)


async def _give_up(tools: Tools, job: Job, talk: Conversation) -> None:
    if await retold(tools, job, talk):  # what failed again and again was to better a verdict
        await asyncio.to_thread(tools.store.jobs.finish, job)
        return
    line = f"The analysis ended without a result {job.attempts_allowed} times; it will not be tried again."
    if job.payload.get("again"):
        await leave(tools, job)
    elif job.kind == ANALYZE:
        await talk.end(blocks.failure(line, talk.source), fine=False)
    await asyncio.to_thread(tools.store.jobs.fail, job, "exhausted", line)


async def _unfold(tools: Tools, job: Job) -> None:
    # The details are part of the first job's story, so that whatever edits that one later edits them, too.
    found = await unfold(tools, job.payload)
    place, report = found or (None, None)
    if place is not None and report is not None and place.job is not None:
        talk = await _conversation(tools, replace(job, key=place.job), asyncio.Event())
        await talk.details(posted_as(report, place.source), number=dump_number(place.slot))
    await asyncio.to_thread(tools.store.jobs.finish, job)


async def _share_report(tools: Tools, job: Job) -> None:
    place, report = await told_at(tools, job.payload) or (None, None)
    if place is not None and report is not None and place.job is not None:
        talk = await _conversation(tools, replace(job, key=place.job), asyncio.Event())
        if not await talk.share_report(posted_as(report, place.source), dump_number(place.slot)):
            await tools.sender.whisper(place.channel, place.ts, job.payload["by"], render("report_is_there"))
    await asyncio.to_thread(tools.store.jobs.finish, job)


async def _analyse(tools: Tools, job: Job, talk: Conversation) -> None:
    symbols = await asyncio.to_thread(tools.symbols)
    if not job.payload.get("untold"):
        await tools.membership.learn(job.payload["channel"])
    try:
        async with (
            workspace_aside(tools.home, job_name(job.id), keep=tools.keep_dumps) as directory,
            AsyncExitStack() as files,
        ):
            result = await story(tools, job, talk, Desk(directory, files, symbols))
            if job.payload.get("posted"):
                await posted.show(tools, job)
    except (FetchFailed, ArchiveFailed, AnalysisFailed) as failed:
        await _failed(tools, job, talk, failed)
        return
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        await _failed(tools, job, talk, FetchFailed("disk", "no room left here for the file"))
        return
    except NothingToSay:
        result = {}
    finally:
        if symbols is not None:
            symbols.close()
            await _note_sources(tools, symbols)
    await asyncio.to_thread(tools.store.jobs.finish, job, result)
    log.info("job %d done: %s", job.id, result)


async def _note_sources(tools: Tools, symbols: SymbolServers) -> None:
    # For operators alone: whether it can be kept decides nothing about the job.
    try:
        await asyncio.to_thread(tools.store.sources.note, socket.gethostname(), symbols.sources())
    except StorageError as error:
        log.warning("what symbol servers said was not kept: %s", type(error).__name__)


async def _failed(
    tools: Tools, job: Job, talk: Conversation, failed: FetchFailed | ArchiveFailed | AnalysisFailed
) -> None:
    log.info("job %d failed: %s", job.id, failed.kind)
    tried = int(job.memory.get("no_room", 0))
    if failed.kind == "disk" and tried < len(ROOM_SECONDS):
        # Full disks are emptied again, and other workers have their own. That is no word about the dump.
        await remember(tools, job, no_room=tried + 1)
        await asyncio.to_thread(tools.store.jobs.requeue, job, ROOM_SECONDS[tried])
        return
    given = "\n" in (job.secret or "")
    if failed.kind == "password" and not job.payload.get("untold") and (given or "asked" not in job.memory):
        # The job waits for the answer, and for a day at most: then it comes here again, with nothing given.
        await remember(tools, job, asked=True)
        await asyncio.to_thread(tools.store.jobs.requeue, job, PASSWORD_SECONDS)
        await talk.ask(blocks.password_wanted(talk.source, again=given))  # last: the answer must find the job waiting
        return
    if not job.payload.get("quiet"):
        await talk.end(blocks.failure(_sentence(failed), talk.source), fine=False)
    await asyncio.to_thread(tools.store.jobs.fail, job, failed.kind, failed.line)


async def _unlock(tools: Tools, job: Job) -> None:
    # A password said in a thread goes to the jobs there that wait for one; where none does, it was just talk.
    place = job.payload
    waiting = await asyncio.to_thread(tools.store.jobs.in_thread, place["channel"], place["thread"])
    asker = await asyncio.to_thread(tools.store.posts.job_of, place["channel"], place["thread"])
    if asker is not None:  # the question stands in the channel itself, and this is an answer below it
        waiting += [job for job in await asyncio.to_thread(tools.store.jobs.active) if job.key == asker]
    for other in waiting:
        if other.state == "waiting" and "asked" in other.memory:
            await asyncio.to_thread(tools.store.jobs.unlock, other.id, job.secret or "")
    await asyncio.to_thread(tools.store.jobs.finish, job)


def _sentence(failed: FetchFailed | ArchiveFailed | AnalysisFailed) -> str:
    if isinstance(failed, FetchFailed):
        return f"I could not read this link: {failed.line}."
    if isinstance(failed, ArchiveFailed):
        return f"I could not open this archive: {failed.line}."
    return f"{failed.line[:1].upper()}{failed.line[1:].rstrip('.')}."


async def _first(*tasks: asyncio.Task[Any], timeout: float) -> None:  # noqa: ASYNC109  # that is what it does
    await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
