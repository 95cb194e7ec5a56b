"""The kernels of two real small dumps, recognised without a PDB record."""

import time
from pathlib import Path

import pytest

from analysis.address import VirtAddr
from analysis.formats import open_dump
from analysis.memory import open_memory
from analysis.symbols.identify import FINGERPRINT, Nt, find_own_table
from analysis.symbols.isf import open_isf
from analysis.symbols.kernel import KernelSymbols
from analysis.symbols.opening import SymbolSources, open_kernel_symbols
from analysis.symbols.search import find_files
from tests.image_sources import stand_ins
from tests.symbols.mini import NT, dump

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = [pytest.mark.shared, pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not here")]


def _open(name: str, *directories: Path) -> KernelSymbols:
    with open_dump(DATA / "dumps" / name) as image:
        return open_kernel_symbols(image, open_memory(image), SymbolSources(directories))


def test_the_x64_dump_is_recognised_by_its_addresses() -> None:
    symbols = _open("triage_x64.dmp", DATA / "symbols")
    assert symbols.build == "10.0.19041.804"
    assert symbols.os == "Windows 10"
    assert (symbols.exact, symbols.layout_source, symbols.has_functions) == (True, "own", True)
    assert "5 addresses" in symbols.how
    assert symbols.pdb is not None
    assert symbols.pdb.guid == "5278AFF86C341677D7D7835C85B7B844"
    assert symbols.nearest(symbols.base + 0x3F5A80 + 0x14) == ("KeBugCheckEx", 0x14)
    assert symbols.name_at(symbols.base + 0xC16890) == "ExpSystemResourcesList"
    assert symbols.notes == ()


def test_each_of_the_tables_is_picked_by_its_own_addresses_alone() -> None:
    found = find_files((DATA / "symbols",), {})
    candidates, notes = list(found.tables), list(found.notes)
    assert (len(candidates), notes) == (10, [])
    for candidate in candidates:
        assert candidate.major is not None
        table = open_isf(candidate.path)
        marks = {name: rva for name in FINGERPRINT if (rva := table.rva(name)) is not None}
        assert len(marks) == len(FINGERPRINT)
        nt = Nt(VirtAddr(NT), 0x100_0000, None)
        match, refused = find_own_table(dump(candidate.major), nt, marks, candidates)
        assert match is not None
        assert (match.candidate, match.table.identity, refused) == (candidate, table.identity, [])


def test_recognising_takes_little_processor_time() -> None:
    start = time.process_time()
    _open("triage_x64.dmp", DATA / "symbols")
    assert time.process_time() - start < 0.6  # 0.1 s on an idle machine


def test_without_tables_the_layouts_are_those_of_the_major_build() -> None:
    symbols = _open("triage_x64.dmp")
    assert symbols.build is None
    assert (symbols.exact, symbols.layout_source, symbols.has_functions) == (False, "major", False)
    assert symbols.name_at(symbols.base + 0xC16890) == "ExpSystemResourcesList"  # KDBG publishes it
    assert symbols.nearest(symbols.base + 0x3F5A80) is None
    assert [note for note in symbols.notes if "10.0.19041" in note]


def test_x64_tables_are_never_used_for_an_arm64_kernel() -> None:
    symbols = _open("triage_arm64.dmp", DATA / "symbols")
    assert symbols.os == "Windows 11"
    assert (symbols.build, symbols.exact, symbols.layout_source) == (None, False, "none")
    assert symbols.layout("_KTHREAD") is None
    assert symbols.layout("_KLDR_DATA_TABLE_ENTRY") is not None
    assert symbols.kdbg is not None
    assert symbols.nearest(symbols.base + 0x3F5A80) is None


def test_a_small_dump_s_kernel_is_named_by_the_pdb_record_of_its_image_file(tmp_path: Path) -> None:
    dump = DATA / "dumps" / "triage_x64.dmp"
    stand_ins(dump, tmp_path)
    with open_dump(dump) as image:
        symbols = open_kernel_symbols(image, open_memory(image), SymbolSources((tmp_path, DATA / "symbols")))
    assert symbols.how.startswith("the PDB record in the kernel's image names the symbol table 5278AFF8")
    assert symbols.exact
