"""Stories with several owners or several pile-ups: who is told first, and who only shares a lock."""

from collections.abc import Sequence

from tests.forge.facts import Expected
from tests.forge.kernel.background import WAIT
from tests.forge.kernel.objects import event
from tests.forge.kernel.resources import share, wait_for
from tests.forge.kernel.state import EXECUTIVE, Kernel, Thread
from tests.forge.kernel.threads import add_thread, make_ready, wait
from tests.forge.scenarios.lock_kinds import Lock, Mutant, Resource
from tests.forge.scenarios.lock_stories import inside, stop
from tests.forge.scenarios.story import Cast, Culprit, Outcome, Scenario, blocked, driver_image, named


def _stuck(kernel: Kernel, driver: Culprit, seconds: float) -> Thread:
    frames = [*kernel.frames(*WAIT), *inside(kernel, driver_image(kernel, driver))]
    thread = add_thread(kernel, named(kernel, "svchost.exe"), frames)
    wait(kernel, thread, [event(kernel)], EXECUTIVE, seconds)
    return thread


def _behind(kernel: Kernel, lock: Lock, programs: Sequence[str]) -> list[Thread]:
    threads = []
    for name in programs:
        lock.home = named(kernel, name)
        threads.append(lock.waiter(kernel.frames("NtReadFile")))
    times = [(thread, 300.0 - 5 * at) for at, thread in enumerate(threads)]
    if isinstance(lock, Resource) and lock.any.resource is not None:
        wait_for(kernel, lock.any.resource, times)
    else:
        for thread, seconds in times:
            lock.block(thread, seconds)
    return threads


def three(kernel: Kernel, cast: Cast) -> Outcome:
    """Three pile-ups: the one of wininit.exe before a long one of small programs, and that before a short one."""
    drivers = cast.third_party(3)
    crowds = (("wininit.exe", "lsass.exe"), ("notepad.exe", "chrome.exe", "MsMpEng.exe"), ("notepad.exe",))
    told = []
    for number in (1, 2, 0):  # written in another order than they rank
        owner = _stuck(kernel, drivers[number], 400.0)
        lock: Lock = (Resource if number != 1 else Mutant)(kernel, named(kernel, "services.exe"))
        lock.own(owner)
        told.append((number, owner, lock, _behind(kernel, lock, crowds[number])))
    told.sort(key=lambda one: one[0])
    expected = Expected(
        culprit=drivers[0].driver,
        root=told[0][1].address,
        lock=told[0][2].address,
        locks=tuple(lock.address for _, _, lock, _ in told),
        kinds=("eresource", "mutant", "eresource"),
        drivers=(drivers[0].driver,),
        impact_process="wininit.exe",
        blocked=tuple(blocked(thread, lock.address) for _, _, lock, threads in told for thread in threads),
    )
    return stop(kernel, expected)


def shared(owners: int, *, ready: int = 0) -> Scenario:
    """A resource shared by ``owners`` threads, ``ready`` of which only wait for a processor: who stays is to blame."""

    def tell(kernel: Kernel, cast: Cast) -> Outcome:
        drivers = cast.third_party(owners)
        threads = [_stuck(kernel, driver, 500.0 - 100.0 * at) for at, driver in enumerate(drivers)]
        for thread in threads[:ready]:
            make_ready(kernel, thread)
        lock = Resource(kernel, named(kernel, "services.exe"))
        assert lock.any.resource is not None
        share(kernel, lock.any.resource, threads)
        waiting = _behind(kernel, lock, ("explorer.exe", "chrome.exe"))
        expected = Expected(
            culprit=drivers[ready].driver,
            root=threads[ready].address,
            lock=lock.address,
            locks=(lock.address,),
            kinds=("eresource",),
            drivers=(drivers[ready].driver,),
            blocked=tuple(blocked(thread, lock.address) for thread in waiting),
        )
        return stop(kernel, expected)

    return tell


def shared_in_a_cycle(kernel: Kernel, cast: Cast) -> Outcome:
    """Two share a resource; the one who wants it alone has what one of them wants. The other owner goes free."""
    drivers = cast.third_party(2)
    first, second = (driver_image(kernel, driver) for driver in drivers)
    resource, other = Resource(kernel, named(kernel, "services.exe")), Mutant(kernel, named(kernel, "services.exe"))
    wants_all, wants_mutant = resource.waiter(inside(kernel, first)), other.waiter(inside(kernel, second))
    idle = add_thread(kernel, named(kernel, "svchost.exe"), kernel.frames(*WAIT, "NtReadFile"))
    make_ready(kernel, idle)
    assert resource.any.resource is not None
    share(kernel, resource.any.resource, [wants_mutant, idle])
    other.own(wants_all)
    resource.block(wants_all, 90.0)
    other.block(wants_mutant, 80.0)
    locks = (resource.address, other.address)
    expected = Expected(
        culprit=None,
        locks=locks,
        kinds=("eresource", "mutant"),
        drivers=tuple(driver.driver for driver in drivers),
        cycles=(((wants_all.address, wants_mutant.address), locks),),
        blocked=(blocked(wants_all, locks[0]), blocked(wants_mutant, locks[1])),
    )
    return stop(kernel, expected)


CROWD_STORIES: dict[str, Scenario] = {
    "three-pileups": three,
    "shared-by-three": shared(3),
    "shared-one-ready": shared(2, ready=1),
    "shared-in-a-cycle": shared_in_a_cycle,
}
