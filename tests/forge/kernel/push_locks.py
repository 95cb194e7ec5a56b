"""Push locks: one word, wait blocks on the waiters' stacks, and the lock entries in which threads note what they hold.

EX_PUSH_LOCK_WAIT_BLOCK is public for 7601 and taken to be the same later; lock entries are public from 9600 on.
"""

from collections.abc import Sequence

from tests.forge.kernel.objects import event
from tests.forge.kernel.state import WR_PUSH_LOCK, Kernel, Thread
from tests.forge.kernel.threads import wait

LOCKED, WAITING = 1, 2
ACQUIRE = "ExfAcquirePushLockExclusiveEx"
BLOCK_LOCAL = 0x30  # where in the waiter's frame its wait block lies
NEXT, LAST, PREVIOUS = 0x18, 0x20, 0x28
ENTRIES = 6
FIRST_WITH_RECORD = 14393


def push_lock(kernel: Kernel, address: int | None = None) -> int:
    """A free push lock, in pool unless told where."""
    return kernel.machine.pool(0x10, "Plck", "large") if address is None else address


def own_push_lock(kernel: Kernel, address: int, owner: Thread) -> None:
    """A thread takes the lock and notes it in one of its lock entries."""
    kernel.machine.u64(address, LOCKED)
    entry = _free_entry(kernel, owner)
    kernel.machine.put("_KLOCK_ENTRY", entry, LockUnsafe=address, AcquiredByte=1)


def wait_for_push_lock(kernel: Kernel, address: int, waiters: Sequence[tuple[Thread, float]]) -> None:
    """Threads (with seconds) wait for the lock, first come first; its word leads to the latest."""
    machine = kernel.machine
    blocks = [thread.frame(ACQUIRE).sp + BLOCK_LOCAL for thread, _ in waiters]
    for index, (block, (thread, seconds)) in enumerate(zip(blocks, waiters, strict=True)):
        machine.write(block, bytes(0x38))
        event(kernel, address=block)
        machine.u64(block + NEXT, blocks[index - 1] if index else 0)
        machine.u64(block + LAST, block if not index else 0)
        machine.u64(block + PREVIOUS, blocks[index + 1] if index + 1 < len(blocks) else 0)
        waiting = "WaitingBit" if machine.has("_KLOCK_ENTRY", "WaitingBit") else "WaitingByte"
        machine.put("_KLOCK_ENTRY", _free_entry(kernel, thread), LockUnsafe=address, **{waiting: 1})
        wait(kernel, thread, [block], WR_PUSH_LOCK, seconds)
    machine.u64(address, blocks[-1] | LOCKED | WAITING)


def _free_entry(kernel: Kernel, thread: Thread) -> int:
    machine = kernel.machine
    structure = "_ETHREAD" if machine.has("_ETHREAD", "LockEntries") else "_KTHREAD"
    first = machine.at(structure, thread.address, "LockEntries")
    if structure == "_ETHREAD" and machine.has("_KTHREAD", "LockEntries"):
        machine.put("_KTHREAD", thread.address, LockEntries=first)
    size = machine.layouts.size("_KLOCK_ENTRY")
    for entry in range(first, first + ENTRIES * size, size):
        if not machine.read_u64(machine.at("_KLOCK_ENTRY", entry, "LockUnsafe")):
            return entry
    raise MemoryError("all lock entries of the thread are in use")
