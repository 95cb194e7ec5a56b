"""The analysis of waits of one dump: root, chains, deadlocks, and every thread that is stuck."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from analysis.address import VirtAddr
from analysis.kernel.facts import KernelFacts, Lock, LockKind, Thread
from analysis.kernel.locks import lock_name
from analysis.kernel.scene import Scene
from analysis.trust import Trust
from analysis.waits.at_hand import at_hand
from analysis.waits.build import build_graph
from analysis.waits.chains import Pileup, find_pileups
from analysis.waits.deadlock import Cycle
from analysis.waits.describe import boost_of, sleeps, state_of, unowned, waits_for
from analysis.waits.graph import WaitGraph
from analysis.waits.importance import importance, stays
from analysis.waits.processors import STUCK_PROCESSOR, about_processors, spin_locks

_OWNED_KINDS = frozenset(
    {
        LockKind.ERESOURCE,
        LockKind.FAST_RESOURCE,
        LockKind.MUTANT,
        LockKind.FAST_MUTEX,
        LockKind.GUARDED_MUTEX,
        LockKind.PUSH_LOCK,
        LockKind.ALPC,
    }
)
# What drivers must bring, and no thread owns: requests, and answers to Plug and Play.
_OWED = frozenset({LockKind.IRP, LockKind.SEMAPHORE})
_MAX_NOTES = 20
_MAX_REQUESTS = 20
_LONG = 60.0  # seconds: no healthy device keeps a request of the kernel's own that long
_MAX_STACKS = 256  # of a larger crowd only these are asked what they were doing


@dataclass(frozen=True, slots=True)
class ChainLock:
    """A lock that stands between stuck threads and their cause, or what the cause itself waits for where a driver must
    bring it (a request, an answer). ``trust`` is that of its weakest owner or waiter."""

    lock: Lock
    trust: Trust


@dataclass(frozen=True, slots=True)
class Blocked:
    """A stuck thread, the lock it waits for, and what it was doing in plain words where its stack tells."""

    thread: VirtAddr
    waits_for: VirtAddr
    doing: str | None = None


@dataclass(frozen=True, slots=True)
class WaitAnalysis:
    """Who waits for whom, the most important pile-up first in every list.

    ``root`` is None where nothing is stuck and where the most important pile-up is a deadlock.
    """

    root: VirtAddr | None = None
    chains: tuple[ChainLock, ...] = ()
    deadlocks: tuple[Cycle, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    pileups: tuple[Pileup, ...] = ()
    graph: WaitGraph = field(default_factory=WaitGraph)
    notes: tuple[str, ...] = ()


def find_waits(scene: Scene, prefer: VirtAddr | None = None, *, is_hang: bool = True) -> WaitAnalysis:
    """The waits of a scene. ``prefer`` is a thread that the bugcheck names: its pile-up comes first.

    Where the machine did not stop for a hang, a processor that spins, or a thread that waits long for a request, is
    everyday and left out.
    """
    spun = spin_locks(scene) if is_hang else ()
    facts = replace(scene.facts, locks=scene.facts.locks | {lock.address: lock for lock in spun})
    found = analyze_waits(facts, prefer, is_hang=is_hang)
    told = tuple(replace(one, doing=scene.doing(one.thread)) for one in found.blocked[:_MAX_STACKS])
    spinning = about_processors(scene, spun) if spun or scene.image.header.code in STUCK_PROCESSOR else []
    notes = (*found.notes, *_about_ends(scene, found, prefer), *_about_requests(scene.facts, found), *spinning)
    return replace(found, blocked=(*told, *found.blocked[_MAX_STACKS:]), notes=notes)


def _about_ends(scene: Scene, found: WaitAnalysis, named: VirtAddr | None) -> list[str]:
    # What the threads at the front of the pile-ups wait for themselves, and the one that the bugcheck names.
    roots = [pileup.root for pileup in found.pileups[:_MAX_NOTES] if pileup.root is not None]
    if named is not None and not found.graph.is_blocked(named):
        roots.append(named)
    threads = [thread for root in dict.fromkeys(roots) if (thread := scene.thread(root)) is not None]
    waiting = [thread for thread in threads if state_of(thread) is None]
    near = at_hand(scene, {address for thread in waiting for address in unowned(thread)})
    told = {thread.address: waits_for(scene, thread, near) for thread in waiting}
    told |= {thread.address: sleeps(scene, thread) for thread in threads if thread not in waiting}
    return [f"thread {address:#x} {text}" for address, text in told.items() if text is not None]


def _about_requests(facts: KernelFacts, found: WaitAnalysis) -> list[str]:
    # Threads outside every pile-up.
    told = {pileup.root for pileup in found.pileups} | {one.thread for one in found.blocked}
    return [
        f"thread {thread.address:#x} ({thread.process_name}, {thread.pid}/{thread.tid}) has waited "
        f"{thread.wait_seconds:.0f} s for the {lock.description}"
        for thread, lock in _long_requests(facts)
        if thread.address not in told
    ][:_MAX_NOTES]


def _long_requests(facts: KernelFacts) -> list[tuple[Thread, Lock]]:
    # Threads that have waited long in the kernel for one request, the longest first.
    waits = [
        (thread, lock)
        for lock in facts.locks.values()
        if lock.kind is LockKind.IRP
        for held in lock.waiters
        if (thread := facts.threads.get(held.thread)) is not None
        if thread.wait_reason == "Executive" and (thread.wait_seconds or 0) >= _LONG
    ]
    return sorted(waits, key=lambda wait: -(wait[0].wait_seconds or 0))


def _owed_at_ends(facts: KernelFacts, pileups: Sequence[Pileup], named: VirtAddr | None) -> Iterator[VirtAddr]:
    # What drivers owe the roots, so that they do not go on, and the thread that the bugcheck names.
    of: dict[VirtAddr, list[VirtAddr]] = {}
    for lock in facts.locks.values():
        if lock.kind in _OWED:
            for held in lock.waiters:
                of.setdefault(held.thread, []).append(lock.address)
    for thread in (*(pileup.root for pileup in pileups), named):
        yield from of.get(thread, ()) if thread is not None else ()


def _requests_kept_long(facts: KernelFacts) -> list[VirtAddr]:
    # Those that keep a thread in the kernel. A wait on behalf of a program (a read of a quiet pipe) is everyday.
    return [lock.address for thread, lock in _long_requests(facts) if not thread.in_user_mode][:_MAX_REQUESTS]


def analyze_waits(facts: KernelFacts, prefer: VirtAddr | None = None, *, is_hang: bool = True) -> WaitAnalysis:
    """The waits that these facts tell, without what only a stack can tell; the arguments as of ``find_waits``."""
    graph = build_graph(facts)
    pileups = find_pileups(
        graph,
        lambda thread: importance(facts.threads.get(thread)),
        prefer,
        lambda thread: stays(facts.threads.get(thread)),
    )
    locks = dict.fromkeys(lock for pileup in pileups for lock in pileup.locks)
    locks |= dict.fromkeys(_owed_at_ends(facts, pileups, prefer))
    locks |= dict.fromkeys(_requests_kept_long(facts) if is_hang else ())
    locks |= dict.fromkeys(lock.address for lock in facts.locks.values() if lock.kind is LockKind.SPIN_LOCK)
    blocked = dict.fromkeys(thread for pileup in pileups for thread in pileup.blocked)
    return WaitAnalysis(
        root=pileups[0].root if pileups else None,
        chains=tuple(_chain(facts.locks[lock]) for lock in locks),
        deadlocks=tuple(pileup.cycle for pileup in pileups if pileup.cycle),
        blocked=tuple(Blocked(thread, graph.blocking_locks(thread)[0]) for thread in blocked),
        pileups=pileups,
        graph=graph,
        notes=(*_about_roots(facts, pileups), *_about_ownerless(facts.locks.values())),
    )


def _chain(lock: Lock) -> ChainLock:
    return ChainLock(lock, min(held.trust for held in (*lock.owners, *lock.waiters)))


def _about_roots(facts: KernelFacts, pileups: Iterable[Pileup]) -> list[str]:
    notes: list[str] = []
    for pileup in pileups:
        if len(notes) == _MAX_NOTES:
            break
        thread = facts.threads.get(pileup.root) if pileup.root else None
        told = [text for text in (state_of(thread), boost_of(thread)) if text]
        if pileup.root and told:
            names = ", ".join(lock_name(facts.locks[lock]) for lock in pileup.locks if _owns(facts, lock, pileup.root))
            notes.append(f"thread {pileup.root:#x} owns {names}, which others wait for, and {'; '.join(told)}")
    return notes


def _owns(facts: KernelFacts, lock: VirtAddr, thread: VirtAddr) -> bool:
    return any(held.thread == thread for held in facts.locks[lock].owners)


def _about_ownerless(locks: Iterable[Lock]) -> list[str]:
    return [
        f"{len(lock.waiters)} threads wait for {lock_name(lock)}, and no owner of it can be told"
        if len(lock.waiters) > 1
        else f"thread {lock.waiters[0].thread:#x} waits for {lock_name(lock)}, and no owner of it can be told"
        for lock in locks
        if lock.kind in _OWNED_KINDS and lock.waiters and not lock.owners
    ][:_MAX_NOTES]
