"""Dispatcher objects that have an owner: mutants, fast and guarded mutexes, threads and processes.

They are found from the threads that wait for them. A mutant names its owner (KMUTANT.OwnerThread). A fast mutex is
waited for through the event inside it, so the mutex lies around the object of the wait; its owner is a KTHREAD in
every build read here. Who waits for a thread waits for that thread to end.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from analysis.address import VirtAddr
from analysis.errors import Unreadable
from analysis.kernel.dispatcher import is_thread, read_dispatcher
from analysis.kernel.facts import Held, Lock, LockKind, Thread, WaitObject
from analysis.kernel.names import KernelNames, require
from analysis.kernel.object_names import object_name
from analysis.memory.reader import Memory
from analysis.symbols.layout import Struct
from analysis.trust import Trust

_FAST_MUTEX_REASONS = {"WrFastMutex": LockKind.FAST_MUTEX, "WrGuardedMutex": LockKind.GUARDED_MUTEX}
# FAST_MUTEX of wdm.h, the same in all builds: Count, Owner, Contention, Event, each aligned to a pointer.
# KGUARDED_MUTEX of Windows 7 has its gate where the event is.
_MUTEX_OWNER, _MUTEX_EVENT = 1, 3
_POINTER_BITS = 7  # a thread is aligned to 16: whatever a build keeps in the low bits is no part of its address


@dataclass(frozen=True, slots=True)
class _Claim:
    # One thread's wait for one object.
    thread: Thread
    waited: WaitObject


def read_dispatcher_locks(
    memory: Memory, names: KernelNames, threads: Collection[Thread]
) -> tuple[list[Lock], list[str]]:
    """The owned objects that these threads wait for, and notes about owners that are none."""
    locks: list[Lock] = []
    notes: list[str] = []
    ending = _ending(threads)
    for claims in _by_object(threads).values():
        try:
            lock = _read_lock(memory, names, claims, ending)
        except Unreadable as gap:
            notes.append(f"locks: the {claims[0].waited.kind} at {claims[0].waited.address:#x}: {gap}")
            continue
        if lock is not None:
            locks.append(lock)
    return locks, notes


def _by_object(threads: Iterable[Thread]) -> dict[VirtAddr, list[_Claim]]:
    claims: dict[VirtAddr, list[_Claim]] = {}
    for thread in threads:
        for waited in thread.waits:
            claims.setdefault(waited.address, []).append(_Claim(thread, waited))
    return claims


def _ending(threads: Iterable[Thread]) -> dict[VirtAddr, tuple[Held, ...]]:
    # A process that was told to end ends with the last of its threads: those that hang hold everybody up who waits
    # for its end. A process that lives on keeps nobody waiting by mistake.
    left: dict[VirtAddr, list[Thread]] = {}
    for thread in threads:
        if not thread.terminated:
            left.setdefault(thread.process, []).append(thread)
    return {
        process: tuple(Held(thread.address, Trust.STRUCTURE) for thread in rest)
        for process, rest in left.items()
        if all(thread.exiting for thread in rest)
    }


def _read_lock(
    memory: Memory, names: KernelNames, claims: list[_Claim], ending: Mapping[VirtAddr, tuple[Held, ...]]
) -> Lock | None:
    waited = claims[0].waited
    waiters = tuple(Held(claim.thread.address, Trust.STRUCTURE, exclusive=True) for claim in claims)
    match waited.kind:
        case "mutant":
            return _mutant(memory, names, waited.address, waiters)
        case "process":
            return Lock(waited.address, LockKind.PROCESS, owners=ending.get(waited.address, ()), waiters=waiters)
        case "thread":
            owner = Held(waited.address, Trust.STRUCTURE)
            return Lock(waited.address, LockKind.THREAD, owners=(owner,), waiters=waiters)
        case "event" | "gate":
            reasons = {claim.thread.wait_reason for claim in claims}
            kind = next((_FAST_MUTEX_REASONS[r] for r in _FAST_MUTEX_REASONS if r in reasons), None)
            return _fast_mutex(memory, waited.address, kind, waiters) if kind else None
    return None


def _mutant(memory: Memory, names: KernelNames, address: VirtAddr, waiters: tuple[Held, ...]) -> Lock:
    mutant = Struct(memory, require(names, "_KMUTANT", "OwnerThread"), address)
    header = read_dispatcher(memory, address)
    owner = VirtAddr(mutant.pointer("OwnerThread") & ~_POINTER_BITS)
    owners = (Held(owner, Trust.STRUCTURE, exclusive=True),) if is_thread(memory, owner) else ()
    description = ""
    if header is not None and header.signal < 0:
        description = f"mutex (KMUTANT) at {address:#x}, taken {1 - header.signal} times by its owner"
    elif mutant.has("Abandoned") and mutant.u8("Abandoned") & 1:
        description = f"mutex (KMUTANT) at {address:#x}, abandoned by a thread that ended while it held it"
    return Lock(
        address,
        LockKind.MUTANT,
        name=object_name(memory, names, address),
        description=description,
        exclusive=True,
        owners=owners,
        waiters=waiters,
    )


def _fast_mutex(memory: Memory, event: VirtAddr, kind: LockKind, waiters: tuple[Held, ...]) -> Lock | None:
    # The wait reason says what the thread waits in; that the owner is a thread says that the mutex is where we look.
    address = VirtAddr(event - _MUTEX_EVENT * memory.pointer_size)
    owner = VirtAddr(memory.pointer(address + _MUTEX_OWNER * memory.pointer_size) & ~_POINTER_BITS)
    if owner and not is_thread(memory, owner):
        return None
    owners = (Held(owner, Trust.STRUCTURE, exclusive=True),) if owner else ()
    return Lock(address, kind, exclusive=True, owners=owners, waiters=waiters, waited_object=event)
