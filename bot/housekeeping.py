"""What a running bot throws away by itself: files that dead workers left, old traces of Slack, old history if asked."""

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta

from bot.fetch.blocks import tidy_blocks
from bot.fetch.workspace import downloads, job_name
from bot.remains import remove_files, remove_forgotten
from bot.settings import Settings
from bot.workspaces import Workspaces
from storage.errors import StorageError
from storage.retention import TRACE_AGE, Pruned
from storage.store import Store

log = logging.getLogger(__name__)

EVERY_SECONDS = 6 * 3600.0
SIGHT_SECONDS = 900.0


def tidy(store: Store, settings: Settings) -> tuple[Pruned, int]:
    """Throw away once; the rows and the number of files that went. Kept dumps stay."""
    pruned = store.retention.prune(settings.keep)
    gone = sum(remove_files(settings.home, one) for one in pruned.gone if one.reports)
    store.uploads.prune(TRACE_AGE)
    store.audit.prune(timedelta(days=settings.audit_days))
    gone += settings.shelf.sweep(store.uploads.unread)
    return pruned, gone + tidy_home(store, settings)


def tidy_home(store: Store, settings: Settings) -> int:
    """Throw away what lies in this machine's home and nobody needs: pages beyond their room, files of dead workers,
    kept dumps whose crashes were forgotten, on whichever machine; how many entries went."""
    gone = tidy_blocks(settings.home, int(settings.page_cache_size)) + remove_forgotten(store, settings.home)
    if settings.keep_dumps != "never":
        return gone
    active = {job_name(job.id) for job in store.jobs.active()}
    return gone + store.retention.sweep_files(downloads(settings.home), active)


def rename(store: Store) -> int:
    """Give the reports of history the names they would get by the present rules; how many changed theirs."""
    changed = 0
    while True:
        looked_at, renamed = store.renaming.step()
        changed += renamed
        if not looked_at:
            return changed


async def keep_house(store: Store, settings: Settings, stop: asyncio.Event, every: float = EVERY_SECONDS) -> None:
    """Throw away now and every few hours, until told to stop. A locked database or disk is tried again later."""
    while not stop.is_set():
        try:
            pruned, files = await asyncio.to_thread(tidy, store, settings)
            log.info("tidied: %d jobs, %d traces, %d reports, %d files", *_counts(pruned), files)
            if renamed := await asyncio.to_thread(rename, store):
                log.info("the rules have changed: %d reports of history got another signature", renamed)
        except (OSError, StorageError) as error:
            log.warning("tidying failed: %s", type(error).__name__)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), every)


async def keep_home(store: Store, settings: Settings, stop: asyncio.Event, every: float = EVERY_SECONDS) -> None:
    """As ``keep_house``, for a process that has nothing but a home: a worker beside the bot."""
    while not stop.is_set():
        try:
            if gone := await asyncio.to_thread(tidy_home, store, settings):
                log.info("tidied: %d files", gone)
        except (OSError, StorageError) as error:
            log.warning("tidying failed: %s", type(error).__name__)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), every)


async def keep_sight(workspaces: Workspaces, stop: asyncio.Event, every: float = SIGHT_SECONDS) -> None:
    """Look up again, from time to time, whether channels are still public: no event tells it of one without the bot."""
    while not stop.is_set():
        try:
            for workspace in await workspaces.every():
                if looked_up := await workspace.membership.check():
                    log.info("%d channels were looked up", looked_up)
        except StorageError as error:
            log.warning("channels were not looked up: %s", type(error).__name__)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), every)


def _counts(pruned: Pruned) -> tuple[int, int, int]:
    return pruned.jobs, pruned.traces, pruned.reports
