"""Queues of queued spin locks: KSPIN_LOCK_QUEUE {Next, Lock} (public symbols), one part for each who waits or owns."""

from analysis.address import VirtAddr
from analysis.errors import Unreadable
from analysis.memory.reader import Memory

WAITS, OWNS, MARKS = 1, 2, 3  # of KSPIN_LOCK_QUEUE.Lock; whether owners are marked differs between builds
LOCK = 8  # KSPIN_LOCK_QUEUE.Lock
_MAX_STEPS = 200_000  # of all queues together


class SpinQueues:
    """Follows queues. A dump may be made to have endless ones, so all of it together ends somewhere."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._left = _MAX_STEPS

    def follow(self, part: int) -> list[int]:
        """A part of a queue and all behind it. Raises: Unreadable."""
        queue = [part]
        seen = {part}
        while self._left > 0:
            self._left -= 1
            following = self.memory.u64(queue[-1])
            if not self.memory.is_kernel(following) or following in seen:
                break
            queue.append(following)
            seen.add(following)
        return queue

    def waited_by(self, part: int) -> VirtAddr | None:
        """The lock that a KSPIN_LOCK_QUEUE waits for, if the lock's own word is the end of the same queue."""
        self._left -= 1
        if self._left < 0:
            return None
        try:
            word = self.memory.u64(part + LOCK)
            lock = word & ~MARKS
            if not word & WAITS or not self.memory.is_kernel(lock) or lock % 8:
                return None
            last = self.memory.u64(lock) & ~MARKS
            return VirtAddr(lock) if self.memory.is_kernel(last) and self.follow(part)[-1] == last else None
        except Unreadable:
            return None

    def leads_to(self, part: int, other: int) -> bool:
        """Whether one part of a queue stands before another one."""
        try:
            return part != other and other in self.follow(part)
        except Unreadable:
            return False
