"""``pileup worker``: takes jobs of the bot's database and does them, beside the bot or on another machine."""

import asyncio
import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

from analysis.confinement import hide_from_children
from bot import logs
from bot.confined import confinement_notes
from bot.crew import drained
from bot.ending import Ending, on_signals
from bot.fleet.crews import crew_of
from bot.fleet.presence import be_there
from bot.housekeeping import keep_home
from bot.sending import PACE_SECONDS
from bot.settings import Settings
from bot.starting import SPARE_THREADS, CannotServe, open_workspaces, opened_store, tools_of
from bot.tools import Analyse
from storage.errors import DatabaseTooNew

log = logging.getLogger(__name__)


AGAIN = 75  # exit status: to be started again, in the version that is installed by now


class Outgrown(CannotServe):
    """A newer version has changed the schema of history under a running worker."""


def run(settings: Settings) -> int:
    """Work until a signal; the exit status."""
    logs.configure(settings.log_level, settings.log_format)
    for note in (*confinement_notes(), *settings.symbol_gaps()):
        log.warning("%s", note)
    try:
        asyncio.run(work_on(settings))
    except CannotServe as problem:
        print(f"pileup: {problem}", file=sys.stderr)
        return AGAIN if isinstance(problem, Outgrown) else 2
    return 0


async def work_on(
    settings: Settings,
    *,
    analyse: Analyse | None = None,
    ending: Ending | None = None,
    pace_seconds: float = PACE_SECONDS,
) -> None:
    """Take jobs until asked to stop; then do what is in hand, or give it back.

    Raises:
        CannotServe: the token is missing or refused, history cannot be opened, or there is no place for a job.
        Outgrown: a newer version has changed the schema meanwhile; said after the drain.
    """
    ending = ending or Ending()
    if settings.workers == 0:
        raise CannotServe("a worker needs PILEUP_WORKERS to be 1 or more")
    if settings.slack_bot_token is None and settings.installs is None:
        raise CannotServe("a worker needs PILEUP_SLACK_BOT_TOKEN")
    if (note := hide_from_children()) is not None:
        log.warning("%s", note)
    async with AsyncExitStack() as stack:
        threads = ThreadPoolExecutor(settings.workers * 2 + SPARE_THREADS, thread_name_prefix="pileup")
        asyncio.get_running_loop().set_default_executor(threads)
        store = await opened_store(settings, stack)
        on_signals(ending.on_signal, stack)
        workspaces = await open_workspaces(settings, store, pace_seconds)
        tools = tools_of(settings, workspaces, analyse)
        crew = crew_of(settings, tools, ending)
        who = workspaces.nobody.identity.user or "what each workspace installed"
        log.info("working as %s; %d at a time", who, settings.workers)
        tasks = [
            *crew.start(),
            asyncio.create_task(be_there(store, settings.workers, ending.stop)),
            asyncio.create_task(keep_home(store, settings, ending.stop)),
        ]
        try:
            await drained(tasks, ending, settings.drain_seconds)
        except DatabaseTooNew as newer:
            raise Outgrown(f"{newer}; this worker takes no more jobs until it is brought up to that") from newer
