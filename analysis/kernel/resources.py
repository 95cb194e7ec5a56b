"""ERESOURCEs: who owns them and who waits for them now.

Every ERESOURCE is on the system's list (nt!ExpSystemResourcesList), tens of thousands of them on a large machine and
a handful of interest. Sources: the public symbols of eight builds; ntifs.h for the meaning of the members. An owner
is the thread in OwnerEntry or in the owner table, its two low bits being flags. ContentionCount only ever grows: it
is history and says nothing about now.
"""

from dataclasses import dataclass

import numpy as np

from analysis.address import VirtAddr
from analysis.errors import MissingLayout, Unreadable
from analysis.kernel.dispatcher import is_thread
from analysis.kernel.facts import Held, Lock, LockKind
from analysis.kernel.lists import ListWalk, walk_list
from analysis.kernel.names import KernelNames, require
from analysis.limits import MAX_RESOURCE_OWNERS, MAX_RESOURCES
from analysis.memory.reader import Memory
from analysis.memory.snapshot import Snapshot
from analysis.symbols.layout import Layout, Struct
from analysis.trust import Trust

OWNED_EXCLUSIVE = 0x80  # ERESOURCE.Flag, ResourceOwnedExclusive of ntifs.h
_POINTER_BITS = 3  # of an owner: set by ExSetResourceOwnerPointer and friends, cleared before it is a thread
_POINTER = "pointer"
_NEEDED = {
    "ActiveCount": "<i2",
    "Flag": "<u2",
    "SharedWaiters": _POINTER,
    "ExclusiveWaiters": _POINTER,
    "OwnerTable": _POINTER,
    "NumberOfSharedWaiters": "<u4",
    "NumberOfExclusiveWaiters": "<u4",
    "ContentionCount": "<u4",
}
_LARGEST = 0x400  # no ERESOURCE was ever larger than 0x68


@dataclass(frozen=True, slots=True)
class Resource:
    """One ERESOURCE as it stood. ``shared_slot`` and ``exclusive_slot`` are its two waiter pointers, whatever they
    point to in this build; the two counts are the resource's own."""

    address: VirtAddr
    exclusive: bool
    active: int
    shared_slot: int
    exclusive_slot: int
    shared_waiters: int
    exclusive_waiters: int
    contention: int
    owner_table: int

    @property
    def waiters(self) -> int:
        """How many threads wait for it, as it counts itself."""
        return self.shared_waiters + self.exclusive_waiters


@dataclass(frozen=True, slots=True)
class ResourceList:
    """The resources that are owned or waited for, of ``total`` on the system's list, and notes about the list."""

    busy: tuple[Resource, ...]
    total: int
    notes: tuple[str, ...]


def read_resources(memory: Memory, names: KernelNames, head: int) -> ResourceList:
    """The busy ones of the list at ``head``.

    Raises:
        MissingLayout: this kernel's ERESOURCE is not known.
    """
    layout = require(names, "_ERESOURCE", *_NEEDED)
    if max(layout.offset(member) for member in _NEEDED) > _LARGEST:
        raise MissingLayout("_ERESOURCE")  # a symbol file with nonsense in it
    walk = walk_list(memory, head, MAX_RESOURCES)
    notes = (f"system resource list: {walk.problem}",) if walk.problem else ()
    return ResourceList(_busy(memory, layout, walk), len(walk.entries), notes)


def read_resource(memory: Memory, names: KernelNames, address: int) -> Resource:
    """What would be the resource at ``address``; whether it is one is for others to check.

    Raises:
        MissingLayout: this kernel's ERESOURCE is not known.
        Unreadable: its memory is not there.
    """
    kind = _row(memory, require(names, "_ERESOURCE", *_NEEDED))
    return _resource(VirtAddr(address), np.frombuffer(memory.read(address, kind.itemsize), kind)[0])


def _busy(memory: Memory, layout: Layout, walk: ListWalk) -> tuple[Resource, ...]:
    link = layout.offset("SystemResourcesList") if layout.has("SystemResourcesList") else 0
    kind = _row(memory, layout)
    size = kind.itemsize
    addresses = []
    rows = []
    for address in walk.records(link):
        try:
            rows.append(memory.read(address, size))
        except Unreadable:
            continue  # its links are there, its rest is on a page that was not saved
        addresses.append(address)
    if not rows:
        return ()
    table = np.frombuffer(b"".join(rows), kind)
    waited = table["NumberOfSharedWaiters"].astype(np.uint64) + table["NumberOfExclusiveWaiters"]
    return tuple(
        _resource(addresses[row], table[row]) for row in np.flatnonzero((table["ActiveCount"] > 0) | (waited > 0))
    )


def _row(memory: Memory, layout: Layout) -> np.dtype[np.void]:
    # Tens of thousands of structures are looked at in a few array operations.
    offsets = [layout.offset(member) for member in _NEEDED]
    formats = [f"<u{memory.pointer_size}" if kind == _POINTER else kind for kind in _NEEDED.values()]
    ends = [at + np.dtype(kind).itemsize for at, kind in zip(offsets, formats, strict=True)]
    return np.dtype({"names": list(_NEEDED), "formats": formats, "offsets": offsets, "itemsize": max(ends)})


def _resource(address: VirtAddr, row: np.void) -> Resource:
    return Resource(
        address,
        bool(int(row["Flag"]) & OWNED_EXCLUSIVE),
        int(row["ActiveCount"]),
        int(row["SharedWaiters"]),
        int(row["ExclusiveWaiters"]),
        int(row["NumberOfSharedWaiters"]),
        int(row["NumberOfExclusiveWaiters"]),
        int(row["ContentionCount"]),
        int(row["OwnerTable"]),
    )


def read_owners(memory: Memory, names: KernelNames, resource: Resource) -> tuple[tuple[Held, ...], tuple[str, ...]]:
    """The threads that own the resource now, and notes about owners that are none.

    An owner must be a thread object: a file system may have put another pointer in its place, and memory of a
    thread that is gone may have been used again.
    """
    if not resource.active:
        return (), ()
    notes: list[str] = []
    owners: dict[VirtAddr, Held] = {}
    for value in _owner_values(memory, names, resource, notes):
        thread = VirtAddr(value & ~_POINTER_BITS)
        if is_thread(memory, thread):
            owners[thread] = Held(thread, Trust.STRUCTURE, resource.exclusive)
        elif resource.waiters:
            notes.append(f"the resource {resource.address:#x} is owned through {value:#x}, which is no thread object")
    return tuple(owners.values()), tuple(notes)


def _owner_values(memory: Memory, names: KernelNames, resource: Resource, notes: list[str]) -> list[int]:
    # OwnerEntry alone where owned exclusively; where shared, the non-zero ones of it and of the owner table.
    entry_layout = names.layout("_OWNER_ENTRY")
    entry = resource.address + require(names, "_ERESOURCE", "OwnerEntry").offset("OwnerEntry")
    values = []
    try:
        if resource.exclusive:
            return [memory.pointer(entry)]
        values.append(_owner(memory, entry_layout, entry))
        if memory.is_kernel(resource.owner_table):
            count = _table_size(memory, entry_layout, resource.owner_table)
            size = 2 * memory.pointer_size  # OWNER_ENTRY: the thread, and a number of flags and count
            table = Snapshot(memory, resource.owner_table, count * size)
            slots = (resource.owner_table + slot * size for slot in range(1, count))
            values.extend(_owner(table, entry_layout, slot) for slot in slots)  # keeps those before a gap
    except Unreadable as gap:
        notes.append(f"owners of the resource {resource.address:#x}: {gap}")
    return [value for value in values if value]


def _table_size(memory: Memory, layout: Layout | None, table: int) -> int:
    # Of the first OWNER_ENTRY, how many entries the table has: behind its thread.
    offset = layout.offset("TableSize") if layout and layout.has("TableSize") else memory.pointer_size
    return min(memory.u32(table + offset), MAX_RESOURCE_OWNERS)


def _owner(memory: Memory, layout: Layout | None, address: int) -> int:
    # An entry whose count fell to zero keeps its last thread: it owns nothing any more.
    if layout is None or not layout.has("OwnerThread"):
        return memory.pointer(address)
    entry = Struct(memory, layout, address)
    if entry.has("OwnerCount") and not entry.bits("OwnerCount"):
        return 0
    return entry.pointer("OwnerThread")


def as_lock(resource: Resource, owners: tuple[Held, ...], waiters: tuple[Held, ...]) -> Lock:
    """The resource as a lock without a name."""
    return Lock(
        resource.address,
        LockKind.ERESOURCE,
        exclusive=resource.exclusive if resource.active else None,
        owners=owners,
        waiters=waiters,
        waiters_expected=resource.waiters,
        contention=resource.contention,
    )
