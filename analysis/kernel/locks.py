"""All locks that somebody owns or waits for, with names, owners and waiters."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from analysis.address import VirtAddr
from analysis.errors import MissingLayout
from analysis.kernel.alpc import read_alpc_waits
from analysis.kernel.critical_sections import Programs, read_critical_sections
from analysis.kernel.devices import ModuleAt
from analysis.kernel.facts import Held, Lock, LockKind, Module, Thread
from analysis.kernel.fast_resources import FastOwner, read_fast_owners
from analysis.kernel.mutants import read_dispatcher_locks
from analysis.kernel.names import KernelNames
from analysis.kernel.pnp_answers import read_pnp_answers
from analysis.kernel.push_locks import read_push_locks
from analysis.kernel.requests import read_request_waits
from analysis.kernel.resource_waiters import WR_RESOURCE, assign_by_stack, read_waiters
from analysis.kernel.resources import Resource, ResourceList, as_lock, read_owners, read_resources
from analysis.kernel.unlisted_resources import find_unlisted
from analysis.kernel.work_queues import read_work_queues
from analysis.memory.reader import Memory
from analysis.trust import Trust

_KIND_WORDS = {
    LockKind.ERESOURCE: "resource (ERESOURCE)",
    LockKind.FAST_RESOURCE: "fast resource (ERESOURCE)",
    LockKind.MUTANT: "mutex (KMUTANT)",
    LockKind.FAST_MUTEX: "fast mutex",
    LockKind.GUARDED_MUTEX: "guarded mutex",
    LockKind.PUSH_LOCK: "push lock",
    LockKind.THREAD: "thread",
    LockKind.PROCESS: "process",
    LockKind.QUEUE: "work queue",
}


@dataclass(frozen=True, slots=True)
class LockFacts:
    """Locks by address, and notes about what could not be read or does not add up."""

    locks: dict[VirtAddr, Lock] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def list_resources(memory: Memory, names: KernelNames) -> ResourceList:
    """The busy resources on the system's list. Raises: MissingLayout: this kernel's ERESOURCE is not known."""
    head = names.address("ExpSystemResourcesList")
    if head is None:
        return ResourceList((), 0, ("locks: where the system's resource list is cannot be told",))
    return read_resources(memory, names, head)


def read_locks(
    memory: Memory,
    names: KernelNames,
    threads: Mapping[VirtAddr, Thread],
    modules: Iterable[Module],
    programs: Programs | None = None,
    *,
    listing: Callable[[], ResourceList] | None = None,
) -> LockFacts:
    """Every lock with an owner or a waiter. Locks that this build's layouts do not cover are left out with a note.

    ``programs`` opens the memory of processes, where the dump holds it: None leaves the programs' own locks out.
    ``listing`` is ``list_resources`` of this memory, where a caller keeps its result: the list is long.
    """
    found: list[Lock] = []
    notes: list[str] = []
    images = tuple(modules)
    module_at = _finder(images)
    readers: list[Callable[..., tuple[list[Lock], list[str]]]] = [
        partial(_resources, listing=listing or partial(list_resources, memory, names)),
        _dispatcher_locks,
        _push_locks,
        read_alpc_waits,
        partial(read_work_queues, module_at=module_at),
        partial(read_request_waits, module_at=module_at),
        partial(read_pnp_answers, module_at=module_at),
    ]
    if programs is not None:
        readers.append(partial(read_critical_sections, programs))
    for read in readers:
        try:
            locks, problems = read(memory, names, threads)
        except MissingLayout as missing:
            notes.append(f"locks: {missing}")
            continue
        found += locks
        notes += problems
    locks = [_described(names, lock, images) for lock in found]
    notes += [note for lock in locks if (note := _shortage(lock))]
    return LockFacts({lock.address: lock for lock in locks}, tuple(notes))


def _finder(images: tuple[Module, ...]) -> ModuleAt:
    ordered = sorted(images, key=lambda module: module.base)
    bases = [module.base for module in ordered]

    def module_at(address: int) -> Module | None:
        at = bisect_right(bases, address) - 1
        return ordered[at] if at >= 0 and address < ordered[at].end else None

    return module_at


def _push_locks(memory: Memory, names: KernelNames, threads: Mapping[VirtAddr, Thread]) -> tuple[list[Lock], list[str]]:
    return read_push_locks(memory, names, threads.values())


def _dispatcher_locks(
    memory: Memory, names: KernelNames, threads: Mapping[VirtAddr, Thread]
) -> tuple[list[Lock], list[str]]:
    return read_dispatcher_locks(memory, names, threads.values())


def _resources(
    memory: Memory, names: KernelNames, threads: Mapping[VirtAddr, Thread], listing: Callable[[], ResourceList]
) -> tuple[list[Lock], list[str]]:
    listed = listing()
    unlisted = find_unlisted(memory, names, threads, {one.address for one in listed.busy})
    busy = (*listed.busy, *unlisted)
    waiters = {one.address: read_waiters(memory, names, one, threads) for one in busy if one.waiters}
    _add_by_stack(memory, busy, waiters, threads)
    proven = {held.thread for found in waiters.values() for held in found}
    locks = []
    notes = list(listed.notes)
    for resource in busy:
        queued = waiters.get(resource.address, ())
        entries = read_fast_owners(memory, names, resource.address)
        if entries is None:
            owners, problems = read_owners(memory, names, resource)
            lock = as_lock(resource, owners, queued)
            how = f"{_KIND_WORDS[lock.kind]} at {lock.address:#x}, found by way of a thread that waits for it"
            locks.append(replace(lock, description=how) if resource in unlisted else lock)
            notes += problems
        else:
            locks.append(_as_fast_lock(resource, entries, queued, threads, proven))
    return locks, notes


def _as_fast_lock(
    resource: Resource,
    entries: tuple[FastOwner, ...],
    queued: tuple[Held, ...],
    threads: Mapping[VirtAddr, Thread],
    proven: set[VirtAddr],
) -> Lock:
    # An entry may be left over: a thread whose wait another resource's queue proves does not wait for this one.
    owners = tuple(Held(one.thread, Trust.STRUCTURE, one.exclusive) for one in entries if not one.waiting)
    waiting = (
        Held(one.thread, Trust.STRUCTURE, one.exclusive)
        for one in entries
        if one.waiting and one.thread not in proven and _waits_for_resource(threads.get(one.thread))
    )
    lock = as_lock(resource, owners, (*queued, *waiting))
    exclusive = any(held.exclusive for held in owners) or resource.exclusive
    return replace(lock, kind=LockKind.FAST_RESOURCE, exclusive=exclusive if owners else None)


def _waits_for_resource(thread: Thread | None) -> bool:
    return thread is not None and thread.wait_reason == WR_RESOURCE


def _add_by_stack(
    memory: Memory,
    resources: tuple[Resource, ...],
    waiters: dict[VirtAddr, tuple[Held, ...]],
    threads: Mapping[VirtAddr, Thread],
) -> None:
    # Threads in WrResource that no structure led to go to a resource that counts more waiters than were found.
    assigned = {held.thread for found in waiters.values() for held in found}
    left = [t for t in threads.values() if t.wait_reason == WR_RESOURCE and t.address not in assigned]
    short = [one for one in resources if one.waiters > len(waiters.get(one.address, ()))]
    if left and short:
        for address, held in assign_by_stack(memory, short, left).items():
            waiters[address] = (*waiters.get(address, ()), *held)


def _shortage(lock: Lock) -> str | None:
    if lock.waiters_expected is None or lock.waiters_expected == len(lock.waiters):
        return None
    return f"{lock_name(lock)}: {len(lock.waiters)} of {lock.waiters_expected} waiters found"


def lock_name(lock: Lock) -> str:
    """What a sentence calls the lock: its name, or its description where it has none."""
    return lock.name or lock.description or f"{lock.kind.value} at {lock.address:#x}"


def _described(names: KernelNames, lock: Lock, modules: tuple[Module, ...]) -> Lock:
    name = names.name_at(lock.address)
    what = f"{_KIND_WORDS.get(lock.kind, lock.kind.value)} at {lock.address:#x}"
    home = next((module for module in modules if module.base <= lock.address < module.end), None)
    if home is not None:
        what += f", in the data of {home.name}"
    if lock.kind in {LockKind.ERESOURCE, LockKind.FAST_RESOURCE}:
        what += ", on the system's resource list"
    return replace(lock, name=f"nt!{name}" if name else lock.name, description=lock.description or what)
