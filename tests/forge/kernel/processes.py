"""Processes: EPROCESS with its own page tables, on the active list."""

from tests.forge.kernel.objects import PROCESS, dispatcher, executive_object
from tests.forge.kernel.state import CRASH_FILETIME, TICK_100NS, UPTIME_TICKS, Kernel, Process
from tests.forge.pages import PageTables

SYSTEM_PROTECTION = 0x72
STATUS_PENDING = 0x103


def add_process(kernel: Kernel, name: str, parent: int, pid: int | None = None) -> Process:
    """A process without threads, at the end of the active list."""
    machine, layouts = kernel.machine, kernel.machine.layouts
    pid = kernel.new_id() if pid is None else pid
    address = executive_object(kernel, "Process", layouts.size("_EPROCESS") + 0x40, "Proc")
    tables = machine.tables if pid == 4 else PageTables(machine.memory, machine.tables.self_map)
    process = Process(address, pid, name, parent, tables.directory_table)
    if tables is not machine.tables:
        kernel.process_tables.append(tables)
    dispatcher(kernel, address, PROCESS, layouts.size("_KPROCESS"))
    machine.put("_KPROCESS", address, DirectoryTableBase=tables.directory_table)
    for structure, member in (("_KPROCESS", "ThreadListHead"), ("_EPROCESS", "ThreadListHead")):
        machine.list_head(machine.at(structure, address, member))
    born = CRASH_FILETIME - UPTIME_TICKS * TICK_100NS + len(kernel.processes) * 7_000_000
    machine.put(
        "_EPROCESS",
        address,
        UniqueProcessId=pid,
        InheritedFromUniqueProcessId=parent,
        CreateTime=born,
        Peb=0 if pid == 4 else 0x7FF0_0000_0000 + pid * 0x1000,
        ActiveThreads=0,
        ExitStatus=STATUS_PENDING,
    )
    machine.write(machine.at("_EPROCESS", address, "ImageFileName"), name.encode()[:14].ljust(15, b"\0"))
    if machine.has("_EPROCESS", "Protection") and name in ("System", "smss.exe", "csrss.exe", "wininit.exe"):
        machine.put("_EPROCESS", address, Protection=SYSTEM_PROTECTION)
    machine.list_append(kernel.symbol("PsActiveProcessHead"), machine.at("_EPROCESS", address, "ActiveProcessLinks"))
    if pid == 4:
        machine.u64(kernel.symbol("PsInitialSystemProcess"), address)
    kernel.processes.append(process)
    return process


def share_kernel_half(kernel: Kernel) -> None:
    """Every process sees the kernel's half of memory."""
    for tables in kernel.process_tables:
        kernel.machine.tables.share_kernel_half(tables)
