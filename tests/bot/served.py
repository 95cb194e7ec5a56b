"""The bot in a process of its own with the pretended analysis: what a test can kill. Settings come by environment."""

import asyncio
import os

from bot.serve import serve
from bot.settings import read_settings
from tests.bot.kit import Analyst

PACE_SECONDS = 0.4  # time enough to be killed between two messages

if __name__ == "__main__":
    takes = float(os.environ["ANALYSIS_TAKES"])
    asyncio.run(serve(read_settings(), analyse=Analyst(seconds=takes), pace_seconds=PACE_SECONDS))
