"""What is done for a job, kind by kind: a dump analysed and told, a question answered, what was told edited.

Each kind is a row of the table at the end; a job ends finished, failed, or back in the queue for a while.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from bot import blocks, posted
from bot.again import AGAIN, ask_again, leave
from bot.archives.limits import ArchiveFailed
from bot.child import AnalysisFailed
from bot.conversation import Conversation, Place, dump_number
from bot.digests import DIGEST, send_digest
from bot.fetch.problems import FetchFailed
from bot.fetch.workspace import job_name, workspace_aside
from bot.listeners.buttons import STOP
from bot.listeners.intake import ANALYZE, ASK, UNLOCK
from bot.placing import mode_of
from bot.previews import refresh
from bot.reading import Desk, NothingToSay, remember, retold, story
from bot.routing import HELD, tell_held
from bot.showing import DETAILS, RAW, SHOW, posted_as, show, told_at, unfold
from bot.slack_text import render
from bot.symbols.fetching import SymbolServers
from bot.tools import Tools
from storage.errors import StorageError
from storage.jobs import Job

log = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0  # between looks at whether the analysis before has ended
PASSWORD_SECONDS = 24 * 3600.0
ROOM_SECONDS = (5, 10, 20, 40, 60, 60, 60, 60)  # between tries of a dump that found no room on the disk
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


async def do(tools: Tools, job: Job, told: asyncio.Event) -> None:
    """Do a job to its end, which its row then says. ``told``: nobody waits for what is left of it.

    Raises:
        LostJob, Refused, StorageError, Unreachable.
    """
    talk, kind = await conversation(tools, job, told), KINDS[job.kind]
    if kind.only_tells:
        told.set()
    try:
        if "stopped" in job.memory:
            tools.stops.ask(job.id)
            await asyncio.Event().wait()  # the holder withdraws it
        elif job.is_exhausted:
            await _give_up(tools, job, talk)
        else:
            await kind.do(tools, job, talk)
    finally:
        await talk.leave()


async def conversation(tools: Tools, job: Job, told: asyncio.Event) -> Conversation:
    """The thread that a job speaks in; ``told`` is set as soon as its verdict stands there."""
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


async def _unfold(tools: Tools, job: Job, _talk: Conversation) -> None:
    # The details are part of the first job's story, so that whatever edits that one later edits them, too.
    found = await unfold(tools, job.payload)
    place, report = found or (None, None)
    if place is not None and report is not None and place.job is not None:
        first = await conversation(tools, replace(job, key=place.job), asyncio.Event())
        await first.details(posted_as(report, place.source), number=dump_number(place.slot))
    await asyncio.to_thread(tools.store.jobs.finish, job)


async def _share_report(tools: Tools, job: Job, _talk: Conversation) -> None:
    place, report = await told_at(tools, job.payload) or (None, None)
    if place is not None and report is not None and place.job is not None:
        first = await conversation(tools, replace(job, key=place.job), asyncio.Event())
        if not await first.share_report(posted_as(report, place.source), dump_number(place.slot)):
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


async def _unlock(tools: Tools, job: Job, _talk: Conversation) -> None:
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


async def _show(tools: Tools, job: Job, _talk: Conversation) -> None:
    await show(tools, job.payload)
    if not job.payload["alone"] and (shown := await told_at(tools, job.payload)) is not None:
        await refresh(tools, shown[1])
    await asyncio.to_thread(tools.store.jobs.finish, job)


async def _again(tools: Tools, job: Job, _talk: Conversation) -> None:
    if await ask_again(tools, job):
        await asyncio.to_thread(tools.store.jobs.finish, job)
    else:
        await asyncio.to_thread(tools.store.jobs.requeue, job, AGAIN_SECONDS)


async def _announce(tools: Tools, job: Job, _talk: Conversation) -> None:
    await posted.announce(tools, job)


async def _digest(tools: Tools, job: Job, talk: Conversation) -> None:
    await send_digest(tools, talk, job)
    await asyncio.to_thread(tools.store.jobs.finish, job)


async def _tell_held(tools: Tools, job: Job, talk: Conversation) -> None:
    await tell_held(tools, talk, job.payload["batch"])
    await asyncio.to_thread(tools.store.jobs.finish, job)


def _sentence(failed: FetchFailed | ArchiveFailed | AnalysisFailed) -> str:
    if isinstance(failed, FetchFailed):
        return f"I could not read this link: {failed.line}."
    if isinstance(failed, ArchiveFailed):
        return f"I could not open this archive: {failed.line}."
    return f"{failed.line[:1].upper()}{failed.line[1:].rstrip('.')}."


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of job: how it is done; whether that may take long; whether it only waits for Slack's leave, so that
    nobody waits for it."""

    do: Callable[[Tools, Job, Conversation], Awaitable[None]]
    is_quick: bool = True
    only_tells: bool = False


KINDS: dict[str, Kind] = {
    ANALYZE: Kind(_analyse, is_quick=False),
    ASK: Kind(_reply),
    UNLOCK: Kind(_unlock),
    SHOW: Kind(_show, only_tells=True),
    DETAILS: Kind(_unfold, only_tells=True),
    RAW: Kind(_share_report, only_tells=True),
    AGAIN: Kind(_again),
    HELD: Kind(_tell_held, only_tells=True),
    DIGEST: Kind(_digest, only_tells=True),
    posted.POSTED: Kind(_announce),
}
ALL = tuple(KINDS)
QUICK = tuple(name for name, kind in KINDS.items() if kind.is_quick)
