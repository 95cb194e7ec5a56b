"""Critical sections that threads of a process wait for, where enough of its memory was saved.

A thread that waits keeps the section's address on its stack. What is taken for a section must look like one: owned by
a thread of this process, entered, counted as waited for, and its debug record, where it has one, points back.
Source: RTL_CRITICAL_SECTION of the public winnt.h; LockCount as Microsoft documents it since Windows Vista: bit 0 is
clear while it is owned, and the ones' complement of the rest counts the waiters.
"""

import struct
from dataclasses import dataclass, replace

from analysis.errors import Unreadable
from analysis.formats.minidump import Platform, UserThread
from analysis.kernel.facts import Stack
from analysis.usermode.blocks import loader_lock
from analysis.usermode.process import Process

MAX_THREADS_LOOKED_AT = 256
LOADER_LOCK = "ntdll!LdrpLoaderLock"
STACK_BYTES = 0x800  # from the stack pointer up: deeper lies no call of the wait
_MAX_RECURSION = 4096
_HEADERS = {8: struct.Struct("<QiiQ"), 4: struct.Struct("<IiiI")}


@dataclass(frozen=True, slots=True)
class Section:
    """A critical section that is owned and waited for. ``waiters_counted`` is its own count."""

    address: int
    owner: int
    waiters_counted: int
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """A thread that waits for a section."""

    tid: int
    section: Section


def find_waits(process: Process, stacks: dict[int, Stack]) -> tuple[Wait, ...]:
    """Which threads wait for which section, at most one each. ``stacks`` by thread id."""
    if process.dump.system.platform is not Platform.WINDOWS or process.memory.pointer_size not in _HEADERS:
        return ()
    tids = {thread.tid for thread in process.dump.threads}
    known: dict[int, Section | None] = {}
    loading = loader_lock(process.memory, process.dump)
    found: list[Wait] = []
    for thread in process.dump.threads[:MAX_THREADS_LOOKED_AT]:
        stack = stacks.get(thread.tid)
        if stack is None or not stack.frames or stack.frames[0].module != "ntdll.dll":
            continue
        section = _waited_for(process, thread, stack, tids, known)
        if section is not None:
            section = replace(section, name=LOADER_LOCK) if section.address == loading else section
            found.append(Wait(thread.tid, section))
    return _as_counted(found)


def _as_counted(waits: list[Wait]) -> tuple[Wait, ...]:
    """The waits, without those of sections that count fewer waiters: then somebody merely passed the address on."""
    held: dict[int, int] = {}
    for wait in waits:
        held[wait.section.address] = held.get(wait.section.address, 0) + 1
    return tuple(wait for wait in waits if held[wait.section.address] <= wait.section.waiters_counted)


def _waited_for(
    process: Process, thread: UserThread, stack: Stack, tids: set[int], known: dict[int, Section | None]
) -> Section | None:
    size, start = process.memory.pointer_size, stack.frames[0].sp or 0
    data = process.memory.read_available(start, STACK_BYTES)
    saved = [*stack.registers[0].values()] if stack.registers else []
    words = (int.from_bytes(data[at : at + size], "little") for at in range(0, len(data) - size + 1, size))
    for address in (*saved, *words):
        if address % size or address < 0x1_0000 or address in range(start, start + STACK_BYTES):
            continue
        if address not in known:
            known[address] = _section_at(process, address, tids)
        section = known[address]
        if section is not None and section.owner != thread.tid:
            return section
    return None


def _section_at(process: Process, address: int, tids: set[int]) -> Section | None:
    header, size = _HEADERS[process.memory.pointer_size], process.memory.pointer_size
    try:
        debug, lock, recursion, owner = header.unpack(process.memory.read(address, header.size))
    except Unreadable:
        return None
    waiters = -1 - lock >> 2
    if owner not in tids or lock & 1 or not 0 < waiters <= len(tids) or not 0 < recursion < _MAX_RECURSION:
        return None
    if debug != (1 << 8 * size) - 1:
        try:
            if process.memory.pointer(debug + size) != address:
                return None
        except Unreadable:
            return None
    name = process.names.name(address)
    return Section(address, owner, waiters, name if "!" in name else None)
