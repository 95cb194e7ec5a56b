"""Threads that wait for drivers' answers to Plug and Play, and the drivers that owe one.

Plug and Play sends its requests and goes on; the answers are counted at a semaphore in its completion queue
(nt!PnpDeviceCompletionQueue), and each request that no driver has answered yet stays on the queue's list. Layouts:
public symbols of ntkrnlmp (KERNEL.md §1).
"""

from collections.abc import Iterator, Mapping

from analysis.address import VirtAddr
from analysis.errors import MissingLayout, Unreadable
from analysis.kernel.devices import Devices, ModuleAt
from analysis.kernel.facts import DeviceNode, Held, Lock, LockKind, Thread
from analysis.kernel.lists import walk_list
from analysis.kernel.names import KernelNames
from analysis.limits import MAX_LIST
from analysis.memory.reader import Memory
from analysis.trust import Trust

_QUEUE, _REQUEST = "_PNP_DEVICE_COMPLETION_QUEUE", "_PNP_DEVICE_COMPLETION_REQUEST"
_MAX_NODES = 4  # told by name
_MAX_SEMAPHORES = 256  # looked at where nothing says which one it is


def read_pnp_answers(
    memory: Memory, names: KernelNames, threads: Mapping[VirtAddr, Thread], module_at: ModuleAt
) -> tuple[list[Lock], list[str]]:
    """One lock for Plug and Play's queue of answers, where a thread waits there and a driver owes one. No notes so far.

    ``driver`` is that of the one device whose answer is missing; None where there are several.
    """
    waiting: dict[VirtAddr, list[Thread]] = {}
    for thread, semaphore in _waits(names, threads):
        waiting.setdefault(semaphore, []).append(thread)
    devices = Devices(memory, names, module_at)
    locks = []
    for semaphore in list(waiting)[:_MAX_SEMAPHORES]:
        nodes = unanswered_nodes(memory, names, devices, semaphore)
        if nodes:
            locks.append(_lock(names, devices, semaphore, nodes, waiting[semaphore]))
    return locks, []


def unanswered_nodes(memory: Memory, names: KernelNames, devices: Devices, semaphore: int) -> tuple[DeviceNode, ...]:
    """The devnodes whose drivers owe Plug and Play an answer that is counted at this semaphore.

    Empty where the semaphore is not the one inside a PNP_DEVICE_COMPLETION_QUEUE (nt!PnpDeviceCompletionQueue).
    """
    queue, request = names.layout(_QUEUE), names.layout(_REQUEST)
    if queue is None or request is None or not queue.has("CompletedSemaphore") or not request.has("DeviceNode"):
        return ()
    head = semaphore - queue.offset("CompletedSemaphore")
    walk = walk_list(memory, head + queue.offset("DispatchedList"), MAX_LIST)
    if not walk.is_whole:
        return ()
    found = []
    for one in walk.records(request.offset("ListEntry")):
        try:
            node = devices.node(memory.pointer(one + request.offset("DeviceNode")))
        except (Unreadable, MissingLayout):
            continue
        if node is not None:
            found.append(node)
    return tuple(found)


def _waits(names: KernelNames, threads: Mapping[VirtAddr, Thread]) -> Iterator[tuple[Thread, VirtAddr]]:
    queue, layout = names.address("PnpDeviceCompletionQueue"), names.layout(_QUEUE)
    if layout is None or not layout.has("CompletedSemaphore"):
        return
    known = queue + layout.offset("CompletedSemaphore") if queue is not None else None
    for thread in threads.values():
        if len(thread.waits) != 1 or thread.waits[0].kind != "semaphore":
            continue
        if known in (None, thread.waits[0].address):
            yield thread, thread.waits[0].address


def _lock(
    names: KernelNames, devices: Devices, semaphore: VirtAddr, nodes: tuple[DeviceNode, ...], threads: list[Thread]
) -> Lock:
    drivers = [next(iter(devices.function_drivers(node)), None) for node in nodes]
    told = [
        f"{driver or 'the driver'} of {node.instance_path or f'the devnode {node.address:#x}'}"
        for driver, node in zip(drivers, nodes, strict=True)
    ]
    listed = " and ".join(list(dict.fromkeys(told))[:_MAX_NODES])
    name = names.name_at(semaphore)
    what = f"semaphore{f' nt!{name}' if name else ''} at {semaphore:#x}"
    return Lock(
        semaphore,
        LockKind.SEMAPHORE,
        name=f"nt!{name}" if name else None,
        description=f"{what}, on which drivers' answers to Plug and Play are counted: {listed} owes one",
        waiters=tuple(Held(thread.address, Trust.STRUCTURE) for thread in threads),
        driver=drivers[0] if len(nodes) == 1 else None,
    )
