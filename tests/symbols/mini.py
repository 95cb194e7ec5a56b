"""A tiny kernel for tests: an image, KDBG, a process list with threads; laid out by any table of layouts."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from analysis.address import PhysAddr, VirtAddr
from analysis.formats.image import DumpHeader, DumpImage, TriageData, TriageDriver
from analysis.formats.raw import RawFile
from analysis.symbols.builtin import BuiltinTable, builtin_table
from analysis.symbols.layout import Field
from tests.symbols.flat import FlatMemory

NT = 0xFFFF_F800_1000_0000
NT_SIZE = 0x10_0000
POOL = 0xFFFF_9000_0000_0000
PROCESSORS = 0x2_5800
MARKS = {
    "PsLoadedModuleList": 0x2_1000,
    "PsActiveProcessHead": 0x2_2000,
    "KdDebuggerDataBlock": 0x2_3000,
    "MmPfnDatabase": 0x2_4000,
    "ExpSystemResourcesList": 0x2_5000,
}


def dump(build: int = 22000, machine: int = 0x8664, triage: TriageData | None = None, **changed: int) -> DumpImage:
    """An open dump of the tiny kernel; ``changed`` sets header addresses."""
    addresses = {
        "pfn_database": NT + MARKS["MmPfnDatabase"],
        "loaded_modules": NT + MARKS["PsLoadedModuleList"],
        "active_processes": NT + MARKS["PsActiveProcessHead"],
        "kdbg": NT + MARKS["KdDebuggerDataBlock"],
    } | changed
    header = DumpHeader(
        kind="full",
        type_code=1,
        major_version=15,
        build=build,
        machine=machine,
        processors=1,
        code=0x9F,
        parameters=(0, 0, 0, 0),
        directory_table=PhysAddr(0x1000),
        context=b"",
        exception=None,
        crash_time=None,
        uptime_seconds=None,
        product_type=1,
        suite_mask=0,
        **{name: VirtAddr(value) for name, value in addresses.items()},  # type: ignore[arg-type]  # all are VirtAddr
    )
    return DumpImage(cast("RawFile", None), header, None, triage, truncated=False, notes=())


def triage() -> TriageData:
    """The module list of a small dump with two drivers."""
    return TriageData(
        drivers=(
            TriageDriver("hal.dll", NT + 0x100_0000, 0x1000, 1, 1),
            TriageDriver("ntoskrnl.exe", NT, NT_SIZE, 1, 1),
        )
    )


def kdbg_block(base: int = NT, size: int = 0x380, offsets: Mapping[int, int] | None = None) -> bytearray:
    """A KDBG with the marks' addresses; ``offsets`` puts u16 values at places."""
    block = bytearray(size)
    struct.pack_into("<4sIQ", block, 0x10, b"KDBG", size, base)
    for at, name in (
        (0x48, "PsLoadedModuleList"),
        (0x50, "PsActiveProcessHead"),
        (0x60, "ExpSystemResourcesList"),
        (0xC0, "MmPfnDatabase"),
    ):
        struct.pack_into("<Q", block, at, base + MARKS[name])
    for at, value in (offsets or {}).items():
        struct.pack_into("<H", block, at, value)
    return block


SHIFTED = ("_KTHREAD", "_ETHREAD", "_EPROCESS", "_KPROCESS")


def table(build: int, shift: int = 0, only: tuple[str, ...] = SHIFTED, start: int = 0x28) -> BuiltinTable:
    """The layouts of a major build; in ``only`` these, members from offset ``start`` on moved by ``shift`` bytes."""
    found = builtin_table(build)
    assert found is not None
    if not shift:
        return found
    moved: dict[str, tuple[int, dict[str, Field]]] = {}
    for name in found.structures():
        layout = found.layout(name)
        assert layout is not None
        within = shift if name in only else 0
        members = {
            member: Field(f.offset + (within if f.offset >= start else 0), f.size, f.bit, f.bits, f.type_name)
            for member, f in layout.fields.items()
        }
        moved[name] = (layout.size + within, members)
    return BuiltinTable(f"{found.origin} shifted", moved)


@dataclass
class MiniKernel:
    """Memory with nt's data pages and a pool of processes and threads, written by a table of layouts."""

    layouts: BuiltinTable
    memory: FlatMemory = field(init=False)
    processes: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    prcb: int = POOL + 0x1C_0000

    def __post_init__(self) -> None:
        self.memory = FlatMemory({NT + 0x2_0000: bytearray(0x6000), POOL: bytearray(0x20_0000)})
        self.memory.write(NT + MARKS["KdDebuggerDataBlock"], bytes(kdbg_block()))
        for name in ("PsLoadedModuleList", "PsActiveProcessHead", "ExpSystemResourcesList"):
            self._link(NT + MARKS[name], [])

    def populate(self, processes: int = 5, threads: int = 4, resource_shift: int = 0) -> "MiniKernel":
        """Adds a System process and others, each with as many threads, a processor, and three resources: one idle, one
        owned, one owned and waited for; their members behind 0x18 lie ``resource_shift`` bytes farther."""
        for index in range(processes):
            self._add_process(4 + 100 * index, b"System" if index == 0 else b"proc%d.exe" % index, threads)
        links = [address + self.at("_EPROCESS", "ActiveProcessLinks") for address in self.processes]
        self._link(NT + MARKS["PsActiveProcessHead"], links)
        self._add_resources(resource_shift)
        self.memory.write(NT + PROCESSORS, struct.pack("<Q", self.prcb))
        for member in ("CurrentThread", "IdleThread"):
            self.put("_KPRCB", self.prcb, member, self.threads[0])
        entry = POOL + 0x1F_0000
        self._link(NT + MARKS["PsLoadedModuleList"], [entry])
        self.memory.write(entry + 0x30, struct.pack("<QQI", NT, NT, NT_SIZE))
        return self

    def at(self, structure: str, member: str) -> int:
        """A member's offset in this kernel."""
        layout = self.layouts.layout(structure)
        assert layout is not None
        return layout.fields[member].offset

    def put(self, structure: str, address: int, member: str, value: int, size: int = 8) -> None:
        """Writes a member of the structure at an address."""
        self.memory.write(address + self.at(structure, member), value.to_bytes(size, "little"))

    def _add_resources(self, shift: int) -> None:
        resources = [POOL + 0x1E_0000 + 0x100 * index for index in range(3)]
        self._link(NT + MARKS["ExpSystemResourcesList"], resources)
        for index, address in enumerate(resources[1:]):
            self.put("_ERESOURCE", address + shift, "ActiveCount", 1, 2)
            self.put("_ERESOURCE", address + shift, "Flag", 0x80, 2)
            self.put("_ERESOURCE", address + shift, "OwnerEntry.OwnerThread", self.threads[0])
            self.put("_ERESOURCE", address + shift, "ActiveEntries", 1, 4)
            self.put("_ERESOURCE", address + shift, "ExclusiveWaiters", POOL + 0x1D_0000 if index else 0)

    def _add_process(self, pid: int, name: bytes, threads: int) -> None:
        address = POOL + 0x1_0000 * len(self.processes)
        self.processes.append(address)
        self.memory.write(address, b"\x03")
        self.put("_EPROCESS", address, "UniqueProcessId", pid)
        self.memory.write(address + self.at("_EPROCESS", "ImageFileName"), name)
        self.put("_EPROCESS", address, "Pcb.DirectoryTableBase", 0x1AD000)
        self.put("_EPROCESS", address, "ActiveThreads", threads, 4)
        own = [self._add_thread(address, pid, index) for index in range(threads)]
        outer, inner = self.at("_ETHREAD", "ThreadListEntry"), self.at("_KTHREAD", "ThreadListEntry")
        self._link(address + self.at("_EPROCESS", "ThreadListHead"), [thread + outer for thread in own])
        self._link(address + self.at("_EPROCESS", "Pcb.ThreadListHead"), [thread + inner for thread in own])

    def _add_thread(self, process: int, pid: int, index: int) -> int:
        address = process + 0x2000 + 0x1000 * index
        self.threads.append(address)
        self.memory.write(address, b"\x06")
        stack = 0xFFFF_A000_0000_0000 + (address & 0xFF_F000) * 16
        for member, value in {
            "Process": process,
            "InitialStack": stack + 0x5C90,
            "StackBase": stack + 0x6000,
            "StackLimit": stack,
            "KernelStack": stack + 0x5000,
            "WaitBlockList": address + self.at("_KTHREAD", "WaitBlock"),
        }.items():
            self.put("_KTHREAD", address, member, value)
        self.put("_KTHREAD", address, "State", 5, 1)
        self.put("_ETHREAD", address, "Cid.UniqueProcess", pid)
        self.put("_ETHREAD", address, "Cid.UniqueThread", pid + 4 + 4 * index)
        self.put("_KWAIT_BLOCK", address + self.at("_KTHREAD", "WaitBlock"), "Thread", address)
        self._link(address + self.at("_ETHREAD", "IrpList"), [])
        return address

    def _link(self, head: int, entries: list[int]) -> None:
        ring = [head, *entries]
        for index, link in enumerate(ring):
            self.memory.write(link, struct.pack("<QQ", ring[(index + 1) % len(ring)], ring[index - 1]))
