"""Deferred procedure calls: a processor inside one, and those that wait behind it."""

import struct
from collections.abc import Sequence

from tests.forge.kernel.state import Kernel

DPC_OBJECT, THREADED_DPC_OBJECT = 0x13, 0x1A


def add_dpc(kernel: Kernel, routine: int, *, threaded: bool = False) -> int:
    """A KDPC that nothing has queued."""
    dpc = kernel.machine.pool(kernel.machine.layouts.size("_KDPC"), "KDPC")
    kernel.machine.put("_KDPC", dpc, Type=THREADED_DPC_OBJECT if threaded else DPC_OBJECT, DeferredRoutine=routine)
    return dpc


def queue_dpcs(kernel: Kernel, processor: int, routines: Sequence[int], *, threaded: bool = False) -> None:
    """Queue a call of each routine on a processor, in that order."""
    machine, prcb = kernel.machine, kernel.processors[processor]
    data = machine.at("_KPRCB", prcb, "DpcData") + (machine.layouts.size("_KDPC_DATA") if threaded else 0)
    links = [machine.at("_KDPC", add_dpc(kernel, routine, threaded=threaded), "DpcListEntry") for routine in routines]
    machine.put("_KDPC_DATA", data, DpcQueueDepth=len(links))
    if machine.has("_KDPC_DATA", "DpcListHead"):
        head = machine.at("_KDPC_DATA", data, "DpcListHead")
        machine.list_head(head)
        for link in links:
            machine.list_append(head, link)
        return
    at = machine.at("_KDPC_DATA", data, "DpcList")
    machine.write(at + 8, struct.pack("<Q", links[-1]))
    for link in links:
        machine.u64(at, link)
        at = link


def enter_dpc(kernel: Kernel, processor: int, routine: int, ticks: int) -> None:
    """Let a processor be inside a deferred call, for so many clock ticks."""
    machine, prcb = kernel.machine, kernel.processors[processor]
    machine.put("_KPRCB", prcb, DpcRoutineActive=1, DpcTimeCount=ticks)
    if machine.has("_KPRCB", "CurrentDpcRoutine"):
        machine.put("_KPRCB", prcb, CurrentDpcRoutine=routine)
    elif machine.has("_KDPC_DATA", "ActiveDpc"):
        dpc = add_dpc(kernel, routine)
        machine.put("_KDPC_DATA", machine.at("_KPRCB", prcb, "DpcData"), ActiveDpc=dpc)
