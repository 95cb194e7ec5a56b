"""Jobs are taken here and held until they have ended. Whatever happens, the asker gets an answer.

A worker holds its job by a lease that it renews. Killed, it leaves the job to the next one, which goes on where
the thread and the job's memory say. Stopped gracefully, it gives the job back at once.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Any

from bot import blocks, logs, posted
from bot.again import leave
from bot.conversation import BAD, SEEN
from bot.doing import ALL, conversation, do
from bot.ending import Ending
from bot.listeners.intake import ANALYZE
from bot.orphans import worker_name
from bot.reading import LostJob
from bot.sending import Refused, Unreachable
from bot.stopping import SAID
from bot.tools import Tools
from storage.errors import AWAY
from storage.jobs import Job

log = logging.getLogger(__name__)

IDLE_SECONDS = 1.0  # how often a worker looks for work that nobody announced, such as a lease that ran out
RETRY_SECONDS = 30.0
MAX_HELD = 250  # jobs of one worker whose details are still to be told


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
    doing = asyncio.create_task(do(tools, job, told))
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
    talk = await conversation(tools, job, asyncio.Event())
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


async def _first(*tasks: asyncio.Task[Any], timeout: float) -> None:  # noqa: ASYNC109  # that is what it does
    await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
