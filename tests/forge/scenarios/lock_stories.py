"""Stories of locks that are neither a plain chain nor a circle: states of owners, queues, replies, requests.

All are stops that a person asked for (0xE2): nothing but the locks tells what was wrong.
"""

from collections.abc import Sequence

from tests.forge.facts import Expected
from tests.forge.image import Image
from tests.forge.kernel.background import WAIT
from tests.forge.kernel.devices import add_irp, add_node
from tests.forge.kernel.modules import add_driver_object
from tests.forge.kernel.objects import event, queue
from tests.forge.kernel.pnp import write_completion_queue, write_event_list
from tests.forge.kernel.resources import share, wait_for
from tests.forge.kernel.stacks import StackWriter, new_stack
from tests.forge.kernel.state import (
    DELAY,
    EXECUTIVE,
    SUSPENDED,
    WR_QUEUE,
    Frame,
    Kernel,
    Process,
    Thread,
)
from tests.forge.kernel.threads import add_running, add_thread, make_ready, terminate, wait
from tests.forge.scenarios.lock_kinds import Alpc, Mutant, Queue, Resource
from tests.forge.scenarios.manual import MANUALLY_INITIATED
from tests.forge.scenarios.seed import device_of
from tests.forge.scenarios.story import (
    Cast,
    Culprit,
    Outcome,
    Scenario,
    blocked,
    device_stack,
    driver_image,
    named,
    stop_in_idle,
)

IO = ("IopfCallDriver", "IofCallDriver", "IopSynchronousServiceTail", "IopXxxControlFile", "NtDeviceIoControlFile")
IRP_MJ_DEVICE_CONTROL = 0x0E


def inside(kernel: Kernel, image: Image) -> list[Frame]:
    return [Frame(image, "WaitForDevice"), Frame(image, "Dispatch"), *kernel.frames(*IO)]


def stop(kernel: Kernel, expected: Expected) -> Outcome:
    """Somebody pressed the keys on an idle processor."""
    stop_in_idle(kernel, kernel.frames("KiExecuteAllDpcs", "KiRetireDpcList"))
    return Outcome(MANUALLY_INITIATED, (0, 0, 0, 0), expected)


def owner(state: str) -> Scenario:
    """A resource whose owner is not blocked by anybody: it runs, is ready, has ended, idles, sleeps or is suspended."""

    def tell(kernel: Kernel, cast: Cast) -> Outcome:
        (driver,) = cast.third_party(1)
        image = driver_image(kernel, driver)
        lock = Resource(kernel, named(kernel, "services.exe"))
        if state == "running":
            thread = _running(kernel, named(kernel, "spoolsv.exe"), inside(kernel, image))
        else:
            thread = add_thread(kernel, named(kernel, "System"), kernel.frames(*WAIT, "ExpWorkerThread"))
            _put_to(kernel, thread, state)
        lock.own(thread)
        waiting = lock.waiter(kernel.frames("NtReadFile"))
        lock.block(waiting, 120.0)
        if state == "terminated":
            terminate(kernel, thread)
        expected = Expected(
            culprit=driver.driver if state == "running" else None,
            root=thread.address,
            lock=lock.address,
            locks=(lock.address,),
            drivers=(driver.driver,) if state == "running" else (),
            blocked=(blocked(waiting, lock.address),),
        )
        return stop(kernel, expected)

    return tell


def _put_to(kernel: Kernel, thread: Thread, state: str) -> None:
    if state == "ready":
        make_ready(kernel, thread)
    elif state == "idle":
        wait(kernel, thread, [queue(kernel, tag="ExWq")], WR_QUEUE, 100.0)
    elif state == "sleeping":
        wait(kernel, thread, [], DELAY, 100.0)
    elif state == "suspended":
        wait(kernel, thread, [event(kernel)], SUSPENDED, 100.0)
    else:
        wait(kernel, thread, [event(kernel)], EXECUTIVE, 100.0)


def _running(kernel: Kernel, process: Process, frames: Sequence[Frame]) -> Thread:
    """A thread on a processor of its own, its registers in the processor's block as a freeze leaves them."""
    stack = StackWriter(kernel, new_stack(kernel))
    stack.bottom_user(0x7FFE_1A2B_0040, 0x2B_0000_0400)
    for frame in reversed(frames):
        stack.call(frame)
    thread = add_running(kernel, process, stack)
    kernel.frozen.append((thread, stack))
    return thread


def shared(kernel: Kernel, cast: Cast) -> Outcome:
    """Two owners share a resource and each is stuck in another driver: nobody alone is to blame for long."""
    one, two = cast.third_party(2)
    threads = []
    for driver, seconds in ((one, 500.0), (two, 300.0)):
        frames = [*kernel.frames(*WAIT), *inside(kernel, driver_image(kernel, driver))]
        thread = add_thread(kernel, named(kernel, "svchost.exe"), frames)
        wait(kernel, thread, [event(kernel)], EXECUTIVE, seconds)
        threads.append(thread)
    lock = Resource(kernel, named(kernel, "services.exe"))
    assert lock.any.resource is not None
    share(kernel, lock.any.resource, threads)
    waiting = lock.waiter(kernel.frames("NtReadFile"))
    lock.block(waiting, 290.0)
    expected = Expected(
        culprit=one.driver,  # it has not moved for longer
        root=threads[0].address,
        lock=lock.address,
        locks=(lock.address,),
        drivers=(one.driver,),
        blocked=(blocked(waiting, lock.address),),
    )
    return stop(kernel, expected)


def pileups(kernel: Kernel, cast: Cast) -> Outcome:
    """Two pile-ups apart from each other: a long one of small programs, a short one of wininit.exe."""
    one, two = cast.third_party(2)
    small = _pileup(kernel, two, ["notepad.exe", "chrome.exe", "MsMpEng.exe"])
    great = _pileup(kernel, one, ["wininit.exe", "lsass.exe"])
    expected = Expected(
        culprit=one.driver,
        root=great[0].address,
        lock=great[1].address,
        locks=(great[1].address, small[1].address),
        drivers=(one.driver,),
        impact_process="wininit.exe",
        blocked=tuple(blocked(thread, lock.address) for _, lock, threads in (great, small) for thread in threads),
    )
    return stop(kernel, expected)


def _pileup(kernel: Kernel, driver: Culprit, programs: Sequence[str]) -> tuple[Thread, Resource, list[Thread]]:
    frames = [*kernel.frames(*WAIT), *inside(kernel, driver_image(kernel, driver))]
    stuck = add_thread(kernel, named(kernel, "svchost.exe"), frames)
    wait(kernel, stuck, [event(kernel)], EXECUTIVE, 400.0)
    lock = Resource(kernel, named(kernel, "services.exe"))
    lock.own(stuck)
    threads = []
    for name in programs:
        lock.home = named(kernel, name)
        threads.append(lock.waiter(kernel.frames("NtReadFile")))
    assert lock.any.resource is not None
    wait_for(kernel, lock.any.resource, [(thread, 300.0 - 5 * at) for at, thread in enumerate(threads)])
    return stuck, lock, threads


def stuck_queue(kernel: Kernel, cast: Cast) -> Outcome:
    """All workers of a queue stand behind a resource whose owner is stuck in a driver; a program waits for an item."""
    (driver,) = cast.third_party(1)
    image = driver_image(kernel, driver)
    system = named(kernel, "System")
    stuck = add_thread(kernel, named(kernel, "svchost.exe"), [*kernel.frames(*WAIT), *inside(kernel, image)])
    wait(kernel, stuck, [event(kernel)], EXECUTIVE, 400.0)
    lock, items = Resource(kernel, system), Queue(kernel, named(kernel, "explorer.exe"))
    lock.own(stuck)
    workers = [lock.waiter(kernel.frames("ExpWorkerThread")) for _ in range(3)]
    assert lock.any.resource is not None
    wait_for(kernel, lock.any.resource, [(worker, 390.0 - at) for at, worker in enumerate(workers)])
    for worker in workers:
        items.own(worker)
    client = items.waiter(kernel.frames("NtReadFile"))
    items.block(client, 380.0)
    expected = Expected(
        culprit=driver.driver,
        root=stuck.address,
        lock=lock.address,
        locks=(lock.address, items.address),
        drivers=(driver.driver,),
        blocked=(*(blocked(w, lock.address) for w in workers), blocked(client, items.address)),
    )
    return stop(kernel, expected)


def queue_deadlock(kernel: Kernel, cast: Cast) -> Outcome:
    """Work queued and waited for while holding the lock that all the queue's workers want."""
    one, two = cast.third_party(2)
    images = driver_image(kernel, one), driver_image(kernel, two)
    items, lock = Queue(kernel, named(kernel, "explorer.exe")), Resource(kernel, named(kernel, "System"))
    client = items.waiter(inside(kernel, images[0]))
    workers = [lock.waiter([*inside(kernel, images[1]), *kernel.frames("ExpWorkerThread")]) for _ in range(2)]
    lock.own(client)
    assert lock.any.resource is not None
    wait_for(kernel, lock.any.resource, [(worker, 200.0 - at) for at, worker in enumerate(workers)])
    for worker in workers:
        items.own(worker)
    items.block(client, 201.0)
    threads = (client.address, *(worker.address for worker in workers))
    expected = Expected(
        culprit=None,
        locks=(items.address, lock.address),
        drivers=(one.driver, two.driver),
        cycles=((threads, (items.address, lock.address)),),
        blocked=(blocked(client, items.address), *(blocked(worker, lock.address) for worker in workers)),
    )
    return stop(kernel, expected)


def behind_a_cycle(kernel: Kernel, cast: Cast) -> Outcome:
    """Two threads that hold each other, and a row of others behind one of them, through another kind of lock."""
    drivers = cast.third_party(2)
    images = [driver_image(kernel, driver) for driver in drivers]
    home = named(kernel, "services.exe")
    locks = [Resource(kernel, home), Mutant(kernel, home)]
    threads = [lock.waiter(inside(kernel, image)) for lock, image in zip(locks, images, strict=True)]
    locks[0].own(threads[1])
    locks[1].own(threads[0])
    outer = Mutant(kernel, named(kernel, "wininit.exe"))
    outer.own(threads[0])
    last = outer.waiter(kernel.frames("NtReadFile"))
    for lock, thread, seconds in ((locks[0], threads[0], 90.0), (locks[1], threads[1], 80.0), (outer, last, 70.0)):
        lock.block(thread, seconds)
    inner = tuple(lock.address for lock in locks)
    expected = Expected(
        culprit=None,
        locks=(*inner, outer.address),
        drivers=tuple(driver.driver for driver in drivers),
        cycles=((tuple(thread.address for thread in threads), inner),),
        impact_process="wininit.exe",
        blocked=(*(blocked(t, at) for t, at in zip(threads, inner, strict=True)), blocked(last, outer.address)),
    )
    return stop(kernel, expected)


def idle_worker(kernel: Kernel, cast: Cast) -> Outcome:
    """A queue with one worker stuck and one idle is no lock: its items are taken."""
    (driver,) = cast.third_party(1)
    items = Queue(kernel, named(kernel, "explorer.exe"))
    frames = [*kernel.frames(*WAIT), *inside(kernel, driver_image(kernel, driver))]
    busy = add_thread(kernel, named(kernel, "System"), frames)
    wait(kernel, busy, [event(kernel)], EXECUTIVE, 400.0)
    free = add_thread(kernel, named(kernel, "System"), kernel.frames(*WAIT, "ExpWorkerThread"))
    wait(kernel, free, [items.address], WR_QUEUE, 3.0)
    for worker in (busy, free):
        items.own(worker)
    client = items.waiter(kernel.frames("NtReadFile"))
    items.block(client, 2.0)
    return stop(kernel, Expected(culprit=None))


def asynchronous_reply(kernel: Kernel, cast: Cast) -> Outcome:
    """The server's thread took the message and went back to its pool: it is not what the client waits for."""
    cast.third_party(1)
    lock = Alpc(kernel, named(kernel, "explorer.exe"))
    server = add_thread(kernel, named(kernel, "lsass.exe"), kernel.frames(*WAIT, "NtRemoveIoCompletion"))
    wait(kernel, server, [queue(kernel)], WR_QUEUE, 500.0, mode=1)
    lock.own(server)
    client = lock.waiter(kernel.frames("NtReadFile"))
    lock.block(client, 500.0)
    return stop(kernel, Expected(culprit=None))


def request(*, listed: bool, depth: int = 1) -> Scenario:
    """At the end of ``depth`` resources in a row an owner waits for a request that another driver has; no driver is on
    its stack."""

    def tell(kernel: Kernel, cast: Cast) -> Outcome:
        upper, lower = cast.third_party(2)
        root = add_node(kernel, "HTREE\\ROOT\\0", "", 0)
        bus = add_driver_object(kernel, kernel.image("pci.sys"), "pci")
        drivers = [add_driver_object(kernel, driver_image(kernel, one), one.service) for one in (lower, upper)]
        _, devices = device_stack(kernel, root, lower, [bus, *drivers])
        frames = [*kernel.frames(*WAIT, "IopSynchronousCall", "NtDeviceIoControlFile")]
        holder = add_thread(kernel, named(kernel, "services.exe"), frames)
        local = holder.frame("IopSynchronousCall").sp + 0x30
        done = event(kernel, address=local)
        wait(kernel, holder, [done], EXECUTIVE, 300.0)
        order = list(reversed(devices))
        irp = add_irp(kernel, order, IRP_MJ_DEVICE_CONTROL, thread=holder, current=1, event=done, listed=listed)
        kernel.machine.u64(local + 0x20, irp)
        locks, stuck, owner = [irp], [], holder
        for level in range(depth):
            lock = Resource(kernel, named(kernel, "explorer.exe"))
            lock.own(owner)
            owner = lock.waiter(kernel.frames("NtReadFile"))
            lock.block(owner, 280.0 - 10 * level)
            locks.insert(level, lock.address)
            stuck.append(blocked(owner, lock.address))
        expected = Expected(
            culprit=lower.driver,
            root=holder.address,
            lock=locks[0],
            locks=tuple(locks),
            kinds=(*["eresource"] * depth, "irp"),
            drivers=(lower.driver,),
            blocked=tuple(stuck),
        )
        return stop(kernel, expected)

    return tell


def unanswered(kernel: Kernel, cast: Cast) -> Outcome:
    """A Plug and Play worker owns a resource and waits for a driver's answer, at the semaphore that counts answers."""
    (driver,) = cast.third_party(1)
    _, node = device_of(kernel, driver)
    queue_of_answers = write_completion_queue(kernel, [node])
    write_event_list(kernel, None)
    frames = kernel.frames(*WAIT, "PnpDeviceActionWorker", "ExpWorkerThread")
    worker = add_thread(kernel, named(kernel, "System"), frames)
    counted = kernel.machine.at("_PNP_DEVICE_COMPLETION_QUEUE", queue_of_answers, "CompletedSemaphore")
    wait(kernel, worker, [counted], EXECUTIVE, 200.0)
    lock = Resource(kernel, named(kernel, "services.exe"))
    lock.own(worker)
    waiting = lock.waiter(kernel.frames("NtReadFile"))
    lock.block(waiting, 190.0)
    expected = Expected(
        culprit=driver.driver,
        root=worker.address,
        lock=lock.address,
        locks=(lock.address, counted),
        kinds=("eresource", "semaphore"),
        drivers=(driver.driver,),
        blocked=(blocked(waiting, lock.address),),
        says=("owes one",),
    )
    return stop(kernel, expected)


OWNERS = ("running", "ready", "terminated", "idle", "sleeping", "suspended")
OTHERS: dict[str, Scenario] = {
    "shared-owners": shared,
    "two-pileups": pileups,
    "queue-all-workers": stuck_queue,
    "queue-idle-worker": idle_worker,
    "queue-deadlock": queue_deadlock,
    "behind-a-cycle": behind_a_cycle,
    "alpc-idle-server": asynchronous_reply,
    "pnp-unanswered": unanswered,
    "irp-listed": request(listed=True),
    "irp-on-stack": request(listed=False),
    **{f"irp-chain-{depth}": request(listed=bool(depth % 2), depth=depth) for depth in (2, 3, 4)},
}
