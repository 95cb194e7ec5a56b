"""One command at a time: wall and processor seconds and peak resident memory, its children included."""

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
    note.write(f"{usage.ru_maxrss} {usage.ru_utime + usage.ru_stime}")
os._exit(1 if process.returncode else 0)
"""
PILEUP = "from bot.cli import main; main()"
VOLATILITY = "import sys; sys.argv[0] = 'vol'; from volatility3.cli import main; main()"
# The stack of every thread, by the walker of the analysis.
ALL_STACKS = """
import sys
from pathlib import Path
from analysis.formats import open_dump
from analysis.kernel.scene import read_scene
from analysis.memory import open_memory
from analysis.symbols.opening import SymbolSources, open_kernel_symbols
with open_dump(Path(sys.argv[1])) as image:
    memory = open_memory(image)
    scene = read_scene(image, memory, open_kernel_symbols(image, memory, SymbolSources((Path(sys.argv[2]),))))
    stacks = [scene.stack(address) for address in scene.facts.threads]
kinds = {tuple(frame.symbol for frame in stack.frames) for stack in stacks}
print(f"{len(stacks)} threads, {sum(len(stack.frames) for stack in stacks)} frames, {len(kinds)} different stacks")
"""
# Pages of loaded images, drawn at random, are translated and read. Ours prints which, and a sum for the peer to match.
_ADDRESSES = """
import random, sys
from pathlib import Path
rng = random.Random(1)
starts = [int(word, 16) for word in (sys.argv[3] if len(sys.argv) > 3 else "").split()[:-1]]
"""
OUR_PAGES = (
    _ADDRESSES
    + """
from analysis.errors import Unreadable
from analysis.formats import open_dump
from analysis.memory import open_memory
with open_dump(Path(sys.argv[1])) as image:
    memory = open_memory(image)
    head = image.header.loaded_modules
    pages, at = [], memory.u64(head)
    while at != head:
        pages += [memory.u64(at + 0x30) + 0x1000 * page for page in range(8)]
        at = memory.u64(at)
    starts = sorted({page & ~0xFFF for page in pages if memory.is_readable(page)})
    total = 0
    for _ in range(int(sys.argv[2])):
        address = rng.choice(starts)
        memory.translate(address)
        total += memory.read(address, 0x1000)[8]
print(" ".join(map(hex, starts)), total)
"""
)
KDMP_PAGES = (
    _ADDRESSES
    + """
import kdmp_parser
dump = kdmp_parser.KernelDumpParser(sys.argv[1])
total = 0
for _ in range(int(sys.argv[2])):
    address = rng.choice(starts)
    dump.translate_virtual(address)
    total += dump.read_virtual_page(address)[8]
assert total == int(sys.argv[3].split()[-1]), "both must read the same"
"""
)


@dataclass(frozen=True, slots=True)
class Run:
    """What one command cost. ``peak`` is the largest resident set, in bytes, of the command or a child of it;
    ``processor`` are the seconds of processor time of all of them."""

    seconds: float
    peak: int
    output: str
    processor: float = 0.0


def run(code: str, *arguments: str) -> Run:
    """Run Python code as a program and measure it. Raises: subprocess.CalledProcessError with what it printed."""
    command = [sys.executable, "-W", "ignore", "-c", code, *arguments]
    with tempfile.NamedTemporaryFile("r") as note:
        launch = [sys.executable, "-I", "-S", "-c", LAUNCHER, note.name, *command]
        started = time.perf_counter()
        done = subprocess.run(launch, stdout=subprocess.PIPE, text=True, check=True)
        seconds = time.perf_counter() - started
        peak, processor = note.read().split()
        return Run(seconds, int(peak) * 1024, done.stdout, float(processor))


def best(code: str, *arguments: str, times: int = 3) -> Run:
    """The fastest of several runs; its peak is the largest of all."""
    runs = [run(code, *arguments) for _ in range(times)]
    fastest = min(runs, key=lambda one: one.seconds)
    return Run(fastest.seconds, max(one.peak for one in runs), runs[-1].output, fastest.processor)


def analyze(dump: Path, *symbols: Path, times: int = 3) -> Run:
    """``pileup analyze --json`` on a dump, without history."""
    places = [part for directory in symbols for part in ("--symbols", str(directory))]
    return best(PILEUP, "analyze", str(dump), "--json", "--no-history", *places, times=times)


def volatility(dump: Path, symbols: Path, cache: Path, plugin: str, times: int = 3) -> Run:
    """A plugin of volatility3 on a dump; the first run, which fills its cache, does not count."""
    arguments = ("--offline", "-q", "-s", str(symbols), "--cache-path", str(cache), "-f", str(dump), plugin)
    run(VOLATILITY, *arguments)
    return best(VOLATILITY, *arguments, times=times)
