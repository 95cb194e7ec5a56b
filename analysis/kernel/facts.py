"""What the kernel readers found out, as plain facts. Nothing here reads memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from analysis.address import VirtAddr
from analysis.symbols.names import PdbIdentity
from analysis.trust import Trust


@dataclass(frozen=True, slots=True)
class Module:
    """A loaded or unloaded image. ``name`` is lower case with its extension; the kernel is always ntoskrnl.exe.

    ``base`` is an address, ``size`` bytes, ``timestamp`` the image's TimeDateStamp (None where unknown).
    """

    name: str
    base: VirtAddr
    size: int
    timestamp: int | None = None
    version: str | None = None
    vendor: str | None = None
    path: str | None = None
    pdb: PdbIdentity | None = None
    unloaded: bool = False

    @property
    def end(self) -> int:
        """The first address behind the image."""
        return self.base + self.size


@dataclass(frozen=True, slots=True)
class Process:
    """A process: ``address`` of its EPROCESS, ``name`` as ImageFileName has it (15 characters at most)."""

    address: VirtAddr
    pid: int
    name: str
    parent_pid: int | None = None
    directory_table: int | None = None
    threads: int | None = None  # ActiveThreads, as the process itself counts


@dataclass(frozen=True, slots=True)
class WaitObject:
    """One object of a wait. ``kind`` is the dispatcher object's: event, mutant, semaphore, thread, process, timer,
    queue, gate, unknown. ``address`` is the object's, ``block`` the KWAIT_BLOCK's."""

    address: VirtAddr
    kind: str
    block: VirtAddr
    signaled: bool = False


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread. ``state`` and ``wait_reason`` are Windows' words ("Waiting", "WrResource").

    ``wait_seconds`` is how long the present wait has lasted; None when it does not wait or clocks are missing.
    ``all_of`` is True where the wait ends only when every object is signaled.
    """

    address: VirtAddr
    process: VirtAddr
    process_name: str
    pid: int
    tid: int
    state: str
    wait_reason: str | None = None
    wait_seconds: float | None = None
    waits: tuple[WaitObject, ...] = ()
    all_of: bool = False
    in_user_mode: bool = False  # the wait is on behalf of the program itself (KTHREAD.WaitMode)
    start: VirtAddr | None = None
    kernel_stack: VirtAddr | None = None
    initial_stack: VirtAddr | None = None
    stack_base: VirtAddr | None = None
    stack_limit: VirtAddr | None = None
    stack_resident: bool = True
    trap_frame: VirtAddr | None = None
    teb: VirtAddr | None = None
    priority: int | None = None
    base_priority: int | None = None  # what its program asked for; above it Windows has raised it for a while
    is_system: bool = False
    terminated: bool = False
    exiting: bool = False  # told to end, and not there yet
    irps: tuple[VirtAddr, ...] = ()
    name: str | None = None
    processor: int | None = None  # where it runs now, if it does
    queue: VirtAddr | None = None  # the KQUEUE or KPRIQUEUE that it takes its work from
    is_worker: bool = False  # of the system's work queues (ActiveExWorker)
    alpc_message: VirtAddr | None = None  # the message it sent, while it waits for the reply


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. ``address`` is the instruction (a return address but for the first frame), ``sp`` the value of
    the stack pointer in it, ``module`` the image's name or None, ``symbol`` what is printed."""

    address: VirtAddr
    symbol: str
    module: str | None
    trust: Trust
    sp: VirtAddr | None = None


@dataclass(frozen=True, slots=True)
class Stack:
    """Frames, innermost first, and why they stop. ``registers`` holds the known non-volatile registers of each frame
    by name ("rbx"), in the order of ``frames``."""

    frames: tuple[Frame, ...] = ()
    end: str = ""
    registers: tuple[Mapping[str, int], ...] = ()


class LockKind(Enum):
    """Kinds of things threads wait for, in the report's words."""

    ERESOURCE = "eresource"
    FAST_RESOURCE = "fast-eresource"
    MUTANT = "mutant"
    FAST_MUTEX = "fast-mutex"
    GUARDED_MUTEX = "guarded-mutex"
    PUSH_LOCK = "push-lock"
    EVENT = "event"
    SEMAPHORE = "semaphore"
    TIMER = "timer"
    IRP = "irp"
    THREAD = "thread"
    PROCESS = "process"
    ALPC = "alpc"
    QUEUE = "queue"
    SPIN_LOCK = "spin-lock"
    CRITICAL_SECTION = "critical-section"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Held:
    """A thread's relation to a lock (as owner or as waiter) and how we know."""

    thread: VirtAddr
    trust: Trust
    exclusive: bool | None = None


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock or object with those who own it and those who wait for it now.

    ``waiters_expected`` is what the lock itself counts, None where it keeps no count. ``contention`` is history.
    ``waited_object`` is the dispatcher object that the waiters block on, where that is not the lock itself.
    ``any_owner`` is True where one owner that comes free is enough (the workers of a queue), ``driver`` the image of
    the driver that has to complete a request, or owes an answer, and ``device`` that driver's device object.
    ``address`` names the lock: above its 64 bits a number tells locks at the same address of several processes apart.
    """

    address: VirtAddr
    kind: LockKind
    name: str | None = None
    description: str = ""
    exclusive: bool | None = None
    owners: tuple[Held, ...] = ()
    waiters: tuple[Held, ...] = ()
    waiters_expected: int | None = None
    contention: int | None = None
    waited_object: VirtAddr | None = None
    any_owner: bool = False
    driver: str | None = None
    device: VirtAddr | None = None


@dataclass(frozen=True, slots=True)
class StackLocation:
    """One IO_STACK_LOCATION. ``driver`` is the image name of the device's driver, where it could be read."""

    major: int
    minor: int
    device: VirtAddr | None
    driver: str | None
    completion_routine: VirtAddr | None = None


@dataclass(frozen=True, slots=True)
class Irp:
    """An I/O request packet: its current stack location and all of them, the requesting thread if any."""

    address: VirtAddr
    current: StackLocation | None
    stack: tuple[StackLocation, ...] = ()
    thread: VirtAddr | None = None


@dataclass(frozen=True, slots=True)
class DeviceNode:
    """A devnode: instance path ("PCI\\\\VEN_1234&DEV_5678\\\\3&11583659&0"), service ("AcmeNet"), numeric state.

    ``problem`` is the number that Device Manager would show, 0 where there is none.
    """

    address: VirtAddr
    instance_path: str | None
    service: str | None
    device: VirtAddr | None = None
    state: int | None = None
    problem: int | None = None


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver object. ``image`` is the module at its DriverStart, ``name`` its object name ("\\\\Driver\\\\AcmeNet"),
    ``service`` the name of its key in the registry."""

    address: VirtAddr
    image: str | None
    name: str | None = None
    service: str | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A device object with its driver; ``stack`` holds the addresses of its device stack, the lowest (PDO) first,
    ``drivers`` the images of their drivers in the same order, ``node`` the devnode of the lowest."""

    address: VirtAddr
    driver: Driver | None
    stack: tuple[VirtAddr, ...] = ()
    drivers: tuple[str | None, ...] = ()
    node: DeviceNode | None = None


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """Everything read from one dump's kernel. Maps are keyed by address, in the order of the kernel's lists."""

    modules: tuple[Module, ...] = ()
    unloaded: tuple[Module, ...] = ()
    processes: dict[VirtAddr, Process] = field(default_factory=dict)
    threads: dict[VirtAddr, Thread] = field(default_factory=dict)
    locks: dict[VirtAddr, Lock] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
