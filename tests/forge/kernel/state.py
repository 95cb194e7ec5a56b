"""What the modules of this package share while a kernel is built."""

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.forge.image import Image
from tests.forge.machine import Machine
from tests.forge.ntnames import KernelNames
from tests.forge.pages import PageTables

if TYPE_CHECKING:
    from tests.forge.kernel.stacks import StackWriter

TICK_100NS = 156250  # KeTimeIncrement of a machine with the usual 64 Hz clock
UPTIME_TICKS = 2_765_440  # about twelve hours
CRASH_FILETIME = 0x01D8_5F3A_1C22_8E00  # in May 2022

# KWAIT_REASON values used here.
EXECUTIVE, DELAY, SUSPENDED, USER_REQUEST, WR_QUEUE, WR_LPC_REPLY = 0, 4, 5, 6, 15, 17
WR_RESOURCE, WR_PUSH_LOCK, WR_MUTEX, WR_FAST_MUTEX, WR_GUARDED_MUTEX, WR_ALERT = 27, 28, 29, 34, 35, 37
INITIALIZED, READY, RUNNING, STANDBY, TERMINATED, WAITING = 0, 1, 2, 3, 4, 5

# Object types: an invented index for each, as ObTypeIndexTable has them.
TYPE_INDEXES = {
    "Process": 7,
    "Thread": 8,
    "Event": 16,
    "Mutant": 17,
    "Semaphore": 19,
    "ALPC Port": 20,
    "Device": 31,
    "Driver": 32,
}


@dataclass(slots=True)
class Frame:
    """A frame to be written: the image and function in it, and values for named offsets of its locals.

    ``registers`` are values the function has put in nonvolatile registers it saved before.
    """

    image: Image
    function: str
    values: dict[int, int] = field(default_factory=dict)
    registers: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class Placed:
    """A frame on a stack: its return address and RSP in its body."""

    image: str
    function: str
    address: int
    sp: int


@dataclass(slots=True)
class Thread:
    """A thread being built."""

    address: int
    process: "Process"
    tid: int
    frames: list[Placed] = field(default_factory=list)
    state: int = WAITING
    reason: int = USER_REQUEST
    ticks: int | None = None
    waits: list[int] = field(default_factory=list)
    start: int = 0
    resident: bool = True
    listed: bool = True
    stack_base: int = 0
    initial_stack: int = 0
    kernel_stack: int = 0

    def frame(self, function: str) -> Placed:
        """The innermost frame of that function. Raises: StopIteration."""
        return next(frame for frame in self.frames if frame.function == function)


@dataclass(slots=True)
class Process:
    """A process being built."""

    address: int
    pid: int
    name: str
    parent: int
    directory_table: int
    threads: list[Thread] = field(default_factory=list)

    @property
    def is_system(self) -> bool:
        """Whether its threads have no user side."""
        return self.pid == 4


@dataclass(slots=True)
class Resource:
    """An ERESOURCE being built."""

    address: int
    name: str | None
    exclusive: bool = False
    owners: list[Thread] = field(default_factory=list)
    waiters: list[Thread] = field(default_factory=list)
    fast: bool = False
    contention: int = 0


@dataclass(frozen=True, slots=True)
class Load:
    """How busy a machine is: at least so many threads, resources and loaded images. By itself as small as a story
    needs."""

    threads: int = 0
    resources: int = 0
    images: int = 0


@dataclass(slots=True)
class Kernel:
    """A kernel under construction."""

    machine: Machine
    names: KernelNames
    nt: Image
    build: int
    rng: random.Random
    images: list[Image] = field(default_factory=list)
    unloaded: list[tuple[str, int, int, int]] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    resources: list[Resource] = field(default_factory=list)
    type_cookie: int = 0
    load: Load = Load()
    open_chains: bool = False  # wait chains end in zero instead of closing into a ring
    stripped: bool = False  # image pages that can be paged out are
    driver_pdbs: bool = False  # drivers name their PDBs
    next_id: int = 8
    process_tables: list[PageTables] = field(default_factory=list)  # of user processes
    processors: list[int] = field(default_factory=list)  # PRCB addresses
    stop_stack: "StackWriter | None" = None  # the stack on which KeBugCheckEx was called
    others: list[Thread] = field(default_factory=list)  # threads on no list (idle, terminated)
    frozen: list[tuple[Thread, "StackWriter"]] = field(default_factory=list)  # run on processors of their own

    @property
    def major(self) -> int:
        """The major build whose structures this kernel has."""
        return self.machine.layouts.major

    def symbol(self, name: str) -> int:
        """The address of a kernel symbol. Raises: KeyError."""
        return self.nt.base + self.names.rvas[name]

    def image(self, name: str) -> Image:
        """A loaded image by name. Raises: StopIteration."""
        return next(image for image in self.images if image.name == name)

    def data_address(self, image: Image, rva: int) -> int:
        """The address of variables in an image's data, mapped from now on."""
        address = image.base + rva
        if not self.machine.tables.entry(address):
            self.machine.tables.map(address, self.machine.loose_frame())
        return address

    def threads(self) -> list[Thread]:
        """All threads on process lists."""
        return [thread for process in self.processes for thread in process.threads if thread.listed]

    def frames(self, *names: str) -> list[Frame]:
        """Kernel frames, innermost first; names this kernel does not have are left out."""
        return [Frame(self.nt, name) for name in names if name in self.nt.functions]

    def new_id(self) -> int:
        """A new process or thread id, as the one table of both hands them out."""
        self.next_id += 4 * self.rng.randrange(1, 6)
        return self.next_id
