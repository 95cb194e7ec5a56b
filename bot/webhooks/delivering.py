"""What is owed to webhooks, delivered: at least once, tried again after longer and longer pauses, given up in the end
with a line in the log."""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

from bot.orphans import worker_name
from bot.webhooks.payloads import headers, payload
from bot.webhooks.sending import Answered, post
from storage.clock import Clock, utc_now
from storage.errors import StorageError
from storage.jobs import Job
from storage.store import Store
from storage.webhooks import ATTEMPTS, WEBHOOK, Delivery

log = logging.getLogger(__name__)

PAUSES = (5.0, 30.0, 120.0, 600.0, 1800.0, 7200.0, 18000.0, 36000.0)  # after each attempt but the last
LEASE_SECONDS = 60.0  # longer than one attempt may take
AT_ONCE = 4  # so that an address that does not answer keeps few others waiting
IDLE_SECONDS = 2.0
GONE = "the receiver said 410: it wants no more"
UNSEEN = "it may not be told of this any more"


@dataclass(frozen=True, slots=True)
class Deliverer:
    """``page`` is the address of a crash's page. ``allow_private``: whether webhooks may be at loopback and private
    addresses."""

    store: Store
    page: Callable[[int], str | None]
    allow_private: bool = False
    clock: Clock = utc_now
    first_pause: float = PAUSES[0]

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until told to stop. What is under way then is delivered again later, if it has to be."""
        under_way: set[asyncio.Task[None]] = set()
        while not stop.is_set():
            job = None
            try:
                if len(under_way) < AT_ONCE:
                    job = await self._taken()
            except StorageError as error:
                log.warning("webhooks wait for the database: %s", type(error).__name__)
            if job is not None:
                under_way.add(asyncio.create_task(self._done(job)))
            else:
                await _first(stop, under_way)
            under_way = {task for task in under_way if not task.done()}
        await asyncio.gather(*under_way)

    async def step(self) -> bool:
        """Make one delivery that is due. False: there is none."""
        job = await self._taken()
        if job is not None:
            await self._do(job)
        return job is not None

    async def _taken(self) -> Job | None:
        return await asyncio.to_thread(self.store.jobs.take, worker_name(0), LEASE_SECONDS, (WEBHOOK,))

    async def _done(self, job: Job) -> None:
        try:
            await self._do(job)
        except StorageError as error:  # its lease runs out, and it is taken again
            log.warning("a webhook waits for the database: %s", type(error).__name__)

    async def _do(self, job: Job) -> None:
        delivery = await asyncio.to_thread(self.store.webhooks.delivery, job.payload["delivery"])
        if delivery is None:  # the webhook, or the report, has gone
            await asyncio.to_thread(self.store.jobs.finish, job)
        elif job.is_exhausted:
            await self._give_up(job, delivery, "it ended without a word")
        else:
            await self._settle(job, delivery, await self._deliver(delivery))

    async def _deliver(self, delivery: Delivery) -> Answered:
        found = await asyncio.to_thread(self.store.webhooks.get, delivery.webhook)
        if found is None:
            return Answered(UNSEEN)
        hook, secret = found
        body = await asyncio.to_thread(payload, self.store, hook, delivery, self.page)
        if body is None:
            return Answered(UNSEEN)
        signed = headers(secret, delivery.id, int(self.clock().timestamp()), body)
        return await post(hook.url, body, signed, allow_private=self.allow_private)

    async def _settle(self, job: Job, delivery: Delivery, answered: Answered) -> None:
        webhooks, jobs = self.store.webhooks, self.store.jobs
        if answered.error is None:
            await asyncio.to_thread(webhooks.delivered, delivery.id)
            await asyncio.to_thread(jobs.finish, job)
        elif answered.is_gone:
            await self._give_up(job, delivery, GONE)
            await asyncio.to_thread(webhooks.end, delivery.webhook, GONE)
        elif job.attempts >= ATTEMPTS or answered.error == UNSEEN:
            await self._give_up(job, delivery, answered.error)
        else:
            await asyncio.to_thread(webhooks.missed, delivery.id, answered.error, is_last=False)
            pause = self.first_pause * PAUSES[min(job.attempts, len(PAUSES)) - 1] / PAUSES[0]
            wait = max(answered.pause, pause * random.uniform(0.9, 1.1))
            log.info("webhook %d, %s: %s; again in %d s", delivery.webhook, delivery.id, answered.error, wait)
            await asyncio.to_thread(jobs.requeue, job, wait, count_attempt=True)

    async def _give_up(self, job: Job, delivery: Delivery, error: str) -> None:
        log.error("webhook %d is not told of crash %d: %s", delivery.webhook, delivery.report, error)
        await asyncio.to_thread(self.store.webhooks.missed, delivery.id, error, is_last=True)
        await asyncio.to_thread(self.store.jobs.fail, job, WEBHOOK, error)


async def _first(stop: asyncio.Event, tasks: set[asyncio.Task[None]]) -> None:
    # Until there may be something to do, or to stop.
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({stopping, *tasks}, timeout=IDLE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
