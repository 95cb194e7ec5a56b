"""What opening a PDB costs, in a process of its own: time to its index, the same from our cache, memory.

Linux only: what ``getrusage`` calls a child's peak includes its parent's memory up to the moment of exec.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PROGRAM = """
import json, re, sys, time
from pathlib import Path
from analysis.symbols.pdb import open_pdb
cache = Path(sys.argv[2]) if sys.argv[2] else None
wall, cpu = time.perf_counter(), time.process_time()
table = open_pdb(Path(sys.argv[1]), None, cache)
name = next((udt.name for udt in table.types.definitions() if udt.kind != "enum"), "none") if table.types else "none"
table.rva("DriverEntry"), table.nearest(0x1000), table.layout(name)
print(json.dumps({
    "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu,
    "symbols": len(table.symbols or ()), "types": len(table.types or ()),
    "peak": int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024,
}))
"""


@dataclass(frozen=True)
class Measured:
    """Seconds of wall time and of processor time, symbols and types, and bytes of the process' peak memory."""

    wall: float
    cpu: float
    symbols: int
    types: int
    peak: int


def measure(pdb: Path, cache: Path | None = None, times: int = 3) -> Measured:
    """The fastest of several processes, and the largest peak of all. With a cache, one run before fills it."""
    runs = []
    for _ in range(times + (cache is not None)):
        command = [sys.executable, "-c", PROGRAM, str(pdb), str(cache or "")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        runs.append(Measured(**json.loads(done.stdout)))
    runs = runs[1:] if cache is not None else runs
    best = min(runs, key=lambda one: one.wall)
    return Measured(best.wall, min(one.cpu for one in runs), best.symbols, best.types, max(one.peak for one in runs))
