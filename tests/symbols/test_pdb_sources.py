"""PDBs below the symbol directories: which one is used for which image, and what stacks then say."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.formats import open_dump
from analysis.kernel.scene import Scene, read_scene
from analysis.memory import open_memory
from analysis.pipeline import Options, analyze
from analysis.symbols.names import PdbIdentity
from analysis.symbols.opening import SymbolSources, open_kernel_symbols
from tests.forge import Forged, forge
from tests.symbols.forged_pdbs import driver_pdb, kernel_pdb, store, write_driver_pdbs

CULPRIT = "rassstp.sys"


@pytest.fixture(scope="module")
def seed() -> Forged:
    return forge("seed", build=19041, kind="bitmap", driver_pdbs=True)


@pytest.fixture(scope="module")
def dump(seed: Forged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("seed") / "MEMORY.DMP"
    seed.write(path)
    return path


def kernel_identity(seed: Forged) -> PdbIdentity:
    return PdbIdentity("ntkrnlmp.pdb", seed.facts.kernel_guid, 1)


@pytest.fixture(scope="module")
def symbols(seed: Forged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A symbol store with the kernel's PDB and those of all drivers."""
    directory = tmp_path_factory.mktemp("store")
    store(directory, kernel_identity(seed), kernel_pdb(seed))
    write_driver_pdbs(directory, seed)
    return directory


def scene_of(dump: Path, *directories: Path) -> Iterator[Scene]:
    with open_dump(dump) as image:
        memory = open_memory(image)
        yield read_scene(image, memory, open_kernel_symbols(image, memory, SymbolSources(directories)))


def driver_frames(seed: Forged, scene: Scene) -> list[tuple[str, str]]:
    """For each frame in a driver that the forge wrote: its function, and what the walk prints."""
    found = []
    for thread in seed.facts.threads:
        printed: dict[int, str] = {frame.address: frame.symbol for frame in scene.stack(thread.address).frames}
        for frame in thread.frames:
            if frame.image.lower() != "ntoskrnl.exe" and frame.address in printed:
                stem = frame.image.lower().removesuffix(".sys")
                found.append((f"{stem}!Driver::{frame.function}+0x", printed[frame.address]))
    return found


@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize("tiers", [2, 3])
def test_every_driver_frame_has_its_function(
    seed: Forged, dump: Path, tmp_path: Path, private: bool, tiers: int
) -> None:
    store(tmp_path, kernel_identity(seed), kernel_pdb(seed), tiers)
    write_driver_pdbs(tmp_path, seed, private=private, tiers=tiers)
    for scene in scene_of(dump, tmp_path):
        assert scene.symbols.exact
        frames = driver_frames(seed, scene)
        assert len(frames) > 5
        assert [printed for expected, printed in frames if not printed.startswith(expected)] == []
        assert scene.driver_symbols.notes == ()


def test_the_story_is_told_from_pdbs_as_from_tables(seed: Forged, dump: Path, symbols: Path, tmp_path: Path) -> None:
    seed.write_isf(tmp_path)
    by_tables, by_pdbs = analyze(dump, Options(symbols=(tmp_path,))), analyze(dump, Options(symbols=(symbols,)))
    assert by_pdbs.verdict.culprit is not None
    assert by_pdbs.verdict.culprit.module == CULPRIT
    assert by_pdbs.verdict.summary == by_tables.verdict.summary
    assert by_pdbs.verdict.confidence == by_tables.verdict.confidence == "high"
    assert [one.thread for one in by_pdbs.blocking.blocked_threads] == [
        one.thread for one in by_tables.blocking.blocked_threads
    ]
    update = "only the major build 10.0.19041 is known: nothing at hand names the update"
    assert by_pdbs.notes == (update, *by_tables.notes)  # BUILDS.tsv lies beside the tables alone
    named = [frame.symbol for thread in by_pdbs.threads for frame in thread.stack if frame.module == CULPRIT]
    assert named
    assert all(symbol.startswith("rassstp!Driver::") for symbol in named)


def test_a_pdb_of_another_build_is_refused_and_said(seed: Forged, dump: Path, symbols: Path, tmp_path: Path) -> None:
    fact = next(fact for fact in seed.facts.pdbs if fact.image == CULPRIT)
    other = replace(driver_pdb(fact), guid="0" * 31 + "1", age=fact.age)
    other.write(tmp_path / fact.name)
    store(tmp_path, kernel_identity(seed), kernel_pdb(seed))
    report = analyze(dump, Options(symbols=(tmp_path,)))
    frames = [frame.symbol for thread in report.threads for frame in thread.stack if frame.module == CULPRIT]
    assert frames
    assert all(symbol.startswith("rassstp+0x") for symbol in frames)
    (note,) = [note for note in report.notes if CULPRIT in note]
    assert f"it is {'0' * 31}1-{fact.age:x}, but {fact.guid}-{fact.age:x} is asked for: not used" in note


def test_a_plain_file_is_found_at_any_depth_in_any_case(seed: Forged, dump: Path, tmp_path: Path) -> None:
    fact = next(fact for fact in seed.facts.pdbs if fact.image == CULPRIT)
    pdb = driver_pdb(fact)
    pdb.guid, pdb.age = fact.guid, fact.age
    pdb.write(tmp_path / "a" / "b" / fact.name.upper())
    for scene in scene_of(dump, tmp_path):
        base = next(module.base for module in seed.facts.modules if module.name == CULPRIT)
        name, rva, _ = fact.functions[0]
        assert scene.symbol(base + rva + 4) == f"rassstp!Driver::{name}+0x4"
        assert list(scene.driver_symbols) == [base]


def test_a_damaged_pdb_costs_names_and_is_said(seed: Forged, dump: Path, symbols: Path, tmp_path: Path) -> None:
    fact = next(fact for fact in seed.facts.pdbs if fact.image == CULPRIT)
    identity = PdbIdentity(fact.name, fact.guid, fact.age)
    path = store(tmp_path, identity, driver_pdb(fact))
    path.write_bytes(path.read_bytes()[:-5000])
    report = analyze(dump, Options(symbols=(tmp_path,)))
    assert [note for note in report.notes if f"{CULPRIT}: symbol file {fact.name}: cut short" in note]


def test_a_kernel_pdb_without_types_still_names_its_functions(seed: Forged, dump: Path, tmp_path: Path) -> None:
    store(tmp_path, kernel_identity(seed), kernel_pdb(seed, types=False))
    for scene in scene_of(dump, tmp_path):
        assert (scene.symbols.exact, scene.symbols.layout_source) == (True, "major")
        assert scene.symbols.address("PiEngineLock") is not None


def test_a_small_dump_s_kernel_is_recognised_among_pdbs_by_its_addresses(tmp_path: Path) -> None:
    small = forge("seed", build=19041, kind="triage")
    other = forge("seed", build=19041, kind="triage", seed=4)
    path = tmp_path / "small.dmp"
    small.write(path)
    directory = tmp_path / "symbols"
    store(directory, kernel_identity(other), kernel_pdb(other))
    for scene in scene_of(path, directory):
        assert not scene.symbols.exact
        assert scene.symbols.how == "none of the PDBs at hand is this kernel's"
    store(directory, kernel_identity(small), kernel_pdb(small))
    for scene in scene_of(path, directory):
        assert scene.symbols.pdb is not None
        assert scene.symbols.pdb.guid == small.facts.kernel_guid
        assert "addresses of kernel variables" in scene.symbols.how
