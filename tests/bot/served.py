"""The bot in a process of its own with the pretended analysis: what a test can kill. Settings come by environment."""

import os
import sys

from bot.serve import run
from bot.settings import read_settings
from tests.bot.kit import Analyst

if __name__ == "__main__":
    sys.exit(run(read_settings(), analyse=Analyst(seconds=float(os.environ["ANALYSIS_TAKES"]))))
