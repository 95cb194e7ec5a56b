"""What the builder says it wrote: the ground truth tests compare with."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModuleFact:
    """A loaded image. ``name`` as in the module list; ``version`` dotted."""

    name: str
    base: int
    size: int
    timestamp: int
    checksum: int
    company: str | None = None
    version: str | None = None
    path: str = ""


@dataclass(frozen=True, slots=True)
class UnloadedFact:
    """An unloaded driver: name, first address, first address behind it, FILETIME."""

    name: str
    start: int
    end: int
    time: int


@dataclass(frozen=True, slots=True)
class ProcessFact:
    """A process in the order of the active list; ``threads`` are addresses in the order of its thread list."""

    address: int
    pid: int
    name: str
    parent_pid: int
    directory_table: int
    threads: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FrameFact:
    """A frame, innermost first: return address, stack pointer after the return, image and function."""

    address: int
    sp: int
    image: str
    function: str


@dataclass(frozen=True, slots=True)
class ThreadFact:
    """A thread. ``waits`` are addresses of dispatcher objects; ``wait_seconds`` None where it does not wait."""

    address: int
    process: str
    pid: int
    tid: int
    state: int
    wait_reason: int
    wait_seconds: float | None
    waits: tuple[int, ...]
    start: int
    is_system: bool
    stack_resident: bool
    frames: tuple[FrameFact, ...]


@dataclass(frozen=True, slots=True)
class ResourceFact:
    """An ERESOURCE on the system list; ``name`` is the symbol at its address, if any."""

    address: int
    name: str | None
    exclusive: bool
    owners: tuple[int, ...]
    waiters: tuple[int, ...]
    fast: bool = False
    contention: int = 0


@dataclass(frozen=True, slots=True)
class BlockedFact:
    """A thread that the story says is stuck, and on what; one that spins has no time of waiting."""

    thread: int
    process: str
    pid: int
    tid: int
    waits_for: int
    wait_seconds: float | None


@dataclass(frozen=True, slots=True)
class Expected:
    """The verdict an analysis must reach. ``culprit`` None: nobody may be blamed.

    ``culprit_address`` is the culprit's frame; ``cycles`` are (threads, locks); ``drivers`` are all that the summary
    must name (a deadlock names each). ``kinds`` are those of ``locks``, in the same order; ``says`` are words that the
    report must hold somewhere.
    """

    culprit: str | None
    culprit_address: int | None = None
    root: int | None = None
    lock: int | None = None
    lock_name: str | None = None
    locks: tuple[int, ...] = ()
    blocked: tuple[BlockedFact, ...] = ()
    cycles: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = ()
    drivers: tuple[str, ...] = ()
    instance_path: str | None = None
    service: str | None = None
    impact_process: str | None = None
    kinds: tuple[str, ...] = ()
    says: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PdbFact:
    """A driver that names a PDB, and what that would say: functions as name, RVA, bytes."""

    image: str
    name: str
    guid: str
    age: int
    functions: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything about one forged machine."""

    scenario: str
    build: int
    code: int
    parameters: tuple[int, int, int, int]
    kernel_base: int
    kernel_guid: str
    directory_table: int
    modules: tuple[ModuleFact, ...]
    unloaded: tuple[UnloadedFact, ...]
    processes: tuple[ProcessFact, ...]
    threads: tuple[ThreadFact, ...]
    resources: tuple[ResourceFact, ...]
    expected: Expected
    uptime_seconds: float
    crash_time: int  # FILETIME
    symbols: tuple[tuple[str, int], ...]  # kernel names and their RVAs
    pdbs: tuple[PdbFact, ...] = ()
