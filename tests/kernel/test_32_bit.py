"""32-bit kernel dumps: header, page tables of both kinds, modules, and a stack through a trap frame to the culprit."""

import json
import random
import time
from pathlib import Path
from uuid import UUID

import pytest

from analysis.errors import BadDump, NotADump, Unreadable
from analysis.formats import open_dump
from analysis.memory import open_memory
from analysis.pipeline import Options, analyze
from analysis.verdict.report import Report
from tests.forge.x86 import CONTEXT_COPY, DRIVER, FAULT, KDBG, LIST_HEAD, NT, STACK, THREAD, Machine32

KINDS = {"kernel-full": Machine32.full, "kernel-summary": Machine32.summary, "kernel-triage": Machine32.triage}


def told(tmp_path: Path, data: bytes) -> Report:
    path = tmp_path / "MEMORY.DMP"
    path.write_bytes(data)
    made = analyze(path)
    made.to_json()
    return made


@pytest.mark.parametrize("pae", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_the_driver_that_failed_is_named_in_every_kind(tmp_path: Path, kind: str, pae: bool) -> None:
    made = told(tmp_path, KINDS[kind](Machine32(pae=pae)))
    assert (made.dump.kind, made.system.architecture, made.system.processors) == (kind, "x86", 2)
    assert (made.system.os, made.system.build) == ("Windows 7", "6.1.7601")
    assert made.bugcheck is not None
    assert (made.bugcheck.code, made.bugcheck.name) == ("0xd1", "DRIVER_IRQL_NOT_LESS_OR_EQUAL")
    assert [one.value for one in made.bugcheck.parameters] == ["0x10", "0x2", "0x0", f"{FAULT:#x}"]
    assert [one.name for one in made.modules if not one.unloaded] == ["ntoskrnl.exe", "bad.sys"]
    assert made.modules[1].timestamp == "0x4f000001"
    assert made.verdict.culprit is not None
    assert (made.verdict.culprit.module, made.verdict.culprit.kind) == ("bad.sys", "driver")
    (thread,) = made.threads
    assert thread.address == f"{THREAD:#x}"
    assert [(one.symbol, one.trust) for one in thread.stack] == [
        ("nt+0x5008", "context"),
        ("nt+0x6010", "frame-pointer"),
        ("bad+0x1234", "frame-pointer"),
        ("nt+0x7010", "frame-pointer"),
    ]
    assert made.blocking.chains == ()
    assert any("32-bit kernel" in one for one in made.verdict.cannot_tell)
    assert made.bucket.failure_bucket_id == "AV_bad!unknown_function"


def test_a_driver_whose_name_was_lost_is_not_blamed_by_an_invented_file_name(tmp_path: Path) -> None:
    data = Machine32().full().replace("bad.sys".encode("utf-16-le"), "\x01".encode("utf-16-le") * 7)
    made = told(tmp_path, data)
    assert made.verdict.culprit is not None
    assert made.verdict.culprit.module is not None
    assert made.verdict.culprit.module.startswith("unnamed-4f000001")
    assert "." not in made.verdict.culprit.module
    assert made.verdict.confidence in ("medium", "low")
    assert any("The names of 1 of the drivers" in line for line in made.verdict.cannot_tell)


def test_the_stack_goes_through_the_trap_frame(tmp_path: Path) -> None:
    path = tmp_path / "MEMORY.DMP"
    path.write_bytes(Machine32(code=0x8E, parameters=(0xC0000005, FAULT, STACK + 0x1100, 0)).full())
    made = analyze(path)
    assert made.verdict.culprit is not None
    assert made.verdict.culprit.module == "bad.sys"
    assert made.verdict.culprit.function == "bad+0x1234"


def test_the_context_that_a_parameter_names_is_read(tmp_path: Path) -> None:
    made = told(tmp_path, Machine32(code=0x7E, parameters=(0xC0000005, FAULT, LIST_HEAD, CONTEXT_COPY)).full())
    assert made.verdict.culprit is not None
    assert made.verdict.culprit.module == "bad.sys"


@pytest.mark.parametrize("stride", [0x4C, 0x54, 0x5C, 0x78])
def test_drivers_of_a_small_dump_are_found_with_every_stride(tmp_path: Path, stride: int) -> None:
    path = tmp_path / "Mini.dmp"
    path.write_bytes(Machine32().triage(stride))
    with open_dump(path) as image:
        assert image.triage is not None
        assert [(one.name, one.base, one.timestamp) for one in image.triage.drivers] == [
            ("ntkrnlpa.exe", NT, 0x4A5BC007),
            ("bad.sys", DRIVER, 0x4F000001),
        ]
        assert [(one.name, one.start) for one in image.triage.unloaded] == [("old.sys", 0x8D00_0000)]
        assert image.notes == ()


@pytest.mark.parametrize("pae", [True, False])
def test_memory_is_read_through_large_and_small_pages(tmp_path: Path, pae: bool) -> None:
    machine = Machine32(pae=pae)
    path = tmp_path / "MEMORY.DMP"
    path.write_bytes(machine.full())
    with open_dump(path) as image:
        memory = open_memory(image)
        assert memory.pointer_size == 4
        assert memory.read(NT, 2) == memory.read(DRIVER, 2) == b"MZ"
        assert memory.pointer(LIST_HEAD) == int.from_bytes(machine.read(LIST_HEAD, 4), "little")
        for address in (0x1000, 0xA000_0000, 1 << 32, 0xFFFF_8000_0000_0000):
            with pytest.raises(Unreadable):
                memory.read(address, 4)


def test_a_table_by_the_kernels_pdb_names_its_functions(tmp_path: Path) -> None:
    machine, guid = Machine32(), bytes(range(16))
    machine.name_pdb(guid, 2)
    name = UUID(bytes_le=guid).hex.upper()
    functions = {"KeBugCheck2": 0x5000, "KiTrap0E": 0x6000, "IopLoadDriver": 0x7000}
    functions["PsLoadedModuleList"] = LIST_HEAD - NT
    identity = {"GUID": name, "age": 2, "database": "ntkrpamp.pdb", "machine_type": 0x14C}
    table = {
        "metadata": {"format": "6.2.0", "windows": {"pdb": identity}},
        "symbols": {symbol: {"address": rva} for symbol, rva in functions.items()},
        "base_types": {"pointer": {"endian": "little", "kind": "int", "signed": False, "size": 4}},
        "user_types": {},
        "enums": {},
    }
    folder = tmp_path / "symbols" / "ntkrpamp.pdb"
    folder.mkdir(parents=True)
    (folder / f"{name}-2.json").write_text(json.dumps(table))
    path = tmp_path / "MEMORY.DMP"
    path.write_bytes(machine.full())
    made = analyze(path, Options(symbols=(tmp_path / "symbols",)))
    symbols = [frame.symbol for frame in made.threads[0].stack]
    assert symbols == ["nt!KeBugCheck2+0x8", "nt!KiTrap0E+0x10", "bad+0x1234", "nt!IopLoadDriver+0x10"]


def test_a_module_list_in_a_circle_ends(tmp_path: Path) -> None:
    machine = Machine32()
    first = int.from_bytes(machine.read(LIST_HEAD, 4), "little")
    machine.write(first, first.to_bytes(4, "little"))
    made = told(tmp_path, machine.full())
    assert any("does not come back" in note for note in made.notes)


@pytest.mark.parametrize("kind", KINDS)
def test_cut_or_damaged_it_is_told_quickly(tmp_path: Path, kind: str) -> None:
    whole = KINDS[kind](Machine32())
    rng = random.Random(kind)
    ends = [0, 7, 8, 100, 0xFFF, 0x1000, 0x1001, 0x1060, 0x1068, *rng.sample(range(0x1068, len(whole)), 6)]
    started = time.process_time()
    for data in (*(whole[:end] for end in ends), *(damaged(whole, rng) for _ in range(20))):
        try:
            told(tmp_path, data)
        except (BadDump, NotADump) as refused:
            assert "\n" not in str(refused)  # noqa: PT017 - both outcomes are right
    assert time.process_time() - started < 20


def damaged(whole: bytes, rng: random.Random) -> bytes:
    data = bytearray(whole)
    for _ in range(30):
        at = rng.randrange(0x10, min(len(data), 0x3000))
        data[at] = rng.choice((0, 0xFF, rng.randrange(256)))
    return bytes(data)


@pytest.mark.parametrize("wrong", [None, "PsActiveProcessHead"])
def test_the_addresses_in_the_header_recognise_a_small_dumps_table(tmp_path: Path, wrong: str | None) -> None:
    places = {"PsLoadedModuleList": LIST_HEAD, "PsActiveProcessHead": LIST_HEAD + 0x100, "KdDebuggerDataBlock": KDBG}
    rvas = {"KeBugCheck2": 0x5000, **{name: at - NT for name, at in places.items()}}
    if wrong is not None:
        rvas[wrong] += 8
    pdb = {"GUID": "A" * 32, "age": 1, "database": "ntkrpamp.pdb", "machine_type": 0x14C}
    table = {
        "metadata": {"format": "6.2.0", "windows": {"pdb": pdb}},
        "symbols": {name: {"address": rva} for name, rva in rvas.items()},
        "base_types": {},
        "user_types": {},
        "enums": {},
    }
    folder = tmp_path / "symbols" / "ntkrpamp.pdb"
    folder.mkdir(parents=True)
    (folder / f"{'A' * 32}-1.json").write_text(json.dumps(table))
    path = tmp_path / "Mini.dmp"
    path.write_bytes(Machine32().triage())
    made = analyze(path, Options(symbols=(tmp_path / "symbols",)))
    assert made.threads[0].stack[0].symbol == ("nt!KeBugCheck2+0x8" if wrong is None else "nt+0x5008")
