"""Push locks: one pointer that keeps no owner, and what can be told of them nevertheless.

Which lock a thread waits for, and who holds it, is often recorded for priority boosting: each thread has six
KLOCK_ENTRYs (AutoBoost, Windows 8.1 and later; the waiting and acquired marks are read where the public symbols name
them, from 10.0.14393 on). Without them the lock is found through the wait itself: the lock's value points to a wait
block on the stack of its latest waiter, whose event that thread waits for, and from one block to the next.
EX_PUSH_LOCK_WAIT_BLOCK is in the public symbols of Windows 7; its value's bits are those of EX_PUSH_LOCK.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from analysis.address import VirtAddr
from analysis.errors import Unreadable
from analysis.kernel.dispatcher import header_size
from analysis.kernel.facts import Held, Lock, LockKind, Thread
from analysis.kernel.names import KernelNames
from analysis.limits import MAX_WAITERS
from analysis.memory.reader import Memory
from analysis.symbols.layout import Layout, Struct
from analysis.trust import Trust

REASON = "WrPushLock"
_LOCKED, _WAITING, _SHARED = 1, 2, 8
_VALUE_BITS = 0xF
_ENTRIES = 6
_ENTRY_FLAGS = 3  # of LockUnsafe: releasable by another thread, busy
_IN_TREE = {8: 1 << 63, 4: 1 << 31}  # of LockUnsafe: a mark in the place of a bit that every kernel address has set
_STACK_WINDOW = 0x400


@dataclass(frozen=True, slots=True)
class _Entries:
    # Where a thread keeps its lock entries, and how to read their marks.
    offset: int
    layout: Layout
    waiting: str
    acquired: str


def read_push_locks(memory: Memory, names: KernelNames, threads: Collection[Thread]) -> tuple[list[Lock], list[str]]:
    """The push locks that threads wait for now, with the owners that are recorded, and a note on what is not."""
    waiting = {thread.address: thread for thread in threads if thread.wait_reason == REASON}
    if not waiting:
        return [], []
    entries = _entries_of(names)
    found = _by_entries(memory, entries, waiting)
    found |= _by_stack(memory, waiting, set(found))
    locks: dict[VirtAddr, list[Held]] = {}
    for thread, (lock, trust) in found.items():
        locks.setdefault(lock, []).append(Held(thread, trust))
    owners = _owners(memory, entries, threads, set(locks))
    left = len(waiting) - len(found)
    notes = (
        [f"locks: which push lock {left} of {len(waiting)} threads in {REASON} wait for cannot be told"] if left else []
    )
    return [_lock(memory, lock, owners.get(lock, ()), tuple(held)) for lock, held in locks.items()], notes


def _lock(memory: Memory, address: VirtAddr, owners: tuple[Held, ...], waiters: tuple[Held, ...]) -> Lock:
    shared = bool(_value(memory, address) & _SHARED) or len(owners) > 1
    description = "" if owners else f"push lock at {address:#x}, which keeps no owner and whose owner is not recorded"
    return Lock(
        address,
        LockKind.PUSH_LOCK,
        description=description,
        exclusive=not shared if owners else None,
        owners=owners,
        waiters=waiters,
    )


def _value(memory: Memory, address: int) -> int:
    try:
        return memory.pointer(address)
    except Unreadable:
        return 0


def _is_waited_for(memory: Memory, address: int) -> bool:
    return _value(memory, address) & (_LOCKED | _WAITING) == _LOCKED | _WAITING


# By the entries for priority boosting


def _entries_of(names: KernelNames) -> _Entries | None:
    layout = names.layout("_KLOCK_ENTRY")
    if layout is None or not layout.has("LockUnsafe"):
        return None
    waiting = next((name for name in ("WaitingBit", "WaitingByte") if layout.has(name)), None)
    # Windows 8.1 has an acquired mark inside a pointer, and no public name for its bit.
    acquired = "AcquiredBit" if layout.has("AcquiredBit") else "AcquiredByte"
    if waiting is None or not layout.has(acquired):
        return None
    for structure in ("_ETHREAD", "_KTHREAD"):
        thread = names.layout(structure)
        if thread is not None and thread.has("LockEntries"):
            field = thread.fields["LockEntries"]
            if not field.type_name.startswith("*"):
                return _Entries(field.offset, layout, waiting, acquired)
    return None


def _marked(memory: Memory, entries: _Entries, thread: VirtAddr, mark: str) -> Iterator[VirtAddr]:
    # The locks of a thread's entries with that mark.
    for index in range(_ENTRIES):
        entry = Struct(memory, entries.layout, thread + entries.offset + index * entries.layout.size)
        try:
            lock = entry.pointer("LockUnsafe") & ~_ENTRY_FLAGS
            field = entries.layout.fields[mark]
            is_marked = entry.bits(mark) if field.bits else entry.u8(mark) & 1
        except Unreadable:
            continue
        if lock and is_marked:
            yield VirtAddr(lock | _IN_TREE[memory.pointer_size])


def _by_entries(
    memory: Memory, entries: _Entries | None, waiting: Mapping[VirtAddr, Thread]
) -> dict[VirtAddr, tuple[VirtAddr, Trust]]:
    found: dict[VirtAddr, tuple[VirtAddr, Trust]] = {}
    if entries is None:
        return found
    for thread in waiting:
        for lock in _marked(memory, entries, thread, entries.waiting):
            if _is_waited_for(memory, lock):
                found[thread] = (lock, Trust.STRUCTURE)
                break
    return found


def _owners(
    memory: Memory, entries: _Entries | None, threads: Collection[Thread], locks: set[VirtAddr]
) -> dict[VirtAddr, tuple[Held, ...]]:
    owners: dict[VirtAddr, tuple[Held, ...]] = {}
    if entries is None or not locks:
        return owners
    for thread in threads:
        for lock in set(_marked(memory, entries, thread.address, entries.acquired)) & locks:
            owners[lock] = (*owners.get(lock, ()), Held(thread.address, Trust.STRUCTURE))
    return owners


# By the wait itself


def _by_stack(
    memory: Memory, waiting: Mapping[VirtAddr, Thread], known: set[VirtAddr]
) -> dict[VirtAddr, tuple[VirtAddr, Trust]]:
    by_event = {thread.waits[0].address: address for address, thread in waiting.items() if len(thread.waits) == 1}
    found: dict[VirtAddr, tuple[VirtAddr, Trust]] = {}
    for address, thread in waiting.items():
        if address in known or address in found:
            continue
        lock = _lock_on_stack(memory, thread)
        for event in _chain(memory, lock) if lock else ():
            waiter = by_event.get(VirtAddr(event))
            if lock and waiter is not None and waiter not in known:
                found[waiter] = (lock, Trust.SCAN)
    return found


def _lock_on_stack(memory: Memory, thread: Thread) -> VirtAddr | None:
    # A word on the stack that leads to a value that leads back to the event which this very thread waits for.
    if not thread.kernel_stack or not thread.stack_resident or len(thread.waits) != 1:
        return None
    data = memory.read_available(thread.kernel_stack, _STACK_WINDOW)
    for word in memory.words(data):
        if not memory.is_kernel(word) or word % memory.pointer_size or not _is_waited_for(memory, word):
            continue
        if thread.waits[0].address in _chain(memory, word):
            return VirtAddr(word)
    return None


def _chain(memory: Memory, lock: int) -> list[int]:
    # The wait blocks of a lock, latest waiter first; each starts with the event that its thread waits for, and has the
    # pointer to the next one behind it.
    blocks: list[int] = []
    seen: set[int] = set()
    block = _value(memory, lock) & ~_VALUE_BITS
    while memory.is_kernel(block) and block not in seen and len(blocks) < MAX_WAITERS:
        seen.add(block)
        blocks.append(block)
        block = _value(memory, block + header_size(memory)) & ~_VALUE_BITS
    return blocks
