"""The seed: a plug-and-play worker removes a miniport, waits in its driver, and holds the one lock of the device tree.

Bugcheck 0x9F/4 after five minutes, because wininit.exe, which shuts the machine down, cannot get the lock.
"""

from tests.forge.facts import Expected
from tests.forge.kernel.background import WAIT
from tests.forge.kernel.devices import AWAITING_REMOVAL, add_device, add_node, set_physical_device
from tests.forge.kernel.modules import add_driver_object
from tests.forge.kernel.objects import event
from tests.forge.kernel.pnp import add_event, triage_9f_pnp, write_completion_queue, write_event_list
from tests.forge.kernel.resources import add_resource, own, wait_for
from tests.forge.kernel.state import EXECUTIVE, Frame, Kernel, Process, Resource, Thread
from tests.forge.kernel.threads import add_thread, wait
from tests.forge.scenarios.story import (
    Cast,
    Culprit,
    Outcome,
    blocked,
    driver_image,
    frame_address,
    named,
    stop_in_idle,
    waiter,
)

REMOVAL = (
    "IopSynchronousCall",
    "IopRemoveDevice",
    "PnpSurpriseRemoveLockedDeviceNode",
    "PnpDeleteLockedDeviceNode",
    "PnpDeleteLockedDeviceNodes",
    "PnpProcessQueryRemoveAndEject",
    "PnpProcessTargetDeviceEvent",
    "PnpDeviceEventWorker",
    "ExpWorkerThread",
)
SHUTDOWN = (
    "PpDevNodeLockTree",
    "PopBuildDeviceNotifyList",
    "PoBroadcastSystemState",
    "PopTransitionSystemPowerStateEx",
    "NtSetSystemPowerState",
    "NtShutdownSystem",
)
STOP = ("PnpBugcheckPowerTimeout", "KiProcessExpiredTimerList", "KiTimerExpiration", "KiRetireDpcList")
TIMEOUT = 300


def build(kernel: Kernel, cast: Cast) -> Outcome:
    """The seed story; a cast drawn from a seed has another driver, other waiters and another number of them."""
    (culprit,) = cast.culprits(1)
    image = driver_image(kernel, culprit)
    device, node = device_of(kernel, culprit)
    lock = add_resource(kernel, "PiEngineLock")
    holder = removal_worker(kernel, culprit)
    wait(kernel, holder, [event(kernel)], EXECUTIVE, TIMEOUT + 1.5)
    own(kernel, lock, holder)
    add_event(kernel, write_event_list(kernel, holder), culprit.instance_path, device)
    write_completion_queue(kernel, [node])
    waiters = lock_tree_waiters(kernel, cast, lock)
    parameters = stop_9f_4(kernel, holder)
    expected = Expected(
        culprit=culprit.driver,
        culprit_address=frame_address(holder, image),
        root=holder.address,
        lock=lock.address,
        lock_name="PiEngineLock",
        locks=(lock.address,),
        blocked=tuple(blocked(thread, lock.address) for thread in waiters),
        drivers=(culprit.driver,),
        instance_path=culprit.instance_path,
        service=culprit.service,
        impact_process="wininit.exe",
    )
    return Outcome(0x9F, parameters, expected)


def removal_worker(kernel: Kernel, culprit: Culprit) -> Thread:
    """A System worker inside the removal of the culprit's device, waiting in its driver below ndis."""
    image, ndis = driver_image(kernel, culprit), kernel.image("ndis.sys")
    frames = [
        *kernel.frames(*WAIT),
        Frame(image, "WaitForReferences"),
        Frame(image, "ProtocolUnbind"),
        Frame(ndis, "UnbindProtocol"),
        Frame(ndis, "CloseBindings"),
        Frame(ndis, "PnpRemoveDevice"),
        Frame(ndis, "Dispatch"),
        *kernel.frames("IopfCallDriver", "IofCallDriver", *REMOVAL),
    ]
    worker = kernel.nt.base + kernel.names.rvas["ExpWorkerThread"]
    thread = add_thread(kernel, named(kernel, "System"), frames, start=worker, priority=13)
    kernel.machine.put("_ETHREAD", thread.address, ActiveExWorker=1)
    return thread


def device_of(kernel: Kernel, culprit: Culprit) -> tuple[int, int]:
    """The culprit's device (its PDO) and devnode under the root, in a stack with the function driver on top."""
    root = add_node(kernel, "HTREE\\ROOT\\0", "", 0)
    bus = add_driver_object(kernel, kernel.image("pci.sys"), "pci")
    function = add_driver_object(kernel, driver_image(kernel, culprit), culprit.service)
    for path, service in (("ACPI_HAL\\PNP0C08\\0", "ACPI"), ("ROOT\\VDRVROOT\\0000", "vdrvroot")):
        set_physical_device(kernel, add_node(kernel, path, service, root), add_device(kernel, bus))
    node = add_node(kernel, culprit.instance_path, culprit.service, root, state=AWAITING_REMOVAL)
    pdo = add_device(kernel, bus)
    set_physical_device(kernel, node, pdo)
    add_device(kernel, function, attach_to=pdo)
    return pdo, node


def lock_tree_waiters(kernel: Kernel, cast: Cast, lock: Resource) -> list[Thread]:
    """wininit.exe in the shutdown, and others that need the device tree; all wait for ``lock``."""
    shutdown = waiter(kernel, named(kernel, "wininit.exe"), lock, kernel.frames(*SHUTDOWN))
    others: list[tuple[Process, tuple[str, ...]]] = [
        (cast.process(kernel, "svchost.exe"), ("PpDevNodeLockTree", "NtPlugPlayControl")),
        (named(kernel, "System"), ("PpDevNodeLockTree", "PnpDeviceActionWorker", "ExpWorkerThread")),
    ]
    for _ in range(cast.rng.randrange(0, 3) if cast.drawn else 0):
        others.append(
            (cast.process(kernel, "svchost.exe"), ("PpDevNodeLockTree", "IoGetDeviceProperty", "NtDeviceIoControlFile"))
        )
    more = [waiter(kernel, process, lock, kernel.frames(*names), shared=True) for process, names in others]
    times = [TIMEOUT - 41.5 + 3 * index for index in range(len(more))]
    wait_for(kernel, lock, [(shutdown, float(TIMEOUT))], list(zip(more, times, strict=True)))
    return [shutdown, *more]


def stop_9f_4(kernel: Kernel, thread: Thread) -> tuple[int, int, int, int]:
    """The power watchdog's timer fires on an idle processor and names ``thread``. Returns the stop's parameters."""
    stack = stop_in_idle(kernel, kernel.frames(*STOP))
    block = next(frame.sp for frame in stack.placed if frame.function == "PnpBugcheckPowerTimeout") + 0x30
    triage_9f_pnp(kernel, block)
    return 4, TIMEOUT, thread.address, block
