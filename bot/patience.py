"""What Slack tells is kept in mind while history is out of reach, and put there as soon as that is back.

Slack sends an event again that nobody acknowledged, but only so often; a database that restarts, or a network that is
mended, may take longer.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from storage.errors import AWAY

log = logging.getLogger(__name__)

HOLD_SECONDS = 900.0  # whoever posted a link may have gone home by then
PAUSE_SECONDS = 1.0


class Patience:
    """Everything is tried at once. What finds history away waits, and one alone of all that wait tries again."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def keep(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do ``work``, which may be done twice, until history takes it. ``what`` is how the log calls it.

        Raises:
            StorageError: history was away for HOLD_SECONDS, or something else is wrong with it.
        """
        end = time.monotonic() + HOLD_SECONDS
        if not self._waiting:
            try:
                await work()
            except AWAY as error:
                log.warning("%s waits for history: %s", what, type(error).__name__)
            else:
                return
        self._waiting += 1
        try:
            async with self._turn:
                await self._insist(work, end)
        finally:
            self._waiting -= 1

    async def _insist(self, work: Callable[[], Awaitable[None]], end: float) -> None:
        while True:
            try:
                await work()
            except AWAY:
                if time.monotonic() > end:
                    raise
            else:
                return
            await asyncio.sleep(PAUSE_SECONDS)
