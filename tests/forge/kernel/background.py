"""An ordinary machine around the story: drivers, processes, idle threads, and locks that need not worry anybody."""

from collections.abc import Callable

from tests.forge.kernel.modules import MICROSOFT, add_driver
from tests.forge.kernel.objects import event, fast_mutex, mutant, queue, semaphore
from tests.forge.kernel.processes import add_process
from tests.forge.kernel.resources import (
    add_fast_resource,
    add_resource,
    contended_once,
    own,
    own_by_pointer,
    share,
)
from tests.forge.kernel.state import (
    CRASH_FILETIME,
    DELAY,
    EXECUTIVE,
    RUNNING,
    USER_REQUEST,
    WR_QUEUE,
    Frame,
    Kernel,
    Process,
    Thread,
)
from tests.forge.kernel.threads import add_thread, swap_out, terminate, wait
from tests.forge.names import MICROSOFT_DRIVERS, PROCESSES, SYSTEM_THREADS, THIRD_PARTY, UNLOADED

WAIT = ("KiSwapThread", "KiCommitThreadWait", "KeWaitForSingleObject")
WAIT_MULTIPLE = ("KiSwapThread", "KiCommitThreadWait", "KeWaitForMultipleObjects")
WAIT_QUEUE = ("KiSwapThread", "KiCommitThreadWait", "KeRemoveQueueEx")
RESOURCES = 214
STATIC_RESOURCES = (
    "PsLoadedModuleResource",
    "IopDriverLoadResource",
    "IopSecurityResource",
    "PnpRegistryDeviceResource",
    "ExpFirmwareTableResource",
    "CmpRegistryLock",
)


def add_drivers(kernel: Kernel) -> None:
    """Windows' own drivers and some of others, in load order; a few have left again."""
    for index, name in enumerate(MICROSOFT_DRIVERS):
        add_driver(kernel, name, company=MICROSOFT, save_resources=index % 4 != 1)
    for name, company, _, _ in THIRD_PARTY[::2]:
        add_driver(kernel, name, company=company, version=(3, kernel.rng.randrange(20), 0, kernel.rng.randrange(4000)))
    for index, name in enumerate(UNLOADED):
        start = kernel.machine.reserve("images", 0x12000, 0x1000)
        kernel.unloaded.append((name, start, start + 0x12000, CRASH_FILETIME - (9 - index) * 36_000_000_000))


def add_processes(kernel: Kernel) -> dict[str, Process]:
    """The processes of a machine someone is logged on to. Returns the first of each name."""
    first = {"System": add_process(kernel, "System", 0, pid=4)}
    for name, parent, _ in PROCESSES:
        process = add_process(kernel, name, first[parent].pid)
        first.setdefault(name, process)
    return first


def add_idle_threads(kernel: Kernel, half: int) -> None:
    """Threads that wait for work. ``half`` 0 or 1: so that the story's threads stand between them on every list."""
    counts = [("System", SYSTEM_THREADS), *((name, threads) for name, _, threads in PROCESSES)]
    for process, (_, threads) in zip(kernel.processes, counts, strict=False):  # a story may add some
        amount = threads // 2 if half else threads - threads // 2
        for _ in range(amount):
            _system_thread(kernel, process) if process.is_system else _user_thread(kernel, process)


def add_load(kernel: Kernel) -> None:
    """More of everything, where the machine is a busy one: drivers, processes of many threads, free resources."""
    load, rng = kernel.load, kernel.rng
    for index in range(load.images - len(kernel.images)):
        add_driver(kernel, f"oem{index:03}.sys", company=rng.choice(THIRD_PARTY)[1], version=(1, index, 0, 0))
    services = next(process for process in kernel.processes if process.name == "services.exe")
    missing = load.threads - len(kernel.threads())
    while missing > 0:
        process = add_process(kernel, "svchost.exe", services.pid)
        for _ in range(min(missing, rng.randrange(4, 60))):
            _user_thread(kernel, process)
            missing -= 1
    for _ in range(load.resources - RESOURCES):
        resource = add_resource(kernel, tag=rng.choice(("Ntfr", "FVsr", "SeTl", "Gres", "Fatr")))
        if rng.random() < 0.1:
            contended_once(kernel, resource, rng.randrange(1, 4000))


def add_locks(kernel: Kernel) -> None:
    """Resources: most free, some contended in the past, some owned by threads that are just busy."""
    rng = kernel.rng
    calm = [thread for thread in kernel.threads() if thread.reason in (USER_REQUEST, WR_QUEUE) and thread.resident]
    taken = {resource.name for resource in kernel.resources}
    for name in STATIC_RESOURCES:
        if name in kernel.names and name not in taken:
            add_resource(kernel, name)
    if "PiEngineLock" not in taken:
        add_resource(kernel, "PiEngineLock")
    while len(kernel.resources) < max(RESOURCES, kernel.load.resources):
        resource = add_resource(kernel, tag=rng.choice(("Ntfr", "FVsr", "SeTl", "Gres", "Fatr")))
        draw = rng.random()
        if draw < 0.15:
            contended_once(kernel, resource, rng.randrange(1, 4000))
        elif draw < 0.20:
            own(kernel, resource, rng.choice(calm), rng.randrange(1, 3))
        elif draw < 0.24:
            share(kernel, resource, rng.sample(calm, 3), slots=rng.choice((4, 8)))
        elif draw < 0.26:
            share(kernel, resource, rng.sample(calm, 2), first_in_entry=False)
        elif draw < 0.28:
            own_by_pointer(kernel, resource, kernel.machine.pool(0x40, "Ntff", "large"))
    _locks_of_the_dead(kernel)
    if kernel.major >= 17763:
        for owner in (None, rng.choice(calm), None):
            add_fast_resource(kernel, owner)
    for thread in rng.sample(calm, 4):
        mutant(kernel, thread.address)
    mutant(kernel)
    fast_mutex(kernel, rng.choice(calm).address)


def swap_out_some(kernel: Kernel) -> None:
    """Threads of idle programs lose their stacks to the page file."""
    if kernel.machine.has("_KTHREAD", "KernelStackResident"):
        idle = [
            t
            for t in kernel.threads()
            if t.reason == USER_REQUEST and t.state != RUNNING and t.process.name in ("notepad.exe", "explorer.exe")
        ]
        for thread in idle[::4]:
            swap_out(kernel, thread)


def _locks_of_the_dead(kernel: Kernel) -> None:
    """Two resources owned by a thread that has ended; nobody waits for them."""
    process = next(process for process in kernel.processes if process.name == "MsMpEng.exe")
    thread = add_thread(kernel, process, kernel.frames(*WAIT, "ObWaitForSingleObject", "NtWaitForSingleObject"))
    for _ in range(2):
        resource = add_resource(kernel, tag="Ntfr")
        own(kernel, resource, thread)
        contended_once(kernel, resource, 2)
    terminate(kernel, thread)


def _system_thread(kernel: Kernel, process: Process) -> Thread:
    kinds: tuple[Callable[[Kernel, Process], Thread], ...] = (_worker, _worker, _driver_thread, _delayed, _balance)
    return kernel.rng.choice(kinds)(kernel, process)


def _user_thread(kernel: Kernel, process: Process) -> Thread:
    kinds: tuple[Callable[[Kernel, Process], Thread], ...] = (
        _user_wait,
        _user_wait,
        _completion,
        _several,
        _alpc,
        _sleep,
    )
    return kernel.rng.choice(kinds)(kernel, process)


def _seconds(kernel: Kernel) -> float:
    return round(kernel.rng.uniform(0.1, 20.0) ** 2, 1)


def _worker(kernel: Kernel, process: Process) -> Thread:
    inner = ("KiSwapThread", "KiCommitThreadWait", "KeRemovePriQueue")
    if "KeRemovePriQueue" not in kernel.names:
        inner = ("KiSwapThread", "KiCommitThreadWait", "KeRemoveQueueEx")
    thread = add_thread(kernel, process, kernel.frames(*inner, "ExpWorkerThread"), priority=12)
    kernel.machine.put("_ETHREAD", thread.address, ActiveExWorker=1)
    wait(kernel, thread, [queue(kernel, tag="ExWq")], WR_QUEUE, _seconds(kernel))
    return thread


def _driver_thread(kernel: Kernel, process: Process) -> Thread:
    image = kernel.rng.choice([image for image in kernel.images if image.name.endswith((".sys", ".SYS"))])
    frames = [*kernel.frames(*WAIT), Frame(image, f"sub_{kernel.rng.randrange(6)}"), Frame(image, "WorkerThread")]
    thread = add_thread(kernel, process, frames)
    wait(kernel, thread, [event(kernel)], EXECUTIVE, _seconds(kernel))
    return thread


def _delayed(kernel: Kernel, process: Process) -> Thread:
    routine = kernel.rng.choice(("MiModifiedPageWriter", "CcWorkerThread", "MiDereferenceSegmentThread"))
    thread = add_thread(kernel, process, kernel.frames(*WAIT, routine), priority=17)
    wait(kernel, thread, [semaphore(kernel)], EXECUTIVE, _seconds(kernel))
    return thread


def _balance(kernel: Kernel, process: Process) -> Thread:
    thread = add_thread(kernel, process, kernel.frames(*WAIT_MULTIPLE, "KeBalanceSetManager"), priority=16)
    wait(kernel, thread, [event(kernel), event(kernel)], EXECUTIVE, _seconds(kernel))
    return thread


def _user_wait(kernel: Kernel, process: Process) -> Thread:
    thread = add_thread(kernel, process, kernel.frames(*WAIT, "ObWaitForSingleObject", "NtWaitForSingleObject"))
    wait(kernel, thread, [event(kernel, notification=True)], USER_REQUEST, _seconds(kernel), mode=1)
    return thread


def _completion(kernel: Kernel, process: Process) -> Thread:
    thread = add_thread(kernel, process, kernel.frames(*WAIT_QUEUE, "IoRemoveIoCompletion", "NtRemoveIoCompletion"))
    wait(kernel, thread, [queue(kernel)], WR_QUEUE, _seconds(kernel), mode=1)
    return thread


def _several(kernel: Kernel, process: Process) -> Thread:
    names = (*WAIT_MULTIPLE, "ObWaitForMultipleObjects", "ObpWaitForMultipleObjects", "NtWaitForMultipleObjects")
    thread = add_thread(kernel, process, kernel.frames(*names))
    count = kernel.rng.choice((2, 3, 5))
    wait(kernel, thread, [event(kernel) for _ in range(count)], USER_REQUEST, _seconds(kernel), mode=1)
    return thread


def _alpc(kernel: Kernel, process: Process) -> Thread:
    thread = add_thread(
        kernel, process, kernel.frames(*WAIT, "AlpcpSignalAndWait", "AlpcpReceiveMessage", "NtAlpcSendWaitReceivePort")
    )
    wait(kernel, thread, [semaphore(kernel, tag="Alpc")], USER_REQUEST, _seconds(kernel), mode=1)
    return thread


def _sleep(kernel: Kernel, process: Process) -> Thread:
    thread = add_thread(
        kernel,
        process,
        kernel.frames("KiSwapThread", "KiCommitThreadWait", "KeDelayExecutionThread", "NtDelayExecution"),
    )
    wait(kernel, thread, [], DELAY, round(kernel.rng.uniform(0.1, 5), 1), mode=1)
    return thread
