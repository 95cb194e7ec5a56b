"""What a thread that no owned lock holds up waits for, in words: the end of every chain.

Events, semaphores and timers have no owner: whoever comes along may signal them. So nobody is named here unless a
structure does it (a request's driver, the drivers that have not answered Plug and Play); else it is said that nothing
tells who will signal it.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from analysis.address import VirtAddr
from analysis.kernel.dispatcher import type_code
from analysis.kernel.facts import KernelFacts, Lock, LockKind, Thread, WaitObject
from analysis.kernel.object_names import object_name
from analysis.kernel.scene import Scene
from analysis.kernel.timers import due_in

_GOING_ON = {"Ready": "is ready to run and waits for a processor", "Standby": "is about to run"}
_SUSPENDED = frozenset({"Suspended", "WrSuspended"})
_SLEEPING = frozenset({"DelayExecution", "WrDelayExecution"})
_HIGHEST_DYNAMIC = 15  # above are the real-time priorities, which Windows never changes
_NOBODY = "nothing records who will signal it"
_BY_ADDRESS = "waits for another thread of its program to wake it; for which, only the program's own memory tells"
_SIGNALED = frozenset({"event", "semaphore", "gate"})
# KOBJECTS of the public symbols; what a wait for either kind of event or timer means differs.
_KINDS: dict[int | None, str] = {
    0: "notification event",
    1: "synchronization event",
    8: "notification timer",
    9: "synchronization timer",
}
_NO_THREADS: Mapping[int, Sequence[Thread]] = MappingProxyType({})
_MAX_OBJECTS = 4
_MAX_NEAR = 2


def state_of(thread: Thread | None) -> str | None:
    """What is remarkable about an owner that is not blocked by anyone; None: it waits for some object."""
    if thread is None:
        return "is on no process' list of threads"
    if thread.terminated:
        return "has ended"
    if thread.processor is not None:
        return f"runs on processor {thread.processor}"
    if thread.wait_reason == "WrQueue":
        return "is idle, waiting for work"
    if thread.wait_reason in _SUSPENDED:
        return "is suspended: whoever did that must let it go on"
    if thread.wait_reason in _SLEEPING:
        return "sleeps for a time that it chose itself"
    return _GOING_ON.get(thread.state)


def boost_of(thread: Thread | None) -> str | None:
    """How far Windows has raised a thread's priority, so that it lets go of what others want; None where it has not."""
    if thread is None or thread.priority is None or thread.base_priority is None or thread.terminated:
        return None
    if not 0 < thread.base_priority < thread.priority <= _HIGHEST_DYNAMIC:
        return None
    return f"its priority was raised from {thread.base_priority} to {thread.priority}"


def waits_for(scene: Scene, thread: Thread, near: Mapping[int, Sequence[Thread]] = _NO_THREADS) -> str | None:
    """What a waiting thread waits for ("waits for …"); None where it does not wait or its objects cannot be read.

    ``near`` are the threads that have an object's address at hand, by object (``at_hand``).
    """
    requests = [lock for lock in _locks_of(scene.facts, thread.address) if not lock.owners]
    if requests:
        told = " and ".join(f"{lock.description}{_who(lock)}" for lock in requests[:_MAX_OBJECTS])
        return f"waits for the {told}{_time_out(scene, thread)}"
    if not thread.waits:
        # Waits by address and by a critical section (Windows 8 and later) name no object to the kernel.
        return _BY_ADDRESS if thread.wait_reason == "WrAlertByThreadId" else None
    joined = " and " if thread.all_of else " or "
    objects = joined.join(_object(scene, thread, waited, near) for waited in thread.waits[:_MAX_OBJECTS])
    more = len(thread.waits) - _MAX_OBJECTS
    return f"waits for {objects}" + (f"{joined}{more} more" if more > 0 else "") + _time_out(scene, thread)


def sleeps(scene: Scene, thread: Thread) -> str | None:
    """When a thread that sleeps wakes ("wakes …"); None where it does not sleep or its timer cannot be read."""
    due = _own_timer(scene, thread) if thread.wait_reason in _SLEEPING else None
    return f"wakes by itself {_when(due)}" if due is not None else None


def unowned(thread: Thread) -> list[VirtAddr]:
    """The objects that a thread waits for and that whoever comes along may signal."""
    return [waited.address for waited in thread.waits if waited.kind in _SIGNALED]


def _time_out(scene: Scene, thread: Thread) -> str:
    due = _own_timer(scene, thread)
    return f"; the wait times out {_when(due)}" if due is not None else ""


def _own_timer(scene: Scene, thread: Thread) -> float | None:
    layout = scene.symbols.layout("_KTHREAD")
    if layout is None or not layout.has("Timer") or thread.wait_reason is None:
        return None
    return due_in(scene.memory, scene.symbols, thread.address + layout.offset("Timer"))


def _when(due: float) -> str:
    return f"in {due:.0f} s" if due >= 0 else f"late: it was due {-due:.0f} s ago"


def _locks_of(facts: KernelFacts, thread: VirtAddr) -> list[Lock]:
    return [
        lock
        for lock in facts.locks.values()
        if lock.kind in (LockKind.IRP, LockKind.ALPC) and any(held.thread == thread for held in lock.waiters)
    ]


def _who(lock: Lock) -> str:
    return f": {lock.driver} must complete it" if lock.driver else ""


def _object(scene: Scene, thread: Thread, waited: WaitObject, near: Mapping[int, Sequence[Thread]]) -> str:
    known = scene.facts.locks.get(waited.address)
    if known is not None and known.description:
        return f"the {known.description}"
    name = scene.symbols.name_at(waited.address)
    named = f"nt!{name}" if name else object_name(scene.memory, scene.symbols, waited.address)
    kind = _KINDS.get(type_code(scene.memory, waited.address), waited.kind)
    text = f"the {kind}{f' {named}' if named else ''} at {waited.address:#x}{_place(scene, thread, waited)}"
    if waited.kind == "timer":
        due = due_in(scene.memory, scene.symbols, waited.address)
        return f"{text}, which time alone signals" + (f", {_when(due)}" if due is not None else "")
    return f"{text}; {_signaler(near.get(waited.address, ()))}" if waited.kind in _SIGNALED else text


def _signaler(near: Sequence[Thread]) -> str:
    if not near:
        return _NOBODY
    threads = " and ".join(f"{one.address:#x} ({one.process_name}, {one.pid}/{one.tid})" for one in near[:_MAX_NEAR])
    more = f" and {len(near) - _MAX_NEAR} more" if len(near) > _MAX_NEAR else ""
    return f"{_NOBODY}, but its address is on the stack of thread {threads}{more}, who may (scan)"


def _place(scene: Scene, thread: Thread, waited: WaitObject) -> str:
    low, high = thread.stack_limit, thread.stack_base
    if low is not None and high is not None and low <= waited.address < high:
        return " on its own stack"
    home = scene.module_at(waited.address)
    return f" in the data of {home.name}" if home is not None else ""
