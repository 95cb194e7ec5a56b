"""Readers that others wrote find in forged dumps exactly what the builder says it wrote."""

import json
import lzma
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.forge import Forged, all_builds, forge

TABLES = Path(__file__).parents[2] / "shared" / "data" / "symbols" / "ntkrnlmp.pdb"
NAMES = {  # major build -> the real table whose addresses the forged kernel takes
    7601: "339E74133576439CBCDF7E0229DA3773",
    9600: "22597D0B40394E23936F6A24C6C52D5B",
    14393: "517E128F7B7C4EA79491DE6B9B9CE190",
    17763: "A1E1C9A90091DA9805D0EBA0470BEC85",
    18362: "DCA4AD4BEEB4746D48F84C0125019E43",
    19041: "CA8E2F01B822EDE6357898BFBF862997",
    20348: "C2EADB24A615E9472CE47C8ADD31F130",
    22000: "32C1A669D5FFEFD41091F636CFDB6E99",
}
HIGH = 0xFFFF << 48  # volatility3 prints 48 bits of an address

volatility = pytest.mark.skipif(find_spec("volatility3") is None, reason="volatility3 is not installed")
patient = pytest.mark.timeout(300)  # volatility3 starts slowly where much else goes on
tables = pytest.mark.skipif(not TABLES.is_dir(), reason="the shared symbol tables are not here")


def with_real_addresses(build: int, **more: Any) -> Forged:
    """A dump whose kernel has the symbol addresses of a real one."""
    guid = NAMES[build]
    with lzma.open(TABLES / f"{guid}-1.json.xz") as file:
        symbols = {name: found["address"] for name, found in json.load(file)["symbols"].items()}
    return forge("seed", build=build, symbols=symbols, guid=guid, **more)


@pytest.fixture
def volatility_home(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "cache").mkdir()
    (tmp_path / "symbols" / "ntkrnlmp.pdb").mkdir(parents=True)
    yield tmp_path
    shutil.rmtree(tmp_path / "cache")


def run_volatility(home: Path, dump: Path, plugin: str) -> list[dict[str, Any]]:
    main = "import sys; from volatility3.cli import main; sys.argv[0] = 'vol'; main()"
    command = [sys.executable, "-W", "ignore", "-c", main, "--offline", "-q", "-r", "json"]
    places = ["-s", str(home / "symbols"), "--cache-path", str(home / "cache"), "-f", str(dump)]
    done = subprocess.run([*command, *places, plugin], capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-500:]
    rows: list[dict[str, Any]] = json.loads(done.stdout[done.stdout.index("[") :])
    return rows


def volatility_agrees(home: Path, forged: Forged, *, briefly: bool = False) -> None:
    name = f"{forged.facts.kernel_guid}-1.json.xz"
    shutil.copyfile(TABLES / name, home / "symbols" / "ntkrnlmp.pdb" / name)
    dump = forged.write(home / "forged.dmp")
    facts = forged.facts
    threads = run_volatility(home, dump, "windows.threads")
    assert sorted((row["Offset"] | HIGH, row["PID"], row["TID"]) for row in threads) == sorted(
        (thread.address, thread.pid, thread.tid) for thread in facts.threads
    )
    if briefly:
        return
    processes = run_volatility(home, dump, "windows.pslist")
    assert [
        (row["Offset(V)"] | HIGH, row["PID"], row["PPID"], row["ImageFileName"], row["Threads"]) for row in processes
    ] == [
        (process.address, process.pid, process.parent_pid, process.name, len(process.threads))
        for process in facts.processes
    ]
    modules = run_volatility(home, dump, "windows.modules")
    assert [(row["Base"] | HIGH, row["Name"], row["Size"], row["Path"]) for row in modules] == [
        (module.base, module.name, module.size, module.path) for module in facts.modules
    ]


@volatility
@patient
@tables
@pytest.mark.shared
def test_volatility_lists_the_threads_that_were_written(volatility_home: Path) -> None:
    forged = with_real_addresses(19041, kind="bitmap", type_code=5)
    volatility_agrees(volatility_home, forged, briefly=True)  # a process for each question takes seconds


@volatility
@tables
@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize(("build", "kind"), [(7601, "full"), (19041, "bitmap")])
def test_volatility_lists_what_was_written(build: int, kind: str, volatility_home: Path) -> None:
    type_code = 5 if kind == "bitmap" else None
    volatility_agrees(volatility_home, with_real_addresses(build, kind=kind, type_code=type_code))


@volatility
@tables
@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("seed", [None, 5])
@pytest.mark.parametrize("kind", ["full", "bitmap-full"])
@pytest.mark.parametrize("build", all_builds())
def test_volatility_lists_what_was_written_on_every_build(
    build: int, kind: str, seed: int | None, volatility_home: Path
) -> None:
    volatility_agrees(volatility_home, with_real_addresses(build, kind=kind, seed=seed))


def kdmp_agrees(forged: Forged, dump: Path) -> None:
    kdmp = pytest.importorskip("kdmp_parser", reason="kdmp-parser is not installed")
    parser = kdmp.KernelDumpParser(forged.write(dump))
    facts, memory, tables = forged.facts, forged.machine.memory, forged.machine.tables
    assert parser.directory_table_base == facts.directory_table
    assert parser.type.value == forged.type_code
    assert parser.header.BugCheckCode == facts.code
    assert tuple(parser.header.BugCheckCodeParameter) == facts.parameters
    assert parser.header.MinorVersion == facts.build
    everything = forged.kind != "bitmap" and forged.type_code != 8
    present = {address >> 12 for address in parser.pages}
    saved = set(memory.saved(everything=everything)) - ({0} if forged.kind == "ranges" else set())
    assert present >= saved if forged.kind == "full" else present == saved
    for frame in sorted(saved)[::7]:
        assert parser.read_physical_page(frame << 12) == memory.frames[frame]
    addresses = [
        facts.kernel_base,
        *(thread.address for thread in facts.threads),
        *(r.address for r in facts.resources),
    ]
    addresses += [module.base for module in facts.modules]
    addresses += [thread.frames[0].sp for thread in facts.threads if thread.stack_resident]
    for address in addresses:
        assert parser.translate_virtual(address) == tables.translate(address)


@pytest.mark.parametrize("build", [7601, 14393, 22000])
@pytest.mark.parametrize(
    ("kind", "type_code"), [("full", 1), ("bitmap", 5), ("bitmap", 6), ("bitmap-full", 5), ("bitmap-full", 6)]
)
def test_kdmp_parser_reads_what_was_written(kind: str, type_code: int, build: int, tmp_path: Path) -> None:
    kdmp_agrees(forge("seed", build=build, kind=kind, type_code=type_code, seed=build), tmp_path / "forged.dmp")


@pytest.mark.parametrize("type_code", [8, 9, 10])
def test_kdmp_parser_reads_page_ranges(type_code: int, tmp_path: Path) -> None:
    kdmp_agrees(forge("seed", build=19041, kind="ranges", type_code=type_code, seed=1), tmp_path / "forged.dmp")
