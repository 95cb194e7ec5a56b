"""The built-in tables are what the public symbol tables say."""

import time
from pathlib import Path

import pytest

from analysis.symbols.builtin import MAJOR_BUILDS, TABLES, always_alike, builtin_table, format_table, parse_table
from analysis.symbols.isf import open_isf
from analysis.symbols.layout import Field
from tests.tools.make_tables import extract, kernels

SHARED = Path(__file__).parents[3] / "shared" / "data" / "symbols"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is not here")


@pytest.mark.parametrize("major", MAJOR_BUILDS)
def test_every_major_build_has_what_a_thread_walk_needs(major: int) -> None:
    table = builtin_table(major)
    assert table is not None
    for name, members in {
        "_KTHREAD": ("State", "WaitReason", "WaitBlockList", "ApcState.Process", "KernelStackResident", "SystemThread"),
        "_ETHREAD": ("Cid.UniqueThread", "ThreadListEntry", "StartAddress", "IrpList"),
        "_EPROCESS": ("ActiveProcessLinks", "ActiveThreads", "ImageFileName", "Pcb.DirectoryTableBase"),
        "_ERESOURCE": ("OwnerTable", "OwnerEntry.OwnerThread", "NumberOfSharedWaiters"),
        "_IRP": ("Tail.Overlay.CurrentStackLocation", "Tail.Overlay.Thread"),
        "_KLDR_DATA_TABLE_ENTRY": ("DllBase", "SizeOfImage", "BaseDllName"),
    }.items():
        layout = table.layout(name)
        assert layout is not None
        assert [member for member in members if member not in layout.fields] == []


# Columns of KERNEL.md §1, read by eye: the offsets that moved most.
@pytest.mark.parametrize(
    ("structure", "member", "expected"),
    [
        ("_KTHREAD", "KernelStack", (0x38, 0x58, 0x58, 0x58, 0x58, 0x58, 0x58, 0x58)),
        ("_KTHREAD", "WaitReason", (0x26B, 0x283, 0x283, 0x283, 0x283, 0x283, 0x283, 0x283)),
        ("_ETHREAD", "StartAddress", (0x390, 0x5F8, 0x608, 0x610, 0x620, 0x450, 0x4A0, 0x4A0)),
        ("_EPROCESS", "ImageFileName", (0x2E0, 0x438, 0x450, 0x450, 0x450, 0x5A8, 0x5A8, 0x5A8)),
        ("_KWAIT_BLOCK", "Thread", (0x10, 0x18, 0x18, 0x18, 0x18, 0x18, 0x18, 0x18)),
        ("_DEVICE_NODE", "State", (0xE0, 0x12C, 0x12C, 0x12C, 0x12C, 0x12C, 0x12C, 0x12C)),
    ],
)
def test_offsets_are_those_of_the_design_notes(structure: str, member: str, expected: tuple[int, ...]) -> None:
    found = []
    for major in MAJOR_BUILDS:
        table = builtin_table(major)
        layout = table.layout(structure) if table else None
        found.append(layout.offset(member) if layout else None)
    assert tuple(found) == expected


def test_a_bit_field_keeps_its_place() -> None:
    table = builtin_table(19041)
    layout = table.layout("_KTHREAD") if table else None
    assert layout is not None
    assert layout.fields["SystemThread"] == Field(0x74, 4, bit=10, bits=1)


def test_feature_updates_share_the_kernel_they_sit_on() -> None:
    shared = builtin_table(19045)
    assert shared is not None
    assert shared.origin == "built-in 19041"


@pytest.mark.parametrize("major", [0, 6000, 10240, 18326, 22621, 26100, 1 << 31])
def test_a_build_without_a_table_gets_none(major: int) -> None:
    assert builtin_table(major) is None


def test_few_layouts_hold_everywhere() -> None:
    assert always_alike("x64").layout("_CONTEXT") is not None
    assert always_alike("arm64").layout("_CONTEXT") is None
    assert always_alike("arm64").layout("_KLDR_DATA_TABLE_ENTRY") is not None
    assert always_alike("x64").layout("_KTHREAD") is None


def test_what_is_called_alike_is_alike_in_all_tables() -> None:
    names = always_alike("x64").structures()
    first = parse_table((TABLES / "14393.tsv").read_text())
    for major in MAJOR_BUILDS[3:]:
        table = parse_table((TABLES / f"{major}.tsv").read_text())
        for name in names:
            used = {m: f for m, f in first[name][1].items() if "Spare" not in m and "Reserved" not in m}
            moved = {m for m, f in used.items() if m in table[name][1] and table[name][1][m].offset != f.offset}
            assert not moved, (major, name)


def test_a_table_loads_in_no_time() -> None:
    best = min(_load_seconds() for _ in range(5))
    assert best < 0.02  # 3 ms alone; the rest is room for a busy machine


def _load_seconds() -> float:
    start = time.process_time()
    builtin_table(19041)
    return time.process_time() - start


def test_the_text_form_is_read_back_as_written() -> None:
    text = (TABLES / "22000.tsv").read_text()
    assert format_table(parse_table(text)) == text


@pytest.mark.shared
@needs_shared
def test_the_tables_are_what_the_script_makes() -> None:
    for major, updates in kernels(SHARED).items():
        made = format_table(extract(open_isf(updates[-1][1])))
        assert made == (TABLES / f"{major}.tsv").read_text(), f"run python -m tests.tools.make_tables for {major}"


@pytest.mark.shared
@needs_shared
def test_two_updates_of_one_major_build_have_the_same_offsets() -> None:
    compared = 0
    for updates in kernels(SHARED).values():
        if len(updates) < 2:
            continue
        older, newer = (extract(open_isf(path)) for _, path in (updates[0], updates[-1]))
        compared += 1
        assert [name for name in older if older[name][1] != newer[name][1]] == []
    assert compared == 2  # 19041 and 22000
