"""Spin locks: a word, and for queued ones the parts of the queue {Next, Lock} on the stacks of those who want it.

KSPIN_LOCK_QUEUE and KLOCK_QUEUE_HANDLE are public symbols; that bit 0 of Lock says "waits" is from public headers.
"""

from collections.abc import Sequence

from tests.forge.functions import RBX, RDI
from tests.forge.image import Image
from tests.forge.kernel.stacks import StackWriter, new_stack
from tests.forge.kernel.state import Frame, Kernel, Process, Thread
from tests.forge.kernel.threads import add_running

TAKEN, WAITS = 1, 1
TRANSFER = "Transfer"
WANTED, HELD = 0x30, 0x60  # where the parts of the two queues lie in the frame of TRANSFER
ROOM = 0x80
PLAIN = ("KxWaitForSpinLockAndAcquire", "KeAcquireSpinLockRaiseToDpc")
QUEUED = ("KxWaitForLockOwnerShip", "KeAcquireInStackQueuedSpinLock")


def spin_lock(kernel: Kernel, *, taken: bool = False) -> int:
    """A KSPIN_LOCK in pool."""
    address = kernel.machine.pool(0x10, "Spin", "large")
    kernel.machine.u64(address, TAKEN if taken else 0)
    return address


def frames_of(kernel: Kernel, image: Image, inner: Sequence[str] = (), lock: int = 0) -> list[Frame]:
    """A driver's transfer under way; ``inner`` are the functions of nt that spin for ``lock`` on its behalf."""
    image.function(TRANSFER, locals_size=ROOM)
    frames = kernel.frames(*inner)
    for frame in frames:
        frame.registers = {RBX: lock, RDI: lock}
    return [*frames, Frame(image, TRANSFER), Frame(image, "Dispatch")]


def run_on_processor(kernel: Kernel, process: Process, frames: Sequence[Frame], *, in_dpc: bool = False) -> Thread:
    """A thread on a processor of its own, frozen inside ``frames``: on its own stack, else on the processor's own for
    deferred calls, which interrupted it."""
    stack = StackWriter(kernel, new_stack(kernel))
    stack.bottom_user(0x7FFE_1A2B_0040, 0x2B_0000_0400)
    busy = StackWriter(kernel, new_stack(kernel)) if in_dpc else stack
    if in_dpc:
        busy.bottom_idle()
    for frame in reversed(frames):
        busy.call(frame)
    thread = add_running(kernel, process, stack)
    thread.frames = list(reversed(busy.placed))
    kernel.frozen.append((thread, busy))
    return thread


def queue_up(kernel: Kernel, lock: int, owner: Thread | None, waiters: Sequence[Thread]) -> None:
    """The queue of a queued spin lock, from its owner on; None: the owner's part is nowhere to be found."""
    parts = [thread.frame(TRANSFER).sp + WANTED for thread in waiters]
    first = kernel.machine.pool(0x20, "Spnq", "large") if owner is None else owner.frame(TRANSFER).sp + HELD
    queue = [first, *parts]
    for number, part in enumerate(queue):
        kernel.machine.u64(part, queue[number + 1] if number + 1 < len(queue) else 0)
        kernel.machine.u64(part + 8, lock | (WAITS if number else 0))
    kernel.machine.u64(lock, queue[-1])
