"""Which sources are used for which kernel, and what the result says about it."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.errors import MissingLayout
from analysis.formats.image import TriageData, TriageDriver
from analysis.symbols.kernel import KernelSymbols
from analysis.symbols.opening import SymbolSources, open_kernel_symbols
from tests.symbols.flat import FlatMemory
from tests.symbols.mini import MARKS, NT, NT_SIZE, POOL, MiniKernel, dump, kdbg_block, table, triage

GUID = "0123456789ABCDEF0123456789ABCDEF"
OTHER_GUID = "FEDCBA9876543210FEDCBA9876543210"


def isf(guid: str | None = GUID, moved: dict[str, int] | None = None, machine: int = 0x8664) -> dict[str, Any]:
    """An ISF document of the tiny kernel, with one function and one small structure."""
    names = MARKS | {"DoWait": 0x5000, "DoNext": 0x5100} | (moved or {})
    pdb = {"GUID": guid, "age": 1, "database": "ntkrnlmp.pdb", "machine_type": machine} if guid else {}
    return {
        "base_types": {"pointer": {"size": 8, "kind": "int", "signed": False, "endian": "little"}},
        "enums": {},
        "metadata": {"format": "6.1.0", "windows": {"pdb": pdb}},
        "symbols": {name: {"address": rva} for name, rva in names.items() if rva},
        "user_types": {"_OWN": {"kind": "struct", "size": 8, "fields": {}}},
    }


def write(directory: Path, name: str, document: dict[str, Any], build: str | None = "10.0.22000.77") -> Path:
    directory.mkdir(exist_ok=True, parents=True)
    (directory / name).write_text(json.dumps(document, indent=1))
    if build:
        with (directory / "BUILDS.tsv").open("a") as builds:
            builds.write(f"{build}\tWin11\t{name}\n")
    return directory


def open_mini(
    *directories: Path, build: int = 22000, memory: FlatMemory | None = None, **changed: int
) -> KernelSymbols:
    kernel = MiniKernel(table(22000)).populate()
    return open_kernel_symbols(dump(build), memory or kernel.memory, SymbolSources(directories))


def test_a_table_is_recognised_by_addresses(tmp_path: Path) -> None:
    symbols = open_mini(write(tmp_path, f"{GUID}-1.json", isf()))
    assert (symbols.exact, symbols.layout_source, symbols.build) == (True, "own", "10.0.22000.77")
    assert (symbols.base, symbols.size) == (NT, NT_SIZE)
    assert symbols.name_at(NT + 0x5100) == "DoNext"
    assert symbols.name_at(NT + 0x5101) is None
    assert symbols.nearest(NT + 0x50FF) == ("DoWait", 0xFF)
    assert symbols.address("DoWait") == NT + 0x5000
    assert symbols.address("NoSuchThing") is None
    assert symbols.layout("_OWN") is not None
    assert symbols.layout("_KTHREAD") is not None  # the table lacks it, the major build's has it


def test_a_table_that_knows_little_of_a_structure_is_completed(tmp_path: Path) -> None:
    document = isf()
    document["user_types"]["_KTHREAD"] = {
        "kind": "struct",
        "size": 0x480,
        "fields": {"State": {"offset": 0x184, "type": {"kind": "base", "name": "unsigned char"}}},
    }
    layout = open_mini(write(tmp_path / "right", f"{GUID}-1.json", document)).layout("_KTHREAD")
    assert layout is not None
    assert (layout.offset("State"), layout.offset("WaitReason")) == (0x184, 0x283)
    document["user_types"]["_KTHREAD"]["fields"]["State"]["offset"] = 0x188
    symbols = open_mini(write(tmp_path / "other", f"{GUID}-1.json", document))
    layout = symbols.layout("_KTHREAD")
    assert layout is not None
    assert (layout.offset("State"), layout.has("WaitReason")) == (0x188, False)
    assert symbols.layout("_ETHREAD") is None


def test_a_name_reaches_only_as_far_as_a_function_may(tmp_path: Path) -> None:
    symbols = open_mini(write(tmp_path, f"{GUID}-1.json", isf()))
    assert symbols.nearest(NT + 0x5100 + 0xFFFF) == ("DoNext", 0xFFFF)
    assert symbols.nearest(NT + 0x5100 + 0x10000) is None
    assert symbols.nearest(NT - 1) is None
    assert symbols.nearest(NT + NT_SIZE) is None


def test_one_contradicting_address_is_enough_to_refuse_a_table(tmp_path: Path) -> None:
    for name in MARKS:
        symbols = open_mini(write(tmp_path / name, f"{GUID}-1.json", isf(moved={name: MARKS[name] + 8})))
        assert (symbols.exact, symbols.layout_source) == (False, "major"), name
        assert symbols.name_at(NT + 0x5000) is None


def test_three_agreeing_addresses_are_enough_and_two_are_not(tmp_path: Path) -> None:
    three = isf(moved={"KdDebuggerDataBlock": 0, "MmPfnDatabase": 0})
    assert open_mini(write(tmp_path / "three", f"{GUID}-1.json", three)).exact
    two = isf(moved={"KdDebuggerDataBlock": 0, "MmPfnDatabase": 0, "PsActiveProcessHead": 0})
    assert not open_mini(write(tmp_path / "two", f"{GUID}-1.json", two)).exact


def test_two_tables_that_fit_as_well_are_both_refused(tmp_path: Path) -> None:
    for guid in (GUID, OTHER_GUID):
        write(tmp_path, f"{guid}-1.json", isf(guid, moved={"KdDebuggerDataBlock": 0, "MmPfnDatabase": 0}))
    symbols = open_mini(tmp_path)
    assert not symbols.exact
    assert [note for note in symbols.notes if "more than one symbol table" in note]


def test_broken_tables_are_noted_and_the_next_is_tried(tmp_path: Path) -> None:
    write(tmp_path, "00000000000000000000000000000001-1.json", {})
    (tmp_path / "00000000000000000000000000000002-1.json.xz").write_bytes(b"not xz")
    (tmp_path / "00000000000000000000000000000003-1.json").write_text("[" * 100_000)
    with (tmp_path / "BUILDS.tsv").open("a") as builds:
        builds.write("10.0.22000.1\tx\t00000000000000000000000000000002-1.json.xz\n")
        builds.write("10.0.22000.1\tx\t00000000000000000000000000000003-1.json\n")
    before = sorted(tmp_path.iterdir())
    symbols = open_mini(write(tmp_path / "deep" / "er", f"{GUID}-1.json", isf()), tmp_path)
    assert symbols.exact
    symbols = open_mini(tmp_path)
    assert symbols.exact
    assert len([note for note in symbols.notes if note.startswith("symbol file 0000")]) == 3
    assert [path for path in before if not path.exists()] == []


def test_a_table_under_any_name_without_builds_is_found(tmp_path: Path) -> None:
    symbols = open_mini(write(tmp_path / "a" / "b", "my table.json", isf(), build=None))
    assert symbols.exact
    assert symbols.build is None
    assert symbols.pdb is not None
    assert symbols.pdb.guid == GUID
    assert [note for note in symbols.notes if "only the major build 10.0.22000" in note]


def test_a_table_of_another_machine_is_not_used(tmp_path: Path) -> None:
    assert not open_mini(write(tmp_path, f"{GUID}-1.json", isf(machine=0xAA64))).exact


def test_a_table_that_claims_another_pdb_than_its_name_is_refused(tmp_path: Path) -> None:
    symbols = open_mini(write(tmp_path, f"{GUID}-1.json", isf(OTHER_GUID)))
    assert not symbols.exact
    assert [note for note in symbols.notes if "name different PDBs" in note]


def test_a_build_of_another_major_than_the_dumps_is_not_believed(tmp_path: Path) -> None:
    name = "my table.json"
    symbols = open_mini(write(tmp_path, name, isf(None), build=None), build=22000)
    assert symbols.exact
    (tmp_path / "BUILDS.tsv").write_text(f"10.0.19041.804\tWin10\t{name}\n")
    assert open_mini(tmp_path, build=22000).build is None


def test_without_tables_the_major_builds_layouts_are_checked_and_used() -> None:
    symbols = open_mini()
    assert (symbols.exact, symbols.layout_source, symbols.has_functions) == (False, "major", False)
    assert symbols.name_at(NT + MARKS["PsActiveProcessHead"]) == "PsActiveProcessHead"
    assert symbols.address("ExpSystemResourcesList") == NT + MARKS["ExpSystemResourcesList"]


def test_a_build_without_a_table_borrows_a_proven_neighbours() -> None:
    symbols = open_mini(build=22621)
    assert symbols.layout_source == "neighbour"
    assert [note for note in symbols.notes if "layouts of build 22000 are used for build 22621" in note]


@pytest.mark.parametrize("build", [10240, 22000, 22621, 26100])
def test_shifted_layouts_are_read_by_no_table(build: int) -> None:
    kernel = MiniKernel(table(22000, shift=0x10)).populate()
    symbols = open_mini(build=build, memory=kernel.memory)
    assert symbols.layout_source == "none"
    assert symbols.layout("_KTHREAD") is None
    with pytest.raises(MissingLayout):
        symbols.struct(kernel.memory, "_ETHREAD", kernel.threads[0])
    assert symbols.layout("_KLDR_DATA_TABLE_ENTRY") is not None
    assert symbols.base == NT


def test_encoded_debugger_data_is_said_to_be_so() -> None:
    kernel = MiniKernel(table(22000)).populate()
    kernel.memory.write(NT + MARKS["KdDebuggerDataBlock"] + 0x10, b"\x8f\x11\x22\x33")
    symbols = open_mini(memory=kernel.memory)
    assert symbols.kdbg is None
    assert [note for note in symbols.notes if "encoded" in note]
    assert symbols.base == NT  # from the module list
    assert symbols.address("ExpSystemResourcesList") is None


def test_debugger_data_of_another_kernel_is_not_used() -> None:
    kernel = MiniKernel(table(22000)).populate()
    kernel.memory.write(NT + MARKS["KdDebuggerDataBlock"], bytes(kdbg_block(base=NT + 0x20_0000)))
    symbols = open_mini(memory=kernel.memory)
    assert symbols.kdbg is None
    assert symbols.base == NT


def test_the_base_comes_from_debugger_data_where_the_module_list_is_gone() -> None:
    kernel = MiniKernel(table(22000)).populate()
    kernel.memory.write(NT + MARKS["PsLoadedModuleList"], bytes(16))
    assert open_mini(memory=kernel.memory).base == NT


def test_the_base_is_found_by_its_header_where_all_else_is_gone() -> None:
    kernel = MiniKernel(table(22000)).populate()
    kernel.memory.write(NT + MARKS["PsLoadedModuleList"], bytes(16))
    kernel.memory.write(NT + MARKS["KdDebuggerDataBlock"], bytes(0x20))
    kernel.memory.ranges[NT] = image_with_pdb(GUID)
    kernel.memory.ranges[NT + 0x1000] = b"MZ but no image"
    symbols = open_mini(memory=kernel.memory)
    assert (symbols.base, symbols.size) == (NT, NT_SIZE)
    assert symbols.pdb is not None


def test_a_small_dump_without_nt_in_its_list_has_the_base_of_its_debugger_data() -> None:
    memory = FlatMemory({NT + MARKS["KdDebuggerDataBlock"]: kdbg_block()})
    drivers = TriageData(drivers=(TriageDriver("hal.dll", NT + 0x100_0000, 0x1000, 1, 1),))
    symbols = open_kernel_symbols(dump(triage=drivers), memory, SymbolSources())
    assert (symbols.base, symbols.size) == (NT, 0)


def test_how_says_what_was_looked_at(tmp_path: Path) -> None:
    assert open_mini().how == "no symbol tables were given"
    directory = write(tmp_path, f"{GUID}-1.json", isf(moved={"PsLoadedModuleList": 0x9000}))
    assert open_mini(directory).how == "none of the symbol tables at hand (1) is this kernel's"


def test_layouts_are_read_at_an_address() -> None:
    kernel = MiniKernel(table(22000)).populate()
    thread = open_mini().struct(kernel.memory, "_KTHREAD", kernel.threads[1])
    assert (thread.u8("State"), thread.pointer("Process")) == (5, kernel.processes[0])
    assert thread.address_of("State") == kernel.threads[1] + 0x184
    assert (thread.has("LockEntries"), thread.bits("SystemThread")) == (False, 0)


def test_a_small_dumps_driver_list_names_the_kernel() -> None:
    memory = FlatMemory({NT + MARKS["KdDebuggerDataBlock"]: kdbg_block()})
    symbols = open_kernel_symbols(dump(triage=triage()), memory, SymbolSources())
    assert (symbols.base, symbols.size) == (NT, NT_SIZE)
    assert symbols.layout_source == "major"


def test_nothing_at_all_still_gives_an_answer() -> None:
    empty = dump(build=26100, loaded_modules=0, active_processes=0, kdbg=0, pfn_database=0)
    symbols = open_kernel_symbols(empty, FlatMemory({}), SymbolSources())
    assert (symbols.base, symbols.size, symbols.layout_source) == (0, 0, "none")
    assert symbols.nearest(NT) is None
    assert symbols.os == "Windows 11"


@settings(max_examples=60, deadline=None)
@given(
    damage=st.lists(
        st.tuples(
            st.integers(0, 0x26_0000 // 8), st.integers(0, (1 << 64) - 1) | st.sampled_from([NT, POOL, POOL + 8])
        ),
        max_size=40,
    ),
    build=st.sampled_from([7601, 22000, 22621]),
)
def test_a_damaged_kernel_never_stops_the_analysis(damage: list[tuple[int, int]], build: int) -> None:
    kernel = MiniKernel(table(22000)).populate()
    areas = sorted([*kernel.processes, *kernel.threads, NT + 0x2_1000, NT + 0x2_2000, NT + 0x2_3000, NT + 0x2_5000])
    for where, value in damage:
        at = areas[where % len(areas)] + where * 8 % 0x900
        kernel.memory.write(at, struct.pack("<Q", value))
    symbols = open_kernel_symbols(dump(build), kernel.memory, SymbolSources())
    assert symbols.layout_source in ("major", "neighbour", "none")
    assert symbols.nearest(NT + 0x5000) is None


def image_with_pdb(guid: str) -> bytes:
    """A page of headers whose debug directory names a PDB."""
    page = bytearray(0x1000)
    page[:2] = b"MZ"
    struct.pack_into("<I", page, 0x3C, 0x80)
    struct.pack_into("<4sHHI", page, 0x80, b"PE\0\0", 0x8664, 0, 0x1234)
    struct.pack_into("<HxxH", page, 0x80 + 20, 0xF0, 0x20B)
    struct.pack_into("<I", page, 0x98 + 0x38, NT_SIZE)
    struct.pack_into("<I", page, 0x98 + 0x6C, 16)
    struct.pack_into("<II", page, 0x98 + 0x70 + 6 * 8, 0x400, 28)
    struct.pack_into("<IIII", page, 0x400 + 12, 2, 24 + 13, 0x500, 0)
    raw = bytes.fromhex(guid)
    record = raw[3::-1] + raw[5:3:-1] + raw[7:5:-1] + raw[8:]
    page[0x500 : 0x500 + 24 + 13] = b"RSDS" + record + struct.pack("<I", 1) + b"ntkrnlmp.pdb\0"
    return bytes(page)


def test_the_pdb_record_decides_where_there_is_one(tmp_path: Path) -> None:
    write(tmp_path, f"{GUID}-1.json", isf(GUID))
    write(tmp_path, f"{OTHER_GUID}-1.json", isf(OTHER_GUID), build="10.0.22000.99")
    kernel = MiniKernel(table(22000)).populate()
    kernel.memory.ranges[NT] = image_with_pdb(OTHER_GUID)
    symbols = open_mini(tmp_path, memory=kernel.memory)
    assert symbols.build == "10.0.22000.99"
    assert symbols.pdb is not None
    assert symbols.pdb.guid == OTHER_GUID
    assert "PDB record" in symbols.how


def test_no_other_table_stands_in_for_the_one_the_pdb_record_names(tmp_path: Path) -> None:
    kernel = MiniKernel(table(22000)).populate()
    kernel.memory.ranges[NT] = image_with_pdb(OTHER_GUID)
    symbols = open_mini(write(tmp_path, f"{GUID}-1.json", isf()), memory=kernel.memory)
    assert (symbols.exact, symbols.layout_source) == (False, "major")
    assert OTHER_GUID in symbols.how


def test_a_table_with_the_right_identity_and_wrong_addresses_is_refused(tmp_path: Path) -> None:
    kernel = MiniKernel(table(22000)).populate()
    kernel.memory.ranges[NT] = image_with_pdb(GUID)
    directory = write(tmp_path, f"{GUID}-1.json", isf(moved={"PsLoadedModuleList": 0x9000}))
    symbols = open_mini(directory, memory=kernel.memory)
    assert not symbols.exact
    assert symbols.build == "10.0.22000.77"  # the identity is known all the same
    assert [note for note in symbols.notes if "other addresses" in note]


def test_a_missing_directory_is_noted(tmp_path: Path) -> None:
    assert [note for note in open_mini(tmp_path / "gone").notes if "gone does not exist" in note]
