"""32-bit kernels with symbols of their own: threads, stacks, locks and chains are told as strictly as 64-bit ones.

The offsets of every structure are drawn, so only the symbols that are given can tell them.
"""

import json
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from analysis.formats import open_dump
from analysis.kernel.scene import Scene, read_scene
from analysis.memory import open_memory
from analysis.pipeline import Options, analyze
from analysis.symbols.names import PdbIdentity
from analysis.symbols.opening import SymbolSources, open_kernel_symbols
from tests.forge.x86_kernel import KINDS, Forged32
from tests.forge.x86_layouts import BUILDS
from tests.forge.x86_stories import FRAMELESS_GUID, STORIES, forge32
from tests.symbols.forged_pdbs import frameless_pdb, kernel_pdb32, store
from tests.truth import hold_against_names, hold_against_truth, told

WITH_TABLE = [story for story in STORIES if story != "frameless"]  # that one needs a driver's PDB
# Of every two machines in a row, one has PAE and one is a kernel summary.
QUICK = [(story, build, (at + row) % 2 == 0) for row, story in enumerate(WITH_TABLE) for at, build in enumerate(BUILDS)]


@pytest.mark.parametrize(("story", "build", "pae"), QUICK)
def test_every_story_is_told_as_it_was_written(tmp_path: Path, story: str, build: int, pae: bool) -> None:
    forged = forge32(story, pae=pae, build=build, kind=KINDS[build % 2 ^ pae])
    report = told(forged, tmp_path, symbols=True)
    hold_against_truth(report, forged)
    hold_against_names(report, forged, symbols=True)
    assert report.system.architecture == "x86"
    assert not any("neither a PDB" in one for one in report.verdict.cannot_tell)
    assert any("deferred procedure calls, spin locks" in one for one in report.verdict.cannot_tell)


@pytest.mark.slow
@pytest.mark.parametrize("pae", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("story", WITH_TABLE)
def test_every_story_in_every_kind_and_with_other_offsets(
    tmp_path: Path, story: str, build: int, kind: str, pae: bool
) -> None:
    for seed in range(3):
        forged = forge32(story, pae=pae, build=build, kind=kind, seed=seed)
        directory = tmp_path / str(seed)
        directory.mkdir()
        report = told(forged, directory, symbols=True)
        hold_against_truth(report, forged)
        hold_against_names(report, forged, symbols=True)


def abstains(forged: Forged32, directory: Path, symbols: tuple[Path, ...]) -> None:
    path = directory / "MEMORY.DMP"
    forged.write(path)
    report = analyze(path, Options(symbols=symbols))
    assert report.verdict.culprit is None
    assert (report.blocking.chains, report.blocking.deadlocks, report.blocking.blocked_threads) == ((), (), ())
    assert any("neither a PDB with its types nor a symbol table" in one for one in report.verdict.cannot_tell)
    assert {one.name for one in report.modules} >= {"ntoskrnl.exe", "one.sys"}


@pytest.mark.parametrize("pae", [True, False])
def test_without_symbols_it_says_what_is_missing_and_blames_nobody(tmp_path: Path, pae: bool) -> None:
    abstains(forge32("pile-up", pae=pae, build=7601), tmp_path, ())


def test_the_symbols_of_another_kernel_are_not_used(tmp_path: Path) -> None:
    forged = forge32("pile-up", pae=True, build=7601)
    path = forged.write_isf(tmp_path)
    table = json.loads(path.read_text())
    table["metadata"]["windows"]["pdb"]["GUID"] = "0" * 32
    path.write_text(json.dumps(table))
    abstains(forged, tmp_path, (tmp_path,))


def scene_of(forged: Forged32, directory: Path) -> Scene:
    path = directory / "MEMORY.DMP"
    forged.write(path)
    forged.write_isf(directory)
    image = open_dump(path)
    memory = open_memory(image)
    return read_scene(image, memory, open_kernel_symbols(image, memory, SymbolSources((directory,))))


@pytest.mark.parametrize("build", BUILDS)
def test_every_stack_is_the_one_that_was_written(tmp_path: Path, build: int) -> None:
    forged = forge32("deadlock", pae=True, build=build)
    scene = scene_of(forged, tmp_path)
    compared = 0
    for process in forged.kernel.processes:
        for thread in process.threads:
            stack = scene.stack(thread.address)
            found = [(frame.address, frame.sp, frame.symbol.partition("+")[0]) for frame in stack.frames]
            stems = [(at, sp, f"{image.removesuffix('.sys')}{'!' + name if image == 'nt' else ''}")
                     for at, sp, image, name in thread.frames]  # fmt: skip
            assert found == stems
            assert "user mode" in stack.end if process.pid != 4 else "return address is 0" in stack.end
            assert all(frame.trust.label in ("context", "frame-pointer") for frame in stack.frames)
            compared += len(found)
    assert compared > 20
    scene.image.close()


def test_threads_and_processes_are_those_that_were_written(tmp_path: Path) -> None:
    forged = forge32("shared", pae=False, build=9600)
    scene = scene_of(forged, tmp_path)
    written = {one.address: (one.name, one.pid) for one in forged.kernel.processes}
    assert {one.address: (one.name, one.pid) for one in scene.facts.processes.values()} == written
    threads = [thread for process in forged.kernel.processes for thread in process.threads]
    assert {one.address: one.tid for one in scene.facts.threads.values()} == {one.address: one.tid for one in threads}
    assert all(not note.startswith(("threads", "processes", "locks")) for note in scene.facts.notes)
    scene.image.close()


def test_unloaded_drivers_are_remembered(tmp_path: Path) -> None:
    forged = forge32("nothing", pae=True, build=7601)
    forged.kernel.unload("Gone.sys", 0x8D90_0000, 0x8D90_4000)
    forged = replace(forged, facts=replace(forged.facts, symbols=tuple(forged.kernel.symbols.items())))
    scene = scene_of(forged, tmp_path)
    assert [(one.name, one.base, one.size) for one in scene.facts.unloaded] == [("gone.sys", 0x8D90_0000, 0x4000)]
    scene.image.close()


def test_a_torn_list_costs_only_itself(tmp_path: Path) -> None:
    forged = forge32("pile-up", pae=True, build=7601)
    kernel = forged.kernel
    kernel.u32(kernel.word(kernel.variable("ExpSystemResourcesList")), 0xFFFF_FFFC)
    scene = scene_of(forged, tmp_path)
    assert any("system resource list" in note for note in scene.facts.notes)
    assert len(scene.facts.threads) == sum(len(process.threads) for process in kernel.processes)
    scene.image.close()


def test_a_table_without_most_structures_costs_what_it_lacks(tmp_path: Path) -> None:
    forged = forge32("pile-up", pae=True, build=7601)
    path = forged.write_isf(tmp_path)
    whole = json.loads(path.read_text())
    for gone in ("_ERESOURCE", "_KWAIT_BLOCK", "_ETHREAD", "_KPRCB", "_EPROCESS", "_KSWITCHFRAME", "_KPROCESS"):
        path.write_text(json.dumps({**whole, "user_types": {
            name: kind for name, kind in whole["user_types"].items() if name != gone}}))  # fmt: skip
        forged.write(tmp_path / "MEMORY.DMP")
        report = analyze(tmp_path / "MEMORY.DMP", Options(symbols=(tmp_path,)))
        assert not any("Error" in note for note in report.notes), (gone, report.notes)
        assert report.bugcheck is not None


@pytest.mark.parametrize("story", ["pile-up", "deadlock"])
def test_the_kernels_own_pdb_tells_as_much_as_a_table(tmp_path: Path, story: str) -> None:
    forged = forge32(story, pae=True, build=7601)
    store(tmp_path, PdbIdentity("ntkrpamp.pdb", forged.facts.kernel_guid, 1), kernel_pdb32(forged))
    path = tmp_path / "MEMORY.DMP"
    forged.write(path)
    report = analyze(path, Options(symbols=(tmp_path,)))
    hold_against_truth(report, forged)
    hold_against_names(report, forged, symbols=True)
    stacks = [frame.symbol.partition("+")[0] for thread in report.threads for frame in thread.stack]
    assert {"nt!KiSwapContext", "nt!KeWaitForSingleObject", "nt!IofCallDriver"} <= set(stacks)


def test_a_pdb_of_another_age_is_refused(tmp_path: Path) -> None:
    forged = forge32("pile-up", pae=True, build=7601)
    store(tmp_path, PdbIdentity("ntkrpamp.pdb", forged.facts.kernel_guid, 2), kernel_pdb32(forged))
    abstains(forged, tmp_path, (tmp_path,))


def test_a_pdb_without_types_names_functions_and_says_that_no_locks_can_be_read(tmp_path: Path) -> None:
    forged = forge32("pile-up", pae=True, build=7601)
    store(tmp_path, PdbIdentity("ntkrpamp.pdb", forged.facts.kernel_guid, 1), kernel_pdb32(forged, types=False))
    abstains(forged, tmp_path, (tmp_path,))


def test_functions_without_frame_pointers_are_on_the_stack_by_their_pdb_alone(tmp_path: Path) -> None:
    forged = forge32("frameless", pae=True, build=7601)
    holder = next(one for one in forged.kernel.processes if one.name == "svchost.exe").threads[0]
    written = [(address, sp) for address, sp, _, _ in holder.frames]
    before = scene_of(forged, tmp_path)
    stack = before.stack(holder.address)
    dispatch = next(address for address, _, _, name in holder.frames if name == "Dispatch")
    assert dispatch not in {frame.address for frame in stack.frames}  # the chain of frame pointers passes it by
    before.image.close()
    guid = UUID(bytes_le=FRAMELESS_GUID).hex.upper()
    store(tmp_path, PdbIdentity("one.pdb", guid, 3), frameless_pdb(forged, "one.sys"))
    after = scene_of(forged, tmp_path)
    stack = after.stack(holder.address)
    assert [(frame.address, frame.sp) for frame in stack.frames] == written
    assert {"one!WaitForDevice+0x20", "one!Dispatch+0x20"} <= {frame.symbol for frame in stack.frames}
    after.image.close()
    report = analyze(tmp_path / "MEMORY.DMP", Options(symbols=(tmp_path,)))
    hold_against_truth(report, forged)
