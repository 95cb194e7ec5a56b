"""Threads, locks, requests and devices of a text, as the facts that a dump's readers give."""

from collections.abc import Iterable

from analysis.address import VirtAddr
from analysis.formats.windbg.facts import (
    PrintedDevice,
    PrintedIrp,
    PrintedLock,
    PrintedStack,
    PrintedThread,
    Reliability,
    WindbgText,
)
from analysis.kernel.facts import (
    Device,
    DeviceNode,
    Driver,
    Frame,
    Held,
    Irp,
    Lock,
    LockKind,
    Process,
    Stack,
    StackLocation,
    Thread,
    WaitObject,
)
from analysis.kernel.printed.names import ImageNames
from analysis.trust import Trust

TRUST = {
    Reliability.GUESSED: Trust.SCAN,
    Reliability.FOLLOWED: Trust.FRAME_POINTER,
    Reliability.UNWOUND: Trust.UNWIND,
}
OBJECT_KINDS = {
    "NotificationEvent": "event",
    "SynchronizationEvent": "event",
    "Mutant": "mutant",
    "Semaphore": "semaphore",
    "Thread": "thread",
    "Process": "process",
    "ProcessObject": "process",
    "QueueObject": "queue",
    "NotificationTimer": "timer",
    "SynchronizationTimer": "timer",
    "Gate": "gate",
}
END = "here the text ends or goes on with something else"


def stack_of(printed: PrintedStack | None, names: ImageNames) -> Stack:
    """A printed stack as frames; the debugger's own warnings decide how far each is trusted."""
    if printed is None:
        return Stack(end="the text shows no stack of this thread")
    frames = tuple(
        Frame(
            VirtAddr(one.address or 0),
            one.symbol,
            names.image(one.module) if one.module else None,
            TRUST[one.reliability],
            VirtAddr(one.stack_pointer) if one.stack_pointer else None,
        )
        for one in printed.frames
    )
    return Stack(frames, "the last frame that was printed" if printed.complete else END)


def thread_of(one: PrintedThread) -> Thread:
    """A thread as !thread shows it."""
    start = one.start or ""
    return Thread(
        address=VirtAddr(one.address),
        process=VirtAddr(one.process or 0),
        process_name=one.image or "",
        pid=one.pid or 0,
        tid=one.tid or 0,
        state=one.state,
        wait_reason=one.wait_reason,
        wait_seconds=one.wait_seconds,
        waits=tuple(
            WaitObject(VirtAddr(address), OBJECT_KINDS.get(kind, "unknown"), VirtAddr(0))
            for address, kind in one.objects
        ),
        irps=tuple(VirtAddr(irp) for irp in one.irps),
        terminated=one.state == "Terminated",
        processor=one.processor,
        name=start or None,
    )


def processes_of(threads: Iterable[PrintedThread]) -> dict[VirtAddr, Process]:
    """The processes that threads name as their owner."""
    return {
        VirtAddr(one.process): Process(VirtAddr(one.process), one.pid or 0, one.image)
        for one in threads
        if one.process and one.image
    }


def lock_of(one: PrintedLock) -> Lock:
    """A resource of !locks. Printed by a debugger from the structures themselves: owners and waiters are certain."""
    owners = tuple(Held(VirtAddr(thread), Trust.STRUCTURE, one.exclusive) for thread in one.owners)
    waiters = tuple(Held(VirtAddr(thread), Trust.STRUCTURE, True) for thread in one.exclusive_waiters)
    waiters += tuple(Held(VirtAddr(thread), Trust.STRUCTURE, False) for thread in one.shared_waiters)
    name = one.name.partition("+")[0] if one.name and one.name.endswith("+0") else one.name
    return Lock(
        address=VirtAddr(one.address),
        kind=LockKind.ERESOURCE,
        name=name,
        description=f"resource (ERESOURCE) at {one.address:#x}, as !locks shows it",
        exclusive=one.exclusive,
        owners=owners,
        waiters=waiters,
        waiters_expected=one.waiters_counted,
        contention=one.contention,
    )


def irp_of(one: PrintedIrp, names: ImageNames) -> Irp:
    """A request of !irp at its current location."""
    current = None
    if one.major is not None:
        device = VirtAddr(one.device) if one.device else None
        current = StackLocation(one.major, one.minor or 0, device, names.of_driver(one.driver))
    thread = VirtAddr(one.thread) if one.thread else None
    return Irp(VirtAddr(one.address), current, (current,) if current else (), thread)


def device_of(one: PrintedDevice, text: WindbgText, names: ImageNames) -> Device:
    """A device of !devstack or !devobj, with the drivers of its stack."""
    by_address = {device.address: device for device in text.devices}
    driver = Driver(VirtAddr(0), names.of_driver(one.driver), one.driver)
    drivers = tuple(
        names.of_driver(by_address[address].driver) if address in by_address else None for address in one.stack
    )
    node = None
    if one.stack and (one.instance_path or one.service):
        node = DeviceNode(VirtAddr(0), one.instance_path, one.service, VirtAddr(one.stack[0]))
    stack = tuple(VirtAddr(address) for address in one.stack)
    return Device(VirtAddr(one.address), driver, stack or (VirtAddr(one.address),), drivers or (driver.image,), node)
