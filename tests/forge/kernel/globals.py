"""Kernel variables: debugger data, shared user page, processors, list heads, unloaded drivers, bugcheck data."""

import struct

from tests.forge.kernel.state import CRASH_FILETIME, TICK_100NS, UPTIME_TICKS, Kernel, Thread
from tests.forge.layouts.private import (
    KDBG,
    KDBG_OFFSETS,
    KDBG_OFFSETS32,
    KDBG_SIZE,
    UNLOADED_DRIVER,
    UNLOADED_DRIVER_COUNT,
    UNLOADED_DRIVER_SIZE,
)
from tests.forge.machine import SHARED_DATA

LIST_HEADS = ("PsLoadedModuleList", "PsActiveProcessHead", "ExpSystemResourcesList", "PopIrpList", "PopIrpThreadList")


def write_list_heads(kernel: Kernel) -> None:
    """Empty lists at the symbols that are list heads, before anything is put on them."""
    for name in LIST_HEADS:
        kernel.machine.list_head(kernel.symbol(name))


def write_variables(kernel: Kernel) -> None:
    """The plain variables."""
    machine = kernel.machine
    machine.u32(kernel.symbol("KeNumberProcessors"), len(kernel.processors))
    machine.u32(kernel.symbol("KeTimeIncrement"), TICK_100NS)
    machine.u32(kernel.symbol("NtBuildNumber"), 0xF0000000 | kernel.build)
    machine.write(kernel.symbol("NtBuildLab"), f"{kernel.build}.1.amd64fre.forge.220501-0000".encode() + b"\0")
    machine.u64(kernel.symbol("MmPfnDatabase"), pfn_database(kernel))
    if "MmPteBase" in kernel.names:
        machine.u64(kernel.symbol("MmPteBase"), machine.tables.pte_base)
    for index, prcb in enumerate(kernel.processors):
        machine.u64(kernel.symbol("KiProcessorBlock") + 8 * index, prcb)


def pfn_database(kernel: Kernel) -> int:
    """Where the page frame database would lie (it is not written)."""
    return 0xFFFFFA8000000000 if kernel.major < 14393 else 0xFFFF << 48 | kernel.machine.tables.self_map << 39 ^ 1 << 43


def write_debugger_data(kernel: Kernel) -> None:
    """KDDEBUGGER_DATA64, in clear as a crash leaves it."""
    machine, layouts = kernel.machine, kernel.machine.layouts
    block = bytearray(KDBG_SIZE)
    address = kernel.symbol("KdDebuggerDataBlock")
    struct.pack_into("<QQ4sI", block, 0, address, address, b"KDBG", KDBG_SIZE)
    values = {name: kernel.symbol(name) for name in KDBG if name in kernel.names}
    values["KernBase"], values["PteBase"] = kernel.nt.base, machine.tables.pte_base
    for name, value in values.items():
        struct.pack_into("<Q", block, KDBG[name], value)
    for offset, (structure, member) in KDBG_OFFSETS.items():
        if not member:
            struct.pack_into("<H", block, offset, layouts.size(structure))
        elif layouts.has(structure, member):
            struct.pack_into("<H", block, offset, layouts.offset(structure, member))
    for offset, (structure, member) in KDBG_OFFSETS32.items():
        if layouts.has(structure, member):
            struct.pack_into("<I", block, offset, layouts.offset(structure, member))
    machine.write(address, bytes(block))


def write_shared_data(kernel: Kernel) -> None:
    """KUSER_SHARED_DATA at its fixed address."""
    machine = kernel.machine
    machine.tables.map(SHARED_DATA, machine.loose_frame())
    major, minor = (10, 0) if kernel.build > 9600 else (6, 3) if kernel.build == 9600 else (6, 1)
    machine.put("_KUSER_SHARED_DATA", SHARED_DATA, NtMajorVersion=major, NtMinorVersion=minor)
    if machine.has("_KUSER_SHARED_DATA", "NtBuildNumber"):
        machine.put("_KUSER_SHARED_DATA", SHARED_DATA, NtBuildNumber=kernel.build)
    for member, value in (
        ("InterruptTime", UPTIME_TICKS * TICK_100NS),
        ("SystemTime", CRASH_FILETIME),
        ("TickCount", UPTIME_TICKS),
    ):
        at = machine.at("_KUSER_SHARED_DATA", SHARED_DATA, member)
        machine.write(at, struct.pack("<III", value & 0xFFFFFFFF, value >> 32, value >> 32))
    root = machine.at("_KUSER_SHARED_DATA", SHARED_DATA, "NtSystemRoot")
    machine.write(root, "C:\\Windows\0".encode("utf-16-le"))


def add_processor(kernel: Kernel) -> int:
    """A KPCR with its KPRCB; the PRCB's address is returned and kept."""
    machine, layouts = kernel.machine, kernel.machine.layouts
    pcr = machine.allocate("prcb", layouts.size("_KPCR"), 0x1000)
    prcb = machine.at("_KPCR", pcr, "Prcb")
    machine.put("_KPCR", pcr, Self=pcr, CurrentPrcb=prcb)
    machine.put("_KPRCB", prcb, Number=len(kernel.processors), MHz=2904)
    machine.write(machine.at("_KPRCB", prcb, "VendorString"), b"GenuineIntel\0")
    kernel.processors.append(prcb)
    return prcb


def run(kernel: Kernel, processor: int, thread: Thread, idle: Thread) -> None:
    """The processor runs a thread."""
    machine, prcb = kernel.machine, kernel.processors[processor]
    machine.put("_KPRCB", prcb, CurrentThread=thread.address, IdleThread=idle.address)
    machine.put("_KPRCB", prcb, DpcStack=idle.initial_stack)
    if machine.has("_KTHREAD", "NextProcessor"):
        machine.put("_KTHREAD", thread.address, NextProcessor=processor)


def write_bugcheck_data(kernel: Kernel, code: int, parameters: tuple[int, int, int, int]) -> None:
    """KiBugCheckData: code and parameters."""
    kernel.machine.write(kernel.symbol("KiBugCheckData"), struct.pack("<5Q", code, *parameters))


def write_unloaded(kernel: Kernel) -> None:
    """MmUnloadedDrivers: a ring of fifty."""
    machine = kernel.machine
    array = machine.pool(UNLOADED_DRIVER_COUNT * UNLOADED_DRIVER_SIZE, "MmDT", "small")
    for index, (name, start, end, time) in enumerate(kernel.unloaded):
        at = array + index * UNLOADED_DRIVER_SIZE
        machine.unicode(at + UNLOADED_DRIVER["Name"], name)
        machine.write(at + UNLOADED_DRIVER["Start"], struct.pack("<QQQ", start, end, time))
    machine.u64(kernel.symbol("MmUnloadedDrivers"), array)
    machine.u32(kernel.symbol("MmLastUnloadedDriver"), len(kernel.unloaded))
