"""Stories of processors that spin: a thread that spins runs, and only its stack and the lock's queue tell."""

from collections.abc import Sequence

from tests.forge.facts import Expected
from tests.forge.image import Image
from tests.forge.kernel.background import WAIT
from tests.forge.kernel.objects import event
from tests.forge.kernel.spin_locks import PLAIN, QUEUED, frames_of, queue_up, run_on_processor, spin_lock
from tests.forge.kernel.state import EXECUTIVE, Kernel, Thread
from tests.forge.kernel.threads import add_thread, wait
from tests.forge.scenarios.lock_kinds import Resource
from tests.forge.scenarios.lock_stories import inside, stop
from tests.forge.scenarios.nolock import fault
from tests.forge.scenarios.story import Cast, Outcome, Scenario, blocked, driver_image, named, stop_in_idle

CLOCK_WATCHDOG, DPC_WATCHDOG = 0x101, 0x133
PROGRAMS = ("spoolsv.exe", "svchost.exe", "MsMpEng.exe", "explorer.exe", "chrome.exe")


def _spins(kernel: Kernel, number: int, image: Image, lock: int, inner: Sequence[str] = QUEUED) -> Thread:
    return run_on_processor(kernel, named(kernel, PROGRAMS[number]), frames_of(kernel, image, inner, lock))


def _nobody(lock: int) -> Expected:
    says = (f"spin lock at {lock:#x}, whose holder is not recorded",)
    return Expected(culprit=None, locks=(lock,), kinds=("spin-lock",), says=says)


def plain(spinners: int, *, in_dpc: bool = False) -> Scenario:
    """Nobody is recorded as the holder, whoever spins; nobody is blamed."""

    def tell(kernel: Kernel, cast: Cast) -> Outcome:
        (driver,) = cast.third_party(1)
        frames = frames_of(kernel, driver_image(kernel, driver), PLAIN, lock := spin_lock(kernel, taken=True))
        for number in range(spinners):
            run_on_processor(kernel, named(kernel, PROGRAMS[number]), frames, in_dpc=in_dpc)
        outcome = stop(kernel, _nobody(lock))
        if in_dpc:
            _, busy = kernel.frozen[0]
            kernel.machine.put("_KPRCB", kernel.processors[-1], DpcStack=busy.base)
        return outcome

    return tell


def queued(depth: int) -> Scenario:
    """``depth`` locks in a row; the owner of the first runs in a driver and does not come back."""

    def tell(kernel: Kernel, cast: Cast) -> Outcome:
        (driver, *others) = cast.third_party(depth + 1)
        image = driver_image(kernel, driver)
        owner = root = run_on_processor(kernel, named(kernel, "services.exe"), frames_of(kernel, image))
        locks, stuck = [], []
        for number, other in enumerate(others):
            lock = spin_lock(kernel)
            thread = _spins(kernel, number, driver_image(kernel, other), lock)
            queue_up(kernel, lock, owner, [thread])
            locks.append(lock)
            stuck.append(blocked(thread, lock))
            owner = thread
        expected = Expected(
            culprit=driver.driver,
            root=root.address,
            lock=locks[0],
            locks=tuple(locks),
            drivers=(driver.driver,),
            blocked=tuple(stuck),
            kinds=("spin-lock",) * depth,
        )
        return stop(kernel, expected)

    return tell


def crowd(kernel: Kernel, cast: Cast) -> Outcome:
    """Three processors in one queue."""
    (driver,) = cast.third_party(1)
    image, lock = driver_image(kernel, driver), spin_lock(kernel)
    owner = run_on_processor(kernel, named(kernel, "services.exe"), frames_of(kernel, image))
    threads = [_spins(kernel, number, image, lock) for number in range(3)]
    queue_up(kernel, lock, owner, threads)
    expected = Expected(
        culprit=driver.driver,
        root=owner.address,
        lock=lock,
        locks=(lock,),
        drivers=(driver.driver,),
        blocked=tuple(blocked(thread, lock) for thread in threads),
    )
    return stop(kernel, expected)


def cycle(size: int) -> Scenario:
    """``size`` processors, each spinning for a lock of the next; one spins for what it has itself."""

    def tell(kernel: Kernel, cast: Cast) -> Outcome:
        drivers = cast.third_party(size)
        locks = [spin_lock(kernel) for _ in drivers]
        threads = [
            _spins(kernel, number, driver_image(kernel, driver), locks[number]) for number, driver in enumerate(drivers)
        ]
        for number, lock in enumerate(locks):
            queue_up(kernel, lock, threads[(number + 1) % size], [threads[number]])
        expected = Expected(
            culprit=drivers[0].driver if size == 1 else None,
            locks=tuple(locks),
            drivers=tuple(driver.driver for driver in drivers),
            cycles=((tuple(thread.address for thread in threads), tuple(locks)),),
            blocked=tuple(blocked(thread, lock) for thread, lock in zip(threads, locks, strict=True)),
        )
        return stop(kernel, expected)

    return tell


def unknown_owner(kernel: Kernel, cast: Cast) -> Outcome:
    """The owner's part of the queue is on no stack."""
    (driver,) = cast.third_party(1)
    lock = spin_lock(kernel)
    queue_up(kernel, lock, None, [_spins(kernel, 0, driver_image(kernel, driver), lock)])
    return stop(kernel, _nobody(lock))


def watchdog(kernel: Kernel, cast: Cast) -> Outcome:
    """0x133: the processor whose time ran out spins for a lock that another processor's driver has and keeps."""
    holder, victim = cast.third_party(2)
    lock = spin_lock(kernel)
    owner = run_on_processor(kernel, named(kernel, "services.exe"), frames_of(kernel, driver_image(kernel, holder)))
    frames = frames_of(kernel, driver_image(kernel, victim), QUEUED, lock)
    stack = stop_in_idle(kernel, [*frames, *kernel.frames("KiExecuteAllDpcs", "KiRetireDpcList")])
    spins = kernel.others[-1 - 3]
    spins.frames = list(reversed(stack.placed))
    queue_up(kernel, lock, owner, [spins])
    expected = Expected(
        culprit=holder.driver,
        root=owner.address,
        lock=lock,
        locks=(lock,),
        drivers=(holder.driver,),
        blocked=(blocked(spins, lock),),
    )
    return Outcome(DPC_WATCHDOG, (0, 0x501, 0x500, 0), expected)


def silent(kernel: Kernel, cast: Cast) -> Outcome:
    """0x101: the processor that did not answer spins, and another one has the lock."""
    holder, victim = cast.third_party(2)
    lock = spin_lock(kernel)
    frames = frames_of(kernel, driver_image(kernel, holder))
    owner = run_on_processor(kernel, named(kernel, "services.exe"), frames)
    spins = _spins(kernel, 0, driver_image(kernel, victim), lock)
    queue_up(kernel, lock, owner, [spins])
    expected = Expected(
        culprit=holder.driver,
        root=owner.address,
        lock=lock,
        locks=(lock,),
        kinds=("spin-lock",),
        drivers=(holder.driver,),
        blocked=(blocked(spins, lock),),
    )
    stop(kernel, expected)
    number = len(kernel.processors) - 1  # of the last that was frozen
    return Outcome(CLOCK_WATCHDOG, (12, 0, kernel.processors[number], number), expected)


def beside_a_pileup(kernel: Kernel, cast: Cast) -> Outcome:
    """A processor spins, perhaps for a moment; a program has waited for minutes for a resource: that is the story."""
    holder, stuck = cast.third_party(2)
    lock = spin_lock(kernel)
    owner = run_on_processor(kernel, named(kernel, "System"), frames_of(kernel, driver_image(kernel, holder)))
    spins = run_on_processor(
        kernel, named(kernel, "System"), frames_of(kernel, driver_image(kernel, holder), QUEUED, lock)
    )
    queue_up(kernel, lock, owner, [spins])
    frames = [*kernel.frames(*WAIT), *inside(kernel, driver_image(kernel, stuck))]
    thread = add_thread(kernel, named(kernel, "svchost.exe"), frames)
    wait(kernel, thread, [event(kernel)], EXECUTIVE, 200.0)
    resource = Resource(kernel, named(kernel, "notepad.exe"))
    resource.own(thread)
    waiting = resource.waiter(kernel.frames("NtReadFile"))
    resource.block(waiting, 190.0)
    expected = Expected(
        culprit=stuck.driver,
        root=thread.address,
        lock=resource.address,
        locks=(resource.address, lock),
        kinds=("eresource", "spin-lock"),
        drivers=(stuck.driver,),
        blocked=(blocked(waiting, resource.address), blocked(spins, lock)),
    )
    return stop(kernel, expected)


def beside_a_fault(kernel: Kernel, cast: Cast) -> Outcome:
    """0xD1 while a processor spins: that is everyday and no part of the story."""
    (holder,) = cast.third_party(1)
    lock, image = spin_lock(kernel), driver_image(kernel, holder)
    owner = run_on_processor(kernel, named(kernel, "System"), frames_of(kernel, image))
    queue_up(kernel, lock, owner, [_spins(kernel, 0, image, lock)])
    return fault(kernel, cast)


SPIN_STORIES: dict[str, Scenario] = {
    "spin-lock-plain": plain(1),
    "spin-lock-two-spin": plain(2),
    "spin-lock-in-dpc": plain(1, in_dpc=True),
    **{f"spin-lock-chain-{depth}": queued(depth) for depth in (1, 2, 3, 4)},
    **{f"spin-lock-cycle-{size}": cycle(size) for size in (2, 3)},
    "spin-lock-self": cycle(1),
    "spin-lock-crowd": crowd,
    "spin-lock-unknown-owner": unknown_owner,
    "spin-lock-watchdog": watchdog,
    "spin-lock-silent": silent,
    "spin-beside-a-pileup": beside_a_pileup,
    "spin-beside-a-fault": beside_a_fault,
}
# A plain spin lock is known only by the functions that spin for it; a queue is there to be seen.
BY_NAME = frozenset({"spin-lock-plain", "spin-lock-two-spin", "spin-lock-in-dpc"})
