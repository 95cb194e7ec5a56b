"""Resources that the walk of the system's list did not reach, found by way of the threads that wait for them.

The list may be out of reach (no symbols and no debugger data) or torn. A thread in WrResource has the resource's
address on its stack; a word there is taken for one only if it has waiters now and the resource's own queue holds this
very thread, or a thread owns it and its neighbours on the list point back at it.
"""

from collections.abc import Collection, Iterator, Mapping

from analysis.address import VirtAddr
from analysis.errors import Unreadable
from analysis.kernel.facts import Thread
from analysis.kernel.names import KernelNames
from analysis.kernel.resource_waiters import WR_RESOURCE, read_waiters
from analysis.kernel.resources import Resource, read_owners, read_resource
from analysis.limits import MAX_WAITERS
from analysis.memory.reader import Memory

_STACK_WINDOW = 0x600  # the frames of the wait itself


def find_unlisted(
    memory: Memory, names: KernelNames, threads: Mapping[VirtAddr, Thread], known: Collection[VirtAddr]
) -> tuple[Resource, ...]:
    """Resources that a thread in WrResource waits for and that are not ``known``.

    Raises:
        MissingLayout: this kernel's ERESOURCE is not known.
    """
    found: dict[VirtAddr, Resource] = {}
    refuted = set(known)
    for thread in threads.values():
        if thread.wait_reason != WR_RESOURCE or not thread.kernel_stack or not thread.stack_resident:
            continue
        words = tuple(_pointers(memory, memory.read_available(thread.kernel_stack, _STACK_WINDOW)))
        if any(word in found or word in known for word in words):
            continue
        for word in words:
            if word in refuted:
                continue
            resource = _resource_of(memory, names, threads, word, thread)
            if resource is not None:
                found[word] = resource
                break
            refuted.add(word)
    return tuple(found.values())


def _pointers(memory: Memory, data: bytes) -> Iterator[VirtAddr]:
    for word in memory.words(data):
        if memory.is_kernel(word) and word % memory.pointer_size == 0:
            yield VirtAddr(word)


def _resource_of(
    memory: Memory, names: KernelNames, threads: Mapping[VirtAddr, Thread], address: VirtAddr, waiter: Thread
) -> Resource | None:
    try:
        resource = read_resource(memory, names, address)
        if not 0 < resource.waiters <= MAX_WAITERS:
            return None
        if any(held.thread == waiter.address for held in read_waiters(memory, names, resource, threads)):
            return resource
        owners, _ = read_owners(memory, names, resource)
        return resource if owners and _is_linked(memory, address) else None
    except Unreadable:
        return None


def _is_linked(memory: Memory, address: int) -> bool:
    # SystemResourcesList is the first member of an ERESOURCE in every build.
    after, before = memory.pointers(address, 2)
    if not memory.is_kernel(after) or not memory.is_kernel(before):
        return False
    return memory.pointers(after, 2)[1] == address == memory.pointer(before)
