"""Whole analyses with symbol servers: the seed story with nothing else, and with servers that are late or broken."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from analysis.symbols.names import PdbIdentity
from analysis.verdict.report import Report
from bot.child import ChildLimits, Order, start
from bot.cli import app
from bot.symbols.fetching import Limits, SymbolServers
from bot.symbols.paths import Tiers
from bot.symbols.reach import Reach
from tests.bot.cabinets import cabinet
from tests.bot.symbol_store import Store, serving
from tests.forge import Forged, forge
from tests.symbols.forged_pdbs import kernel_pdb, store, write_driver_pdbs

REACH = Reach(idle_seconds=3)


def fill(server: Store, forged: Forged, directory: Path) -> None:
    """Puts a machine's symbols on a server: PDBs of kernel and drivers, and all images, half of them compressed."""
    store(directory, PdbIdentity("ntkrnlmp.pdb", forged.facts.kernel_guid, 1), kernel_pdb(forged))
    write_driver_pdbs(directory, forged)
    forged.write_images(directory)
    for path in sorted(directory.rglob("*.sys"))[::2]:
        path.with_name("x").unlink(missing_ok=True)
        if path.is_file():
            path.with_name(f"{path.name[:-1]}_").write_bytes(cabinet(path.name, path.read_bytes()))
            path.unlink()
    server.add(directory)


def analysed(dump: Path, servers: SymbolServers) -> Report:
    return start(Order(dump, servers=servers), ChildLimits(seconds=60)).report()


def servers_of(server: Store, cache: Path, limits: Limits) -> SymbolServers:
    return SymbolServers((Tiers((cache, server.url)),), cache, limits, REACH)


def driver_frames(report: Report) -> list[str]:
    return [
        frame.symbol
        for thread in report.threads
        for frame in thread.stack
        if frame.module not in (None, "ntoskrnl.exe")
    ]


def on_stacks(report: Report) -> set[str]:
    frames = [frame for thread in report.threads for frame in thread.stack]
    return {Path(frame.module).stem for frame in frames if frame.module} | {"ntkrnlmp"}


@pytest.mark.parametrize("kind", ["bitmap", "triage"])
def test_the_story_is_told_with_nothing_but_a_symbol_server(tmp_path: Path, kind: str) -> None:
    seed = forge("seed", build=19041, kind=kind, driver_pdbs=True)
    dump = seed.write(tmp_path / "MEMORY.DMP")
    with serving() as server:
        fill(server, seed, tmp_path / "served")
        servers = servers_of(server, tmp_path / "cache", Limits(first_seconds=30))
        report = analysed(dump, servers)
    assert report.verdict.culprit is not None
    asked = {Path(wanted.name).stem.lower() for wanted, _ in servers.outcomes()}
    assert len(asked - on_stacks(report)) <= 8 < len(report.modules) // 4  # what other threads than the story's call
    frames = driver_frames(report)
    assert [frame for frame in frames if "!Driver::" not in frame] == []
    if kind == "bitmap":
        assert report.verdict.culprit.module == "rassstp.sys"
        assert frames
    else:
        assert {frame.trust for thread in report.threads for frame in thread.stack} == {"context", "unwind"}
        assert asked == on_stacks(report)


def test_without_an_answering_server_the_verdict_comes_all_the_same(tmp_path: Path) -> None:
    seed = forge("seed", build=19041, kind="bitmap", driver_pdbs=True)
    dump = seed.write(tmp_path / "MEMORY.DMP")
    with serving() as down:
        down.faults["*"] = "500"
        report = analysed(dump, servers_of(down, tmp_path / "cache", Limits()))
    assert report.verdict.culprit is not None
    assert report.verdict.culprit.module == "rassstp.sys"
    assert [note for note in report.notes if "127.0.0.1 answered with status 500" in note]


def test_a_first_verdict_does_not_wait_and_a_second_one_has_what_came_late(tmp_path: Path) -> None:
    seed = forge("seed", build=19041, kind="bitmap", driver_pdbs=True)
    dump = seed.write(tmp_path / "MEMORY.DMP")
    with serving() as server:
        fill(server, seed, tmp_path / "served")
        kernel = next(path for path in server.files if "ntkrnlmp" in path)
        server.faults[kernel] = "slow"
        servers = servers_of(server, tmp_path / "cache", Limits(first_seconds=0.2))
        first = analysed(dump, servers)
        assert any("it is still being fetched" in note for note in first.notes)
        assert servers.late()
        assert servers.await_late()
        second = analysed(dump, servers)
        servers.close()
    frames = driver_frames(second)
    assert frames
    assert [frame for frame in frames if "!Driver::" not in frame] == []
    assert server.asked.count(kernel) == 1
    for report in (first, second):
        assert report.verdict.culprit is not None
        assert report.verdict.culprit.module == "rassstp.sys"


def test_the_command_prints_one_answer_with_what_came_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = forge("seed", build=19041, kind="triage", driver_pdbs=True)
    dump = seed.write(tmp_path / "MEMORY.DMP")
    monkeypatch.setenv("PILEUP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PILEUP_SYMBOL_FIRST_SECONDS", "0.1")
    with serving() as server:
        fill(server, seed, tmp_path / "served")
        server.faults[next(path for path in server.files if "ntoskrnl" in path)] = "slow"
        monkeypatch.setenv("_NT_SYMBOL_PATH", f"srv*{server.url}")
        done = CliRunner().invoke(app, ["analyze", str(dump), "--json", "--no-history"])
    assert done.exit_code == 0
    frames = [frame for thread in json.loads(done.stdout)["threads"] for frame in thread["stack"]]
    assert {frame["trust"] for frame in frames} == {"context", "unwind"}
    assert all("!" in frame["symbol"] for frame in frames if frame["module"])
