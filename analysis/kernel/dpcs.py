"""Deferred procedure calls: the one a processor was in when the machine stopped.

KDPC is declared in wdm.h; where a processor keeps the present one comes from this kernel's own KPRCB.
"""

from analysis.address import VirtAddr, is_kernel
from analysis.errors import MissingLayout, Unreadable
from analysis.kernel.names import KernelNames
from analysis.kernel.processors import MAX_PROCESSORS
from analysis.memory.reader import Memory
from analysis.symbols.layout import Struct

DPC_TYPES = (0x13, 0x1A)  # KOBJECTS: DpcObject, ThreadedDpcObject
DEFERRED_ROUTINE = 0x18
DPC_STACK_SIZE = 0x8000  # bytes below KPRCB.DpcStack that belong to it, at most


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
    return VirtAddr(routine) if is_kernel(routine) else None


def _of_active_dpc(memory: Memory, names: KernelNames, block: Struct) -> VirtAddr | None:
    try:
        data = names.struct(memory, "_KDPC_DATA", block.address_of("DpcData"))
        dpc = data.pointer("ActiveDpc") if data.has("ActiveDpc") else 0
        if not is_kernel(dpc) or memory.u8(dpc) not in DPC_TYPES:
            return None
        routine = memory.pointer(dpc + DEFERRED_ROUTINE)
    except (Unreadable, MissingLayout, KeyError):
        return None
    return VirtAddr(routine) if is_kernel(routine) else None
