"""What every kind of memory offers: typed reads at virtual addresses, and the reason where there is nothing."""

import struct
from abc import ABC, abstractmethod

from analysis.errors import Absence, Unreadable
from analysis.limits import MAX_STRING_BYTES


class Memory(ABC):
    """Virtual memory of one address space of one dump. Little endian, as every Windows is."""

    pointer_size: int = 8

    @abstractmethod
    def read(self, address: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``address`` on.

        Raises:
            Unreadable: any byte of the range is missing; its ``address`` is the first missing one.
        """

    def read_available(self, address: int, size: int) -> bytes:
        """The longest prefix of the range that can be read, possibly empty."""
        try:
            return self.read(address, size)
        except Unreadable as gap:
            got = gap.address - address
        return self.read(address, got) if 0 < got < size else b""

    def is_readable(self, address: int, size: int = 1) -> bool:
        """Whether every byte of the range can be read."""
        try:
            self.read(address, size)
        except Unreadable:
            return False
        return True

    def u8(self, address: int) -> int:
        """An unsigned 8-bit integer. Raises: Unreadable."""
        return self.read(address, 1)[0]

    def u16(self, address: int) -> int:
        """An unsigned 16-bit integer. Raises: Unreadable."""
        return int.from_bytes(self.read(address, 2), "little")

    def u32(self, address: int) -> int:
        """An unsigned 32-bit integer. Raises: Unreadable."""
        return int.from_bytes(self.read(address, 4), "little")

    def u64(self, address: int) -> int:
        """An unsigned 64-bit integer. Raises: Unreadable."""
        return int.from_bytes(self.read(address, 8), "little")

    def pointer(self, address: int) -> int:
        """A pointer of this machine's width. Raises: Unreadable."""
        return int.from_bytes(self.read(address, self.pointer_size), "little")

    def unicode_string(self, address: int) -> str:
        """The text of the 64-bit ``UNICODE_STRING`` at ``address``; undecodable units are replaced.

        Raises:
            Unreadable: the descriptor or its buffer is missing, or the descriptor contradicts itself.
        """
        length, capacity, buffer = struct.unpack("<HH4xQ", self.read(address, 16))
        if length > capacity or length % 2 or length > MAX_STRING_BYTES:
            raise Unreadable(address, Absence.NOT_MAPPED, "not a UNICODE_STRING")
        if not length:
            return ""
        return self.read(buffer, length).decode("utf-16-le", "replace")
