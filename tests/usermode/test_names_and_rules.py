"""Names from PDBs, the user's own rules, the loader lock and the 32-bit side of a process: what reports say of them."""

import struct
from pathlib import Path

import pytest

from analysis.pipeline import Options, analyze
from analysis.symbols.names import PdbIdentity
from analysis.verdict.report import Report
from tests.forge.minidump import EXE, NTDLL, Fault, Minidump, Module, Thread, context_x64
from tests.symbols import pdbs
from tests.symbols.forged_pdbs import store
from tests.symbols.pdbs import Contribution, Pdb
from tests.usermode.stories import AV, PLUGIN, SECTION, STACK, crash, hang, section, waiting

ACME = PdbIdentity("acme.pdb", "03020100050407060809" + "0A0B0C0D0E0F", 2)
TEB, PEB = 0x7000_0000, 0x6000_0000
OLD, OLD_NTDLL, STACK32 = 0x40_0000, 0x7700_0000, 0x30_0000
WOW64 = (
    Module("C:\\games\\Old.exe", OLD),
    Module("C:\\Windows\\System32\\ntdll.dll", NTDLL, version=(10, 0, 19041, 1)),
    Module("C:\\Windows\\System32\\wow64.dll", NTDLL + 0x10_0000, version=(10, 0, 19041, 1)),
    Module("C:\\Windows\\SysWOW64\\ntdll.dll", OLD_NTDLL, version=(10, 0, 19041, 1)),
)


def told(directory: Path, dump: Minidump, *, symbols: Path | None = None, rules: str = "") -> Report:
    path, own = directory / "acme.dmp", directory / "own.toml"
    path.write_bytes(dump.write())
    own.write_text(rules)
    made = analyze(path, Options(symbols=(symbols,) if symbols else (), rules=own if rules else None))
    made.to_json()
    return made


def acme_pdb() -> Pdb:
    """The program's PDB: acme!Acme::Run."""
    modules = [[pdbs.procedure("Acme::Run", 0x200, 0x80)]]
    return Pdb(sections=[(".text", 0x1000, 0x8000)], modules=modules, contributions=[Contribution(0, 0, 0x4000)])


def test_functions_are_named_by_the_modules_own_pdb(tmp_path: Path) -> None:
    bare = told(tmp_path, crash(EXE + 0x1234))
    store(tmp_path / "symbols", ACME, acme_pdb())
    made = told(tmp_path, crash(EXE + 0x1234), symbols=tmp_path / "symbols")
    assert made.threads[0].stack[0].symbol == "acme!Acme::Run+0x34"
    assert made.bucket.failure_bucket_id == "NULL_POINTER_READ_c0000005_Acme.exe!Acme::Run"
    assert bare.bucket.signature in made.bucket.aliases  # what is named later stays the same failure
    assert not any("Names of functions" in one for one in made.verdict.cannot_tell)


def test_the_pdb_of_another_build_names_nothing(tmp_path: Path) -> None:
    pdb = acme_pdb()
    pdb.guid = "0" * 32
    pdb.write(tmp_path / "symbols" / "acme.pdb")
    made = told(tmp_path, crash(EXE + 0x1234), symbols=tmp_path / "symbols")
    assert made.threads[0].stack[0].symbol == "acme+0x1234"
    assert any("acme.pdb" in note for note in made.notes)


def test_the_users_rules_reach_processes(tmp_path: Path) -> None:
    rules = """
[[ours]]
module = "acme*"
team = "Client team"
[[ignore]]
module = "plugin.dll"
[[known_bad]]
module = "acme.exe"
below = "2.0"
say = "Reads past its buffer."
"""
    made = told(tmp_path, crash(PLUGIN + 0x1234, EXE + 0x1234), rules=rules)
    assert made.verdict.culprit is not None
    assert (made.verdict.culprit.module, made.verdict.team) == ("acme.exe", "Client team")
    assert [(one.module, "your rules" in one.why_not) for one in made.verdict.suspects] == [("plugin.dll", True)]
    assert made.verdict.next_steps[0] == "acme.exe 1.2.3.4 is known to be bad: Reads past its buffer."
    assert made.analyzer.rules != told(tmp_path, crash(EXE)).analyzer.rules


def test_a_weak_module_gives_way_and_a_library_of_windows_may_be_a_candidate(tmp_path: Path) -> None:
    weak = told(tmp_path, crash(PLUGIN + 0x1234, EXE + 0x1234), rules='[strength]\n"plugin.dll" = "weak"\n')
    assert weak.verdict.culprit is not None
    assert weak.verdict.culprit.module == "acme.exe"
    alone = told(tmp_path, crash(PLUGIN + 0x1234), rules='[strength]\n"plugin.dll" = "weak"\n')
    assert alone.verdict.culprit is not None
    assert alone.verdict.culprit.module == "plugin.dll"
    own = told(tmp_path, crash(NTDLL + 0x10_1234, EXE + 0x1234), rules='[strength]\n"rpcss.dll" = "candidate"\n')
    assert own.verdict.culprit is not None
    assert own.verdict.culprit.module == "rpcss.dll"
    nobody = told(tmp_path, crash(NTDLL + 0x1234), rules='[[ignore]]\nmodule = "acme.exe"\n')
    assert nobody.verdict.culprit is None


def blocks(tid: int, lock: int) -> dict[int, bytes]:
    """The blocks of a thread and its process that lead to the loader lock."""
    return {TEB + tid + 0x60: struct.pack("<Q", PEB), PEB + 0x110: struct.pack("<Q", lock)}


@pytest.mark.parametrize("lock", [SECTION, SECTION + 0x40])
def test_the_loader_lock_is_told_by_the_process_block(tmp_path: Path, lock: int) -> None:
    made = told(
        tmp_path,
        hang(
            waiting(1, STACK, EXE + 0x1234, SECTION),
            waiting(2, STACK + 0x1_0000, PLUGIN + 0x1234),
            sections={SECTION: section(owner=2, waiters=1)} | blocks(1, lock),
        ),
    )
    (chain,) = made.blocking.chains
    is_it = lock == SECTION
    assert chain.lock.name == ("ntdll!LdrpLoaderLock" if is_it else None)
    assert any("DllMain" in step for step in made.verdict.next_steps) == is_it


def frames32(*more: int) -> bytes:
    """A 32-bit stack: frame pointer and return address into the program, then the bottom."""
    return struct.pack("<8I", STACK32 + 8, 0, STACK32 + 24, OLD + 0x2345, *more, *(0,) * (4 - len(more)))


def context32(eip: int) -> bytes:
    """What WOW64 keeps of a thread: two 16-bit words and a 32-bit CONTEXT."""
    data = bytearray(4 + 0x2CC)
    struct.pack_into("<HHI", data, 0, 0, 0x14C, 0x1_003F)
    struct.pack_into("<III", data, 4 + 0xB4, STACK32 + 8, eip, 0x23)
    struct.pack_into("<I", data, 4 + 0xC4, STACK32)
    return bytes(data)


def test_a_32_bit_thread_is_walked_by_the_registers_that_wow64_keeps(tmp_path: Path) -> None:
    area = 0x50_0000
    memory = {TEB + 7 + 0x1488: struct.pack("<Q", area), area: context32(OLD_NTDLL + 0x1100), STACK32: frames32()}
    context = context_x64(rip=NTDLL + 0x10_1234, rsp=STACK)
    thread = Thread(7, (STACK, bytes(64)), context)
    made = told(tmp_path, Minidump(modules=WOW64, threads=[thread], memory=memory, full_memory=True))
    assert [one.symbol for one in made.threads[0].stack] == ["ntdll+0x1100", "old+0x2345"]
    assert made.verdict.culprit is not None
    assert made.verdict.culprit.module == "old.exe"
    assert any("32-bit stacks are told" in note for note in made.notes)
    # Without that block the 64-bit stack is all there is.
    other = told(tmp_path, Minidump(modules=WOW64, threads=[thread]))
    assert [one.symbol for one in other.threads[0].stack] == ["wow64+0x1234"]


def test_a_fault_in_32_bit_code_is_walked_by_its_own_registers(tmp_path: Path) -> None:
    context = bytearray(context_x64(rip=OLD + 0x1234, rsp=STACK32, rbp=STACK32 + 8))
    struct.pack_into("<H", context, 0x38, 0x23)
    dump = Minidump(
        modules=WOW64,
        threads=[Thread(7, (STACK, bytes(64)), bytes(context))],
        fault=Fault(7, AV, OLD + 0x1234, (0, 0x10), bytes(context)),
        memory={STACK32: frames32()},
        full_memory=True,
    )
    made = told(tmp_path, dump)
    assert [(one.symbol, one.trust) for one in made.threads[0].stack] == [
        ("old+0x1234", "context"),
        ("old+0x2345", "frame-pointer"),
    ]


def test_critical_sections_of_a_32_bit_process(tmp_path: Path) -> None:
    area, lock = 0x50_0000, 0x55_0000
    threads, memory = [], {}
    for tid in (1, 2):
        memory[TEB + tid + 0x1488] = struct.pack("<Q", area + tid * 0x1000)
        memory[area + tid * 0x1000] = context32(OLD_NTDLL + 0x1100)
        threads.append(Thread(tid, (STACK + tid * 0x1000, bytes(64)), context_x64(rip=NTDLL, rsp=STACK)))
    memory[STACK32] = frames32(lock)
    memory[lock] = struct.pack("<IiiIII", 0xFFFF_FFFF, ~(1 << 2 | 1), 1, 2, 0, 0)
    memory[TEB + 1 + 0x2000 + 0x30] = struct.pack("<I", PEB)
    memory[PEB + 0xA0] = struct.pack("<I", lock)
    made = told(tmp_path, Minidump(modules=WOW64, threads=threads, memory=memory, full_memory=True))
    (chain,) = made.blocking.chains
    assert (chain.lock.name, chain.owners, chain.waiters) == ("ntdll!LdrpLoaderLock", ("0x2",), ("0x1",))
