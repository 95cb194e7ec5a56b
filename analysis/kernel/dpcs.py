"""Deferred procedure calls: the one a processor was in when the machine stopped, and those that waited behind it.

KDPC is declared in wdm.h; where a processor keeps the present one and its queues comes from this kernel's own KPRCB:
two KDPC_DATA, the second for threaded calls. Windows 7 links queued calls both ways (DpcListHead), later ones only
forward (DpcList), the last one with a null pointer.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from analysis.address import VirtAddr
from analysis.errors import MissingLayout, Unreadable
from analysis.kernel.lists import walk_list
from analysis.kernel.names import KernelNames
from analysis.kernel.processors import MAX_PROCESSORS
from analysis.memory.reader import Memory
from analysis.symbols.layout import Struct

DPC_TYPES = (0x13, 0x1A)  # KOBJECTS: DpcObject, ThreadedDpcObject
DPC_LINK, DEFERRED_ROUTINE = 0x8, 0x18  # KDPC.DpcListEntry, KDPC.DeferredRoutine
DPC_STACK_SIZE = 0x8000  # bytes below KPRCB.DpcStack that belong to it, at most
MAX_QUEUED = 4096  # of one queue; hundreds are already a sick machine


@dataclass(frozen=True, slots=True)
class DpcState:
    """One processor's deferred calls.

    ``inside`` says whether it is in one; ``active`` is its routine, which Windows 7 does not record, ``ticks`` for how
    many clock ticks, as the processor counts itself; ``queued`` the routines that wait, in their order, threaded ones
    last; ``expected`` how many its own counts say.
    """

    processor: int
    inside: bool
    active: VirtAddr | None
    ticks: int | None
    queued: tuple[VirtAddr, ...]
    expected: int


def read_dpcs(memory: Memory, names: KernelNames, count: int) -> tuple[DpcState, ...]:
    """The deferred calls of the first ``count`` processors; those that have none, or cannot be read, are left out."""
    block = names.address("KiProcessorBlock")
    if block is None:
        return ()
    found = []
    for number in range(min(count, MAX_PROCESSORS)):
        try:
            address = memory.pointer(block + 8 * number)
            prcb = names.struct(memory, "_KPRCB", address)
            queues = tuple(_queues(memory, names, prcb))
        except (Unreadable, MissingLayout, KeyError):
            continue
        active, inside = active_routine(memory, names, address), _is_inside(prcb)
        if inside or any(queued or depth for queued, depth in queues):
            queued = tuple(routine for routines, _ in queues for routine in routines)
            expected = sum(depth for _, depth in queues)
            found.append(DpcState(number, inside, active, _ticks(prcb) if inside else None, queued, expected))
    return tuple(found)


def _queues(memory: Memory, names: KernelNames, prcb: Struct) -> Iterator[tuple[tuple[VirtAddr, ...], int]]:
    # The routines and the depth of each queue. A depth that no queue has is damage: it is told as 0.
    first = prcb.address_of("DpcData")
    size = names.struct(memory, "_KDPC_DATA", first).layout.size
    for at in (first, first + size):
        data = names.struct(memory, "_KDPC_DATA", at)
        depth = data.u32("DpcQueueDepth")
        if data.has("DpcListHead"):
            links = walk_list(memory, data.address_of("DpcListHead"), MAX_QUEUED).entries
        else:
            links = tuple(_chain(memory, data.address_of("DpcList")))
        routines = (_routine(memory, link - DPC_LINK) for link in links)
        yield tuple(one for one in routines if one is not None), depth if depth <= MAX_QUEUED else 0


def _chain(memory: Memory, head: int) -> Iterator[VirtAddr]:
    # SINGLE_LIST_ENTRY (wdm.h): no way back, so a link that leads to one seen before ends the walk.
    seen: set[int] = set()
    at = head
    while len(seen) < MAX_QUEUED:
        try:
            at = memory.pointer(at)
        except Unreadable:
            return
        if not memory.is_kernel(at) or at % 8 or at in seen:
            return
        seen.add(at)
        yield VirtAddr(at)


def _routine(memory: Memory, dpc: int) -> VirtAddr | None:
    try:
        routine = memory.pointer(dpc + DEFERRED_ROUTINE) if memory.u8(dpc) in DPC_TYPES else 0
    except Unreadable:
        return None
    return VirtAddr(routine) if memory.is_kernel(routine) else None


def _is_inside(prcb: Struct) -> bool:
    try:
        return prcb.has("DpcRoutineActive") and bool(prcb.u8("DpcRoutineActive"))
    except Unreadable:
        return False


def _ticks(prcb: Struct) -> int | None:
    try:
        return prcb.u32("DpcTimeCount") if prcb.has("DpcTimeCount") else None
    except Unreadable:
        return None


def stopped_processor(memory: Memory, names: KernelNames, count: int, stack_pointer: int) -> VirtAddr | None:
    """The KPRCB whose present thread's stack, or whose stack for DPCs, holds the saved stack pointer."""
    block = names.address("KiProcessorBlock")
    if block is None:
        return None
    for number in range(min(count, MAX_PROCESSORS)):
        try:
            address = memory.pointer(block + 8 * number)
            prcb = names.struct(memory, "_KPRCB", address)
            thread = names.struct(memory, "_KTHREAD", prcb.pointer("CurrentThread"))
            if thread.pointer("StackLimit") <= stack_pointer < thread.pointer("StackBase"):
                return VirtAddr(address)
            top = prcb.pointer("DpcStack")
            if top - DPC_STACK_SIZE <= stack_pointer < top:
                return VirtAddr(address)
        except (Unreadable, MissingLayout, KeyError):
            continue
    return None


def active_routine(memory: Memory, names: KernelNames, prcb: int) -> VirtAddr | None:
    """The routine of the DPC that the processor is in; None where it is in none or it cannot be told."""
    try:
        block = names.struct(memory, "_KPRCB", prcb)
        if not block.u8("DpcRoutineActive"):
            return None
    except (Unreadable, MissingLayout, KeyError):
        return None
    return _recorded(block) or _of_active_dpc(memory, names, block)


def _recorded(block: Struct) -> VirtAddr | None:
    # Windows 10 and later write the routine down before they call it.
    try:
        routine = block.pointer("CurrentDpcRoutine") if block.has("CurrentDpcRoutine") else 0
    except Unreadable:
        return None
    return VirtAddr(routine) if block.memory.is_kernel(routine) else None


def _of_active_dpc(memory: Memory, names: KernelNames, block: Struct) -> VirtAddr | None:
    try:
        data = names.struct(memory, "_KDPC_DATA", block.address_of("DpcData"))
        dpc = data.pointer("ActiveDpc") if data.has("ActiveDpc") else 0
    except (Unreadable, MissingLayout, KeyError):
        return None
    return _routine(memory, dpc) if memory.is_kernel(dpc) else None
