"""A small invented kernel in memory: processes, threads and resources at offsets that no Windows has."""

import struct

from analysis.address import VirtAddr
from analysis.kernel.clock import TICK_COUNT, Clock
from analysis.kernel.facts import Thread
from analysis.kernel.threads import ThreadReader, thread_reader
from analysis.symbols.layout import Field, Layout
from tests.kernel.invented import Bytes, Names, layout

POOL = 0xFFFF_C000_0000_0000
EVENT, NOTIFICATION, MUTANT, PROCESS, SEMAPHORE, THREAD = 1, 0, 2, 3, 5, 6
RUNNING, TERMINATED, WAITING = 2, 4, 5
EXECUTIVE, USER_REQUEST, WR_RESOURCE, WR_FAST_MUTEX = 0, 6, 27, 34
TICKS, INCREMENT = 1_000_000, 156_250
CLOCK = Clock(TICKS, INCREMENT)

_COMMON: dict[str, Layout] = {
    "_EPROCESS": layout(
        "_EPROCESS",
        0x300,
        UniqueProcessId=0x100,
        ActiveProcessLinks=0x110,
        ImageFileName=0x120,
        ThreadListHead=0x140,
        ActiveThreads=0x150,
        InheritedFromUniqueProcessId=0x158,
    ),
    "_KPROCESS": layout("_KPROCESS", 0x80, DirectoryTableBase=0x20, ThreadListHead=0x30),
    "_KTHREAD": layout(
        "_KTHREAD",
        0x280,
        InitialStack=0x20,
        StackLimit=0x28,
        StackBase=0x30,
        KernelStack=0x38,
        Process=0x48,
        WaitBlockList=0x50,
        WaitBlockCount=0x58,
        State=0x59,
        WaitReason=0x5A,
        Priority=0x5B,
        WaitTime=0x5C,
        Flags=0x60,
        KernelStackResident=Field(0x60, 4, 3, 1),
        SystemThread=Field(0x60, 4, 7, 1),
        ThreadListEntry=0x68,
        Timer=0x80,
        WaitBlock=0xC0,
    ),
    "_ETHREAD": layout(
        "_ETHREAD",
        0x400,
        Cid=0x290,
        Cid__UniqueThread=0x298,
        StartAddress=0x2A0,
        Win32StartAddress=0x2A8,
        IrpList=0x2B0,
        ThreadListEntry=0x2C0,
        ThreadName=0x2D0,
        CrossThreadFlags=0x2D8,
    ),
    "_ERESOURCE": layout(
        "_ERESOURCE",
        0x70,
        SystemResourcesList=0,
        OwnerTable=0x18,
        ActiveCount=0x20,
        Flag=0x22,
        SharedWaiters=0x28,
        ExclusiveWaiters=0x30,
        OwnerEntry=0x38,
        ContentionCount=0x50,
        NumberOfSharedWaiters=0x58,
        NumberOfExclusiveWaiters=0x60,
    ),
    "_OWNER_ENTRY": layout("_OWNER_ENTRY", 0x10, OwnerThread=0, TableSize=Field(8, 4), OwnerCount=Field(8, 4, 3, 29)),
    "_KMUTANT": layout("_KMUTANT", 0x38, OwnerThread=0x28, Abandoned=0x30),
}
NEW_BLOCK = layout("_KWAIT_BLOCK", 0x30, WaitListEntry=0, WaitType=0x10, Thread=0x18, Object=0x20)
OLD_BLOCK = layout("_KWAIT_BLOCK", 0x30, WaitListEntry=0, Thread=0x10, Object=0x18, NextWaitBlock=0x20, WaitType=0x2A)
CHAIN_BY_EVENT = layout("_KWAIT_CHAIN_ENTRY", 0x20, ListEntry=0, Event=8)
CHAIN_BY_THREAD = layout("_KWAIT_CHAIN_ENTRY", 0x30, ListEntry=0, Thread=0x10, Event=0x18)
FAST = {
    "_FAST_ERESOURCE_INTERNAL": layout("_FAST_ERESOURCE_INTERNAL", 0x70, OwnerEntryListHead=0x38),
    "_FAST_OWNER_ENTRY_INTERNAL": layout(
        "_FAST_OWNER_ENTRY_INTERNAL",
        0x48,
        ListEntry=0,
        CallerExclusive=Field(0x11, 1, 2, 1),
        IsWaiting=0x13,
        LockAddress=0x18,
        ThreadAddress=0x20,
    ),
}


class Machine:
    """Builds the objects; every ``add_`` returns an address."""

    def __init__(self, *, old_blocks: bool = False, chain: Layout | None = None, fast: bool = False) -> None:
        self.memory = Bytes()
        layouts = dict(_COMMON)
        layouts["_KWAIT_BLOCK"] = OLD_BLOCK if old_blocks else NEW_BLOCK
        if chain is not None:
            layouts["_KWAIT_CHAIN_ENTRY"] = chain
        if fast:
            layouts |= FAST
        self.names = Names(layouts, {"ExpSystemResourcesList": POOL - 0x1000, "PsActiveProcessHead": POOL - 0x2000})
        self._next = POOL
        self._resources: list[int] = []
        self._processes: dict[int, list[int]] = {}
        self._queues: dict[int, list[int]] = {}
        self.memory.put_u64(TICK_COUNT[8], TICKS)

    def at(self, structure: str, address: int, member: str) -> int:
        """The address of a member."""
        return address + self.names.layouts[structure].offset(member)

    def room(self, size: int) -> int:
        """Zeroed memory."""
        address, self._next = self._next, self._next + (size + 0x3F & ~0xF)
        self.memory.put(address, bytes(size))
        return address

    def add_dispatcher(self, kind: int, address: int | None = None, signal: int = 0) -> int:
        """A dispatcher header."""
        where = self.room(0x20) if address is None else address
        self.memory.put(where, struct.pack("<BBBBi", kind, 0, 0, 0, signal))
        self.memory.link(where + 8)
        return where

    def add_process(self, name: str, pid: int) -> int:
        """A process on the active list."""
        address = self.room(0x300)
        self.add_dispatcher(PROCESS, address)
        self.memory.put_u64(self.at("_EPROCESS", address, "UniqueProcessId"), pid)
        self.memory.put(self.at("_EPROCESS", address, "ImageFileName"), name.encode())
        self._processes[address] = []
        self._link()
        return address

    def add_thread(self, process: int, tid: int, state: int = RUNNING, *, listed: bool = True) -> int:
        """A thread of a process."""
        address = self.room(0x600)
        memory = self.memory
        self.add_dispatcher(THREAD, address)
        memory.put_u64(self.at("_KTHREAD", address, "Process"), process)
        memory.put_u8(self.at("_KTHREAD", address, "State"), state)
        memory.put_u32(self.at("_KTHREAD", address, "Flags"), 1 << 3)
        memory.put_u64(self.at("_ETHREAD", address, "Cid__UniqueThread".replace("__", ".")), tid)
        memory.link(self.at("_ETHREAD", address, "IrpList"))
        if listed:
            self._processes[process].append(address)
            self._link()
        return address

    def _link(self) -> None:
        links = [self.at("_EPROCESS", process, "ActiveProcessLinks") for process in self._processes]
        self.memory.link(self.names.symbols["PsActiveProcessHead"], *links)
        for process, threads in self._processes.items():
            for outer, inner in (("_EPROCESS", "_ETHREAD"), ("_KPROCESS", "_KTHREAD")):
                entries = [self.at(inner, thread, "ThreadListEntry") for thread in threads]
                self.memory.link(self.at(outer, process, "ThreadListHead"), *entries)
            self.memory.put_u32(self.at("_EPROCESS", process, "ActiveThreads"), len(threads))

    def wait(
        self, thread: int, *objects: int, reason: int = EXECUTIVE, seconds: float = 300, all_of: bool = False
    ) -> None:
        """Let the thread wait for objects."""
        memory = self.memory
        block = self.names.layouts["_KWAIT_BLOCK"]
        first = self.at("_KTHREAD", thread, "WaitBlock") if len(objects) < 4 else self.room(0x30 * len(objects))
        for index, target in enumerate(objects):
            at = first + index * block.size
            memory.put(at, bytes(block.size))
            memory.put_u64(at + block.offset("Thread"), thread)
            memory.put_u64(at + block.offset("Object"), target)
            memory.put_u8(at + block.offset("WaitType"), 0 if all_of else 1)
            if block.has("NextWaitBlock"):
                memory.put_u64(at + block.offset("NextWaitBlock"), first + (index + 1) % len(objects) * block.size)
            queue = self._queues.setdefault(target, [])
            queue.append(at)
            if target != self.at("_KTHREAD", thread, "Timer"):
                memory.link(target + 8, *queue)
        memory.put_u64(self.at("_KTHREAD", thread, "WaitBlockList"), first)
        memory.put_u8(self.at("_KTHREAD", thread, "WaitBlockCount"), len(objects))
        memory.put_u8(self.at("_KTHREAD", thread, "State"), WAITING)
        memory.put_u8(self.at("_KTHREAD", thread, "WaitReason"), reason)
        ticks = round(seconds * 1e7 / INCREMENT)
        memory.put_u32(self.at("_KTHREAD", thread, "WaitTime"), TICKS - ticks & 0xFFFF_FFFF)

    def add_resource(self, owner: int = 0, *, exclusive: bool = True, active: int = 1, contention: int = 0) -> int:
        """A resource on the system's list."""
        address = self.room(0x70)
        memory = self.memory
        self._resources.append(address)
        memory.link(self.names.symbols["ExpSystemResourcesList"], *self._resources)
        if owner:
            memory.put_u16(self.at("_ERESOURCE", address, "ActiveCount"), active)
            memory.put_u16(self.at("_ERESOURCE", address, "Flag"), 0x80 if exclusive else 0)
            memory.put_u64(self.at("_ERESOURCE", address, "OwnerEntry"), owner, 1 << 3)
        memory.put_u32(self.at("_ERESOURCE", address, "ContentionCount"), contention)
        return address

    def count_waiters(self, resource: int, exclusive: int = 0, shared: int = 0) -> None:
        """What the resource says of its own waiters."""
        self.memory.put_u32(self.at("_ERESOURCE", resource, "NumberOfExclusiveWaiters"), exclusive)
        self.memory.put_u32(self.at("_ERESOURCE", resource, "NumberOfSharedWaiters"), shared)

    def reader(self) -> ThreadReader:
        """A reader of this machine's threads."""
        return thread_reader(self.memory, self.names, CLOCK)

    def facts(self, *threads: int) -> dict[VirtAddr, Thread]:
        """Facts about these threads."""
        reader = self.reader()
        return {VirtAddr(address): reader.read(address, None) for address in threads}
