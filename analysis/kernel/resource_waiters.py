"""Who waits for an ERESOURCE now. Windows kept its waiters in three ways, and they are told apart by what is there:

1. up to 8.1: SharedWaiters points to a semaphore, ExclusiveWaiters to an event, made on first contention and kept;
   the waiters are on those objects' wait lists.
2. 10.0.14393: the shared ones form a chain of entries {next, event}; the exclusive ones still wait on one event.
3. 10.0.17763 and later: both are chains of entries {list entry, thread, event}, which lie on the waiters' stacks.

That plain resources use form 3 is an inference from public symbols, so every waiter is looked at from its own side
too: a thread counts when it waits now for the object that the resource leads to. Threads in WrResource that no
resource leads to are assigned by the resource's address on their stack, which is weaker evidence and marked so.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from analysis.address import VirtAddr
from analysis.errors import Unreadable
from analysis.kernel.dispatcher import (
    is_semaphore,
    is_synchronization_event,
    is_thread,
    read_dispatcher,
    wait_blocks,
)
from analysis.kernel.facts import Held, Thread
from analysis.kernel.names import KernelNames
from analysis.kernel.resources import Resource
from analysis.kernel.threads import WAITING
from analysis.limits import MAX_WAITERS
from analysis.memory.reader import Memory
from analysis.trust import Trust

WR_RESOURCE = "WrResource"
# From the point where the thread was switched away: the frames of the wait itself, which hold the resource's address.
_STACK_WINDOW = 0x600
# The low bits of a chain's head are flags. Entries lie on stacks, aligned to 16 and on 32-bit machines to 4.
_POINTER_MASK = {8: ~0xF, 4: ~3}


@dataclass(frozen=True, slots=True)
class _Queued:
    # An object that a waiter of the resource blocks on, and the threads that the structures name for it.
    event: int
    threads: tuple[int, ...]


def read_waiters(
    memory: Memory, names: KernelNames, resource: Resource, threads: Mapping[VirtAddr, Thread]
) -> tuple[Held, ...]:
    """The threads that wait for the resource now, as its own structures and the threads' wait blocks say."""
    found: dict[VirtAddr, Held] = {}
    for slot, exclusive in ((resource.exclusive_slot, True), (resource.shared_slot, False)):
        for queued in _queue(memory, names, slot, exclusive):
            for address in queued.threads:
                thread = VirtAddr(address)
                if _waits_now(memory, threads, thread, queued.event):
                    found.setdefault(thread, Held(thread, Trust.STRUCTURE, exclusive))
    return tuple(found.values())


def _waits_now(memory: Memory, threads: Mapping[VirtAddr, Thread], address: VirtAddr, event: int) -> bool:
    # A chain entry on a stack outlives its wait: only the thread itself says that the wait is still on.
    thread = threads.get(address)
    if thread is None:
        return is_thread(memory, address)
    if thread.state != WAITING:
        return False
    return not thread.waits or any(waited.address == event for waited in thread.waits)


def _queue(memory: Memory, names: KernelNames, slot: int, exclusive: bool) -> list[_Queued]:
    if not memory.is_kernel(slot):
        return []
    if is_synchronization_event(memory, slot) if exclusive else is_semaphore(memory, slot):
        return [_on_object(memory, names, slot)]
    return _chain(memory, names, slot & _POINTER_MASK[memory.pointer_size])


def _on_object(memory: Memory, names: KernelNames, address: int) -> _Queued:
    layout = names.layout("_KWAIT_BLOCK")
    if layout is None or not layout.has("Thread"):
        return _Queued(address, ())
    threads = []
    for block in wait_blocks(memory, address):
        try:
            threads.append(memory.pointer(block + layout.offset("Thread")))
        except Unreadable:
            continue
    return _Queued(address, tuple(threads))


def _chain(memory: Memory, names: KernelNames, first: int) -> list[_Queued]:
    # Circular or ended by null: both have been assumed by readers, so both are accepted.
    layout = names.layout("_KWAIT_CHAIN_ENTRY")
    if layout is None or not layout.has("Event"):
        return []
    event_at = layout.offset("Event")
    thread_at = layout.offset("Thread") if layout.has("Thread") else None
    queue: list[_Queued] = []
    seen: set[int] = set()
    address = first
    while memory.is_kernel(address) and address not in seen and len(queue) < MAX_WAITERS:
        seen.add(address)
        event = address + event_at
        try:
            if not _is_event(memory, event):
                break
            queue.append(
                _Queued(event, (memory.pointer(address + thread_at),))
                if thread_at
                else _on_object(memory, names, event)
            )
            address = memory.pointer(address) & _POINTER_MASK[memory.pointer_size]
        except Unreadable:
            break
    return queue


def _is_event(memory: Memory, address: int) -> bool:
    found = read_dispatcher(memory, address)
    return found is not None and found.kind == "event"


def assign_by_stack(
    memory: Memory, resources: Sequence[Resource], waiters: Iterable[Thread]
) -> dict[VirtAddr, tuple[Held, ...]]:
    """Waiters, by resource, that only the resource's address on their stacks gives away.

    ``waiters`` are threads in WrResource that no structure leads to, ``resources`` those that count more waiters
    than were found.
    """
    wanted = {resource.address for resource in resources}
    found: dict[VirtAddr, tuple[Held, ...]] = {}
    for thread in waiters:
        address = _on_stack(memory, thread, wanted)
        if address is not None:
            found[address] = (*found.get(address, ()), Held(thread.address, Trust.SCAN))
    return found


def _on_stack(memory: Memory, thread: Thread, wanted: set[VirtAddr]) -> VirtAddr | None:
    # The innermost of the wanted addresses in the words above the stack pointer.
    if not thread.kernel_stack or not thread.stack_resident:
        return None
    size = _STACK_WINDOW
    if thread.stack_base and thread.stack_base > thread.kernel_stack:
        size = min(size, thread.stack_base - thread.kernel_stack)
    data = memory.read_available(thread.kernel_stack, size)
    for value in memory.words(data):
        if value in wanted:
            return VirtAddr(value)
    return None
