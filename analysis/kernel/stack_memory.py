"""The words of one stack, inside its bounds only."""

from collections.abc import Iterator

import numpy as np

from analysis.address import PAGE_SIZE
from analysis.errors import Absence, Unreadable
from analysis.limits import MAX_STACK_BYTES
from analysis.memory.reader import Memory

# Where no thread tells the bounds: the largest kernel stack is 72 KiB with its guard.
OPEN_STACK_BYTES = 0x1_4000


class StackMemory:
    """A stack from ``low`` to ``high`` (exclusive)."""

    def __init__(self, memory: Memory, low: int, high: int) -> None:
        self.memory = memory
        self.low = low
        self.high = min(high, low + MAX_STACK_BYTES)
        self._page_at, self._page = 0, b""  # the page that was read last: a walk reads most words of it

    @classmethod
    def above(cls, memory: Memory, pointer: int) -> "StackMemory":
        """The stack above a stack pointer whose bounds nobody tells."""
        return cls(memory, pointer, pointer + OPEN_STACK_BYTES)

    def __contains__(self, address: int) -> bool:
        return self.low <= address < self.high

    def word(self, address: int) -> int:
        """The 8 bytes at ``address``. Raises: Unreadable, also outside the bounds."""
        at = address - self._page_at
        if 0 <= at <= len(self._page) - 8 and address <= self.high - 8:
            return int.from_bytes(self._page[at : at + 8], "little")
        return int.from_bytes(self.read(address, 8), "little")

    def read(self, address: int, size: int) -> bytes:
        """Bytes of the stack. Raises: Unreadable, also outside the bounds."""
        if not self.low <= address <= self.high - size:
            raise Unreadable(address, Absence.NOT_MAPPED, "outside the stack's bounds")
        at = address - self._page_at
        if at >= 0 and at + size <= len(self._page):
            return self._page[at : at + size]
        page = max(address & -PAGE_SIZE, self.low)
        held = self.memory.read_available(page, PAGE_SIZE - page % PAGE_SIZE)
        if address - page + size > len(held):  # across an edge, or a part is missing: memory says which
            return self.memory.read(address, size)
        self._page_at, self._page = page, held
        return held[address - page : address - page + size]

    def words(self, start: int, lowest: int, highest: int) -> Iterator[tuple[int, int]]:
        """``(address, value)`` of each aligned word from ``start`` up whose value is in [lowest, highest].

        Pages that are missing are passed over.
        """
        width = self.memory.pointer_size
        at = max(start, self.low) + width - 1 & -width
        while at < self.high:
            length = min(PAGE_SIZE - at % PAGE_SIZE, self.high - at) & -width
            if not length:
                return
            page = np.frombuffer(self.memory.read_available(at, length), np.uint8)
            values = page[: len(page) & -width].view(f"<u{width}")
            for index in np.flatnonzero((values >= lowest) & (values <= highest)):
                yield at + int(index) * width, int(values[index])
            at += length
