"""Pile-ups: everything that waits, directly or through others, behind one root, or in or behind one deadlock.

A root owns a lock that somebody waits for and waits for no owned lock itself: it runs, sleeps, or waits for something
that no thread owns. That is where to look for the cause.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from analysis.address import VirtAddr
from analysis.waits.deadlock import Cycle, doomed, find_cycles
from analysis.waits.graph import WaitGraph

# A deadlock never resolves by itself, a queue behind a slow thread may: it counts as if more threads were in it.
DEADLOCK_WEIGHT = 6


@dataclass(frozen=True, slots=True)
class Pileup:
    """Threads stuck for one cause: behind ``root``, or in and behind ``cycle`` (then root is None).

    ``locks`` and ``blocked`` are in order of distance from the cause. ``weight`` ranks pile-ups among each other.
    """

    root: VirtAddr | None
    cycle: Cycle | None
    locks: tuple[VirtAddr, ...]
    blocked: tuple[VirtAddr, ...]
    weight: int


class _Arrows:
    # The blocking part of a graph, looked at from the owners' side.

    def __init__(self, graph: WaitGraph) -> None:
        self.blocked = graph.blocked()
        self.waiters: dict[VirtAddr, list[VirtAddr]] = {}
        self.owned: dict[VirtAddr, list[VirtAddr]] = {}
        for thread in self.blocked:
            for lock in graph.blocking_locks(thread):
                self.waiters.setdefault(lock, []).append(thread)
        for lock in self.waiters:
            for owner in graph.owners_of(lock):
                self.owned.setdefault(owner, []).append(lock)

    def behind(
        self, starts: Iterable[VirtAddr], counts: Callable[[VirtAddr], bool]
    ) -> tuple[list[VirtAddr], list[VirtAddr]]:
        # Locks and the waiting threads that count, breadth first from the starts on, without the starts.
        seen = set(starts)
        locks: dict[VirtAddr, None] = {}
        threads: list[VirtAddr] = []
        front = list(starts)
        while front:
            following: list[VirtAddr] = []
            for lock in (lock for owner in front for lock in self.owned.get(owner, ())):
                waiting = [thread for thread in self.waiters[lock] if counts(thread)]
                if waiting:
                    locks[lock] = None
                for thread in waiting:
                    if thread not in seen:
                        seen.add(thread)
                        following.append(thread)
            threads += following
            front = following
        return list(locks), threads


def find_pileups(
    graph: WaitGraph,
    weigh: Callable[[VirtAddr], int],
    prefer: VirtAddr | None = None,
    stays: Callable[[VirtAddr], float] = lambda _: 0.0,
) -> tuple[Pileup, ...]:
    """All pile-ups, the one that matters most first. ``weigh`` says how much one stuck thread matters.

    ``prefer`` is a thread that the bugcheck names: the pile-up that it causes, or is in, comes first. ``stays`` says
    for how many seconds a root has not moved: of those who share a lock, the one that stays is the cause.
    """
    arrows = _Arrows(graph)
    lost = doomed(graph)
    stuck = set(arrows.blocked)
    found = [_around(arrows, cycle, lost, weigh) for cycle in find_cycles(graph, lost)]
    # A lock may have thousands of shared owners: what stands behind the same locks is looked up once.
    known: dict[tuple[VirtAddr, ...], tuple[tuple[VirtAddr, ...], tuple[VirtAddr, ...], int]] = {}
    for root, owned in arrows.owned.items():
        if root in stuck:
            continue
        if tuple(owned) not in known:
            # Who is in or behind a deadlock stays stuck whatever this root does.
            locks, blocked = arrows.behind([root], lambda thread: thread not in lost)
            known[tuple(owned)] = tuple(locks), tuple(blocked), sum(map(weigh, blocked))
        pileup = Pileup(root, None, *known[tuple(owned)])
        if pileup.blocked:
            found.append(pileup)
    return tuple(sorted(found, key=lambda pileup: _rank(pileup, prefer, stays)))


def _around(arrows: _Arrows, cycle: Cycle, lost: frozenset[VirtAddr], weigh: Callable[[VirtAddr], int]) -> Pileup:
    locks, behind = arrows.behind(cycle.threads, lambda thread: thread in lost)
    blocked = (*cycle.threads, *behind)
    inner = sorted(cycle.locks, key=lambda lock: -len(arrows.waiters[lock]))  # the one with the longest queue first
    return Pileup(
        None,
        cycle,
        tuple(dict.fromkeys((*inner, *locks))),
        blocked,
        sum(map(weigh, blocked)) + DEADLOCK_WEIGHT,
    )


def _rank(
    pileup: Pileup, prefer: VirtAddr | None, stays: Callable[[VirtAddr], float]
) -> tuple[int, int, int, float, int]:
    # Sorts ascending: the named thread's first, then by weight, by size and by how long the root has not moved; the
    # address only makes it stable.
    preference = 2
    if prefer is not None and (pileup.root == prefer or (pileup.cycle and prefer in pileup.cycle.threads)):
        preference = 0
    elif prefer is not None and prefer in pileup.blocked:
        preference = 1
    still = stays(pileup.root) if pileup.root is not None else 0.0
    return preference, -pileup.weight, -len(pileup.blocked), -still, pileup.root or pileup.blocked[0]


def path_to_root(graph: WaitGraph, thread: VirtAddr) -> tuple[VirtAddr, ...]:
    """A blocked thread, the thread it waits for, and so on: to a root, or to the first thread that comes twice.

    Where several owners are in the way, the path goes through the one that is blocked itself, if any.
    """
    path = [thread]
    while blockers := graph.blockers(path[-1]):
        following = next((owner for owner in blockers if graph.is_blocked(owner)), blockers[0])
        path.append(following)
        if following in path[:-1]:
            break
    return tuple(path)
