"""What functions of a waiting thread's stack were given, where that is sure: the object waited for, the lock asked for.

Windows does not keep arguments. But the wait block tells the object that the innermost wait is for, and the lock's own
queue that the thread stands in it; the functions of that very wait were given these. Whether the registers that
unwinding carried along hold the same address is told beside it: an independent witness.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from analysis.address import VirtAddr
from analysis.kernel.facts import Lock, LockKind, Stack, Thread
from analysis.trust import Trust
from analysis.verdict import report
from analysis.verdict.functions import split_symbol

_WAIT = "KeWaitFor"
_MOST = 4  # objects of one wait that are named
_ACQUIRE: tuple[tuple[LockKind, tuple[str, ...]], ...] = (
    (LockKind.ERESOURCE, ("ExpWaitForResource", "ExAcquireResource", "ExpAcquireResource", "ExAcquireShared")),
    (LockKind.FAST_RESOURCE, ("ExpWaitForResource", "ExAcquireFastResource", "ExpAcquireFastResource")),
    (LockKind.FAST_MUTEX, ("ExAcquireFastMutex", "ExpAcquireFastMutex")),
    (LockKind.GUARDED_MUTEX, ("KeAcquireGuardedMutex", "KiAcquireGuardedMutex", "ExAcquireFastMutex")),
    (LockKind.PUSH_LOCK, ("ExAcquirePushLock", "ExfAcquirePushLock", "ExpAcquirePushLock")),
)


Waited = Mapping[VirtAddr, Sequence[tuple[Lock, Trust]]]
"""By thread: the locks in whose queues it stands, and how far that is trusted."""


def waited(locks: Iterable[Lock]) -> Waited:
    """Who waits for which of these locks."""
    found: dict[VirtAddr, list[tuple[Lock, Trust]]] = {}
    for lock in locks:
        for held in lock.waiters:
            found.setdefault(held.thread, []).append((lock, held.trust))
    return found


def given(thread: Thread | None, stack: Stack, queues: Waited) -> Iterator[report.Given]:
    """What is known of the arguments of a thread's frames, innermost first; ``queues`` is of ``waited``.

    Only names of the kernel's own table count, and only the innermost wait with the acquisition around it.
    """
    if thread is None or thread.state != "Waiting":
        return
    functions = [_function(frame.symbol) for frame in stack.frames]
    start = next((at for at, name in enumerate(functions) if name.startswith(_WAIT)), None)
    if start is None:
        return
    if 0 < len(thread.waits) <= _MOST:
        joined = " and " if thread.all_of else " or "
        told = joined.join(f"{one.kind} {one.address:#x}" for one in thread.waits)
        yield _told(stack, start, told, Trust.STRUCTURE, [one.address for one in thread.waits])
    for lock, trust in queues.get(thread.address, ()):
        prefixes = next((names for kind, names in _ACQUIRE if kind is lock.kind), ())
        at = start + 1
        while prefixes and at < len(functions) and functions[at].startswith(prefixes):
            yield _told(stack, at, f"{lock.kind.value} {lock.address:#x}", trust, [lock.address])
            at += 1


def _function(symbol: str) -> str:
    place = split_symbol(symbol)
    return (place.function or "") if place.module == "nt" else ""


def _told(stack: Stack, at: int, what: str, trust: Trust, values: list[int]) -> report.Given:
    registers = stack.registers[at] if at < len(stack.registers) else {}
    holding = [name for name, value in registers.items() if value in values]
    witness = f", which {' and '.join(holding)} held, too" if holding else ""
    return report.Given(at, f"{what}{witness}", min(trust, stack.frames[at].trust, Trust.CONTEXT).label)
