"""Stories of objects that nobody owns, or not as it seems: events, semaphores, timers, mutants taken again or
abandoned, locks wanted by those who have them, push locks without a record."""

from collections.abc import Callable

from tests.forge.facts import Expected
from tests.forge.kernel.background import WAIT
from tests.forge.kernel.objects import event, fast_mutex, mutant, own_fast_mutex, own_mutant, semaphore
from tests.forge.kernel.push_locks import NEXT, push_lock
from tests.forge.kernel.resources import share
from tests.forge.kernel.state import DELAY, EXECUTIVE, WR_FAST_MUTEX, WR_PUSH_LOCK, Frame, Kernel, Thread
from tests.forge.kernel.threads import add_thread, wait
from tests.forge.kernel.timers import time_out, timer
from tests.forge.scenarios.lock_kinds import Resource
from tests.forge.scenarios.lock_stories import inside, stop
from tests.forge.scenarios.story import Cast, Outcome, Scenario, blocked, driver_image, named

PUSH_LOCK = ("ExfAcquirePushLockExclusiveEx", "ExfAcquirePushLockExclusive")


def end_of_chain(put_to: Callable[[Kernel, Thread, int], str], *, at_hand: bool = False) -> Scenario:
    """A resource whose owner waits in a driver for an object that nobody owns; ``put_to`` makes it, lets the owner wait
    and says what must be told of it. ``at_hand``: another thread has the object's address on its stack."""

    def tell(kernel: Kernel, cast: Cast) -> Outcome:
        driver, other = cast.third_party(2)
        frames = [*kernel.frames(*WAIT), *inside(kernel, driver_image(kernel, driver))]
        holder = add_thread(kernel, named(kernel, "services.exe"), frames)
        lock = Resource(kernel, named(kernel, "explorer.exe"))
        lock.own(holder)
        waiting = lock.waiter(kernel.frames("NtReadFile"))
        lock.block(waiting, 120.0)
        wanted = event(kernel)
        words = [put_to(kernel, holder, wanted)]
        if at_hand:
            image = driver_image(kernel, other)
            image.function("Complete", locals_size=0x60)
            caller = Frame(image, "Complete", values={0x40: wanted})
            worker = add_thread(kernel, named(kernel, "svchost.exe"), [*kernel.frames(*WAIT), caller])
            wait(kernel, worker, [event(kernel)], EXECUTIVE, 90.0)
            words.append(f"its address is on the stack of thread {worker.address:#x}")
        expected = Expected(
            culprit=driver.driver,
            root=holder.address,
            lock=lock.address,
            locks=(lock.address,),
            drivers=(driver.driver,),
            blocked=(blocked(waiting, lock.address),),
            kinds=("eresource",),
            says=tuple(words),
        )
        return stop(kernel, expected)

    return tell


def _event(kernel: Kernel, thread: Thread, wanted: int) -> str:
    wait(kernel, thread, [wanted], EXECUTIVE, 150.0)
    return f"waits for the synchronization event at {wanted:#x}; nothing records who will signal it"


def _notification(kernel: Kernel, thread: Thread, _: int) -> str:
    wanted = event(kernel, notification=True)
    wait(kernel, thread, [wanted], EXECUTIVE, 150.0)
    return f"waits for the notification event at {wanted:#x}; nothing records who will signal it"


def _semaphore(kernel: Kernel, thread: Thread, _: int) -> str:
    wanted = semaphore(kernel)
    wait(kernel, thread, [wanted], EXECUTIVE, 150.0)
    return f"waits for the semaphore at {wanted:#x}; nothing records who will signal it"


def _timer(kernel: Kernel, thread: Thread, _: int) -> str:
    wanted = timer(kernel, 30.0)
    wait(kernel, thread, [wanted], EXECUTIVE, 150.0)
    return f"timer at {wanted:#x}, which time alone signals, in 30 s"


def _timer_overdue(kernel: Kernel, thread: Thread, _: int) -> str:
    wanted = timer(kernel, -45.0)
    wait(kernel, thread, [wanted], EXECUTIVE, 150.0)
    return f"timer at {wanted:#x}, which time alone signals, late: it was due 45 s ago"


def _time_out(kernel: Kernel, thread: Thread, wanted: int) -> str:
    wait(kernel, thread, [wanted], EXECUTIVE, 150.0)
    time_out(kernel, thread, 12.0)
    return "the wait times out in 12 s"


def _sleep(kernel: Kernel, thread: Thread, _: int) -> str:
    wait(kernel, thread, [], DELAY, 150.0)
    time_out(kernel, thread, 5.0)
    return f"thread {thread.address:#x} wakes by itself in 5 s"


def _boosted(kernel: Kernel, thread: Thread, wanted: int) -> str:
    wait(kernel, thread, [wanted], EXECUTIVE, 150.0)
    kernel.machine.put("_KTHREAD", thread.address, Priority=12, BasePriority=8)
    return "its priority was raised from 8 to 12"


def recursive(kernel: Kernel, cast: Cast) -> Outcome:
    """A mutant that its owner took three times."""
    (driver,) = cast.third_party(1)
    frames = [*kernel.frames(*WAIT), *inside(kernel, driver_image(kernel, driver))]
    holder = add_thread(kernel, named(kernel, "services.exe"), frames)
    wait(kernel, holder, [event(kernel)], EXECUTIVE, 200.0)
    lock = mutant(kernel)
    own_mutant(kernel, lock, holder.address)
    kernel.machine.put("_DISPATCHER_HEADER", lock, SignalState=0xFFFF_FFFE)
    waiting = add_thread(kernel, named(kernel, "explorer.exe"), kernel.frames(*WAIT, "NtReadFile"))
    wait(kernel, waiting, [lock], EXECUTIVE, 190.0)
    expected = Expected(
        culprit=driver.driver,
        root=holder.address,
        lock=lock,
        locks=(lock,),
        drivers=(driver.driver,),
        blocked=(blocked(waiting, lock),),
        kinds=("mutant",),
        says=("taken 3 times by its owner",),
    )
    return stop(kernel, expected)


def abandoned(kernel: Kernel, cast: Cast) -> Outcome:
    """A mutant that a thread took to its grave: nobody owns it, and nobody is blamed."""
    cast.third_party(1)
    lock = mutant(kernel, abandoned=True)
    waiting = add_thread(kernel, named(kernel, "explorer.exe"), kernel.frames(*WAIT, "NtReadFile"))
    wait(kernel, waiting, [lock], EXECUTIVE, 190.0)
    says = ("abandoned by a thread that ended while it held it, and no owner of it can be told",)
    return stop(kernel, Expected(culprit=None, says=says))


def mutex_again(kernel: Kernel, cast: Cast) -> Outcome:
    """A fast mutex wanted again by the very thread that has it."""
    (driver,) = cast.third_party(1)
    inner = kernel.frames(*WAIT, "ExpAcquireFastMutexContended", "ExAcquireFastMutex")
    thread = add_thread(kernel, named(kernel, "services.exe"), [*inner, *inside(kernel, driver_image(kernel, driver))])
    lock = fast_mutex(kernel)
    own_fast_mutex(kernel, lock, thread.address)
    wait(kernel, thread, [kernel.machine.at("_FAST_MUTEX", lock, "Event")], WR_FAST_MUTEX, 80.0)
    return _alone(kernel, driver.driver, thread, lock, "fast-mutex")


def upgrade(kernel: Kernel, cast: Cast) -> Outcome:
    """A resource wanted alone by a thread that shares it."""
    (driver,) = cast.third_party(1)
    lock = Resource(kernel, named(kernel, "services.exe"))
    thread = lock.waiter(inside(kernel, driver_image(kernel, driver)))
    assert lock.any.resource is not None
    share(kernel, lock.any.resource, [thread])
    lock.block(thread, 80.0)
    return _alone(kernel, driver.driver, thread, lock.address, "eresource")


def _alone(kernel: Kernel, driver: str, thread: Thread, lock: int, kind: str) -> Outcome:
    expected = Expected(
        culprit=driver,
        locks=(lock,),
        drivers=(driver,),
        cycles=(((thread.address,), (lock,)),),
        blocked=(blocked(thread, lock),),
        kinds=(kind,),
    )
    return stop(kernel, expected)


def unrecorded(kernel: Kernel, cast: Cast) -> Outcome:
    """A push lock whose owner noted nothing, as on Windows 7 and 8.1 always: somebody waits, nobody can be named."""
    cast.third_party(1)
    lock = push_lock(kernel)
    frames = kernel.frames(*WAIT, *PUSH_LOCK, "NtReadFile")
    thread = add_thread(kernel, named(kernel, "explorer.exe"), frames)
    acquires = next(frame for frame in thread.frames if frame.function in PUSH_LOCK)
    block = acquires.sp + 0x30
    kernel.machine.write(block, bytes(0x38))
    wait(kernel, thread, [event(kernel, address=block)], WR_PUSH_LOCK, 100.0)
    kernel.machine.u64(block + NEXT + 8, block)
    kernel.machine.u64(block + 0x38, lock)
    kernel.machine.u64(lock, block | 3)
    return stop(kernel, Expected(culprit=None, says=(f"push lock at {lock:#x}, which keeps no owner and whose owner",)))


OBJECT_STORIES: dict[str, Scenario] = {
    "ends-at-event": end_of_chain(_event),
    "ends-at-event-in-sight": end_of_chain(_event, at_hand=True),
    "ends-at-notification": end_of_chain(_notification),
    "ends-at-semaphore": end_of_chain(_semaphore),
    "ends-at-timer": end_of_chain(_timer),
    "ends-at-late-timer": end_of_chain(_timer_overdue),
    "ends-with-time-out": end_of_chain(_time_out),
    "ends-asleep": end_of_chain(_sleep),
    "owner-boosted": end_of_chain(_boosted),
    "mutant-recursive": recursive,
    "mutant-abandoned": abandoned,
    "fast-mutex-self": mutex_again,
    "eresource-upgrade": upgrade,
    "push-lock-unrecorded": unrecorded,
}
