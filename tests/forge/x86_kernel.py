"""A 32-bit kernel with processes, threads, stacks and locks, in the memory of a ``Machine32``."""

import json
import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from tests.forge import facts
from tests.forge.facts import Expected, Facts
from tests.forge.isf import isf
from tests.forge.kernel.state import TICK_100NS, UPTIME_TICKS
from tests.forge.x86 import CALL, NAMES, NT, PAGE, Machine32, context
from tests.forge.x86_layouts import layouts32

POOL, STACKS, SHARED_PAGE, POOL_PAGES = 0x8600_0000, 0x9100_0000, 0xFFDF_0000, 24
DRIVERS = ("one.sys", "two.sys", "kbdhid.sys")
FIRST_DRIVER, DRIVER_BYTES = 0x8D00_0000, 0x3000
HEADS, VARIABLES, CODE, FUNCTION = NT + 0x12_3000, NT + 0x12_4000, 0x8000, 0x40
RETURN = 0x20  # where in a function its only call returns to
EVENT, MUTANT, PROCESS, SEMAPHORE, THREAD = 1, 2, 3, 5, 6
RUNNING, WAITING = 2, 5
EXECUTIVE, USER_REQUEST, WR_RESOURCE = 0, 6, 27
TRAP_SIZE, BEHIND_TRAP = 0x8C, 0x210
WAIT = ("KiSwapThread", "KiCommitThreadWait", "KeWaitForSingleObject")
KINDS = ("full", "summary")

Call = tuple[str, str]  # image, function


@dataclass
class Thread32:
    """A thread being built; ``frames`` are (return address, stack pointer, image, function), innermost first."""

    address: int
    process: "Process32"
    tid: int
    frames: list[tuple[int, int, str, str]] = field(default_factory=list)
    seconds: float | None = None

    def frame(self, image: str) -> int:
        """The innermost return address in an image."""
        return next(one[0] for one in self.frames if one[2] == image)


@dataclass
class Process32:
    """A process being built."""

    address: int
    pid: int
    name: str
    threads: list[Thread32] = field(default_factory=list)


@dataclass(frozen=True)
class Forged32:
    """A finished 32-bit machine: its dump, its symbol table, and what it says it is."""

    kernel: "Kernel32"
    facts: Facts
    kind: str

    def write(self, path: Path) -> Path:
        """Write the dump."""
        path.write_bytes(getattr(self.kernel.machine, self.kind)())
        return path

    def write_isf(self, directory: Path) -> Path:
        """Write the kernel's table in volatility3's form."""
        path = directory / "ntkrpamp.pdb" / f"{self.facts.kernel_guid}-1.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(isf(self.facts, self.kernel.layouts, 4)))
        return path


class Kernel32:
    """A kernel under construction."""

    def __init__(self, *, pae: bool, build: int, seed: int) -> None:
        self.rng = random.Random(f"{pae} {build} {seed}")
        self.layouts = layouts32(build, self.rng)
        drivers = tuple(
            (name, FIRST_DRIVER + number * 0x10000, DRIVER_BYTES, 0x5000_0000 + number)
            for number, name in enumerate(DRIVERS)
        )
        self.machine = Machine32(pae=pae, build=build, images=(NAMES[0], *drivers), processors=1)
        self.bases = {"nt": NT, **{name: base for name, base, _, _ in drivers}}
        self.places: dict[Call, int] = {}
        self.frameless: dict[Call, int] = {}  # functions without a frame pointer, and the bytes of their locals
        self.symbols = {"PsLoadedModuleList": HEADS - NT, "PsActiveProcessHead": HEADS + 0x100 - NT}
        self.symbols["KdDebuggerDataBlock"] = 0x10_0000
        self.processes: list[Process32] = []
        self.resources: dict[int, facts.ResourceFact] = {}
        self.pointer = 0  # Ebp of the thread written last
        self.next_id, self.next_stack, self.next_pool = 8, STACKS, POOL
        for page in range(POOL_PAGES):
            self.machine.map(POOL + page * PAGE)
        self.guid = UUID(int=self.rng.getrandbits(128))
        self.machine.name_pdb(self.guid.bytes_le, 1)
        for name in ("PsActiveProcessHead", "ExpSystemResourcesList"):
            self.list_head(self.variable(name))
        self._clock()
        self.process("System", 4)

    @property
    def variables(self) -> set[str]:
        """The names of variables among the symbols."""
        return set(self.symbols) - {name for image, name in self.places if image == "nt"}

    # Memory

    def u32(self, address: int, *values: int) -> None:
        """Write words."""
        for at, value in enumerate(values):
            self.machine.write(address + 4 * at, struct.pack("<I", value & 0xFFFF_FFFF))

    def word(self, address: int) -> int:
        """Read a word."""
        return int.from_bytes(self.machine.read(address, 4), "little")

    def pool(self, size: int) -> int:
        """Zeroed memory, aligned to 16."""
        address = self.next_pool
        self.next_pool += size + 15 & ~15
        if self.next_pool > POOL + POOL_PAGES * PAGE:
            raise MemoryError("the pool is full")
        return address

    def variable(self, name: str) -> int:
        """The address of a variable of nt, made when first asked for."""
        if name not in self.symbols:
            self.symbols[name] = VARIABLES - NT + 0x100 * len(self.symbols)
        return NT + self.symbols[name]

    def at(self, structure: str, address: int, member: str) -> int:
        """The address of a member, also of a member's member."""
        outer, _, inner = member.partition(".")
        found = self.layouts.member(structure, outer)
        return self.at(found.kind, address + found.offset, inner) if inner else address + found.offset

    def put(self, structure: str, address: int, **values: int) -> None:
        """Write members, each as wide as it is; those that this build lacks are left out."""
        for name, value in values.items():
            if not self.layouts.has(structure, name):
                continue
            member = self.layouts.member(structure, name)
            at = address + member.offset
            if member.kind == "bits":
                mask = (1 << member.bits) - 1 << member.bit
                self.u32(at, self.word(at) & ~mask | value << member.bit)
            else:
                width = {"u8": 1, "u16": 2}.get(member.kind, 4)
                self.machine.write(at, value.to_bytes(width, "little"))

    def list_head(self, head: int) -> None:
        """An empty list."""
        self.u32(head, head, head)

    def append(self, head: int, entry: int) -> None:
        """Put an entry at a list's end."""
        last = self.word(head + 4)
        self.u32(entry, head, last)
        self.u32(last, entry)
        self.u32(head + 4, entry)

    def function(self, call: Call) -> int:
        """Where a function begins; its one call returns RETURN bytes behind that."""
        if call not in self.places:
            image, name = call
            count = sum(1 for known in self.places if known[0] == image)
            rva = (CODE if image == "nt" else PAGE) + FUNCTION * count
            self.places[call] = self.bases[image] + rva
            self.machine.write(self.places[call], b"\x55\x8b\xec")
            self.machine.write(self.places[call] + RETURN - len(CALL), CALL)
            if image == "nt":
                self.symbols[name] = rva
        return self.places[call]

    # Objects

    def dispatcher(self, kind: int, size: int, signal: int = 0) -> int:
        """A dispatcher object nobody waits for yet."""
        address = self.pool(size)
        self._header(address, kind, signal)
        return address

    def _header(self, address: int, kind: int, signal: int = 0) -> None:
        self.put("_DISPATCHER_HEADER", address, Type=kind, SignalState=signal)
        self.list_head(self.at("_DISPATCHER_HEADER", address, "WaitListHead"))

    def event(self) -> int:
        """An event that is not set."""
        return self.dispatcher(EVENT, self.layouts.size("_KEVENT"))

    def mutant(self, owner: Thread32) -> int:
        """A mutant that a thread owns."""
        address = self.dispatcher(MUTANT, self.layouts.size("_KMUTANT"))
        self.put("_KMUTANT", address, OwnerThread=owner.address)
        return address

    def process(self, name: str, pid: int | None = None, parent: int = 4) -> Process32:
        """A process on the active list."""
        address = self.dispatcher(PROCESS, self.layouts.size("_EPROCESS"))
        self.next_id += 4 * self.rng.randrange(1, 9)
        process = Process32(address, self.next_id if pid is None else pid, name)
        self.put("_KPROCESS", address, DirectoryTableBase=self.machine.root)
        self.put("_EPROCESS", address, UniqueProcessId=process.pid, InheritedFromUniqueProcessId=parent)
        self.machine.write(self.at("_EPROCESS", address, "ImageFileName"), name.encode()[:14])
        for structure in ("_KPROCESS", "_EPROCESS"):
            self.list_head(self.at(structure, address, "ThreadListHead"))
        self.append(self.variable("PsActiveProcessHead"), self.at("_EPROCESS", address, "ActiveProcessLinks"))
        self.processes.append(process)
        return process

    def thread(
        self, process: Process32, calls: Sequence[Call], *, running: bool = False, local: dict[str, int] | None = None
    ) -> Thread32:
        """A thread inside ``calls``, innermost first; ``local`` puts a word into the frame of a function."""
        address = self.dispatcher(THREAD, self.layouts.size("_ETHREAD"))
        self.next_id += 4
        thread = Thread32(address, process, self.next_id)
        base = self._stack_of(thread, calls, local or {}, running=running)
        state, user = RUNNING if running else WAITING, process.pid != 4
        self.put(
            "_KTHREAD", address, Process=process.address, State=state, WaitReason=USER_REQUEST, Priority=9,
            KernelStackResident=1, SystemThread=int(not user), InitialStack=base - 0x10, StackBase=base,
            StackLimit=base - 2 * PAGE, KernelStack=thread.frames[0][1] - self.layouts.size("_KSWITCHFRAME"),
            TrapFrame=base - BEHIND_TRAP - TRAP_SIZE if user else 0,
        )  # fmt: skip
        outermost = self.function(calls[-1])
        self.put("_ETHREAD", address, StartAddress=outermost, Win32StartAddress=outermost)
        self.list_head(self.at("_ETHREAD", address, "IrpList"))
        self.u32(self.at("_ETHREAD", address, "Cid"), process.pid, thread.tid)
        for owner, structure in (("_KPROCESS", "_KTHREAD"), ("_EPROCESS", "_ETHREAD")):
            head = self.at(owner, process.address, "ThreadListHead")
            self.append(head, self.at(structure, address, "ThreadListEntry"))
        process.threads.append(thread)
        self.put("_EPROCESS", process.address, ActiveThreads=len(process.threads))
        return thread

    def _stack_of(self, thread: Thread32, calls: Sequence[Call], local: dict[str, int], *, running: bool) -> int:
        for page in range(1, 3):
            self.machine.map(self.next_stack + page * PAGE)
        base = self.next_stack + 3 * PAGE
        self.next_stack = base
        sp, pointer, entry = base - 0x20, 0, 0
        if thread.process.pid != 4:
            sp = pointer = base - BEHIND_TRAP - TRAP_SIZE
            user = 0x7700_0000 + self.rng.randrange(0, 0x10000)
            self.u32(pointer, 0x12_F000, user)
            self.u32(pointer + 0x60, 0x12_F000, 0, user, 0x1B)
            entry = self.function(("nt", "KiFastCallEntry")) + RETURN
        placed: list[tuple[int, int, str, str]] = []
        returns, caller = entry, ("nt", "KiFastCallEntry")
        for image, name in reversed(calls):
            if returns:  # the caller, whose body is reached again at this return address
                placed.append((returns, sp, *caller))
            self.u32(sp - 4, returns)
            if (image, name) in self.frameless:
                top = sp - 4
                sp = top - self.frameless[image, name]
                self._call_directly(returns, (image, name))
            else:
                self.u32(sp - 8, pointer)
                pointer = top = sp - 8
                sp = pointer - 4 * self.rng.randrange(2, 9)
            for at in range(sp, top, 4):
                self.u32(at, self._left_over())
            if name in local:
                self.u32(sp, local[name])
            caller, returns = (image, name), self.function((image, name)) + RETURN
        placed.append((returns, sp, *caller))
        self.pointer = pointer
        if not running:
            sp = self._switched_out(sp, pointer, returns)
            swap = self.function(("nt", "KiSwapContext")) + RETURN
            self.u32(sp, 0xFFFF_FFFF, 0, swap)
            placed.append((swap, sp + 12, "nt", "KiSwapContext"))
        thread.frames = placed[::-1]
        return base

    def _switched_out(self, sp: int, pointer: int, returns: int) -> int:
        # KiSwapContext keeps four registers below its return address, Ebp lowest; SwapContext's frame lies below them.
        self.u32(sp - 4, returns)
        self.u32(sp - 20, pointer, 0, 0, 0x1234)
        return sp - 20 - self.layouts.size("_KSWITCHFRAME")

    def _call_directly(self, returns: int, callee: Call) -> None:
        self.u32(returns - 4, self.function(callee) - returns)

    def _left_over(self) -> int:
        if self.rng.random() < 0.3 and self.places:
            return self.rng.choice(list(self.places.values())) + RETURN
        return self.rng.randrange(0, 1 << 16)

    # Waits and locks

    def wait(
        self, thread: Thread32, objects: Sequence[int], reason: int, seconds: float, *, all_of: bool = False
    ) -> None:
        """Let the thread wait for objects since ``seconds`` ago."""
        first, size = self.at("_KTHREAD", thread.address, "WaitBlock"), self.layouts.size("_KWAIT_BLOCK")
        for number, target in enumerate(objects):
            block, following = first + number * size, first + (number + 1) % len(objects) * size
            self.put(
                "_KWAIT_BLOCK", block, Thread=thread.address, Object=target, NextWaitBlock=following, WaitKey=number,
                WaitType=0 if all_of else 1,
            )  # fmt: skip
            self.append(self.at("_DISPATCHER_HEADER", target, "WaitListHead"), block)
        ticks = round(seconds * 10_000_000 / TICK_100NS)
        thread.seconds = ticks * TICK_100NS / 10_000_000
        self.put(
            "_KTHREAD", thread.address, State=WAITING, WaitReason=reason, WaitBlockList=first,
            WaitBlockCount=len(objects), WaitTime=UPTIME_TICKS - ticks,
        )  # fmt: skip

    def resource(self, name: str | None = None) -> int:
        """A free resource on the system's list."""
        address = self.variable(name) if name else self.pool(self.layouts.size("_ERESOURCE"))
        head = self.variable("ExpSystemResourcesList")
        self.append(head, self.at("_ERESOURCE", address, "SystemResourcesList"))
        self.resources[address] = facts.ResourceFact(address, name, exclusive=False, owners=(), waiters=())
        return address

    def own(self, resource: int, *threads: Thread32) -> None:
        """One thread owns the resource alone, or several share it."""
        entry = self.at("_ERESOURCE", resource, "OwnerEntry")
        self.put("_OWNER_ENTRY", entry, OwnerThread=threads[0].address, OwnerCount=1)
        if len(threads) > 1:
            size = self.layouts.size("_OWNER_ENTRY")
            table = self.pool(size * (len(threads) + 3))
            self.put("_OWNER_ENTRY", table, TableSize=len(threads) + 3)
            for number, thread in enumerate(threads[1:], 3):  # the first two slots are free again
                self.put("_OWNER_ENTRY", table + number * size, OwnerThread=thread.address, OwnerCount=1)
            self.put("_ERESOURCE", resource, OwnerTable=table)
        self.put(
            "_ERESOURCE", resource, Flag=0x80 if len(threads) == 1 else 0, ActiveCount=1, ActiveEntries=len(threads)
        )

    def wait_for(
        self, resource: int, exclusive: Sequence[tuple[Thread32, float]], shared: Sequence[tuple[Thread32, float]] = ()
    ) -> None:
        """Threads (with seconds) wait for the resource, as this build's kernel queues them."""
        self.put(
            "_ERESOURCE", resource, NumberOfExclusiveWaiters=len(exclusive), NumberOfSharedWaiters=len(shared),
            ContentionCount=len(exclusive) + len(shared) + 3,
        )  # fmt: skip
        for member, waiting in (("ExclusiveWaiters", exclusive), ("SharedWaiters", shared)):
            if not waiting:
                continue
            if "_KWAIT_CHAIN_ENTRY" in self.layouts.structures:
                self._chain(resource, member, waiting)
                continue
            alone = member == "ExclusiveWaiters"
            target = self.event() if alone else self.dispatcher(SEMAPHORE, self.layouts.size("_KSEMAPHORE"))
            self.put("_ERESOURCE", resource, **{member: target})
            for thread, seconds in waiting:
                self.wait(thread, [target], WR_RESOURCE, seconds)

    def _chain(self, resource: int, member: str, waiting: Sequence[tuple[Thread32, float]]) -> None:
        # Real entries lie on the waiters' stacks; here in pool, aligned to 4 bytes only, as a stack's may be.
        size = self.layouts.size("_KWAIT_CHAIN_ENTRY")
        entries = [self.pool(size + 4) + 4 for _ in waiting]
        for number, (thread, seconds) in enumerate(waiting):
            entry, event = entries[number], self.at("_KWAIT_CHAIN_ENTRY", entries[number], "Event")
            self._header(event, EVENT)
            self.u32(entry, entries[(number + 1) % len(entries)], entries[number - 1])
            self.put("_KWAIT_CHAIN_ENTRY", entry, Thread=thread.address)
            self.wait(thread, [event], WR_RESOURCE, seconds)
        self.put("_ERESOURCE", resource, **{member: entries[0]})

    # Requests

    def device(self, driver: str) -> int:
        """A device object of a driver, with a driver object of its own."""
        owner, found = self.pool(self.layouts.size("_DRIVER_OBJECT")), self.pool(self.layouts.size("_DEVICE_OBJECT"))
        self.put("_DRIVER_OBJECT", owner, Type=4, DeviceObject=found, DriverStart=self.bases[driver])
        self.put("_DEVICE_OBJECT", found, Type=3, DriverObject=owner, StackSize=1)
        return found

    def request(self, devices: Sequence[int], thread: Thread32, event: int, *, major: int, listed: bool = True) -> int:
        """An IRP of a thread that went down ``devices``, the top one first, and is at the last; ``event`` is set when
        it is done. One that is not ``listed`` is on no thread's list of requests."""
        whole, place = self.layouts.size("_IRP"), self.layouts.size("_IO_STACK_LOCATION")
        address = self.pool(whole + place * len(devices))
        first = address + whole
        self.put("_IRP", address, Type=6, Size=whole, StackCount=len(devices), CurrentLocation=1, UserEvent=event)
        self.u32(self.at("_IRP", address, "Tail.Overlay.Thread"), thread.address)
        self.u32(self.at("_IRP", address, "Tail.Overlay.CurrentStackLocation"), first)
        for depth, device in enumerate(reversed(devices)):
            self.put("_IO_STACK_LOCATION", first + depth * place, MajorFunction=major, DeviceObject=device)
        entry = self.at("_IRP", address, "ThreadListEntry")
        self.list_head(entry)
        if listed:
            self.append(self.at("_ETHREAD", thread.address, "IrpList"), entry)
        return address

    def unload(self, name: str, start: int, end: int) -> None:
        """Remember a driver that was unloaded."""
        rows, text = self.pool(24 * 50), self.pool(64)
        raw = name.encode("utf-16-le")
        self.machine.write(text, raw)
        self.machine.write(rows, struct.pack("<HHIIIQ", len(raw), len(raw), text, start, end, 0x01CC_7A9F_0000_0000))
        self.u32(self.variable("MmUnloadedDrivers"), rows)

    # The end

    def _clock(self) -> None:
        self.machine.map(SHARED_PAGE)
        self.machine.write(SHARED_PAGE + 0x320, struct.pack("<Q", UPTIME_TICKS))
        self.u32(self.variable("KeTimeIncrement"), TICK_100NS)

    def stop(self, code: int, parameters: tuple[int, int, int, int], calls: Sequence[Call]) -> None:
        """A thread of System stops the machine inside ``calls``, innermost first."""
        thread = self.thread(self.processes[0], calls, running=True)
        prcb = self.pool(self.layouts.size("_KPRCB"))
        self.put("_KPRCB", prcb, CurrentThread=thread.address)
        self.u32(self.variable("KiProcessorBlock"), prcb)
        address, sp, *_ = thread.frames[0]
        self.machine.context = context(address, sp, self.pointer)
        self.machine.write(self.at("_KPRCB", prcb, "ProcessorState.ContextFrame"), self.machine.context)
        self.machine.code, self.machine.parameters = code, parameters

    def finished(self, kind: str, scenario: str, expected: Expected) -> Forged32:
        """The machine, to be written as a dump of that kind."""
        machine = self.machine
        told = Facts(
            scenario, machine.build, machine.code, machine.parameters, NT, self.guid.hex.upper(), machine.root,
            tuple(facts.ModuleFact(name, base, size, stamp, 0) for name, base, size, stamp in machine.images), (),
            (), (), tuple(self.resources.values()), expected, 600.0, 0, tuple(sorted(self.symbols.items())),
        )  # fmt: skip
        return Forged32(self, told, kind)
