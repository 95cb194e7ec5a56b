"""The bot in a process of its own: what a test can kill. Settings come by environment.

``ANALYSIS_TAKES`` seconds makes the analysis a pretended one, ``ANALYSIS_ASKS`` one that wants a PDB; without them the
real child runs.
"""

import asyncio
import os

from bot.serve import serve
from bot.settings import read_settings
from tests.bot.kit import Analyst

PACE_SECONDS = 0.4  # time enough to be killed between two messages

if __name__ == "__main__":
    takes = os.environ.get("ANALYSIS_TAKES")
    analyst = None if takes is None else Analyst(seconds=float(takes))
    if "ANALYSIS_ASKS" in os.environ:
        from tests.bot.test_late_symbols import analyst as asking

        analyst = asking()
    asyncio.run(serve(read_settings(), analyse=analyst, pace_seconds=PACE_SECONDS))
