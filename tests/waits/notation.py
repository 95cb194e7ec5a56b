"""Graphs of waits as text: ``A>B`` A waits for a lock that B owns; ``A>B A>C`` for both; ``A>B|C`` for either of two
locks; ``A>B&C`` for one lock that both share; ``A>B/C`` for a queue that both serve. ``A>-`` is a wait for something
that nobody owns, also inside ``|``.
"""

from analysis.address import VirtAddr
from analysis.waits.graph import Wait, WaitGraph


def thread(name: str) -> VirtAddr:
    """The address of a thread of one letter or more."""
    return VirtAddr(int.from_bytes(name.encode(), "big"))


def names(threads: object) -> set[str]:
    """The names behind addresses."""
    assert hasattr(threads, "__iter__")
    return {int(address).to_bytes(8, "big").lstrip(b"\0").decode() for address in threads}


def waits(text: str) -> WaitGraph:
    """The graph that a text describes."""
    locks: dict[VirtAddr, tuple[VirtAddr, ...]] = {}
    wanted: dict[VirtAddr, list[VirtAddr]] = {}
    either: set[VirtAddr] = set()
    queues: set[VirtAddr] = set()
    for word in text.split():
        waiter, _, alternatives = word.partition(">")
        for owners in alternatives.split("|"):
            lock = VirtAddr(0x1000_0000 + len(locks))
            both = owners.replace("/", "&").split("&")
            locks[lock] = () if owners == "-" else tuple(thread(owner) for owner in both)
            if "/" in owners:
                queues.add(lock)
            wanted.setdefault(thread(waiter), []).append(lock)
        if "|" in alternatives:
            either.add(thread(waiter))
    return WaitGraph({t: Wait(tuple(list_), t in either) for t, list_ in wanted.items()}, locks, frozenset(queues))
