"""Page tables written entry by entry, into pages of physical memory."""

import struct
from dataclasses import dataclass, field

PAGE = 0x1000
PRESENT = 0x63  # valid, writable, accessed, dirty
LARGE = 0x80
SHIFTS = (39, 30, 21, 12)


@dataclass
class Physical:
    """Physical memory in the making. Frames are handed out from ``first`` on, in order."""

    pages: dict[int, bytearray] = field(default_factory=dict)
    first: int = 0x1AD

    def frame(self) -> int:
        """A fresh page of zeros."""
        frame = max(self.pages, default=self.first - 1) + 1
        self.pages[frame] = bytearray(PAGE)
        return frame

    def put(self, address: int, value: int) -> None:
        """A 64-bit word at a physical address; its page must be there."""
        struct.pack_into("<Q", self.pages[address >> 12], address & 0xFFF, value)

    def get(self, address: int) -> int:
        """The 64-bit word at a physical address."""
        value: int = struct.unpack_from("<Q", self.pages[address >> 12], address & 0xFFF)[0]
        return value


class Space:
    """One address space in ``physical``; ``cr3`` is its directory table."""

    def __init__(self, physical: Physical, levels: int = 4) -> None:
        self.physical = physical
        self.shifts = (48, *SHIFTS)[-levels:]
        self.cr3 = physical.frame() << 12

    def entry_at(self, address: int, level: int) -> int:
        """The physical address of the entry of ``level`` (0 is the root), making tables on the way."""
        table = self.cr3
        for shift in self.shifts[:level]:
            at = table | (address >> shift & 0x1FF) * 8
            entry = self.physical.get(at)
            if not entry:
                entry = self.physical.frame() << 12 | PRESENT
                self.physical.put(at, entry)
            table = entry & 0x000F_FFFF_FFFF_F000
        return table | (address >> self.shifts[level] & 0x1FF) * 8

    def set_entry(self, address: int, level: int, value: int) -> int:
        """Write an entry; its physical address."""
        at = self.entry_at(address, level)
        self.physical.put(at, value)
        return at

    def map(self, address: int, content: bytes = b"") -> int:
        """Map a fresh 4 KiB page with that content; its frame."""
        at = self.entry_at(address, len(self.shifts) - 1)
        frame = self.physical.frame()
        self.physical.pages[frame][: len(content)] = content
        self.physical.put(at, frame << 12 | PRESENT)
        return frame
