"""One dump at a time, whoever has it in hand: in this process by a lock, over all of them by a name held in the
database, which a process that dies does not hold for long.
"""

import asyncio
import logging
import uuid
from contextlib import suppress
from types import TracebackType

from storage.errors import StorageError
from storage.lanes import Holds

log = logging.getLogger(__name__)

ASK_SECONDS = 0.5  # how often a process asks for what another holds


class Alone:
    """For an ``async with``: nobody else is inside with the same name. ``holds`` is None where there is one process;
    ``seconds`` is how long after its death a holder still keeps others out.

    Raises:
        StorageError: on the way in.
    """

    def __init__(self, lock: asyncio.Lock, holds: Holds | None, name: str, seconds: float) -> None:
        self._lock, self._holds, self._name, self._seconds = lock, holds, name, seconds
        self._holder = uuid.uuid4().hex
        self._holding: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        await self._lock.acquire()
        if self._holds is None:
            return
        try:
            while not await asyncio.to_thread(self._holds.take, self._name, self._holder, self._seconds):  # noqa: ASYNC110  # of a database
                await asyncio.sleep(ASK_SECONDS)
            self._holding = asyncio.create_task(self._hold(self._holds))
        except BaseException:
            self._lock.release()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._holds is not None and self._holding is not None:
                self._holding.cancel()
                await asyncio.wait({self._holding})
                with suppress(StorageError):  # it ends by itself
                    await asyncio.to_thread(self._holds.release, self._name, self._holder)
        finally:
            self._lock.release()

    async def _hold(self, holds: Holds) -> None:
        while True:
            await asyncio.sleep(self._seconds / 4)
            try:
                await asyncio.to_thread(holds.take, self._name, self._holder, self._seconds)
            except StorageError as error:
                log.warning("a dump is not held any more for other workers: %s", type(error).__name__)
