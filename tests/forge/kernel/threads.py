"""Threads: ETHREAD on both lists of its process, a kernel stack, and what it waits for."""

import struct
from collections.abc import Sequence

from tests.forge.kernel.objects import THREAD, dispatcher, executive_object
from tests.forge.kernel.stacks import StackWriter, new_stack, page_out_stack
from tests.forge.kernel.state import (
    READY,
    RUNNING,
    TERMINATED,
    TICK_100NS,
    UPTIME_TICKS,
    USER_REQUEST,
    WAITING,
    Frame,
    Kernel,
    Process,
    Thread,
)

WAIT_ALL, WAIT_ANY = 0, 1
USER_RIP = 0x7FFE_1A2B_0000


def add_thread(
    kernel: Kernel,
    process: Process,
    frames: Sequence[Frame],
    *,
    start: int = 0,
    tid: int | None = None,
    priority: int = 9,
) -> Thread:
    """A thread that has given up its processor inside ``frames`` (innermost first, without the ends of the stack).

    What it waits for is said by ``wait``.
    """
    thread = _new_thread(kernel, process, tid, priority)
    stack = StackWriter(kernel, new_stack(kernel))
    if process.is_system:
        stack.bottom_system()
        stack.call(Frame(kernel.nt, "PspSystemThreadStartup"))
    else:
        stack.bottom_user(
            USER_RIP + kernel.rng.randrange(0, 0x80000, 4), 0x2B_0000_0000 + kernel.rng.randrange(0, 1 << 30, 16)
        )
    for frame in reversed(frames):
        stack.call(frame)
    stack.switch_out(thread)
    stack.finish(thread)
    outermost = frames[-1]
    fallback = outermost.image.base + outermost.image.function(outermost.function).rva
    thread.start = start or (fallback if process.is_system else USER_RIP + 0x1000)
    _write_stack_fields(kernel, thread, stack.trap_frame)
    _link(kernel, thread)
    return thread


def add_running(
    kernel: Kernel, process: Process, stack: StackWriter, *, start: int = 0, listed: bool = True, tid: int | None = None
) -> Thread:
    """The thread a processor is running: its stack is what ``stack`` wrote."""
    thread = _new_thread(kernel, process, tid, 8)
    thread.state, thread.listed = RUNNING, listed
    stack.finish(thread)
    thread.kernel_stack = stack.initial - 0x80
    thread.start = start or USER_RIP
    kernel.machine.put("_KTHREAD", thread.address, State=RUNNING)
    _write_stack_fields(kernel, thread, stack.trap_frame)
    if listed:
        _link(kernel, thread)
    else:
        kernel.others.append(thread)
    return thread


def wait(
    kernel: Kernel,
    thread: Thread,
    objects: Sequence[int],
    reason: int,
    seconds: float,
    *,
    all_of: bool = False,
    mode: int = 0,
) -> None:
    """Let the thread wait for dispatcher objects since ``seconds`` ago: wait blocks in it, linked to each object."""
    machine, layouts = kernel.machine, kernel.machine.layouts
    size = layouts.size("_KWAIT_BLOCK")
    first = machine.at("_KTHREAD", thread.address, "WaitBlock")
    if len(objects) > 3:  # more than the array inside the thread holds
        first = machine.pool(size * len(objects), "Wait", "small")
    old = machine.has("_KWAIT_BLOCK", "NextWaitBlock")
    for index, target in enumerate(objects):
        block = first + index * size
        machine.put(
            "_KWAIT_BLOCK",
            block,
            Thread=thread.address,
            Object=target,
            WaitKey=index,
            WaitType=WAIT_ALL if all_of else WAIT_ANY,
        )
        if old:
            following = first + (index + 1) % len(objects) * size
            machine.put("_KWAIT_BLOCK", block, NextWaitBlock=following)
        else:
            machine.put("_KWAIT_BLOCK", block, BlockState=4)
        machine.list_append(machine.at("_DISPATCHER_HEADER", target, "WaitListHead"), block)
    machine.put("_KTHREAD", thread.address, WaitBlockList=first if objects else 0)
    if machine.has("_KTHREAD", "WaitBlockCount"):
        machine.put("_KTHREAD", thread.address, WaitBlockCount=len(objects))
    ticks = round(seconds * 10_000_000 / TICK_100NS)
    thread.reason, thread.ticks, thread.waits = reason, ticks, list(objects)
    machine.put(
        "_KTHREAD",
        thread.address,
        State=WAITING,
        WaitReason=reason,
        WaitMode=mode,
        WaitTime=UPTIME_TICKS - ticks & 0xFFFFFFFF,
    )


def make_ready(kernel: Kernel, thread: Thread) -> None:
    """The thread waits for nothing but a processor."""
    thread.state, thread.ticks, thread.waits = READY, None, []
    kernel.machine.put("_KTHREAD", thread.address, State=READY, WaitBlockList=0)


def terminate(kernel: Kernel, thread: Thread) -> None:
    """End a thread: signaled, off its process's lists, but still in memory because something points to it."""
    machine = kernel.machine
    thread.state, thread.listed = TERMINATED, False
    machine.put("_KTHREAD", thread.address, State=TERMINATED)
    machine.put("_ETHREAD", thread.address, CrossThreadFlags=1)
    machine.put("_DISPATCHER_HEADER", thread.address, SignalState=1)
    for structure in ("_KTHREAD", "_ETHREAD"):
        entry = machine.at(structure, thread.address, "ThreadListEntry")
        after, before = struct.unpack("<QQ", machine.read(entry, 16))
        machine.u64(before, after)
        machine.u64(after + 8, before)
    thread.process.threads.remove(thread)
    kernel.others.append(thread)
    _count(kernel, thread.process)


def swap_out(kernel: Kernel, thread: Thread) -> None:
    """The thread's kernel stack went to the page file."""
    thread.resident = False
    kernel.machine.put("_KTHREAD", thread.address, KernelStackResident=0)
    page_out_stack(kernel, thread.stack_base)


def _new_thread(kernel: Kernel, process: Process, tid: int | None, priority: int) -> Thread:
    machine = kernel.machine
    address = executive_object(kernel, "Thread", machine.layouts.size("_ETHREAD"), "Thre")
    thread = Thread(address, process, kernel.new_id() if tid is None else tid)
    dispatcher(kernel, address, THREAD, machine.layouts.size("_KTHREAD"))
    machine.list_head(machine.at("_KTHREAD", address, "MutantListHead"))
    machine.list_head(machine.at("_ETHREAD", address, "IrpList"))
    machine.put(
        "_KTHREAD",
        address,
        ApcState__Process=process.address,
        Process=process.address,
        Priority=priority,
        State=WAITING,
        WaitReason=USER_REQUEST,
        Teb=0 if process.is_system else 0x7FF1_0000_0000 + thread.tid * 0x1000,
        PreviousMode=int(not process.is_system),
        ContextSwitches=kernel.rng.randrange(10, 90_000),
        KernelStackResident=1,
    )
    if process.is_system:
        machine.put("_KTHREAD", address, SystemThread=1)
    machine.put("_ETHREAD", address, Cid=process.pid, Cid__UniqueThread=thread.tid, CreateTime=0x01D8_5F00_0000_0000)
    if machine.has("_ETHREAD", "OwnerEntryListHead"):
        machine.list_head(machine.at("_ETHREAD", address, "OwnerEntryListHead"))
    return thread


def _write_stack_fields(kernel: Kernel, thread: Thread, trap_frame: int) -> None:
    kernel.machine.put(
        "_KTHREAD",
        thread.address,
        InitialStack=thread.initial_stack,
        StackBase=thread.stack_base,
        StackLimit=thread.stack_base - 0x6000,
        KernelStack=thread.kernel_stack,
        TrapFrame=trap_frame,
    )
    kernel.machine.put("_ETHREAD", thread.address, StartAddress=thread.start, Win32StartAddress=thread.start)
    kernel.machine.write(thread.initial_stack, struct.pack("<QQ", thread.stack_base, thread.stack_base - 0x6000))


def _link(kernel: Kernel, thread: Thread) -> None:
    machine, process = kernel.machine, thread.process
    for owner, structure in (("_KPROCESS", "_KTHREAD"), ("_EPROCESS", "_ETHREAD")):
        head = machine.at(owner, process.address, "ThreadListHead")
        machine.list_append(head, machine.at(structure, thread.address, "ThreadListEntry"))
    process.threads.append(thread)
    _count(kernel, process)


def _count(kernel: Kernel, process: Process) -> None:
    kernel.machine.put("_EPROCESS", process.address, ActiveThreads=len(process.threads))
