"""Fast resources (ExInitializeFastResource, 10.0.17763 and later): on the same list as the plain ones, with entries of
their owners on a list where a plain resource has its owner.

No flag of the public symbols tells the two apart, so the memory does: where a plain resource has a thread's address,
a fast one has a list head that its first entry points back to.
"""

from dataclasses import dataclass

from analysis.address import VirtAddr
from analysis.errors import Unreadable
from analysis.kernel.dispatcher import is_thread
from analysis.kernel.lists import walk_list
from analysis.kernel.names import KernelNames
from analysis.limits import MAX_RESOURCE_OWNERS
from analysis.memory.reader import Memory
from analysis.symbols.layout import Struct

_RESOURCE = "_FAST_ERESOURCE_INTERNAL"
_ENTRY = "_FAST_OWNER_ENTRY_INTERNAL"
_NEEDED = ("ListEntry", "LockAddress", "ThreadAddress")


@dataclass(frozen=True, slots=True)
class FastOwner:
    """One thread's entry: as an owner, or where ``waiting`` as one in the queue."""

    thread: VirtAddr
    exclusive: bool
    waiting: bool


def read_fast_owners(memory: Memory, names: KernelNames, address: int) -> tuple[FastOwner, ...] | None:
    """The entries of the fast resource at ``address``; None where there is none: it is a plain resource, or this
    kernel has no fast ones."""
    layout, entry = names.layout(_RESOURCE), names.layout(_ENTRY)
    if layout is None or entry is None or not layout.has("OwnerEntryListHead") or not all(map(entry.has, _NEEDED)):
        return None
    head = address + layout.offset("OwnerEntryListHead")
    if not _is_list_head(memory, head):
        return None
    walk = walk_list(memory, head, MAX_RESOURCE_OWNERS)
    found = (_read_entry(Struct(memory, entry, at), address) for at in walk.records(entry.offset("ListEntry")))
    return tuple(owner for owner in found if owner is not None)


def _is_list_head(memory: Memory, head: int) -> bool:
    # A plain resource has a thread here, whose first bytes are no link that points back, and a count behind it.
    try:
        first, last = memory.pointers(head, 2)
        return memory.is_kernel(first) and memory.is_kernel(last) and memory.pointers(first, 2)[1] == head
    except Unreadable:
        return False


def _read_entry(entry: Struct, resource: int) -> FastOwner | None:
    try:
        thread = VirtAddr(entry.pointer("ThreadAddress") & ~3)
        if entry.pointer("LockAddress") != resource or not is_thread(entry.memory, thread):
            return None
        exclusive = bool(entry.bits("CallerExclusive")) if entry.has("CallerExclusive") else False
        return FastOwner(thread, exclusive, bool(entry.u8("IsWaiting")) if entry.has("IsWaiting") else False)
    except Unreadable:
        return None
