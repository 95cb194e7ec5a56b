"""Spin locks that processors were spinning for when the machine stopped.

A thread that spins does not wait: it runs, and only its stack tells. The functions of nt that spin have the lock at
hand, in a register. A plain KSPIN_LOCK is 1 while it is taken and keeps no owner. A queued one (in-stack queued spin
lock) leads to the last of its queue; each in the queue has a KSPIN_LOCK_QUEUE {Next, Lock}, mostly on its own stack,
whose Lock has bit 0 set as long as it waits. The owner is the first of that queue, so it is known if its part of the
queue is found on the stack of a processor. Such a queue needs no name of a function to be recognised. An EX_SPIN_LOCK
counts those who share it and has bit 31 set while one has it alone. Sources: the public symbols (KSPIN_LOCK_QUEUE,
KLOCK_QUEUE_HANDLE), and public headers for the bits.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.address import KERNEL_START_57, VirtAddr
from analysis.errors import Unreadable
from analysis.kernel.devices import ModuleAt
from analysis.kernel.facts import Held, Lock, LockKind, Thread
from analysis.kernel.names import KernelNames
from analysis.kernel.spin_queues import LOCK, MARKS, OWNS, WAITS, SpinQueues
from analysis.kernel.spinning import Processor, function_of, spinning
from analysis.limits import MAX_STACK_BYTES
from analysis.memory.reader import Memory
from analysis.trust import Trust

_TAKEN = 1  # a plain spin lock's value
_EX_ALONE, _EX_WANTED, _EX_MOST = 1 << 31, 1 << 30, 2048  # EX_SPIN_LOCK; no more processors can share it
WordArray = np.ndarray[tuple[int], np.dtype[np.uint64]]
_LIVE_STACK = 0x2000  # bytes of a stack above the stack pointer that are looked at
_LOWEST = KERNEL_START_57  # what is a kernel address at all is asked of memory later
_MAX_LOCKS = 64


@dataclass(frozen=True, slots=True)
class _View:
    # A processor, and the words of its stack from the stack pointer, ``start``, up.
    processor: Processor
    start: int
    words: WordArray


@dataclass(frozen=True, slots=True)
class _Claim:
    # What one processor spins for; ``part`` is its part of the queue, where there is one.
    lock: VirtAddr
    trust: Trust
    part: int | None = None


def read_spin_locks(
    memory: Memory, names: KernelNames, processors: Sequence[Processor], module_at: ModuleAt
) -> tuple[Lock, ...]:
    """The spin locks that these processors spin for, with their owners where a queue gives them away."""
    views = [_view(memory, processor) for processor in processors]
    queues = SpinQueues(memory)
    found: dict[VirtAddr, Lock] = {}
    for view in views:
        claim = _queued(queues, view) or _plain(memory, view)
        if claim is None or (claim.lock not in found and len(found) == _MAX_LOCKS):
            continue
        lock = found.get(claim.lock) or _lock(names, queues, views, claim, module_at)
        waiters = (*lock.waiters, Held(view.processor.thread.address, claim.trust, exclusive=True))
        found[claim.lock] = replace(lock, waiters=waiters)
    return tuple(_described(lock, views) for lock in found.values())


def _lock(names: KernelNames, queues: SpinQueues, views: Sequence[_View], claim: _Claim, module_at: ModuleAt) -> Lock:
    name, home = names.name_at(claim.lock), module_at(claim.lock)
    owner = _first_of(queues, views, claim.lock, claim.part) if claim.part is not None else None
    what = f"{'queued ' if claim.part is not None else ''}spin lock at {claim.lock:#x}"
    return Lock(
        claim.lock,
        LockKind.SPIN_LOCK,
        name=f"nt!{name}" if name else None,
        description=what + (f", in the data of {home.name}" if home is not None else ""),
        exclusive=True,
        owners=(Held(owner.address, Trust.SCAN, exclusive=True),) if owner is not None else (),
    )


def _described(lock: Lock, views: Sequence[_View]) -> Lock:
    if lock.owners:
        return lock
    spinners = {held.thread for held in lock.waiters}
    others = [one.processor.thread for one in views if _has_at_hand(one, lock)]
    seen = ", ".join(f"processor {one.processor}" for one in others if one.address not in spinners)
    hint = f"; its address is on the stack of {seen}, which may have it" if seen else ""
    return replace(lock, description=f"{lock.description}, whose holder is not recorded{hint}")


def _has_at_hand(view: _View, lock: Lock) -> bool:
    if any(lock.address in registers.values() for registers in view.processor.stack.registers):
        return True
    return bool(np.any(view.words == lock.address))


# Plain spin locks: the address in a register of the function that spins, else on its stack


def _plain(memory: Memory, view: _View) -> _Claim | None:
    processor = view.processor
    spin = spinning(processor.stack.frames)
    if spin is None:
        return None
    own_stack = range(processor.thread.stack_limit or 0, processor.thread.stack_base or 0)
    first, last = spin
    is_shared = any("ExAcquireSpinLock" in name or "ExpWaitForSpinLock" in name for name in _names(processor, spin))
    for at in range(first, last + 2):
        candidates = {word for word in _registers(processor, at) if word not in own_stack}
        taken = [word for word in candidates if _is_taken(memory, word, shared=is_shared)]
        if len(taken) == 1:
            trust = processor.stack.frames[at].trust if at <= last else Trust.SCAN
            return _Claim(VirtAddr(taken[0]), min(trust, Trust.CONTEXT))
        if taken:
            return None  # several would do, and nothing tells which
    if is_shared or last + 1 >= len(processor.stack.frames):
        return None
    end = processor.stack.frames[last + 1].sp or 0
    words = {int(word) for word in view.words[: max(0, end - view.start) // 8] if int(word) not in own_stack}
    taken = [word for word in words if _is_taken(memory, word, shared=False)]
    return _Claim(VirtAddr(taken[0]), Trust.SCAN) if len(taken) == 1 else None


def _names(processor: Processor, spin: tuple[int, int]) -> Iterator[str]:
    for frame in processor.stack.frames[spin[0] : spin[1] + 1]:
        yield function_of(frame) or ""


def _registers(processor: Processor, at: int) -> Iterable[int]:
    if at == 0 and processor.registers is not None:
        return processor.registers.known.values()
    return processor.stack.registers[at].values() if at < len(processor.stack.registers) else ()


def _is_taken(memory: Memory, address: int, *, shared: bool) -> bool:
    if not memory.is_kernel(address) or address % (4 if shared else 8):
        return False
    try:
        if not shared:
            return memory.u64(address) == _TAKEN
        value = memory.u32(address)
    except Unreadable:
        return False
    return value & ~_EX_WANTED > 0 and value & ~(_EX_ALONE | _EX_WANTED) <= _EX_MOST


# Queued spin locks: each who waits or owns has a part of the queue


def _queued(queues: SpinQueues, view: _View) -> _Claim | None:
    waiting = (view.words & MARKS == WAITS) & (view.words >= _LOWEST)
    parts = [view.start + 8 * int(index) - LOCK for index in np.flatnonzero(waiting)]
    parts += [word for word in _registers(view.processor, 0) if queues.memory.is_kernel(word) and word % 8 == 0]
    for part in dict.fromkeys(parts):
        lock = queues.waited_by(part)
        if lock is not None:
            return _Claim(lock, Trust.STRUCTURE, part)
    return None


def _first_of(queues: SpinQueues, views: Sequence[_View], lock: VirtAddr, part: int) -> Thread | None:
    # The one thread on whose stack lies a part that does not wait and that leads to the one that does. A part that was
    # given back may lie there still, so two of them tell nothing.
    found = [
        view.processor.thread
        for view in views
        for index in np.flatnonzero((view.words == lock) | (view.words == lock | OWNS))
        if queues.leads_to(view.start + 8 * int(index) - LOCK, part)
    ]
    return found[0] if len(found) == 1 else None


def _view(memory: Memory, processor: Processor) -> _View:
    start = processor.registers.rsp if processor.registers is not None else 0
    if not memory.is_kernel(start) or start % 8:
        return _View(processor, 0, np.empty(0, np.uint64))
    base = processor.thread.stack_base or 0
    size = min(_LIVE_STACK, base - start) if start < base <= start + MAX_STACK_BYTES else _LIVE_STACK
    data = memory.read_available(start, size)
    return _View(processor, start, np.frombuffer(data[: len(data) // 8 * 8], np.uint64))
