"""Stops a person asked for (0xE2): a hung machine, and what may or may not be wrong with it."""

from tests.forge.facts import Expected
from tests.forge.image import Image
from tests.forge.kernel.background import WAIT, WAIT_MULTIPLE
from tests.forge.kernel.objects import event, mutant
from tests.forge.kernel.resources import add_resource, own, share, wait_for
from tests.forge.kernel.state import EXECUTIVE, USER_REQUEST, Frame, Kernel, Thread
from tests.forge.kernel.threads import add_thread, make_ready, wait
from tests.forge.scenarios.locks import new_lock
from tests.forge.scenarios.story import Cast, Outcome, blocked, driver_image, frame_address, named, stop_in_idle, waiter

MANUALLY_INITIATED = 0xE2
IO = ("IopfCallDriver", "IofCallDriver", "IopSynchronousServiceTail", "IopXxxControlFile", "NtDeviceIoControlFile")


def deadlock(kernel: Kernel, cast: Cast) -> Outcome:
    """Two drivers' threads each hold a resource and wait for the other's; a third stands behind one of them."""
    one, two = cast.third_party(2)
    images = driver_image(kernel, one), driver_image(kernel, two)
    first, second = new_lock(kernel, cast, images[0], "Alck"), new_lock(kernel, cast, images[1], "Blck")
    left = second.waiter(kernel, cast.process(kernel, "services.exe"), _in_driver(kernel, images[0]))
    right = first.waiter(kernel, cast.process(kernel, "svchost.exe"), _in_driver(kernel, images[1]))
    behind = first.waiter(kernel, cast.process(kernel, "explorer.exe"), kernel.frames("NtQueryDirectoryFile"))
    first.own(kernel, left)
    second.own(kernel, right)
    second.block(kernel, [(left, 140.0)])
    first.block(kernel, [(right, 139.0), (behind, 95.5)])
    expected = Expected(
        culprit=None,
        lock=first.address,
        locks=(first.address, second.address),
        drivers=(one.driver, two.driver),
        cycles=(((left.address, right.address), (first.address, second.address)),),
        blocked=(blocked(left, second.address), blocked(right, first.address), blocked(behind, first.address)),
    )
    return _stopped(kernel, expected)


def decoys(kernel: Kernel, cast: Cast) -> Outcome:
    """Nothing is wrong: locks owned and unwaited, contended in the past, owned by the dead. Nobody is to be blamed."""
    (driver,) = cast.third_party(1)
    image = driver_image(kernel, driver)
    frames = [*kernel.frames(*WAIT), Frame(image, "WaitForWork"), Frame(image, "WorkerThread")]
    busy = add_thread(kernel, named(kernel, "System"), frames)
    wait(kernel, busy, [event(kernel)], EXECUTIVE, 512.0)
    lock = add_resource(kernel, "PiEngineLock")
    own(kernel, lock, busy)
    return _stopped(kernel, Expected(culprit=None))


def shared(kernel: Kernel, cast: Cast) -> Outcome:
    """A lock shared by three, one of them stuck in a driver: whoever wants it alone waits for that one."""
    (driver,) = cast.third_party(1)
    image = driver_image(kernel, driver)
    frames = [*kernel.frames(*WAIT), Frame(image, "WaitForDevice"), Frame(image, "Dispatch"), *kernel.frames(*IO)]
    stuck = add_thread(kernel, cast.process(kernel, "svchost.exe"), frames)
    wait(kernel, stuck, [event(kernel)], EXECUTIVE, 260.0)
    readers: list[Thread] = []
    for _ in range(2):  # readers that go on as soon as their processor is free: ready, not waiting
        reader = add_thread(kernel, named(kernel, "explorer.exe"), kernel.frames(*WAIT, "NtQueryDirectoryFile"))
        make_ready(kernel, reader)
        readers.append(reader)
    lock = add_resource(kernel, tag="Slck")
    share(kernel, lock, [readers[0], stuck, readers[1]])
    writers = [
        waiter(kernel, cast.process(kernel, name), lock, kernel.frames("NtQueryDirectoryFile"))
        for name in ("services.exe", "spoolsv.exe")
    ]
    wait_for(kernel, lock, [(writer, 250.0 - 20 * index) for index, writer in enumerate(writers)])
    expected = Expected(
        culprit=driver.driver,
        culprit_address=frame_address(stuck, image),
        root=stuck.address,
        lock=lock.address,
        locks=(lock.address,),
        drivers=(driver.driver,),
        blocked=tuple(blocked(w, lock.address) for w in writers),
    )
    return _stopped(kernel, expected)


def any_of(kernel: Kernel, cast: Cast) -> Outcome:
    """What looks like a cycle is none: one of its threads waits for either of two mutants, and one's owner is free."""
    _, (chooser, behind), lock, _ = _choice(kernel, cast, all_of=False)
    expected = Expected(culprit=None, root=chooser.address, lock=lock, locks=(lock,), blocked=(blocked(behind, lock),))
    return _stopped(kernel, expected)


def all_of(kernel: Kernel, cast: Cast) -> Outcome:
    """The same, but the thread wants both mutants: a cycle, whatever the other one's owner does."""
    driver, threads, lock, (held, _) = _choice(kernel, cast, all_of=True)
    chooser, behind = threads
    expected = Expected(
        culprit=driver,  # the only driver in the cycle
        drivers=(driver,),
        lock=lock,
        locks=(lock, held),
        cycles=(((chooser.address, behind.address), (lock, held)),),
        blocked=(blocked(chooser, held), blocked(behind, lock)),
    )
    return _stopped(kernel, expected)


def _choice(kernel: Kernel, cast: Cast, *, all_of: bool) -> tuple[str, tuple[Thread, Thread], int, tuple[int, int]]:
    """A thread that owns a resource waits for two mutants: one of a thread behind the resource, one of a ready one."""
    (driver,) = cast.third_party(1)
    lock = add_resource(kernel, tag="Olck")
    names = (*WAIT_MULTIPLE, "ObWaitForMultipleObjects", "ObpWaitForMultipleObjects", "NtWaitForMultipleObjects")
    chooser = add_thread(kernel, named(kernel, "services.exe"), kernel.frames(*names))
    free = add_thread(kernel, named(kernel, "explorer.exe"), kernel.frames(*WAIT, "NtReadFile"))
    make_ready(kernel, free)
    callers = _in_driver(kernel, driver_image(kernel, driver))
    behind = waiter(kernel, cast.process(kernel, "svchost.exe"), lock, callers)
    mutants = mutant(kernel, behind.address), mutant(kernel, free.address)
    own(kernel, lock, chooser)
    wait(kernel, chooser, mutants, USER_REQUEST, 30.0, all_of=all_of, mode=1)
    wait_for(kernel, lock, [(behind, 25.0)])
    return driver.driver, (chooser, behind), lock.address, mutants


def _in_driver(kernel: Kernel, image: Image) -> list[Frame]:
    return [Frame(image, "LockDevice"), Frame(image, "Dispatch"), *kernel.frames(*IO)]


def _stopped(kernel: Kernel, expected: Expected) -> Outcome:
    """The keyboard driver stops the machine from its interrupt's DPC."""
    keyboard = kernel.image("kbdhid.sys")
    frames = [Frame(keyboard, "CrashDump"), Frame(keyboard, "ReadComplete")]
    stop_in_idle(kernel, [*frames, *kernel.frames("IofCompleteRequest", "KiRetireDpcList")])
    return Outcome(MANUALLY_INITIATED, (0, 0, 0, 0), expected)
