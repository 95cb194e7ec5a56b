"""A structure read once and looked at often.

A thread is some forty members in one page or two: one read of the whole and forty looks into it are several
times faster than forty page walks, which decides how long a dump with thousands of threads takes.
"""

from analysis.memory.reader import Memory


class Snapshot(Memory):
    """The bytes of one range, in front of the memory that they came from. Reads outside the range fall through."""

    __slots__ = ("_behind", "_data", "_end", "_start")

    def __init__(self, memory: Memory, address: int, size: int, data: bytes | None = None) -> None:
        """Takes what can be read of the range from its start on; the rest stays with ``memory``.

        ``data`` is what lies there, where the caller has it from elsewhere.
        """
        self.pointer_size = memory.pointer_size
        self._behind = memory
        self._start = address
        self._data = memory.read_available(address, size) if data is None else data[:size]
        self._end = address + len(self._data)

    def read(self, address: int, size: int) -> bytes:
        """Exactly ``size`` bytes. Raises: Unreadable."""
        if self._start <= address and address + size <= self._end:
            at = address - self._start
            return self._data[at : at + size]
        return self._behind.read(address, size)

    def is_kernel(self, address: int) -> bool:
        """As the memory behind it says."""
        return self._behind.is_kernel(address)
