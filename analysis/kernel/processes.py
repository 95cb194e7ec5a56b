"""Processes, by the list of active processes (nt!PsActiveProcessHead)."""

from analysis.address import VirtAddr
from analysis.errors import Unreadable
from analysis.kernel.dispatcher import is_process
from analysis.kernel.facts import Process
from analysis.kernel.lists import walk_list
from analysis.kernel.names import KernelNames, require
from analysis.limits import MAX_PROCESSES
from analysis.memory.reader import Memory
from analysis.memory.snapshot import Snapshot
from analysis.symbols.layout import Struct

_MAX_SIZE = 0x2000  # bytes read at once; an EPROCESS has some 0xB80
_NAME_SIZE = 15  # EPROCESS.ImageFileName keeps this much of a longer name
_MAX_THREADS_COUNTED = 1 << 20


def read_processes(memory: Memory, names: KernelNames, head: int) -> tuple[dict[VirtAddr, Process], tuple[str, ...]]:
    """The processes of the list at ``head`` in its order, keyed by address, and notes about what is missing.

    Raises:
        MissingLayout: this kernel's EPROCESS is not known.
    """
    layout = require(names, "_EPROCESS", "ActiveProcessLinks")
    walk = walk_list(memory, head, MAX_PROCESSES)
    notes = [f"processes: {walk.problem}"] if walk.problem else []
    found: dict[VirtAddr, Process] = {}
    for address in walk.records(layout.offset("ActiveProcessLinks")):
        if not is_process(memory, address):
            notes.append(f"processes: {address:#x} is on the list and is no process object")
            continue
        try:
            found[address] = read_process(memory, names, address)
        except Unreadable as gap:
            notes.append(f"processes: {address:#x} cannot be read: {gap}")
    return found, tuple(notes)


def read_process(memory: Memory, names: KernelNames, address: int) -> Process:
    """The process whose EPROCESS is at ``address``. Raises: Unreadable, MissingLayout."""
    layout = require(names, "_EPROCESS", "UniqueProcessId", "ImageFileName")
    process = Struct(Snapshot(memory, address, min(layout.size, _MAX_SIZE)), layout, address)
    raw = process.memory.read(process.address_of("ImageFileName"), _NAME_SIZE)
    core = names.layout("_KPROCESS")
    return Process(
        VirtAddr(address),
        process.pointer("UniqueProcessId"),
        raw.partition(b"\0")[0].decode("ascii", "replace"),
        parent_pid=process.pointer("InheritedFromUniqueProcessId")
        if process.has("InheritedFromUniqueProcessId")
        else None,
        directory_table=process.memory.pointer(address + core.offset("DirectoryTableBase"))
        if core and core.has("DirectoryTableBase")
        else None,
        threads=_count(process),
    )


def _count(process: Struct) -> int | None:
    if not process.has("ActiveThreads"):
        return None
    count = process.u32("ActiveThreads")
    return count if count < _MAX_THREADS_COUNTED else None
