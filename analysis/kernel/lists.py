"""Walks of doubly linked lists (LIST_ENTRY, documented in wdm.h) that believe nothing they read.

A list may be torn: a page of it was not saved, an entry was half inserted when the machine stopped, or its memory
was overwritten. Each entry's back link must point to where the walk came from. Where a walk forward stops early,
one backward from the head collects the other half, so that one missing page costs one entry and not the rest.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from analysis.address import VirtAddr
from analysis.errors import Unreadable
from analysis.memory.reader import Memory

_FLINK, _BLINK = 0, 1


@dataclass(frozen=True, slots=True)
class ListWalk:
    """The addresses of a list's links in the list's order, and ``problem``: why it is not whole, None if it is."""

    entries: tuple[VirtAddr, ...]
    problem: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the walk came back to the head with every back link right."""
        return self.problem is None

    def records(self, offset: int) -> Iterator[VirtAddr]:
        """The addresses of the structures that hold the links at ``offset``."""
        for entry in self.entries:
            yield VirtAddr(entry - offset)


def walk_list(memory: Memory, head: int, limit: int) -> ListWalk:
    """Every entry of the list whose LIST_ENTRY head is at ``head``, without the head; at most ``limit`` of them.

    Never raises: an unreadable head gives an empty walk that says so.
    """
    forward, problem = _follow(memory, head, _FLINK, limit, frozenset())
    if problem is None:
        return ListWalk(tuple(forward))
    backward, _ = _follow(memory, head, _BLINK, limit - len(forward), frozenset(forward))
    if backward:
        problem += f"; {len(backward)} more were found from the other end"
    return ListWalk((*forward, *reversed(backward)), problem)


def _follow(
    memory: Memory, head: int, direction: int, limit: int, known: frozenset[VirtAddr]
) -> tuple[list[VirtAddr], str | None]:
    # Entries from one end on, and why the walk did not come back to the head. Entries in ``known`` end it.
    found: list[VirtAddr] = []
    seen = set(known)
    try:
        current = memory.links(head)[direction]
    except Unreadable as gap:
        return found, f"the list head at {head:#x} cannot be read: {gap}"
    previous = head
    while current != head:
        if problem := _objection(memory, current, seen, len(found), limit):
            return found, problem
        try:
            links = memory.links(current)
        except Unreadable as gap:
            return found, f"the list stops after {len(found)} entries: {gap}"
        if links[1 - direction] != previous:
            return found, f"the list is torn after {len(found)} entries: {current:#x} does not point back"
        entry = VirtAddr(current)
        found.append(entry)
        seen.add(entry)
        previous, current = current, links[direction]
    return found, None


def _objection(memory: Memory, current: int, seen: set[VirtAddr], count: int, limit: int) -> str | None:
    # Why this link is not worth following.
    if current in seen:
        return f"the list runs into itself at {current:#x} after {count} entries"
    if count >= limit:
        return f"the list was cut after {count} entries"
    if not memory.is_kernel(current) or current % 4:
        return f"the list stops after {count} entries: {current:#x} is no kernel pointer"
    return None
