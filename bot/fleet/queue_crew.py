"""Workers of procrastinate's queue: any number of processes on any number of machines, over one PostgreSQL database.

Procrastinate brings the number of a job; then the job is taken in our table of jobs, whose lease and fence decide who
has it, as everywhere. So what the queue brings twice is done once. What a worker that died leaves in the queue is not
freed by procrastinate itself: every process here looks for it, by the heartbeats of workers.

A new job wakes a worker by NOTIFY. Where that gets lost workers look for themselves, every POLL_SECONDS.
"""

import asyncio
import logging
import time
from contextlib import suppress

import psycopg
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ProcrastinateException
from procrastinate.jobs import Status
from procrastinate.manager import JobManager
from psycopg_pool import AsyncConnectionPool

from bot.doing import ALL, QUICK
from bot.ending import Ending
from bot.orphans import worker_name
from bot.tools import Tools
from bot.worker import InHand
from storage.connections import NETWORK
from storage.errors import StorageError
from storage.handover import TASK, queues_of
from storage.jobs import FORM

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0
SWEEP_SECONDS = 2.0  # for what became due, or may pass its gates now
PAUSE_SECONDS = 1.0  # before the queue is tried again
CONNECT_SECONDS = 10.0
GIVE_UP_SECONDS = 4.0  # of a connection, so that whoever needs one next tries anew without a long pause
SHARED = 3  # connections to the queue, beside those of listeners
NEVER = "0 0 29 2 *"


class QueueCrew:
    """``count`` workers for all kinds of jobs and one for what is quick, as ``LocalCrew``, for the jobs that the queue
    of the database at ``url`` brings."""

    def __init__(self, tools: Tools, url: str, count: int, ending: Ending) -> None:
        if tools.store.handover is None:
            raise ValueError("this store hands nothing over")
        self._handover = tools.store.handover
        self._tools, self._url, self._ending = tools, url, ending
        self._kinds = [*[ALL] * count, QUICK]
        self._news = asyncio.Event()
        self._jobs: JobManager | None = None  # of a worker that is connected

    def announce(self) -> None:
        """Hand over what may go."""
        self._news.set()

    def start(self) -> list[asyncio.Task[None]]:
        """The task of all of them."""
        return [asyncio.create_task(self._run())]

    async def _run(self) -> None:
        # Connections that all share, beside the one of each worker that listens.
        pool = AsyncConnectionPool(
            self._url,
            kwargs={**NETWORK, "application_name": "pileup"},
            min_size=1,
            max_size=SHARED,
            open=False,
            timeout=CONNECT_SECONDS,
            reconnect_timeout=GIVE_UP_SECONDS,
            check=AsyncConnectionPool.check_connection,
        )
        async with pool, asyncio.TaskGroup() as tasks:
            for number in range(len(self._kinds)):
                tasks.create_task(self._work(number, pool))
            tasks.create_task(self._look_after())

    async def _work(self, number: int, pool: AsyncConnectionPool) -> None:
        # A worker of procrastinate's, made anew whenever it lost the database.
        in_hand = InHand(self._tools, self._ending)
        while not self._ending.stop.is_set():
            try:
                await self._serve(number, in_hand, pool)
            except (ProcrastinateException, psycopg.Error, OSError) as error:
                log.warning("the queue is out of reach: %s", type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.stop.wait(), PAUSE_SECONDS)
        await in_hand.end()

    async def _serve(self, number: int, in_hand: InHand, pool: AsyncConnectionPool) -> None:
        lease = self._tools.lease_seconds
        app = self._app(number, in_hand)
        async with app.open_async(pool):
            self._jobs = app.job_manager
            serving = asyncio.create_task(
                app.run_worker_async(
                    queues=queues_of(self._kinds[number], FORM),
                    name=worker_name(number),
                    fetch_job_polling_interval=POLL_SECONDS,
                    delete_jobs="always",
                    install_signal_handlers=False,
                    update_heartbeat_interval=lease / 4,
                    stalled_worker_timeout=2 * lease,
                )
            )
            stopping = asyncio.create_task(self._ending.stop.wait())
            try:
                await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                stopping.cancel()
                serving.cancel()  # it fetches nothing more, and ends when what it has in hand does
                with suppress(asyncio.CancelledError):
                    await serving

    def _app(self, number: int, in_hand: InHand) -> App:
        app = App(connector=PsycopgConnector())

        @app.task(name=TASK)
        async def bring(id: int) -> None:  # noqa: A002  # the argument's name in the queue
            await self._bring(id, number, in_hand)

        # Procrastinate 3.10 watches over its listener and its heartbeat until the first of its side tasks ends, and
        # the one for periodic tasks ends at once where there are none.
        @app.periodic(cron=NEVER)
        @app.task(name="pileup.never", queue=queues_of(QUICK, 1)[0])
        async def never(timestamp: int) -> None:
            del timestamp

        return app

    async def _bring(self, job_id: int, number: int, in_hand: InHand) -> None:
        tools = self._tools
        name = worker_name(number)
        job = await asyncio.to_thread(tools.store.jobs.take_one, job_id, name, tools.lease_seconds, tools.limits)
        if job is None:
            await asyncio.to_thread(self._handover.put_back, job_id)
            return
        await in_hand.do(job)
        self.announce()  # its gates have room again

    async def _look_after(self) -> None:
        rescued = 0.0
        while not self._ending.stop.is_set():
            self._news.clear()
            try:
                if time.monotonic() - rescued > self._tools.lease_seconds / 4:
                    rescued = time.monotonic()
                    await self._rescue()
                await asyncio.to_thread(self._handover.sweep)
            except (StorageError, ProcrastinateException, psycopg.Error) as error:
                log.warning("the queue was not looked after: %s", type(error).__name__)
            waits = [asyncio.create_task(event.wait()) for event in (self._news, self._ending.stop)]
            await asyncio.wait(waits, timeout=SWEEP_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()

    async def _rescue(self) -> None:
        # What dead workers had fetched leaves the queue: it comes back when its lease in the table of jobs runs out.
        if self._jobs is None:
            return
        for left in await self._jobs.get_stalled_jobs(seconds_since_heartbeat=self._tools.lease_seconds):
            with suppress(ProcrastinateException):  # another process was faster
                await self._jobs.finish_job(left, Status.ABORTED, delete_job=True)
                log.info("job %s was with a worker that gives no sign of life", left.task_kwargs.get("id"))
        if lost := await asyncio.to_thread(self._handover.find_lost):
            log.info("%d jobs were lost on their way to a worker", lost)
