"""What every kind of memory offers: typed reads at virtual addresses, and the reason where there is nothing."""

import struct
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import suppress

from analysis.address import is_kernel
from analysis.errors import Absence, Unreadable
from analysis.limits import MAX_STRING_BYTES

_POINTERS = {8: struct.Struct("<Q"), 4: struct.Struct("<I")}
_LINKS = {4: struct.Struct("<II"), 8: struct.Struct("<QQ")}
_STRINGS = {8: struct.Struct("<HH4xQ"), 4: struct.Struct("<HHI")}
# 32-bit kernels live from here up, also where programs have 3 GiB.
KERNEL_START_32, END_32 = 0x8000_0000, 1 << 32


def readable(parts: Iterator[bytes]) -> bytes:
    """What can be read of a range whose parts are read one after another: all before the first gap."""
    found: list[bytes] = []
    with suppress(Unreadable):
        for part in parts:
            found.append(part)  # noqa: PERF402 - a gap further on must not cost the parts before it
    return b"".join(found)


class Memory(ABC):
    """Virtual memory of one address space of one dump. Little endian, as every Windows is."""

    pointer_size: int = 8

    @abstractmethod
    def read(self, address: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``address`` on.

        Raises:
            Unreadable: any byte of the range is missing; its ``address`` is the first missing one.
        """

    def expect(self, addresses: Iterable[int], size: int) -> None:  # noqa: B027  # most memory is at hand
        """``size`` bytes at each of these addresses will be read soon: a remote dump fetches them together."""

    def expect_of_processes(self, wanted: Iterable[tuple[int, int]], size: int) -> None:  # noqa: B027  # as above
        """As ``expect``, of programs: each address comes behind its process' directory table."""

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

    def pointers(self, address: int, count: int) -> tuple[int, ...]:
        """So many pointers in a row; ``count`` is small and never from the dump. Raises: Unreadable."""
        return tuple(self.words(self.read(address, count * self.pointer_size)))

    def links(self, address: int) -> tuple[int, int]:
        """The forward and the backward pointer of the LIST_ENTRY at ``address``. Raises: Unreadable."""
        form = _LINKS[self.pointer_size]
        first, second = form.unpack(self.read(address, form.size))
        return first, second

    def words(self, data: bytes) -> Iterator[int]:
        """The pointers that bytes of this machine hold one after the other; a rest at the end is left out."""
        one = _POINTERS[self.pointer_size]
        for (word,) in one.iter_unpack(data[: len(data) // one.size * one.size]):
            yield word

    def is_kernel(self, address: int) -> bool:
        """Whether an address of this machine lies where the kernel lives."""
        return is_kernel(address) if self.pointer_size == 8 else KERNEL_START_32 <= address < END_32

    def unicode_string(self, address: int) -> str:
        """The text of the ``UNICODE_STRING`` at ``address``; undecodable units are replaced.

        Raises:
            Unreadable: the descriptor or its buffer is missing, or the descriptor contradicts itself.
        """
        form = _STRINGS[self.pointer_size]
        length, capacity, buffer = form.unpack(self.read(address, form.size))
        if length > capacity or length % 2 or length > MAX_STRING_BYTES:
            raise Unreadable(address, Absence.NOT_MAPPED, "not a UNICODE_STRING")
        if not length:
            return ""
        return self.read(buffer, length).decode("utf-16-le", "replace")
