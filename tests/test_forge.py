"""The dump builder itself: deterministic, complete, and true to what it says it wrote."""

import lzma
import struct
from pathlib import Path

import pytest

from analysis.pipeline import Options, analyze
from tests.forge import KINDS, SCENARIOS, Load, all_builds, forge
from tests.forge.layouts import layouts_of
from tests.forge.sample import DUMP, SAMPLE, write_sample
from tests.grids import thinned
from tests.symbols.sample_store import STORE, store_bytes


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_arguments_give_the_same_bytes(kind: str, tmp_path: Path) -> None:
    first, second = (forge("seed", kind=kind, seed=7).write(tmp_path / name) for name in "ab")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(("scenario", "build"), thinned(list(SCENARIOS), all_builds(), each=1))
def test_every_story_has_a_crowd_around_it(scenario: str, build: int) -> None:
    facts = forge(scenario, build=build).facts
    assert len(facts.threads) >= 100
    assert len(facts.resources) >= 200
    assert len(facts.modules) >= 30


def test_a_seed_draws_another_cast() -> None:
    culprits = {forge("seed", seed=seed).facts.expected.culprit for seed in range(6)}
    assert len(culprits) > 2


def test_a_full_dump_of_a_big_machine_costs_little_disk(tmp_path: Path) -> None:
    path = forge("seed").write(tmp_path / "big.dmp", memory_bytes=8 << 30)
    status = path.stat()
    assert status.st_size > 8 << 30
    assert status.st_blocks * 512 < 64 << 20


def test_the_sample_in_the_package_is_what_the_builder_makes(tmp_path: Path) -> None:
    made = write_sample(tmp_path)
    kept = sorted(path for path in SAMPLE.rglob("*") if path.is_file() and path.name != STORE)
    assert [path.relative_to(SAMPLE) for path in kept] == [path.relative_to(tmp_path) for path in made]
    assert [path.read_bytes() for path in kept] == [path.read_bytes() for path in made]
    assert sum(path.stat().st_size for path in kept) < 2_000_000


def test_the_sample_s_symbol_store_is_what_the_builder_makes() -> None:
    assert (SAMPLE / STORE).read_bytes() == store_bytes()


def test_the_sample_unpacks_to_a_dump() -> None:
    assert lzma.decompress((SAMPLE / DUMP).read_bytes())[:8] == b"PAGEDU64"


def test_a_shifted_kernel_has_no_member_where_the_tables_have_it() -> None:
    forged = forge("seed", build=26100, layouts="shifted")
    own = layouts_of(22000)
    assert forged.layouts.offset("_KTHREAD", "State") != own.offset("_KTHREAD", "State")
    assert forged.layouts.offset("_EPROCESS", "ActiveProcessLinks") != own.offset("_EPROCESS", "ActiveProcessLinks")
    kdbg = dict(forged.facts.symbols)["KdDebuggerDataBlock"] + forged.facts.kernel_base
    state = int.from_bytes(forged.machine.read(kdbg + 0x2A2, 2), "little")
    assert state == forged.layouts.offset("_KTHREAD", "State")
    assert forged.facts.build == 26100


def test_an_unknown_build_may_have_its_neighbours_layout() -> None:
    forged = forge("seed", build=22621)
    assert forged.layouts.offset("_KTHREAD", "State") == layouts_of(22000).offset("_KTHREAD", "State")
    assert forged.header.build == 22621


def test_a_small_dump_holds_the_stopped_stack_and_what_a_parameter_names(tmp_path: Path) -> None:
    forged = forge("seed", kind="triage")
    data = forged.write(tmp_path / "small.dmp").read_bytes()
    assert struct.unpack_from("<I", data, 0xF98) == (4,)
    stack, size = struct.unpack_from("<II", data, 0x2028)
    assert data[stack : stack + size] == forged.machine.read(*forged.triage.stack)
    table, count = struct.unpack_from("<II", data, 0x2078)
    blocks = {va: (at, size) for va, at, size in struct.iter_unpack("<QII", data[table : table + 16 * count])}
    at, size = blocks[forged.facts.parameters[2]]
    assert data[at : at + size] == forged.machine.read(forged.facts.parameters[2], size)
    assert data[struct.unpack_from("<I", data, 0x2008)[0] :] == b"TRGD"


def test_a_machine_short_of_memory_has_no_driver_code(tmp_path: Path) -> None:
    forged = forge("seed", images="stripped")
    driver = next(module for module in forged.facts.modules if module.name == forged.facts.expected.culprit)
    assert forged.machine.tables.translate(driver.base) is None
    assert forged.machine.tables.entry(driver.base) != 0
    assert forged.machine.tables.translate(forged.facts.kernel_base) is not None


def test_a_busy_machine_has_what_was_asked_for_and_the_same_story(tmp_path: Path) -> None:
    forged = forge("seed", kind="bitmap", load=Load(threads=200, resources=200, images=80))
    facts = forged.facts
    assert len(facts.threads) == 200
    assert len(facts.resources) >= 200
    assert len(facts.modules) == 80
    dump = forged.write(tmp_path / "busy.dmp", memory_bytes=1 << 30)
    assert dump.stat().st_size > 1000 << 20
    assert dump.stat().st_blocks * 512 < 32 << 20
    forged.write_isf(tmp_path / "symbols")
    report = analyze(dump, Options(symbols=(tmp_path / "symbols",)))
    assert report.verdict.culprit is not None
    assert report.verdict.culprit.module == facts.expected.culprit
