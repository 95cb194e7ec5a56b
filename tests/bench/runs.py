"""One command at a time: wall seconds and peak resident memory, its children included."""

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

# The kernel counts a parent's memory towards the peak of a child that it spawns, up to the moment of exec: so
# everything is spawned by this small process, not by the one that built the dumps.
LAUNCHER = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[2:], stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
with open(sys.argv[1], "w") as note:
    note.write(str(usage.ru_maxrss))
os._exit(1 if process.returncode else 0)
"""
PILEUP = "from bot.cli import main; main()"
VOLATILITY = "import sys; sys.argv[0] = 'vol'; from volatility3.cli import main; main()"


@dataclass(frozen=True, slots=True)
class Run:
    """What one command cost. ``peak`` is the largest resident set, in bytes, of the command or a child of it."""

    seconds: float
    peak: int
    output: str


def run(code: str, *arguments: str) -> Run:
    """Run Python code as a program and measure it. Raises: subprocess.CalledProcessError with what it printed."""
    command = [sys.executable, "-W", "ignore", "-c", code, *arguments]
    with tempfile.NamedTemporaryFile("r") as peak:
        launch = [sys.executable, "-I", "-S", "-c", LAUNCHER, peak.name, *command]
        started = time.perf_counter()
        done = subprocess.run(launch, stdout=subprocess.PIPE, text=True, check=True)
        seconds = time.perf_counter() - started
        return Run(seconds, int(peak.read()) * 1024, done.stdout)


def best(code: str, *arguments: str, times: int = 3) -> Run:
    """The fastest of several runs; its peak is the largest of all."""
    runs = [run(code, *arguments) for _ in range(times)]
    return Run(min(one.seconds for one in runs), max(one.peak for one in runs), runs[-1].output)


def analyze(dump: Path, *symbols: Path, times: int = 3) -> Run:
    """``pileup analyze --json`` on a dump, without history."""
    places = [part for directory in symbols for part in ("--symbols", str(directory))]
    return best(PILEUP, "analyze", str(dump), "--json", "--no-history", *places, times=times)


def pslist(dump: Path, symbols: Path, cache: Path, times: int = 3) -> Run:
    """volatility3's windows.pslist on a dump; the first run, which fills its cache, does not count."""
    arguments = ("--offline", "-q", "-s", str(symbols), "--cache-path", str(cache), "-f", str(dump), "windows.pslist")
    run(VOLATILITY, *arguments)
    return best(VOLATILITY, *arguments, times=times)
