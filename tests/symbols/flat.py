"""A memory made of a few ranges, for tests."""

from analysis.errors import Absence, Unreadable
from analysis.memory.reader import Memory


class FlatMemory(Memory):
    """Ranges of bytes at addresses; everything else is not mapped."""

    def __init__(self, ranges: dict[int, bytes | bytearray]) -> None:
        self.ranges = ranges

    def read(self, address: int, size: int) -> bytes:
        """Exactly ``size`` bytes, from one or several adjoining ranges."""
        result = b""
        while len(result) < size:
            at = address + len(result)
            part = self._part(at, size - len(result))
            if not part:
                raise Unreadable(at, Absence.NOT_MAPPED)
            result += part
        return result

    def _part(self, address: int, size: int) -> bytes:
        for base, data in self.ranges.items():
            if base <= address < base + len(data):
                return bytes(data[address - base : address - base + size])
        return b""

    def write(self, address: int, data: bytes) -> None:
        """Changes bytes of one bytearray range."""
        for base, held in self.ranges.items():
            if base <= address and address + len(data) <= base + len(held):
                assert isinstance(held, bytearray)
                held[address - base : address - base + len(data)] = data
                return
        raise AssertionError(f"{address:#x} is in no range")
