"""Which threads can never go on, and the cycles that hold them.

Not every cycle of arrows is a deadlock and not every deadlock is one simple cycle: a thread that waits for any of
several objects is lost only if all of them are, one that waits for all is lost with the first of them. So the doomed
threads are computed first (the largest set whose members depend on each other), and cycles are looked for in it.
"""

from collections import Counter, deque
from dataclasses import dataclass

import rustworkx

from analysis.address import VirtAddr
from analysis.waits.graph import WaitGraph


@dataclass(frozen=True, slots=True)
class Cycle:
    """Threads that hold each other, each waiting for a lock of the next where the cycle is a simple one, and the
    locks between them."""

    threads: tuple[VirtAddr, ...]
    locks: tuple[VirtAddr, ...]


def doomed(graph: WaitGraph) -> frozenset[VirtAddr]:
    """The threads that no possible order of events can ever wake: those in a deadlock and those behind one."""
    candidates = set(graph.blocked())
    lost_owners = {lock: sum(owner in candidates for owner in graph.owners_of(lock)) for lock in graph.owners}
    keeps = {lock: len(graph.owners_of(lock)) - 1 if lock in graph.any_owner else 0 for lock in graph.owners}
    lost_locks = {
        t: Counter(lost_owners.get(lock, 0) > keeps.get(lock, 0) for lock in set(graph.waits[t].locks))
        for t in candidates
    }
    waiters: dict[VirtAddr, list[VirtAddr]] = {}
    owned: dict[VirtAddr, list[VirtAddr]] = {}
    for thread in candidates:
        for lock in set(graph.waits[thread].locks):
            waiters.setdefault(lock, []).append(thread)
    for lock in graph.owners:
        for owner in graph.owners_of(lock):
            owned.setdefault(owner, []).append(lock)
    free = deque(thread for thread in candidates if _can_go_on(graph, thread, lost_locks[thread]))
    while free:
        thread = free.popleft()
        if thread not in candidates:
            continue
        candidates.discard(thread)
        for lock in owned.get(thread, ()):
            lost_owners[lock] -= 1
            # With this owner the lock comes free: it was the last of all, or the first of those of which one is enough.
            if lost_owners[lock] != keeps[lock]:
                continue
            for waiter in waiters.get(lock, ()):
                lost_locks[waiter][True] -= 1
                lost_locks[waiter][False] += 1
                if _can_go_on(graph, waiter, lost_locks[waiter]):
                    free.append(waiter)
    return frozenset(candidates)


def _can_go_on(graph: WaitGraph, thread: VirtAddr, locks: Counter[bool]) -> bool:
    # ``locks`` counts the thread's locks by whether they are lost.
    return locks[False] > 0 if graph.waits[thread].any_of else locks[True] == 0


def find_cycles(graph: WaitGraph, lost: frozenset[VirtAddr]) -> tuple[Cycle, ...]:
    """The deadlocks among the doomed threads ``lost``: a thread that waits for itself, or several for each other."""
    order = sorted(lost)
    index = {thread: at for at, thread in enumerate(order)}
    arrows = rustworkx.PyDiGraph()
    arrows.add_nodes_from(order)
    arrows.add_edges_from_no_data(
        [(index[thread], index[owner]) for thread in order for owner in graph.blockers(thread) if owner in lost]
    )
    cycles = []
    for component in rustworkx.strongly_connected_components(arrows):
        members = {order[at] for at in component}
        first = min(members)
        if len(members) > 1 or first in graph.blockers(first):
            cycles.append(_cycle(graph, members))
    return tuple(sorted(cycles, key=lambda cycle: cycle.threads))


def _cycle(graph: WaitGraph, members: set[VirtAddr]) -> Cycle:
    # In the order of waiting as far as one path leads around; the rest behind it in order of address.
    threads: list[VirtAddr] = []
    thread: VirtAddr | None = min(members)
    while thread is not None:
        threads.append(thread)
        thread = next((t for t in sorted(graph.blockers(thread)) if t in members and t not in threads), None)
    threads += sorted(members.difference(threads))
    locks = (
        lock
        for thread in threads
        for lock in graph.blocking_locks(thread)
        if members.intersection(graph.owners_of(lock))
    )
    return Cycle(tuple(threads), tuple(dict.fromkeys(locks)))
