"""Stories of 32-bit machines: a pile-up on a resource, a chain, a deadlock, a mutant, a shared lock, and none."""

from collections.abc import Callable, Sequence

from tests.forge.facts import BlockedFact, Expected
from tests.forge.x86_kernel import (
    EXECUTIVE,
    USER_REQUEST,
    WAIT,
    Call,
    Forged32,
    Kernel32,
    Process32,
    Thread32,
)

ACQUIRE = ("ExpWaitForResource", "ExAcquireResourceExclusiveLite")
IO = ("IofCallDriver", "IopXxxControlFile", "NtDeviceIoControlFile")
REMOVAL = (
    "IofCallDriver", "IopSynchronousCall", "IopRemoveDevice", "PnpDeleteLockedDeviceNode", "PnpDeviceEventWorker",
    "ExpWorkerThread", "PspSystemThreadStartup",
)  # fmt: skip
SHUTDOWN = ("PpDevNodeLockTree", "PoBroadcastSystemState", "NtSetSystemPowerState", "NtShutdownSystem")
FRAMELESS_GUID = bytes(range(16, 32))  # of one.pdb, age 3
POWER_FAILURE, MANUALLY_INITIATED = 0x9F, 0xE2

Story = Callable[[Kernel32], Expected]


def forge32(story: str, *, pae: bool, build: int, kind: str = "full", seed: int = 0) -> Forged32:
    """A 32-bit machine that stopped as a story tells; ``seed`` draws every layout and address. Raises: KeyError."""
    kernel = Kernel32(pae=pae, build=build, seed=seed)
    expected = STORIES[story](kernel)
    return kernel.finished(kind, story, expected)


def _calls(*names: str) -> list[Call]:
    return [("nt", name) for name in names]


def _stuck(kernel: Kernel32, process: Process32, driver: str, callers: Sequence[str], seconds: float) -> Thread32:
    """A thread that waits for an event inside a driver."""
    calls = [*_calls(*WAIT), (driver, "WaitForDevice"), (driver, "Dispatch"), *_calls(*callers)]
    thread = kernel.thread(process, calls)
    kernel.wait(thread, [kernel.event()], EXECUTIVE, seconds)
    return thread


def _waiter(kernel: Kernel32, process: Process32, resource: int, callers: Sequence[Call]) -> Thread32:
    """A thread in the acquisition of a resource."""
    calls = [*_calls(*WAIT, *ACQUIRE), *callers]
    return kernel.thread(process, calls, local={"ExpWaitForResource": resource})


def _blocked(thread: Thread32, waits_for: int) -> BlockedFact:
    assert thread.seconds is not None
    process = thread.process
    return BlockedFact(thread.address, process.name, process.pid, thread.tid, waits_for, thread.seconds)


def _asked_for(kernel: Kernel32) -> None:
    kernel.stop(MANUALLY_INITIATED, (0, 0, 0, 0), [*_calls("KeBugCheckEx"), ("kbdhid.sys", "CrashDump"), *_calls(
        "KiRetireDpcList", "PspSystemThreadStartup")])  # fmt: skip


def pile_up(kernel: Kernel32) -> Expected:
    """A worker removes a device, waits in its driver, and holds the lock of the device tree; 0x9F/4 names it."""
    holder = _stuck(kernel, kernel.processes[0], "one.sys", REMOVAL, 301.5)
    lock = kernel.resource("PiEngineLock")
    kernel.own(lock, holder)
    first = _waiter(kernel, kernel.process("wininit.exe"), lock, _calls(*SHUTDOWN))
    others = [
        _waiter(kernel, kernel.process(name), lock, _calls("PpDevNodeLockTree", "NtPlugPlayControl"))
        for name in ("svchost.exe", "spoolsv.exe")
    ]
    kernel.wait_for(lock, [(first, 300.0)], [(thread, 250.0 + 3 * at) for at, thread in enumerate(others)])
    kernel.stop(
        POWER_FAILURE, (4, 300, holder.address, 0), _calls("KeBugCheckEx", "PnpBugcheckPowerTimeout", "KiIdleLoop")
    )
    return Expected(
        "one.sys",
        culprit_address=holder.frame("one.sys"),
        root=holder.address,
        locks=(lock,),
        blocked=tuple(_blocked(thread, lock) for thread in (first, *others)),
        drivers=("one.sys",),
        impact_process="wininit.exe",
    )


def chain(kernel: Kernel32) -> Expected:
    """A thread waits for a lock whose owner waits for another one, whose owner is stuck in a driver."""
    holder = _stuck(kernel, kernel.process("svchost.exe"), "one.sys", IO, 260.0)
    outer, inner = kernel.resource(), kernel.resource()
    middle = _waiter(kernel, kernel.process("services.exe"), inner, _calls("NtQueryDirectoryFile"))
    last = _waiter(kernel, kernel.process("explorer.exe"), outer, _calls("NtCreateFile"))
    kernel.own(inner, holder)
    kernel.own(outer, middle)
    kernel.wait_for(inner, [(middle, 200.0)])
    kernel.wait_for(outer, [(last, 150.0)])
    _asked_for(kernel)
    return Expected(
        "one.sys",
        culprit_address=holder.frame("one.sys"),
        root=holder.address,
        locks=(inner, outer),
        blocked=(_blocked(middle, inner), _blocked(last, outer)),
        drivers=("one.sys",),
    )


def deadlock(kernel: Kernel32) -> Expected:
    """Two drivers' threads each hold a resource and wait for the other's; a third stands behind one of them."""
    first, second = kernel.resource(), kernel.resource()
    callers = {
        driver: [(driver, "LockDevice"), (driver, "Dispatch"), *_calls(*IO)] for driver in ("one.sys", "two.sys")
    }
    left = _waiter(kernel, kernel.process("services.exe"), second, callers["one.sys"])
    right = _waiter(kernel, kernel.process("svchost.exe"), first, callers["two.sys"])
    behind = _waiter(kernel, kernel.process("explorer.exe"), first, _calls("NtQueryDirectoryFile"))
    kernel.own(first, left)
    kernel.own(second, right)
    kernel.wait_for(second, [(left, 140.0)])
    kernel.wait_for(first, [(right, 139.0), (behind, 95.5)])
    _asked_for(kernel)
    return Expected(
        None,
        locks=(first, second),
        drivers=("one.sys", "two.sys"),
        cycles=(((left.address, right.address), (first, second)),),
        blocked=(_blocked(left, second), _blocked(right, first), _blocked(behind, first)),
    )


def mutants(kernel: Kernel32) -> Expected:
    """Two threads wait for a mutant whose owner is stuck in a driver."""
    holder = _stuck(kernel, kernel.process("svchost.exe"), "two.sys", IO, 120.0)
    lock = kernel.mutant(holder)
    waiters = [
        kernel.thread(kernel.process(name), _calls(*WAIT, "NtWaitForSingleObject"))
        for name in ("services.exe", "lsass.exe")
    ]
    for number, thread in enumerate(waiters):
        kernel.wait(thread, [lock], USER_REQUEST, 90.0 - number)
    _asked_for(kernel)
    return Expected(
        "two.sys",
        culprit_address=holder.frame("two.sys"),
        root=holder.address,
        locks=(lock,),
        blocked=tuple(_blocked(thread, lock) for thread in waiters),
        drivers=("two.sys",),
    )


def shared(kernel: Kernel32) -> Expected:
    """A lock shared by two, one of them stuck in a driver and listed behind an empty slot of the owner table."""
    stuck = _stuck(kernel, kernel.process("svchost.exe"), "one.sys", IO, 260.0)
    idle = kernel.thread(kernel.process("explorer.exe"), _calls(*WAIT, "NtReadFile"))
    kernel.wait(idle, [kernel.event()], USER_REQUEST, 1.0)
    lock = kernel.resource()
    kernel.own(lock, idle, stuck)
    writer = _waiter(kernel, kernel.process("services.exe"), lock, _calls("NtQueryDirectoryFile"))
    kernel.wait_for(lock, [(writer, 250.0)])
    _asked_for(kernel)
    return Expected(
        "one.sys",
        culprit_address=stuck.frame("one.sys"),
        root=stuck.address,
        locks=(lock,),
        blocked=(_blocked(writer, lock),),
        drivers=("one.sys",),
    )


def nothing(kernel: Kernel32) -> Expected:
    """A lock is held by a thread that waits in a driver, and nobody wants it: nobody is to be blamed."""
    holder = _stuck(kernel, kernel.process("svchost.exe"), "one.sys", IO, 500.0)
    kernel.own(kernel.resource("PiEngineLock"), holder)
    _asked_for(kernel)
    return Expected(None)


def frameless(kernel: Kernel32) -> Expected:
    """A pile-up whose driver was compiled without frame pointers: only its PDB shows it on the stack."""
    for number, name in enumerate(("WaitForDevice", "Dispatch")):
        kernel.frameless["one.sys", name] = 20 + 8 * number
    kernel.machine.name_pdb(FRAMELESS_GUID, 3, kernel.bases["one.sys"], b"one.pdb", 0x2800)
    return chain(kernel)


def request(kernel: Kernel32) -> Expected:
    """The holder of a lock waits in the kernel for a request that another driver does not complete."""
    holder = kernel.thread(kernel.processes[0], _calls(*WAIT, *REMOVAL))
    event = kernel.event()
    kernel.wait(holder, [event], EXECUTIVE, 280.0)
    asked = kernel.request([kernel.device("one.sys"), kernel.device("two.sys")], holder, event, major=0x1B)
    lock = kernel.resource("PiEngineLock")
    kernel.own(lock, holder)
    first = _waiter(kernel, kernel.process("wininit.exe"), lock, _calls(*SHUTDOWN))
    kernel.wait_for(lock, [(first, 270.0)])
    _asked_for(kernel)
    return Expected(
        "two.sys",
        root=holder.address,
        locks=(lock, asked),
        blocked=(_blocked(first, lock),),
        drivers=("two.sys",),
        impact_process="wininit.exe",
    )


STORIES: dict[str, Story] = {
    "pile-up": pile_up,
    "chain": chain,
    "deadlock": deadlock,
    "mutants": mutants,
    "shared": shared,
    "nothing": nothing,
    "request": request,
    "frameless": frameless,
}
