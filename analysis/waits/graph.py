"""Who waits for whom, as a graph of two kinds of nodes: threads wait for locks, locks are owned by threads.

A thread waits for all of its locks or for any of them. A lock that several threads share is free for the next one
only when all of its owners have let go; of a queue's workers one is enough. An object without an owner (an event, a
timer) can come free at any moment. Nodes are addresses; the graph knows nothing else about them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from analysis.address import VirtAddr


@dataclass(frozen=True, slots=True)
class Wait:
    """One thread's wait: for any one of these locks, or for all of them."""

    locks: tuple[VirtAddr, ...]
    any_of: bool = False


@dataclass(frozen=True, slots=True)
class WaitGraph:
    """``waits`` by waiting thread, ``owners`` by lock. A lock that is not in ``owners`` has none.

    ``any_owner`` are the locks that come free as soon as one of their owners does.
    """

    waits: Mapping[VirtAddr, Wait] = field(default_factory=dict)
    owners: Mapping[VirtAddr, tuple[VirtAddr, ...]] = field(default_factory=dict)
    any_owner: frozenset[VirtAddr] = frozenset()

    def owners_of(self, lock: VirtAddr) -> tuple[VirtAddr, ...]:
        """The threads that own a lock, without repetition."""
        return tuple(dict.fromkeys(self.owners.get(lock, ())))

    def is_blocked(self, thread: VirtAddr) -> bool:
        """Whether the thread cannot go on before some owner lets go.

        One object that nobody owns is enough to end a wait for any of several, so such a wait blocks on nobody.
        """
        wait = self.waits.get(thread)
        if wait is None or not wait.locks:
            return False
        owned = [bool(self.owners.get(lock)) for lock in wait.locks]
        return all(owned) if wait.any_of else any(owned)

    def blocking_locks(self, thread: VirtAddr) -> tuple[VirtAddr, ...]:
        """The owned locks that a blocked thread waits for; empty for a thread that is not blocked."""
        if not self.is_blocked(thread):
            return ()
        return tuple(dict.fromkeys(lock for lock in self.waits[thread].locks if self.owners.get(lock)))

    def blockers(self, thread: VirtAddr) -> tuple[VirtAddr, ...]:
        """The owners of the locks that a blocked thread waits for."""
        return tuple(dict.fromkeys(owner for lock in self.blocking_locks(thread) for owner in self.owners_of(lock)))

    def blocked(self) -> tuple[VirtAddr, ...]:
        """All blocked threads, in the order of ``waits``."""
        return tuple(thread for thread in self.waits if self.is_blocked(thread))
