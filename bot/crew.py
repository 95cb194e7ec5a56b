"""Who works in a process: its tasks that take jobs until they are asked to stop, and how they are waited for."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, Protocol

from bot.doing import QUICK
from bot.ending import Ending
from bot.tools import Tools
from bot.worker import work

log = logging.getLogger(__name__)

LAST_SECONDS = 10.0  # for giving back


class Crew(Protocol):
    """Those who take jobs. There are none before the start, but they may be told of jobs."""

    def announce(self) -> None:
        """There may be new jobs."""

    def start(self) -> list[asyncio.Task[None]]:
        """Begin to work."""


class LocalCrew:
    """``count`` workers for all kinds of jobs, and one for what is quick: however many dumps are being read, a
    question is answered and a button does what it says. They take their jobs from the table of jobs themselves."""

    def __init__(self, tools: Tools, count: int, ending: Ending) -> None:
        self._tools, self._ending = tools, ending
        self._news = [asyncio.Event() for _ in range(count + 1)]

    def announce(self) -> None:
        """Wake whoever waits."""
        for event in self._news:
            event.set()

    def start(self) -> list[asyncio.Task[None]]:
        """A task for each worker."""
        *many, last = enumerate(self._news)
        tasks = [asyncio.create_task(work(self._tools, number, event, self._ending)) for number, event in many]
        return [*tasks, asyncio.create_task(work(self._tools, *last, self._ending, QUICK))]


async def drained(tasks: Iterable[asyncio.Task[None]], ending: Ending, seconds: float) -> None:
    """Wait until the tasks are asked to stop, then until what is in hand is done; after ``seconds`` it is given back.

    A task that dies by itself stops the others, and its fault is raised.
    """
    working: list[asyncio.Task[Any]] = [*tasks]
    stopping: asyncio.Task[Any] = asyncio.create_task(ending.stop.wait())
    done, _ = await asyncio.wait([*working, stopping], return_when=asyncio.FIRST_COMPLETED)
    ending.stop.set()
    log.info("stopping; what is in hand has %g s", seconds)
    everything = asyncio.create_task(_all(working))
    hurry: asyncio.Task[Any] = asyncio.create_task(ending.give_back.wait())
    await asyncio.wait([everything, hurry], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    ending.give_back.set()
    await asyncio.wait(working, timeout=LAST_SECONDS)
    for task in working:
        task.cancel()
    await asyncio.gather(everything, stopping, hurry)
    for task in done - {stopping}:
        task.result()


async def _all(tasks: list[asyncio.Task[Any]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)
