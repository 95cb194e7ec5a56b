"""``pileup worker`` as a process of its own whose analysis is pretended: to be killed, stopped and run in any version.

``python -m tests.fleet.worker SECONDS`` takes its settings from the environment, as the command does, and says
``analysing`` when it begins with a dump.
"""

import asyncio
import sys
from collections.abc import Callable

from analysis.verdict.report import Report
from bot import logs
from bot.fetch.download import Fetched
from bot.fleet.command import work_on
from bot.settings import Settings
from tests.bot.kit import Analyst


class Told(Analyst):
    """An analysis that says when it begins."""

    async def __call__(
        self, fetched: Fetched, progress: Callable[[str, float | None], None], symbols: object = None
    ) -> Report:
        """The report, after ``seconds``."""
        print("analysing", flush=True)
        return await super().__call__(fetched, progress, symbols)


if __name__ == "__main__":
    logs.configure("info")
    asyncio.run(work_on(Settings(), analyse=Told(float(sys.argv[1])), pace_seconds=0.01))
