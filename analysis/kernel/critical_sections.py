"""Critical sections of programs: RTL_CRITICAL_SECTION (winnt.h), in dumps that hold the programs' own memory.

A thread that waits for one waits in ntdll, which leaves the section's address on the thread's user stack. The kernel
knows nothing of it, so the section is looked for there, and counts only if it is one beyond doubt: locked, waited for,
entered by another thread of the same process, its debug record (where it has one) points back at it, and no second one
is in sight. The section names its owner by thread number. 32-bit programs are not looked into.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from analysis.address import VirtAddr, is_user
from analysis.errors import Unreadable
from analysis.kernel.context import TRAP_FRAME_SIZE, read_trap_frame
from analysis.kernel.facts import Held, Lock, LockKind, Process, Thread
from analysis.kernel.names import KernelNames
from analysis.memory.reader import Memory
from analysis.symbols.layout import Struct
from analysis.trust import Trust

# ntdll waits by address (Windows 8 and later), by the section's event, or by the keyed event of low memory.
_REASONS = frozenset({"WrAlertByThreadId", "UserRequest", "WrKeyedEvent"})
_STACK_WINDOW = 0x600  # bytes of user stack above the stack pointer
_SECTION = struct.Struct("<QiIQQQ")  # DebugInfo, LockCount, RecursionCount, OwningThread, LockSemaphore, SpinCount
_NO_DEBUG_INFO = 0xFFFF_FFFF_FFFF_FFFF
_DEBUG_SECTION = 8  # RTL_CRITICAL_SECTION_DEBUG.CriticalSection
_MAX_WAITERS = 4096
_MAX_RECURSION = 0xFFFF
_STACK_RESERVE = 1 << 20  # bytes: the default size of a stack; a section that others wait for lies on none
_LOWEST = 0x1_0000  # nothing of a program lies below
_COLLISION = 64  # bits: where an address is told apart from the same one of another process


@dataclass(frozen=True, slots=True)
class Programs:
    """The processes of a dump that holds their memory; ``space`` opens one's by its directory table."""

    space: Callable[[int], Memory]
    processes: Mapping[VirtAddr, Process]


@dataclass(frozen=True, slots=True)
class _Section:
    address: VirtAddr
    owner: int  # a thread's number
    recursion: int
    waiters: int


def read_critical_sections(
    programs: Programs, memory: Memory, names: KernelNames, threads: Mapping[VirtAddr, Thread]
) -> tuple[list[Lock], list[str]]:
    """The critical sections that threads wait for now, with their owners. No notes so far."""
    homes: dict[VirtAddr, list[Thread]] = {}
    for thread in threads.values():
        homes.setdefault(thread.process, []).append(thread)
    _expect_stacks(memory, programs, threads.values())
    locks: dict[int, Lock] = {}
    for address, home in homes.items():
        process = programs.processes.get(address)
        waiting = [thread for thread in home if _may_wait(thread)]
        if process is None or not process.directory_table or not waiting:
            continue
        space = programs.space(process.directory_table)
        find_loader = partial(_loader_lock, space, memory, names, address)
        for lock in _of_process(space, home, waiting, find_loader):
            key = lock.address
            while key in locks:  # ntdll and its sections lie at the same address in every process
                key = VirtAddr(key + (1 << _COLLISION))
            locks[key] = replace(lock, address=key, description=f"{lock.description} of {process.name} ({process.pid})")
    return list(locks.values()), []


def _may_wait(thread: Thread) -> bool:
    return thread.wait_reason in _REASONS and thread.trap_frame is not None and len(thread.waits) <= 1


def _of_process(
    space: Memory, home: list[Thread], waiting: list[Thread], find_loader: Callable[[], int | None]
) -> Iterator[Lock]:
    by_number = {thread.tid: thread for thread in home}
    judged: dict[int, _Section | None] = {}  # threads of one program have the same return addresses on their stacks
    found: dict[VirtAddr, tuple[_Section, list[Thread]]] = {}
    for thread in waiting:
        section = _section_of(space, thread, by_number, judged)
        if section is not None:
            found.setdefault(section.address, (section, []))[1].append(thread)
    loader = find_loader() if found else None
    for address, (section, waiters) in found.items():
        what = "loader lock" if address == loader else "critical section"
        again = f", entered {section.recursion} times by its owner" if section.recursion > 1 else ""
        yield Lock(
            address,
            LockKind.CRITICAL_SECTION,
            name="loader lock" if address == loader else None,
            description=f"{what} at {address:#x}{again}",
            exclusive=True,
            owners=(Held(by_number[section.owner].address, Trust.STRUCTURE, exclusive=True),),
            waiters=tuple(Held(thread.address, Trust.SCAN, exclusive=True) for thread in waiters),
            waiters_expected=section.waiters,
        )


def _expect_stacks(memory: Memory, programs: Programs, threads: Iterable[Thread]) -> None:
    # A remote dump fetches all trap frames, then all user stacks together.
    waiting = [thread for thread in threads if _may_wait(thread)]
    memory.expect((thread.trap_frame for thread in waiting if thread.trap_frame is not None), TRAP_FRAME_SIZE)
    memory.expect_of_processes(_user_stacks(memory, programs, waiting), _STACK_WINDOW)


def _user_stacks(memory: Memory, programs: Programs, threads: list[Thread]) -> Iterator[tuple[int, int]]:
    for thread in threads:
        process = programs.processes.get(thread.process)
        with suppress(Unreadable):
            if process is not None and process.directory_table and thread.trap_frame is not None:
                yield process.directory_table, read_trap_frame(memory, thread.trap_frame).registers.rsp


def _section_of(
    space: Memory, thread: Thread, by_number: Mapping[int, Thread], judged: dict[int, _Section | None]
) -> _Section | None:
    if thread.trap_frame is None:
        return None
    try:
        trap = read_trap_frame(space, thread.trap_frame)
    except Unreadable:
        return None
    if not trap.user_mode or not is_user(trap.registers.rsp):
        return None
    data = space.read_available(trap.registers.rsp, _STACK_WINDOW)
    words = [word for (word,) in struct.iter_unpack("<Q", data[: len(data) // 8 * 8])]
    registers = trap.registers.non_volatile().values()
    stack = range(trap.registers.rsp - _STACK_RESERVE, trap.registers.rsp + _STACK_RESERVE)
    sections = []
    for word in dict.fromkeys((*registers, *words)):
        if word % 8 or word < _LOWEST or not is_user(word) or word in stack:
            continue
        if word not in judged:
            judged[word] = _read_section(space, word, by_number)
        section = judged[word]
        if section is not None and section.owner != thread.tid:
            sections.append(section)
    return sections[0] if len(sections) == 1 else None


def _read_section(space: Memory, address: int, by_number: Mapping[int, Thread]) -> _Section | None:
    try:
        debug, count, recursion, owner, _, _ = _SECTION.unpack(space.read(address, _SECTION.size))
        # Since Vista bit 0 is clear while the section is taken, and all above bit 1 counts its waiters downwards.
        waiters = -1 - count >> 2
        if count >= 0 or count & 1 or not 1 <= waiters <= _MAX_WAITERS or not 1 <= recursion <= _MAX_RECURSION:
            return None
        if owner not in by_number:
            return None
        if debug != _NO_DEBUG_INFO and (not is_user(debug) or space.u64(debug + _DEBUG_SECTION) != address):
            return None
    except Unreadable:
        return None
    return _Section(VirtAddr(address), owner, recursion, waiters)


def _loader_lock(space: Memory, memory: Memory, names: KernelNames, process: int) -> int | None:
    layout, peb = names.layout("_EPROCESS"), names.layout("_PEB")
    if layout is None or peb is None or not layout.has("Peb") or not peb.has("LoaderLock"):
        return None
    try:
        return Struct(space, peb, Struct(memory, layout, process).pointer("Peb")).pointer("LoaderLock") or None
    except Unreadable:
        return None
