"""Measure ``pileup analyze`` on a real small dump and on a large forged one, beside volatility3 on the same file."""

import argparse
import json
import lzma
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

from tests.bench import runs
from tests.forge import Forged, forge

SHARED = Path(__file__).parents[3] / "shared" / "data"
TABLES = SHARED / "symbols"
TABLE = "CA8E2F01B822EDE6357898BFBF862997-1.json.xz"  # 10.0.19041.1288
BUILD = 19041


def main() -> None:
    """Print one line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=int, default=8, help="size of the forged machine")
    parser.add_argument("--times", type=int, default=3, help="runs of each; the fastest counts")
    arguments = parser.parse_args()
    triage = SHARED / "dumps" / "triage_x64.dmp"
    if triage.exists():
        show("triage dump, real", runs.analyze(triage, TABLES, times=arguments.times))
    with tempfile.TemporaryDirectory() as scratch:
        measure_big(Path(scratch), arguments.gib, arguments.times)


def measure_big(scratch: Path, gib: int, times: int) -> None:
    """The large dump: ours, then volatility3's process list, and the ratio."""
    symbols = scratch / "symbols"
    forged = _forged(symbols)
    dump = forged.write(scratch / "big.dmp", memory_bytes=gib << 30)
    ours = runs.analyze(dump, symbols, times=times)
    culprit = json.loads(ours.output)["verdict"]["culprit"]
    show(f"{gib} GiB full dump ({culprit and culprit['module']})", ours)
    if TABLES.is_dir() and find_spec("volatility3") is not None:
        (scratch / "cache").mkdir()
        theirs = runs.pslist(dump, symbols, scratch / "cache", times=times)
        show("the same, volatility3 windows.pslist", theirs)
        print(f"{'time, ours to theirs':45} {ours.seconds / theirs.seconds:8.2f}")


def _forged(symbols: Path) -> Forged:
    """With a real table's addresses where there is one, so that both programs can use the same table."""
    if not TABLES.is_dir():
        forged = forge("seed", build=BUILD)
        forged.write_isf(symbols)
        return forged
    table = TABLES / "ntkrnlmp.pdb" / TABLE
    (symbols / "ntkrnlmp.pdb").mkdir(parents=True)
    shutil.copyfile(table, symbols / "ntkrnlmp.pdb" / TABLE)
    with lzma.open(table) as file:
        names = {name: found["address"] for name, found in json.load(file)["symbols"].items()}
    return forge("seed", build=BUILD, symbols=names, guid=TABLE.split("-")[0])


def show(what: str, measured: runs.Run) -> None:
    """One line: what, seconds, megabytes."""
    print(f"{what:45} {measured.seconds:8.2f} s {measured.peak / 1e6:8.0f} MB peak")


if __name__ == "__main__":
    main()
