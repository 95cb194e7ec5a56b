"""Physical memory and x64 page tables: which page frames exist, which the dump saves, and how addresses map to them."""

import struct
from collections.abc import Iterable

PAGE = 0x1000
LARGE = 0x200000
HUGE = 0x40000000

VALID, WRITE, LARGE_PAGE, NO_EXECUTE = 1, 2, 1 << 7, 1 << 63
TRANSITION = 1 << 11
ACCESSED_DIRTY = 0x60


class PhysicalMemory:
    """Page frames by number. One not in ``frames`` reads as zeros; one in ``unsaved`` is left out of kernel dumps."""

    def __init__(self) -> None:
        self.frames: dict[int, bytearray] = {}
        self.unsaved: set[int] = set()
        self._next = 0x1A0

    def allocate(self, count: int = 1, align: int = 1) -> int:
        """The first of ``count`` new consecutive page frames; they exist (as zeros) from now on."""
        first = (self._next + align - 1) // align * align
        self._next = first + count
        return first

    def frame(self, pfn: int) -> bytearray:
        """The bytes of a page frame, created where it was not yet written."""
        found = self.frames.get(pfn)
        if found is None:
            found = self.frames[pfn] = bytearray(PAGE)
        return found

    def write(self, address: int, data: bytes) -> None:
        """Write at a physical address, over as many frames as needed."""
        done = 0
        while done < len(data):
            pfn, inside = divmod(address + done, PAGE)
            part = data[done : done + PAGE - inside]
            self.frame(pfn)[inside : inside + len(part)] = part
            done += len(part)

    def read(self, address: int, size: int) -> bytes:
        """Bytes at a physical address; zeros where nothing was written."""
        out = bytearray()
        while len(out) < size:
            pfn, inside = divmod(address + len(out), PAGE)
            part = min(size - len(out), PAGE - inside)
            frame = self.frames.get(pfn)
            out += frame[inside : inside + part] if frame is not None else bytes(part)
        return bytes(out)

    def saved(self, *, everything: bool = True) -> list[int]:
        """The page frames a dump holds, ascending: all, or without those a kernel dump leaves out."""
        return sorted(self.frames.keys() if everything else self.frames.keys() - self.unsaved)


class PageTables:
    """A 4-level page table tree in physical memory, with the self-map entry Windows keeps in it."""

    def __init__(self, memory: PhysicalMemory, self_map: int) -> None:
        self.memory = memory
        self.self_map = self_map
        self._known: dict[int, int] = {}  # page → where it lies in physical memory
        self.root = memory.allocate()
        self._set(self.root, self_map, self.root << 12 | VALID | WRITE | ACCESSED_DIRTY | NO_EXECUTE)

    @property
    def directory_table(self) -> int:
        """What CR3 holds."""
        return self.root * PAGE

    @property
    def pte_base(self) -> int:
        """The address at which the self-map shows the page table entries."""
        return 0xFFFF << 48 | self.self_map << 39

    def map(self, address: int, pfn: int, *, execute: bool = False, size: int = PAGE) -> None:
        """Map one page of 4 KiB, 2 MiB or 1 GiB."""
        flags = VALID | WRITE | ACCESSED_DIRTY | (0 if execute else NO_EXECUTE)
        if size != PAGE:
            flags |= LARGE_PAGE
        levels = {PAGE: 1, LARGE: 2, HUGE: 3}[size]
        self.set_entry(address, pfn << 12 | flags, levels)

    def map_transition(self, address: int, pfn: int) -> None:
        """A page on the standby or modified list: not valid, its frame still holds it."""
        self.set_entry(address, pfn << 12 | TRANSITION | 0x80, 1)

    def map_paged_out(self, address: int, slot: int) -> None:
        """A page in the page file: not valid, neither transition nor prototype."""
        self.set_entry(address, slot << 32 | 0x80, 1)

    def entry(self, address: int, level: int = 1) -> int:
        """The entry of an address at a level (1 is the page table), 0 where a table above is missing."""
        table = self.root
        for current in (4, 3, 2, 1):
            index = address >> 12 + 9 * (current - 1) & 0x1FF
            (value,) = struct.unpack_from("<Q", self.memory.frame(table), index * 8)
            if current == level:
                return int(value)
            if not value & VALID or value & LARGE_PAGE:
                return 0
            table = value >> 12 & (1 << 36) - 1
        return 0

    def set_entry(self, address: int, value: int, level: int) -> None:
        """Set the entry of an address at a level, making tables above it where missing."""
        if level == 1:
            self._known.pop(address >> 12, None)
        else:
            self._known.clear()
        table = self.root
        for current in (4, 3, 2):
            if current == level:
                break
            index = address >> 12 + 9 * (current - 1) & 0x1FF
            (found,) = struct.unpack_from("<Q", self.memory.frame(table), index * 8)
            if not found & VALID:
                found = self.memory.allocate() << 12 | VALID | WRITE | ACCESSED_DIRTY
                self._set(table, index, found)
            table = found >> 12 & (1 << 36) - 1
        self._set(table, address >> 12 + 9 * (level - 1) & 0x1FF, value)

    def translate(self, address: int) -> int | None:
        """The physical address behind a virtual one, also through transition entries; None where there is none."""
        page = self._known.get(address >> 12)
        if page is None:
            found = self._walk(address)
            if found is None:
                return None
            page = self._known[address >> 12] = found & ~0xFFF
        return page | address & 0xFFF

    def _walk(self, address: int) -> int | None:
        for level, shift in ((3, 30), (2, 21), (1, 12)):
            value = self.entry(address, level)
            if value & VALID and (value & LARGE_PAGE or level == 1):
                base = value & (1 << 48) - 1 & ~((1 << shift) - 1)
                return base | address & (1 << shift) - 1
            if level == 1 and value & TRANSITION and not value & 1 << 10:
                return value & (1 << 48) - 1 & ~0xFFF | address & 0xFFF
        return None

    def share_kernel_half(self, other: "PageTables", keep: Iterable[int] = ()) -> None:
        """Give another process's tables the kernel's upper half."""
        mine = self.memory.frame(self.root)
        for index in range(256, 512):
            if index != self.self_map and index not in keep:
                (value,) = struct.unpack_from("<Q", mine, index * 8)
                other._set(other.root, index, value)

    def _set(self, table: int, index: int, value: int) -> None:
        struct.pack_into("<Q", self.memory.frame(table), index * 8, value)
