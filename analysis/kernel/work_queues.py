"""The system's work queues: who works for them, and what is queued when no worker is left.

A worker keeps the queue that it serves in KTHREAD.Queue; an idle one waits for the queue itself. When every worker of a
queue waits for something else, whatever is queued waits behind all of them, and any one that comes back is enough.

A thread that queues an item and waits for it mostly has both on its own stack, the item (or its parameter) and the
event: only then is the wait told as one behind the queue.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from analysis.address import VirtAddr
from analysis.errors import Unreadable
from analysis.kernel.devices import ModuleAt
from analysis.kernel.dispatcher import header_size, read_dispatcher
from analysis.kernel.facts import Held, Lock, LockKind, Thread
from analysis.kernel.lists import walk_list
from analysis.kernel.names import KernelNames
from analysis.kernel.threads import WAITING
from analysis.limits import MAX_LIST
from analysis.memory.reader import Memory
from analysis.trust import Trust

_PRIORITY_QUEUE = 21  # KOBJECTS.PriQueueObject: a list for each of 32 priorities (Windows 8 and later)
_PRIORITIES = 32
_ROUTINE = 2  # pointers into a WORK_QUEUE_ITEM (wdm.h), behind its list entry: the routine, then its parameter
# Windows 7 has an array of three queues at one symbol: WORK_QUEUE_TYPE of wdm.h.
_TYPES = ("critical", "delayed", "hypercritical")
_MAX_ROUTINES = 4


@dataclass(frozen=True, slots=True)
class Item:
    """A queued WORK_QUEUE_ITEM: where it lies, the routine it is for and that routine's parameter."""

    address: VirtAddr
    routine: VirtAddr
    parameter: int


def read_work_queues(
    memory: Memory, names: KernelNames, threads: Mapping[VirtAddr, Thread], module_at: ModuleAt
) -> tuple[list[Lock], list[str]]:
    """A lock for each queue whose workers all wait for something else than work, and a note that says so."""
    locks, notes = [], []
    for queue, workers in _workers(threads).items():
        if any(worker.state != WAITING or _is_idle(worker) for worker in workers):
            continue
        items = _items(memory, queue)
        name = _name(names, queue)
        text = f"work queue {name} at {queue:#x}" if name else f"work queue at {queue:#x}"
        stuck = f"all {len(workers)} workers of which are stuck" if len(workers) > 1 else "whose only worker is stuck"
        owners = tuple(Held(worker.address, Trust.STRUCTURE) for worker in workers)
        locks.append(
            Lock(
                queue,
                LockKind.QUEUE,
                name=name,
                description=f"{text}, {stuck}",
                owners=owners,
                waiters=_waiters(threads.values(), items),
                any_owner=True,
            )
        )
        notes.append(_note(text, workers, items, module_at))
    return locks, notes


def _note(text: str, workers: Sequence[Thread], items: Sequence[Item], module_at: ModuleAt) -> str:
    who = f"all {len(workers)} workers" if len(workers) > 1 else "the only worker"
    queued = f"; {len(items)} queued {'item waits' if len(items) == 1 else 'items wait'} for one of them"
    homes = Counter(module.name for item in items if (module := module_at(item.routine)) is not None)
    of = ", ".join(f"{count} of {name}" for name, count in homes.most_common(_MAX_ROUTINES))
    waits = "wait" if len(workers) > 1 else "waits"
    return f"{text}: {who} {waits} for something else than work{queued if items else ''}{f' ({of})' if of else ''}"


def _workers(threads: Mapping[VirtAddr, Thread]) -> dict[VirtAddr, list[Thread]]:
    found: dict[VirtAddr, list[Thread]] = {}
    for thread in threads.values():
        if thread.is_worker and thread.queue is not None and not thread.terminated:
            found.setdefault(thread.queue, []).append(thread)
    return found


def _is_idle(worker: Thread) -> bool:
    return worker.wait_reason == "WrQueue" or any(waited.address == worker.queue for waited in worker.waits)


def _items(memory: Memory, queue: int) -> list[Item]:
    try:
        header = read_dispatcher(memory, queue)
    except Unreadable:
        return []
    if header is None or header.kind != "queue":
        return []
    heads = _PRIORITIES if header.type_code == _PRIORITY_QUEUE else 1
    found: list[Item] = []
    # KQUEUE.EntryListHead and those of KPRIQUEUE lie behind the header in all builds.
    first, size = queue + header_size(memory), 2 * memory.pointer_size
    for number in range(heads):
        for entry in walk_list(memory, first + size * number, MAX_LIST).entries:
            try:
                routine, parameter = memory.pointers(entry + _ROUTINE * memory.pointer_size, 2)
            except Unreadable:
                continue
            if memory.is_kernel(routine):
                found.append(Item(entry, VirtAddr(routine), parameter))
    return found


def _waiters(threads: Iterable[Thread], items: Sequence[Item]) -> tuple[Held, ...]:
    found: dict[VirtAddr, Held] = {}
    for thread in threads if items else ():
        low, high = thread.stack_limit, thread.stack_base
        if low is None or high is None or len(thread.waits) != 1 or not low <= thread.waits[0].address < high:
            continue
        if any(low <= place < high for item in items for place in (item.address, item.parameter)):
            found[thread.address] = Held(thread.address, Trust.STRUCTURE)
    return tuple(found.values())


def _name(names: KernelNames, queue: int) -> str | None:
    start, layout = names.address("ExWorkerQueue"), names.layout("_EX_WORK_QUEUE")
    if start is None or layout is None or not layout.size:
        return None
    number, rest = divmod(queue - start, layout.size)
    # The address may be known without names; so it is asked for like any other name.
    if rest or not 0 <= number < len(_TYPES) or names.name_at(start) is None:
        return None
    if not layout.has("WorkerQueue"):
        return "nt!ExWorkerQueue" if number == 0 else None
    return f"nt!ExWorkerQueue[{number}] ({_TYPES[number]})"
