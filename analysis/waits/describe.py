"""What a thread that no owned lock holds up waits for, in words: the end of every chain.

Events, semaphores and timers have no owner: whoever comes along may signal them. So nobody is named here unless a
structure does it (a request's driver, the drivers that have not answered Plug and Play); else it is said that nothing
tells who will signal it.
"""

from collections.abc import Iterable

from analysis.address import VirtAddr
from analysis.kernel.facts import DeviceNode, KernelFacts, Lock, LockKind, Thread, WaitObject
from analysis.kernel.object_names import object_name
from analysis.kernel.pnp import unanswered_nodes
from analysis.kernel.scene import Scene

_GOING_ON = {"Ready": "is ready to run and waits for a processor", "Standby": "is about to run"}
_SUSPENDED = frozenset({"Suspended", "WrSuspended"})
_SLEEPING = frozenset({"DelayExecution", "WrDelayExecution"})
_HIGHEST_DYNAMIC = 15  # above are the real-time priorities, which Windows never changes
_NOBODY = "nothing records who will signal it"
_BY_ADDRESS = "waits for another thread of its program to wake it; for which, only the program's own memory tells"
_MAX_OBJECTS = 4
_MAX_NODES = 4


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


def waits_for(scene: Scene, thread: Thread) -> str | None:
    """What a waiting thread waits for ("waits for …"); None where it does not wait or its objects cannot be read."""
    requests = [lock for lock in _locks_of(scene.facts, thread.address) if not lock.owners]
    if requests:
        told = " and ".join(f"{lock.description}{_who(lock)}" for lock in requests[:_MAX_OBJECTS])
        return f"waits for the {told}"
    if not thread.waits:
        # Waits by address and by a critical section (Windows 8 and later) name no object to the kernel.
        return _BY_ADDRESS if thread.wait_reason == "WrAlertByThreadId" else None
    joined = " and " if thread.all_of else " or "
    objects = joined.join(_object(scene, thread, waited) for waited in thread.waits[:_MAX_OBJECTS])
    more = len(thread.waits) - _MAX_OBJECTS
    return f"waits for {objects}" + (f"{joined}{more} more" if more > 0 else "")


def _locks_of(facts: KernelFacts, thread: VirtAddr) -> list[Lock]:
    return [
        lock
        for lock in facts.locks.values()
        if lock.kind in (LockKind.IRP, LockKind.ALPC) and any(held.thread == thread for held in lock.waiters)
    ]


def _who(lock: Lock) -> str:
    return f": {lock.driver} must complete it" if lock.driver else ""


def _object(scene: Scene, thread: Thread, waited: WaitObject) -> str:
    known = scene.facts.locks.get(waited.address)
    if known is not None and known.description:
        return f"the {known.description}"
    name = scene.symbols.name_at(waited.address)
    named = f"nt!{name}" if name else object_name(scene.memory, scene.symbols, waited.address)
    text = f"the {waited.kind}{f' {named}' if named else ''} at {waited.address:#x}{_place(scene, thread, waited)}"
    if waited.kind == "semaphore":
        unanswered = _unanswered(scene, waited.address)
        if unanswered:
            return f"{text}, on which drivers' answers to Plug and Play are counted: {unanswered} owes one"
    if waited.kind == "timer":
        return f"{text}, which time alone signals"
    if waited.kind in ("event", "semaphore", "gate"):
        return f"{text}; {_NOBODY}"
    return text


def _place(scene: Scene, thread: Thread, waited: WaitObject) -> str:
    low, high = thread.stack_limit, thread.stack_base
    if low is not None and high is not None and low <= waited.address < high:
        return " on its own stack"
    home = scene.module_at(waited.address)
    return f" in the data of {home.name}" if home is not None else ""


def _unanswered(scene: Scene, semaphore: int) -> str | None:
    nodes = unanswered_nodes(scene.memory, scene.symbols, scene.devices, semaphore)
    return " and ".join(_first(_driver_of(scene, node) for node in nodes)) or None


def _driver_of(scene: Scene, node: DeviceNode) -> str:
    driver = next(iter(scene.devices.function_drivers(node)), None)
    return f"{driver or 'the driver'} of {node.instance_path or f'the devnode {node.address:#x}'}"


def _first(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))[:_MAX_NODES]
