"""Locks of different kinds behind one interface, so that a seed can draw the kind."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.forge.image import Image
from tests.forge.kernel.background import WAIT
from tests.forge.kernel.modules import DATA_RVA
from tests.forge.kernel.objects import fast_mutex, mutant, own_fast_mutex, own_mutant
from tests.forge.kernel.push_locks import FIRST_WITH_RECORD, own_push_lock, push_lock, wait_for_push_lock
from tests.forge.kernel.resources import add_resource, own, wait_for
from tests.forge.kernel.state import EXECUTIVE, WR_FAST_MUTEX, Frame, Kernel, Process, Resource, Thread
from tests.forge.kernel.threads import add_thread, wait
from tests.forge.scenarios.story import Cast, waiter

KINDS = ("eresource", "mutant", "fast-mutex")
PUSH_LOCK = "push-lock"  # from the first build whose threads note which they hold


@dataclass(slots=True)
class AnyLock:
    """A lock of one of the kinds; ``resource`` is set for an ERESOURCE."""

    kind: str
    address: int
    resource: Resource | None = None

    def waiter(self, kernel: Kernel, process: Process, callers: Sequence[Frame]) -> Thread:
        """A thread inside the acquisition, called from ``callers``; ``block`` makes it wait."""
        if self.resource is not None:
            return waiter(kernel, process, self.resource, callers)
        calls = {
            "fast-mutex": ("ExpAcquireFastMutexContended", "ExAcquireFastMutex"),
            PUSH_LOCK: ("ExfAcquirePushLockExclusiveEx", "ExfAcquirePushLockExclusive"),
        }
        inner = (*WAIT, *calls.get(self.kind, ()))
        return add_thread(kernel, process, [*kernel.frames(*inner), *callers])

    def own(self, kernel: Kernel, thread: Thread) -> None:
        """The thread owns the lock."""
        if self.resource is not None:
            own(kernel, self.resource, thread)
        elif self.kind == "mutant":
            own_mutant(kernel, self.address, thread.address)
        elif self.kind == PUSH_LOCK:
            own_push_lock(kernel, self.address, thread)
        else:
            own_fast_mutex(kernel, self.address, thread.address)

    def block(self, kernel: Kernel, waiters: Sequence[tuple[Thread, float]]) -> None:
        """Threads (with seconds) wait for the lock."""
        if self.resource is not None:
            wait_for(kernel, self.resource, waiters)
            return
        if self.kind == PUSH_LOCK:
            wait_for_push_lock(kernel, self.address, waiters)
            return
        machine = kernel.machine
        for thread, seconds in waiters:
            if self.kind == "mutant":
                wait(kernel, thread, [self.address], EXECUTIVE, seconds)
            else:
                wait(kernel, thread, [machine.at("_FAST_MUTEX", self.address, "Event")], WR_FAST_MUTEX, seconds)
        if self.kind == "fast-mutex":
            machine.put("_FAST_MUTEX", self.address, Contention=len(waiters))


def new_lock(kernel: Kernel, cast: Cast, image: Image, tag: str) -> AnyLock:
    """A lock of a driver: an ERESOURCE in pool, or as a seed draws: another kind, in pool or in the driver's data."""
    kinds = (*KINDS, PUSH_LOCK) if kernel.major >= FIRST_WITH_RECORD else KINDS
    kind = cast.rng.choice(kinds) if cast.drawn else "eresource"
    in_data = cast.drawn and cast.rng.random() < 0.4
    address = kernel.data_address(image, DATA_RVA + 0x40) if in_data else None
    if kind == "eresource":
        resource = add_resource(kernel, tag=tag, address=address)
        return AnyLock(kind, resource.address, resource)
    if kind == PUSH_LOCK:
        return AnyLock(kind, push_lock(kernel, address))
    return AnyLock(kind, mutant(kernel, address=address) if kind == "mutant" else fast_mutex(kernel, address=address))
