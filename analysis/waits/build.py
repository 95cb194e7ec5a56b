"""From facts about threads and locks to the graph of waits."""

from collections.abc import Iterable

from analysis.address import VirtAddr
from analysis.kernel.facts import KernelFacts, Lock, LockKind, Thread
from analysis.waits.graph import Wait, WaitGraph

_NOBODYS = VirtAddr(0)  # stands in a wait for an object that no thread owns
_USER_REQUEST = "UserRequest"
_GOING_ON = frozenset({"Running", "Ready", "Standby", "DeferredReady"})
_JOINS = frozenset({LockKind.THREAD, LockKind.PROCESS})
# Of joins on joins: deeper than any real program nests them, and an end to what a forged dump may nest.
_MAX_JOIN_DEPTH = 64


def build_graph(facts: KernelFacts) -> WaitGraph:
    """The waits of all threads for locks, as a graph.

    A program's thread that waits for another thread's or process' end (UserRequest) does what every program does
    all day; such a wait counts only where the other one is itself blocked, or hangs on its way out.
    """
    waits = _waits(facts)
    owners = {lock.address: tuple(held.thread for held in lock.owners) for lock in facts.locks.values() if lock.owners}
    any_owner = frozenset(lock.address for lock in facts.locks.values() if lock.any_owner)
    graph = WaitGraph(waits, owners, any_owner)
    joins = {
        thread: wait
        for thread, wait in waits.items()
        if _is_program(facts.threads.get(thread)) and any(_is_join(facts, lock) for lock in wait.locks)
    }
    for _ in range(_MAX_JOIN_DEPTH):
        idle = [thread for thread, wait in joins.items() if _joins_free(facts, graph, wait)]
        if not idle:
            break
        for thread in idle:
            waits[thread] = _without_free_joins(facts, graph, joins.pop(thread))
    return graph


def _waits(facts: KernelFacts) -> dict[VirtAddr, Wait]:
    queued: dict[VirtAddr, list[VirtAddr]] = {}
    by_object: dict[VirtAddr, VirtAddr] = {}
    for lock in facts.locks.values():
        by_object[lock.waited_object or lock.address] = lock.address
        for held in lock.waiters:
            queued.setdefault(held.thread, []).append(lock.address)
    return {address: _wait(facts, address, locks, by_object) for address, locks in queued.items()}


def _wait(
    facts: KernelFacts, address: VirtAddr, locks: Iterable[VirtAddr], by_object: dict[VirtAddr, VirtAddr]
) -> Wait:
    thread = facts.threads.get(address)
    if thread is None or len(thread.waits) <= 1:
        return Wait(tuple(locks))
    wanted = tuple(by_object.get(waited.address, _NOBODYS) for waited in thread.waits)
    if thread.all_of:
        return Wait(wanted)
    # One way out is enough: an owner that runs, or only waits for its processor, will let go.
    return Wait(tuple(_NOBODYS if _comes_free(facts, lock) else lock for lock in wanted), any_of=True)


def _comes_free(facts: KernelFacts, address: VirtAddr) -> bool:
    lock = facts.locks.get(address)
    owners = [facts.threads.get(held.thread) for held in lock.owners] if lock else []
    return bool(owners) and all(owner is not None and owner.state in _GOING_ON for owner in owners)


def _is_program(thread: Thread | None) -> bool:
    return thread is not None and thread.wait_reason == _USER_REQUEST


def _is_join(facts: KernelFacts, address: VirtAddr) -> bool:
    lock: Lock | None = facts.locks.get(address)
    return lock is not None and lock.kind in _JOINS


def _is_free_join(facts: KernelFacts, graph: WaitGraph, lock: VirtAddr) -> bool:
    return _is_join(facts, lock) and not any(_is_held_up(facts, graph, owner) for owner in graph.owners_of(lock))


def _is_held_up(facts: KernelFacts, graph: WaitGraph, address: VirtAddr) -> bool:
    thread = facts.threads.get(address)
    return graph.is_blocked(address) or (thread is not None and thread.exiting)


def _joins_free(facts: KernelFacts, graph: WaitGraph, wait: Wait) -> bool:
    return any(_is_free_join(facts, graph, lock) for lock in wait.locks)


def _without_free_joins(facts: KernelFacts, graph: WaitGraph, wait: Wait) -> Wait:
    locks = (_NOBODYS if _is_free_join(facts, graph, lock) else lock for lock in wait.locks)
    return Wait(tuple(locks), wait.any_of)
