"""What falls due by the clock: mentions held in quiet hours, and digests. Looked for every few seconds by each bot.

Whoever finds something due makes a job of it in one transaction with the note that it is taken, so that it happens
once, however many bots look, and whoever of them dies.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from bot.digests import fall_due
from bot.routing import release
from bot.tools import Tools
from bot.workspaces import Workspaces
from storage.errors import StorageError
from storage.jobs import Job

log = logging.getLogger(__name__)

ROUND_SECONDS = 15.0


async def make_rounds(
    tools: Tools, workspaces: Workspaces, announce: Callable[[list[Job]], None], stop: asyncio.Event
) -> None:
    """Look now and every few seconds, until told to stop. A locked database is tried again later."""
    while not stop.is_set():
        try:
            teams = [workspace.team for workspace in await workspaces.every()]
            made = await asyncio.to_thread(release, tools) + await asyncio.to_thread(fall_due, tools, teams)
            if made:
                log.info("%d jobs fell due", made)
                announce([])
        except (OSError, StorageError) as error:
            log.warning("what falls due was not looked for: %s", type(error).__name__)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), ROUND_SECONDS)
