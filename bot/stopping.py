"""Jobs that somebody wants stopped: noted in the database for whoever has them, and told at once to a worker here."""

import asyncio
from typing import Literal

from storage.jobs import Job
from storage.store import Store

Reason = Literal["asked", "deleted"]

SAID: dict[str, str] = {
    "asked": "Stopped, as asked.",
    "deleted": "Stopped: the message with the link was deleted.",
}


class Stops:
    """Which of this process' jobs are to stop."""

    def __init__(self) -> None:
        self._events: dict[int, asyncio.Event] = {}

    async def wait(self, job_id: int) -> None:
        """Until somebody wants the job stopped."""
        await self._event(job_id).wait()

    def ask(self, job_id: int) -> None:
        """Stop the job, now or when it begins to listen."""
        self._event(job_id).set()

    def forget(self, job_id: int) -> None:
        """The job has ended."""
        self._events.pop(job_id, None)

    def _event(self, job_id: int) -> asyncio.Event:
        return self._events.setdefault(job_id, asyncio.Event())


async def stop_jobs(store: Store, stops: Stops, jobs: list[Job], reason: Reason) -> None:
    """Stop these jobs, whoever has them, running or not."""
    for job in jobs:
        if await asyncio.to_thread(lambda job=job: store.jobs.note(job.id, stopped=reason)):  # type: ignore[misc]  # bound at once
            stops.ask(job.id)
