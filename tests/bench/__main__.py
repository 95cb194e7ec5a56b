"""Measure analyses of a real small dump and of large forged ones, beside kdmp-parser and volatility3 in the same run.

``python -m tests.bench --gib 8 32 --kinds bitmap full``. A large machine has 4,000 threads, 30,000 resources and 250
loaded images. "cold": the dump was put out of the system's cache before; "warm": the run after it.
"""

import argparse
import json
import lzma
import os
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from tests.bench import runs
from tests.forge import Forged, Load, forge

SHARED = Path(__file__).parents[3] / "shared" / "data"
TABLES = SHARED / "symbols"
TABLE = "CA8E2F01B822EDE6357898BFBF862997-1.json.xz"  # 10.0.19041.1288
BUILD = 19041
LOAD = Load(threads=4000, resources=30_000, images=250)
TRANSLATIONS = 200_000


def main() -> None:
    """Print one line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=int, nargs="+", default=[8, 32], help="sizes of the forged machine")
    parser.add_argument("--kinds", nargs="+", choices=("bitmap", "full"), default=["bitmap", "full"])
    parser.add_argument("--times", type=int, default=3, help="warm runs of each; the fastest counts")
    arguments = parser.parse_args()
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors; wall time counts on an idle machine")
    triage = SHARED / "dumps" / "triage_x64.dmp"
    if triage.exists():
        show("triage dump, real", runs.analyze(triage, TABLES, times=arguments.times))
    for kind in arguments.kinds:
        with tempfile.TemporaryDirectory() as scratch:
            symbols = Path(scratch) / "symbols"
            forged = _forged(kind, symbols)
            facts = forged.facts
            print(
                f"{kind}: {len(facts.threads)} threads, {len(facts.resources)} resources, {len(facts.modules)} images"
            )
            for gib in arguments.gib:
                dump = forged.write(Path(scratch) / "big.dmp", memory_bytes=gib << 30)
                measure(dump, symbols, f"{gib} GiB {kind}", arguments.times)


def measure(dump: Path, symbols: Path, what: str, times: int) -> None:
    """One large dump: ours cold and warm, every stack, reads and translations, and the peers on the same file."""
    _forget(dump)
    show(f"{what}, cold", runs.analyze(dump, symbols, times=1))
    warm = runs.analyze(dump, symbols, times=times)
    report = json.loads(warm.output)
    culprit = report["verdict"]["culprit"]
    show(f"{what}, warm ({culprit and culprit['module']}, {report['dump']['bytes_read'] >> 20} MiB looked at)", warm)
    stacks = runs.best(runs.ALL_STACKS, str(dump), str(symbols), times=times)
    show(f"{what}, every stack alone: {stacks.output.strip()}", stacks)
    if find_spec("kdmp_parser") is not None:
        ours = runs.best(runs.OUR_PAGES, str(dump), str(TRANSLATIONS), times=times)
        theirs = runs.best(runs.KDMP_PAGES, str(dump), str(TRANSLATIONS), ours.output, times=times)
        compare(f"{what}, {TRANSLATIONS:,} translations and page reads", ours, "kdmp-parser", theirs)
    if TABLES.is_dir() and find_spec("volatility3") is not None:
        _beside_volatility(dump, symbols, what, warm)


def _beside_volatility(dump: Path, symbols: Path, what: str, ours: runs.Run) -> None:
    with tempfile.TemporaryDirectory() as cache:
        try:
            theirs = runs.volatility(dump, symbols, Path(cache), "windows.threads", times=1)
        except subprocess.CalledProcessError:
            print(f"{what}: volatility3 does not open this dump (of bitmap dumps it reads type 5, not type 6)")
            return
    threads = sum(line.startswith("0x") for line in theirs.output.splitlines())
    compare(f"{what}, analysis; theirs windows.threads ({threads} threads)", ours, "volatility3", theirs)


def _forget(dump: Path) -> None:
    with dump.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _forged(kind: str, symbols: Path) -> Forged:
    """With a real table's addresses where there is one, so that both programs can use the same table."""
    if not TABLES.is_dir():
        forged = forge("seed", build=BUILD, kind=kind, load=LOAD)
        forged.write_isf(symbols)
        return forged
    table = TABLES / "ntkrnlmp.pdb" / TABLE
    (symbols / "ntkrnlmp.pdb").mkdir(parents=True)
    shutil.copyfile(table, symbols / "ntkrnlmp.pdb" / TABLE)
    with lzma.open(table) as file:
        names = {name: found["address"] for name, found in json.load(file)["symbols"].items()}
    return forge("seed", build=BUILD, kind=kind, symbols=names, guid=TABLE.split("-")[0], load=LOAD)


def show(what: str, measured: runs.Run) -> None:
    """One line: what, seconds, of them the processor's, megabytes."""
    print(
        f"{what:84} {measured.seconds:7.2f} s ({measured.processor:6.2f} s of processor) {measured.peak / 1e6:6.0f} MB",
        flush=True,
    )


def compare(what: str, ours: runs.Run, peer: str, theirs: runs.Run) -> None:
    """Both, and the ratios of their times and peaks."""
    show(what, ours)
    show(f"    {peer}", theirs)
    wall, processor = ours.seconds / theirs.seconds, ours.processor / theirs.processor
    print(
        f"    ours to theirs: time {wall:.2f}, of the processor {processor:.2f}, peak {ours.peak / theirs.peak:.2f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
