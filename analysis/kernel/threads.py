"""Threads: what they do, what they wait for and since when.

A process lists its threads twice, in EPROCESS.ThreadListHead and in KPROCESS.ThreadListHead. Both are walked: they
must agree, and where a page of one is missing the other has the thread. KTHREAD is the first member of ETHREAD.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from analysis.address import VirtAddr
from analysis.errors import MissingLayout, Unreadable
from analysis.kernel.clock import Clock
from analysis.kernel.dispatcher import is_thread
from analysis.kernel.documented import offset_in
from analysis.kernel.facts import Process, Thread, WaitObject
from analysis.kernel.lists import walk_list
from analysis.kernel.names import KernelNames, require
from analysis.kernel.wait_blocks import read_waits
from analysis.limits import MAX_IRP_STACK, MAX_THREADS_IN_PROCESS
from analysis.memory.reader import Memory
from analysis.memory.snapshot import Snapshot
from analysis.symbols.layout import Layout, Struct

# KTHREAD_STATE (public in ntddk.h's comments and in every debugger).
STATES = (
    "Initialized",
    "Ready",
    "Running",
    "Standby",
    "Terminated",
    "Waiting",
    "Transition",
    "DeferredReady",
    "GateWait",
    "WaitingForProcessInSwap",
)
WAITING = "Waiting"
TERMINATED = "Terminated"
# KWAIT_REASON of the public symbols: builds only ever added to its end (37 and 38 in Windows 8, 39 in 10, 40 in 11).
# 14 was WrEventPair in Windows 7.
WAIT_REASONS = (
    "Executive",
    "FreePage",
    "PageIn",
    "PoolAllocation",
    "DelayExecution",
    "Suspended",
    "UserRequest",
    "WrExecutive",
    "WrFreePage",
    "WrPageIn",
    "WrPoolAllocation",
    "WrDelayExecution",
    "WrSuspended",
    "WrUserRequest",
    "WrSpare0",
    "WrQueue",
    "WrLpcReceive",
    "WrLpcReply",
    "WrVirtualMemory",
    "WrPageOut",
    "WrRendezvous",
    "WrKeyedEvent",
    "WrTerminated",
    "WrProcessInSwap",
    "WrCpuRateControl",
    "WrCalloutStack",
    "WrKernel",
    "WrResource",
    "WrPushLock",
    "WrMutex",
    "WrQuantumEnd",
    "WrDispatchInt",
    "WrPreempted",
    "WrYieldExecution",
    "WrFastMutex",
    "WrGuardedMutex",
    "WrRundown",
    "WrAlertByThreadId",
    "WrDeferredPreempt",
    "WrPhysicalFault",
    "WrIoRing",
)
_SYSTEM_PID = 4
_MAX_SIZE = 0x2000  # bytes read at once; an ETHREAD has some 0x900
_MAX_IRPS = MAX_IRP_STACK * 64
_POINTER_MARKS = 7
_USER_MODE = 1  # KPROCESSOR_MODE, wdm.h


@dataclass(frozen=True, slots=True)
class ThreadReader:
    """Reads single threads. ``running`` says on which processor a thread runs now."""

    memory: Memory
    thread: Layout  # _ETHREAD
    core: Layout  # _KTHREAD
    block: Layout | None  # _KWAIT_BLOCK
    clock: Clock | None = None
    running: Mapping[VirtAddr, int] = field(default_factory=dict)
    irp_link: int | None = None  # where an IRP has its ThreadListEntry

    def read(self, address: int, process: Process | None) -> Thread:
        """The thread whose ETHREAD is at ``address``. Raises: Unreadable: even its state was not saved."""
        memory = Snapshot(self.memory, address, min(max(self.thread.size, self.core.size), _MAX_SIZE))
        core = Struct(memory, self.core, address)
        outer = Struct(memory, self.thread, address)
        state = _word(STATES, core.u8("State"))
        waits, all_of = self._waits(core) if state == WAITING else ((), False)
        return Thread(
            VirtAddr(address),
            VirtAddr(process.address if process else (_pointer(core, "Process") or 0)),
            process.name if process else "",
            process.pid if process else (_number(outer, "Cid") or 0),
            _number(outer, "Cid.UniqueThread") or 0,
            state,
            wait_reason=_wait_reason(core) if state == WAITING else None,
            wait_seconds=self._wait_seconds(core) if state == WAITING else None,
            waits=waits,
            all_of=all_of,
            in_user_mode=core.has("WaitMode") and core.u8("WaitMode") == _USER_MODE,
            start=_start(outer),
            kernel_stack=_pointer(core, "KernelStack"),
            initial_stack=_pointer(core, "InitialStack"),
            stack_base=_pointer(core, "StackBase"),
            stack_limit=_pointer(core, "StackLimit"),
            stack_resident=bool(core.bits("KernelStackResident")) if core.has("KernelStackResident") else True,
            trap_frame=_pointer(core, "TrapFrame"),
            teb=_pointer(core, "Teb"),
            priority=core.u8("Priority") if core.has("Priority") else None,
            base_priority=core.u8("BasePriority") if core.has("BasePriority") else None,
            is_system=_is_system(core, process),
            terminated=state == TERMINATED,
            exiting=state != TERMINATED and _is_exiting(outer),
            irps=_irps(outer, self.irp_link),
            name=_name(outer),
            processor=self.running.get(VirtAddr(address)),
            queue=_pointer(core, "Queue"),
            is_worker=bool(outer.bits("ActiveExWorker")) if outer.has("ActiveExWorker") else False,
            alpc_message=_alpc_message(outer),
        )

    def process_of(self, address: int) -> VirtAddr | None:
        """The address of the process that the thread at ``address`` belongs to; None where it cannot be read."""
        core = Struct(self.memory, self.core, address)
        try:
            return _pointer(core, "Process") or _pointer(core, "ApcState.Process")
        except Unreadable:
            return None

    def _waits(self, core: Struct) -> tuple[tuple[WaitObject, ...], bool]:
        if self.block is None or not core.has("WaitBlockList"):
            return (), False
        try:
            return read_waits(core, self.block)
        except Unreadable:
            return (), False

    def _wait_seconds(self, core: Struct) -> float | None:
        if self.clock is None or not core.has("WaitTime"):
            return None
        return self.clock.seconds_since(core.u32("WaitTime"))


def thread_reader(
    memory: Memory, names: KernelNames, clock: Clock | None = None, running: Mapping[VirtAddr, int] | None = None
) -> ThreadReader:
    """A reader for this kernel's threads. Raises: MissingLayout: its ETHREAD or KTHREAD is not known."""
    return ThreadReader(
        memory,
        require(names, "_ETHREAD"),
        require(names, "_KTHREAD", "State", "WaitReason"),
        _block_layout(names),
        clock,
        running or {},
        _irp_link(memory, names),
    )


def _irp_link(memory: Memory, names: KernelNames) -> int | None:
    try:
        return offset_in(names, memory, "_IRP", "ThreadListEntry")
    except MissingLayout:
        return None


def _block_layout(names: KernelNames) -> Layout | None:
    try:
        return require(names, "_KWAIT_BLOCK", "Thread", "Object", "WaitType")
    except MissingLayout:
        return None  # threads without their waits are better than none


def read_threads(
    reader: ThreadReader, names: KernelNames, processes: Iterable[Process]
) -> tuple[dict[VirtAddr, Thread], tuple[str, ...]]:
    """The threads of these processes in the order of their lists, keyed by address, and notes on what is missing."""
    found: dict[VirtAddr, Thread] = {}
    notes: list[str] = []
    for process in processes:
        addresses, problems = _threads_of(reader, names, process)
        notes += problems
        for address in addresses:
            if not is_thread(reader.memory, address):
                notes.append(f"threads: {address:#x}, listed by {_label(process)}, is no thread object")
                continue
            try:
                found[address] = reader.read(address, process)
            except Unreadable as gap:
                notes.append(f"threads: {address:#x} of {_label(process)} cannot be read: {gap}")
    return found, tuple(notes)


def _threads_of(reader: ThreadReader, names: KernelNames, process: Process) -> tuple[list[VirtAddr], list[str]]:
    # The union of both lists, the executive's order first; a note where one of them knows less.
    lists = []
    problems = []
    for outer, inner in ((names.layout("_EPROCESS"), reader.thread), (names.layout("_KPROCESS"), reader.core)):
        if outer is None or not outer.has("ThreadListHead") or not inner.has("ThreadListEntry"):
            continue
        walk = walk_list(reader.memory, process.address + outer.offset("ThreadListHead"), MAX_THREADS_IN_PROCESS)
        lists.append(tuple(walk.records(inner.offset("ThreadListEntry"))))
        if walk.problem:
            problems.append(f"threads of {_label(process)}: {walk.problem}")
    union = list(dict.fromkeys(address for one in lists for address in one))
    if any(len(one) != len(union) for one in lists) and not problems:
        problems.append(f"threads of {_label(process)}: its two lists disagree ({' and '.join(map(_size, lists))})")
    return union, problems


def _size(entries: tuple[VirtAddr, ...]) -> str:
    return str(len(entries))


def _label(process: Process) -> str:
    return f"{process.name or 'a process'} ({process.pid})"


def _word(words: tuple[str, ...], value: int) -> str:
    return words[value] if value < len(words) else f"unknown ({value})"


def _wait_reason(core: Struct) -> str | None:
    return _word(WAIT_REASONS, core.u8("WaitReason")) if core.has("WaitReason") else None


def _pointer(struct: Struct, name: str) -> VirtAddr | None:
    return VirtAddr(struct.pointer(name)) or None if struct.has(name) else None


# Of Cid, a CLIENT_ID: the process' number is its first member, the thread's its second.
def _number(struct: Struct, name: str) -> int | None:
    return struct.pointer(name) if struct.has(name) else None


def _start(thread: Struct) -> VirtAddr | None:
    # A user thread's StartAddress is ntdll's thunk for all of them; the function it was made for is the other one.
    start = _pointer(thread, "StartAddress")
    if start is None or thread.memory.is_kernel(start):
        return start
    return _pointer(thread, "Win32StartAddress") or start


def _is_system(core: Struct, process: Process | None) -> bool:
    if core.has("SystemThread"):
        return bool(core.bits("SystemThread"))
    return process is not None and process.pid == _SYSTEM_PID


def _is_exiting(thread: Struct) -> bool:
    # Bit 0 of CrossThreadFlags is set when a thread is told to end; it may still hang in the kernel for long.
    return thread.has("CrossThreadFlags") and bool(thread.u32("CrossThreadFlags") & 1)


def _alpc_message(thread: Struct) -> VirtAddr | None:
    # The low bits of the pointer are marks; while a thread receives, other things lie in its place.
    message = (_pointer(thread, "AlpcMessage") or 0) & ~_POINTER_MARKS
    return VirtAddr(message) if thread.memory.is_kernel(message) else None


def _irps(thread: Struct, link: int | None) -> tuple[VirtAddr, ...]:
    if link is None or not thread.has("IrpList"):
        return ()
    walk = walk_list(thread.memory, thread.address_of("IrpList"), _MAX_IRPS)
    return tuple(walk.records(link))


def _name(thread: Struct) -> str | None:
    # SetThreadDescription, Windows 10 1607 and later: a pointer to a UNICODE_STRING in paged pool.
    pointer = _pointer(thread, "ThreadName")
    if pointer is None or not thread.memory.is_kernel(pointer):
        return None
    try:
        return thread.memory.unicode_string(pointer) or None
    except Unreadable:
        return None
