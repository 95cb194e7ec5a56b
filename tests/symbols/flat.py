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
            part = next(
                (bytes(data[at - base :]) for base, data in self.ranges.items() if 0 <= at - base < len(data)), b""
            )
            if not part:
                raise Unreadable(at, Absence.NOT_MAPPED)
            result += part[: size - len(result)]
        return result

    def write(self, address: int, data: bytes) -> None:
        """Changes bytes of one bytearray range."""
        for base, held in self.ranges.items():
            if base <= address and address + len(data) <= base + len(held):
                assert isinstance(held, bytearray)
                held[address - base : address - base + len(data)] = data
                return
        raise AssertionError(f"{address:#x} is in no range")
