"""A sign of life for links that must wait: when every worker is busy, the reaction comes before the reply."""

import asyncio
import logging
from contextlib import suppress

from bot.conversation import SEEN
from bot.listeners.intake import ANALYZE
from bot.sending import Unreachable
from bot.workspaces import Workspaces
from storage.errors import StorageError
from storage.jobs import Job
from storage.store import Store

log = logging.getLogger(__name__)

GREET_AFTER_SECONDS = 1.5  # a free worker has taken the job by then, and reacts itself


class Greeter:
    """Reacts to messages whose jobs nobody has taken yet."""

    def __init__(self, store: Store, workspaces: Workspaces) -> None:
        self._store = store
        self._workspaces = workspaces
        self._tasks: set[asyncio.Task[None]] = set()

    def greet(self, jobs: list[Job]) -> None:
        """Look after these jobs in a moment; returns at once."""
        for job in jobs:
            if job.kind == ANALYZE:
                task = asyncio.get_running_loop().create_task(self._greet(job))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Forget whom nobody has greeted yet."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _greet(self, job: Job) -> None:
        await asyncio.sleep(GREET_AFTER_SECONDS)
        with suppress(StorageError):  # whoever takes the job greets, too
            await self._greet_now(job)

    async def _greet_now(self, job: Job) -> None:
        now = await asyncio.to_thread(self._store.jobs.get, job.id)
        if now is None or now.state != "waiting":
            return
        workspace = await self._workspaces.of(job.payload.get("team") or "")
        if workspace is None:
            return
        place = job.payload["channel"], job.payload["ts"]
        await workspace.sender.react(*place, SEEN, final=False)
        now = await asyncio.to_thread(self._store.jobs.get, job.id)
        if now is None or now.state in ("done", "failed"):  # meanwhile; its end may have come before this
            try:
                await workspace.sender.react(*place, SEEN, add=False)
            except Unreachable as error:
                log.warning("job %d keeps its first reaction: %s", job.id, error)
