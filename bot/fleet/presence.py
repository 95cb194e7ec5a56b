"""A worker's sign of life, and what it says of jobs that no worker of its version can do."""

import asyncio
import functools
import logging
from contextlib import suppress
from datetime import timedelta
from importlib.metadata import version

from bot.orphans import worker_name
from storage.jobs import FORM
from storage.store import Store

log = logging.getLogger(__name__)

EVERY_SECONDS = 15.0
ALIVE = timedelta(seconds=4 * EVERY_SECONDS)


async def be_there(
    store: Store, slots: int, stop: asyncio.Event, form: int = FORM, *, may_be_outgrown: bool = False
) -> None:
    """Sign in now and every few seconds, and out at the end; say what waits for a later version.

    Raises:
        DatabaseTooNew: a newer version has changed the schema meanwhile. ``may_be_outgrown``: that is only logged.
    """
    name = worker_name(0)
    said: tuple[str, ...] = ()
    sign = functools.partial(store.workers.sign_in, name, version("pileup"), slots, form)
    try:
        while not stop.is_set():
            outgrown = None
            lines = said
            try:
                await asyncio.to_thread(sign)
                lines = await asyncio.to_thread(gaps, store, form)
                outgrown = await asyncio.to_thread(store.outgrown)
            except Exception as error:  # noqa: BLE001  # whatever keeps history away: jobs have leases of their own
                log.warning("no sign of life: %s", type(error).__name__)
            if outgrown is not None and not may_be_outgrown:
                raise outgrown
            lines += () if outgrown is None else (f"{outgrown}; this process is to be brought up to it",)
            for line in lines if lines != said else ():
                log.warning("%s", line)
            said = lines
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY_SECONDS)
    finally:
        with suppress(Exception):
            await asyncio.to_thread(store.workers.sign_out, name)


def gaps(store: Store, form: int = FORM) -> tuple[str, ...]:
    """Sentences about jobs that wait in a form which this version does not read, and about who does."""
    unread = store.workers.unread(form)
    if not unread:
        return ()
    readers = [worker for worker in store.workers.alive(ALIVE) if worker.form >= unread[-1].form]
    others = f"{len(readers)} of the workers here read them" if readers else "no worker here reads them yet"
    return tuple(
        f"{item.count} jobs wait in form {item.form}, of a later version; this one reads forms up to {form}: {others}"
        for item in unread
    )
