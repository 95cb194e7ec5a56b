"""The table of lock stories: each kind of lock, chains of one to four, cycles of two and three, states of owners.

A row is a kind of lock and a shape, or a story of its own; ``ROWS`` has all of them by name.
"""

from dataclasses import dataclass, field

from tests.forge.facts import Expected
from tests.forge.kernel.background import WAIT
from tests.forge.kernel.objects import event
from tests.forge.kernel.state import (
    EXECUTIVE,
    Kernel,
    Process,
)
from tests.forge.kernel.threads import add_thread, wait
from tests.forge.scenarios.crowd_stories import CROWD_STORIES
from tests.forge.scenarios.lock_kinds import KINDS, Lock
from tests.forge.scenarios.lock_stories import OTHERS, OWNERS, inside, owner, stop
from tests.forge.scenarios.object_stories import OBJECT_STORIES
from tests.forge.scenarios.spin_stories import BY_NAME, SPIN_STORIES
from tests.forge.scenarios.story import (
    Cast,
    Outcome,
    Scenario,
    blocked,
    driver_image,
    frame_address,
    named,
)

DEPTHS = (1, 2, 3, 4)
CYCLES = (2, 3)
NO_CYCLES = frozenset({"process"})  # a thread that is told to end wakes from a wait for another program's end


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table."""

    name: str
    build: Scenario = field(repr=False)
    first_build: int = 7601
    full_only: bool = False
    needs_names: bool = False  # only the names of the kernel's functions tell it


def chain(*kinds: str) -> Scenario:
    """Locks of these kinds in a row; the owner of the first waits in a driver for something that nobody owns."""

    def tell(kernel: Kernel, cast: Cast) -> Outcome:
        (driver,) = cast.third_party(1)
        image = driver_image(kernel, driver)
        home = named(kernel, "services.exe")
        locks: list[Lock] = []
        for kind in reversed(kinds):  # who waits for a lock must live where the next one wants its owner
            locks.insert(0, KINDS[kind](kernel, home))
            home = locks[0].owner_process()
        stuck = add_thread(kernel, home, [*kernel.frames(*WAIT), *inside(kernel, image)])
        wait(kernel, stuck, [event(kernel)], EXECUTIVE, 400.0)
        locks[0].own(stuck)
        waiting = []
        for level, lock in enumerate(locks):
            thread = lock.waiter(kernel.frames("IopSynchronousServiceTail", "NtReadFile"))
            lock.block(thread, 390.0 - 10 * level)
            if level + 1 < len(locks):
                locks[level + 1].own(thread)
            waiting.append(blocked(thread, lock.address))
        expected = Expected(
            culprit=driver.driver,
            culprit_address=frame_address(stuck, image),
            root=stuck.address,
            lock=locks[0].address,
            locks=tuple(lock.address for lock in locks),
            drivers=(driver.driver,),
            blocked=tuple(waiting),
            kinds=kinds,
        )
        return stop(kernel, expected)

    return tell


def cycle(kind: str, size: int) -> Scenario:
    """``size`` threads of different drivers, each waiting for a lock of the next."""

    def tell(kernel: Kernel, cast: Cast) -> Outcome:
        drivers = cast.third_party(size)
        images = [driver_image(kernel, driver) for driver in drivers]
        locks = [KINDS[kind](kernel, _home(kind, kernel)) for _ in range(size)]
        threads = [lock.waiter(inside(kernel, image)) for lock, image in zip(locks, images, strict=True)]
        for number, lock in enumerate(locks):
            lock.own(threads[(number + 1) % size])
        for number, (lock, thread) in enumerate(zip(locks, threads, strict=True)):
            lock.block(thread, 200.0 - number)
        addresses = tuple(lock.address for lock in locks)
        expected = Expected(
            culprit=None,
            locks=addresses,
            drivers=tuple(driver.driver for driver in drivers),
            cycles=((tuple(thread.address for thread in threads), addresses),),
            kinds=(kind,) * size,
            blocked=tuple(blocked(thread, lock.address) for thread, lock in zip(threads, locks, strict=True)),
        )
        return stop(kernel, expected)

    return tell


def _home(kind: str, kernel: Kernel) -> Process:
    # In a circle everybody waits and owns: servers and workers live where such threads do.
    return named(kernel, {"alpc": "lsass.exe", "queue": "System"}.get(kind, "services.exe"))


MIXED: dict[str, Scenario] = {
    "mixed-system": chain("eresource", "queue", "mutant", "alpc"),
    "mixed-programs": chain("mutant", "alpc", "thread", "fast-mutex"),
}


def rows() -> tuple[Row, ...]:
    """The whole table."""
    found = []
    for kind, lock in KINDS.items():
        found += [Row(f"{kind}-chain-{n}", chain(*[kind] * n), lock.first_build, lock.full_only) for n in DEPTHS]
        if kind not in NO_CYCLES:
            found += [Row(f"{kind}-cycle-{n}", cycle(kind, n), lock.first_build, lock.full_only) for n in CYCLES]
    found += [Row(f"owner-{state}", owner(state)) for state in OWNERS]
    found += [Row(name, tell) for name, tell in (*OTHERS.items(), *MIXED.items())]
    found += [Row(name, tell, needs_names=name in BY_NAME) for name, tell in SPIN_STORIES.items()]
    found += [Row(name, tell) for name, tell in (*OBJECT_STORIES.items(), *CROWD_STORIES.items())]
    return tuple(found)


ROWS = {row.name: row for row in rows()}
