"""ERESOURCEs: owners, waiters in the three historical forms, and the system's list of all of them."""

from collections.abc import Sequence

from tests.forge.kernel.objects import event, semaphore
from tests.forge.kernel.state import WR_RESOURCE, Kernel, Resource, Thread
from tests.forge.kernel.threads import wait

OWNED_EXCLUSIVE = 0x80
ACQUIRE = "ExpWaitForResource"
CHAIN_LOCAL = 0x30  # where in the waiter's frame its chain entry lies


def add_resource(kernel: Kernel, name: str | None = None, *, tag: str = "Ntfr", address: int | None = None) -> Resource:
    """A free resource: at the symbol ``name``, at an address (inside a driver's data), or in pool."""
    machine = kernel.machine
    if address is None:
        address = kernel.symbol(name) if name else machine.pool(machine.layouts.size("_ERESOURCE"), tag, "large")
    resource = Resource(address, name)
    kernel.resources.append(resource)
    return resource


def own(kernel: Kernel, resource: Resource, thread: Thread, count: int = 1) -> None:
    """The thread owns the resource alone."""
    resource.exclusive = True
    resource.owners = [thread]
    _owner_entry(kernel, kernel.machine.at("_ERESOURCE", resource.address, "OwnerEntry"), thread.address, count)
    kernel.machine.put("_ERESOURCE", resource.address, Flag=OWNED_EXCLUSIVE, ActiveCount=1, ActiveEntries=1)


def share(
    kernel: Kernel, resource: Resource, threads: Sequence[Thread], *, slots: int = 4, first_in_entry: bool = True
) -> None:
    """The threads share the resource: the first in OwnerEntry, the others in the table behind it."""
    machine = kernel.machine
    resource.exclusive = False
    resource.owners = list(threads)
    entry = machine.at("_ERESOURCE", resource.address, "OwnerEntry")
    rest = list(threads)
    if first_in_entry:
        _owner_entry(kernel, entry, rest.pop(0).address, 1)
    if rest:
        size = machine.layouts.size("_OWNER_ENTRY")
        slots = max(slots, len(rest) + 1)
        table = machine.pool(slots * size, "Rtbl", "large")
        machine.put("_OWNER_ENTRY", table, TableSize=slots)
        for index, thread in enumerate(rest):
            # Slots free up in the middle: leave one empty where there is room.
            place = index + 1 if slots == len(rest) + 1 or index == 0 else index + 2
            _owner_entry(kernel, table + place * size, thread.address, 1 + index % 2)
        machine.put("_ERESOURCE", resource.address, OwnerTable=table)
    machine.put("_ERESOURCE", resource.address, ActiveCount=1, ActiveEntries=len(threads))


def own_by_pointer(kernel: Kernel, resource: Resource, pointer: int) -> None:
    """Owned by something that ExSetResourceOwnerPointer names: not a thread, its two low bits set."""
    _owner_entry(kernel, kernel.machine.at("_ERESOURCE", resource.address, "OwnerEntry"), pointer | 3, 1)
    kernel.machine.put("_ERESOURCE", resource.address, Flag=OWNED_EXCLUSIVE, ActiveCount=1, ActiveEntries=1)


def contended_once(kernel: Kernel, resource: Resource, times: int) -> None:
    """History: somebody waited, nobody does now. Old builds keep the objects they allocated then."""
    machine = kernel.machine
    resource.contention += times
    machine.put("_ERESOURCE", resource.address, ContentionCount=resource.contention)
    if kernel.major <= 14393:
        machine.put("_ERESOURCE", resource.address, ExclusiveWaiters=event(kernel, tag="ReEv"))
    if kernel.major <= 9600:
        machine.put("_ERESOURCE", resource.address, SharedWaiters=semaphore(kernel, tag="ReSe"))


def wait_for(
    kernel: Kernel,
    resource: Resource,
    exclusive: Sequence[tuple[Thread, float]],
    shared: Sequence[tuple[Thread, float]] = (),
) -> None:
    """Threads (with seconds) wait for the resource; each stands in ExpWaitForResource already."""
    machine = kernel.machine
    contended_once(kernel, resource, len(exclusive) + len(shared) + kernel.rng.randrange(0, 5))
    resource.waiters = [thread for thread, _ in (*exclusive, *shared)]
    machine.put(
        "_ERESOURCE", resource.address, NumberOfSharedWaiters=len(shared), NumberOfExclusiveWaiters=len(exclusive)
    )
    for member, threads, object_until in (("ExclusiveWaiters", exclusive, 14393), ("SharedWaiters", shared, 9600)):
        if kernel.major <= object_until:
            common = machine.read_u64(machine.at("_ERESOURCE", resource.address, member))
            for thread, seconds in threads:
                wait(kernel, thread, [common], WR_RESOURCE, seconds)
        elif threads:
            _chain(kernel, machine.at("_ERESOURCE", resource.address, member), threads)


def _chain(kernel: Kernel, head: int, threads: Sequence[tuple[Thread, float]]) -> None:
    """KWAIT_CHAIN: entries on the waiters' stacks, each with an event of its own."""
    machine = kernel.machine
    entries = [thread.frame(ACQUIRE).sp + CHAIN_LOCAL for thread, _ in threads]
    with_thread = machine.has("_KWAIT_CHAIN_ENTRY", "Thread")
    for index, (entry, (thread, seconds)) in enumerate(zip(entries, threads, strict=True)):
        machine.write(entry, bytes(machine.layouts.size("_KWAIT_CHAIN_ENTRY")))
        signal = event(kernel, address=machine.at("_KWAIT_CHAIN_ENTRY", entry, "Event"))
        if with_thread:  # doubly linked; no public source says whether in a ring, so a seed draws it
            last = index + 1 == len(entries)
            machine.u64(entry, 0 if last and kernel.open_chains else entries[(index + 1) % len(entries)])
            machine.u64(entry + 8, 0 if not index and kernel.open_chains else entries[index - 1])
            machine.put("_KWAIT_CHAIN_ENTRY", entry, Thread=thread.address)
        else:  # single links, ended by zero
            machine.u64(entry, entries[index + 1] if index + 1 < len(entries) else 0)
        wait(kernel, thread, [signal], WR_RESOURCE, seconds)
    machine.u64(head, entries[0])


def add_fast_resource(kernel: Kernel, owner: Thread | None) -> Resource:
    """A fast resource (17763 and later) on the same list; its owner entry hangs on a list at +0x30."""
    machine = kernel.machine
    resource = add_resource(kernel, tag="FsRs")
    resource.fast = True
    head = machine.at("_FAST_ERESOURCE_INTERNAL", resource.address, "OwnerEntryListHead")
    machine.list_head(head)
    if owner is not None:
        resource.exclusive, resource.owners = True, [owner]
        entry = machine.pool(0x48, "FsRo", "large")
        machine.put(
            "_FAST_OWNER_ENTRY_INTERNAL",
            entry,
            LockAddress=resource.address,
            ThreadAddress=owner.address,
            CallerExclusive=1,
        )
        machine.list_append(head, entry)
        machine.put("_FAST_ERESOURCE_INTERNAL", resource.address, Flag=OWNED_EXCLUSIVE)
        machine.put("_ERESOURCE", resource.address, ActiveCount=1)
    return resource


def link_resources(kernel: Kernel) -> None:
    """Put all resources on ExpSystemResourcesList, in an order of the machine's history."""
    machine = kernel.machine
    head = kernel.symbol("ExpSystemResourcesList")
    machine.list_head(head)
    kernel.rng.shuffle(kernel.resources)
    for resource in kernel.resources:
        machine.list_append(head, machine.at("_ERESOURCE", resource.address, "SystemResourcesList"))


def _owner_entry(kernel: Kernel, address: int, owner: int, count: int) -> None:
    kernel.machine.put("_OWNER_ENTRY", address, OwnerThread=owner, OwnerCount=count)
