"""A machine under construction: regions of virtual memory, an allocator, typed writes by layout, linked lists."""

import random
import struct
from dataclasses import dataclass

from tests.forge.layouts import Layouts
from tests.forge.pages import HUGE, LARGE, PAGE, PageTables, PhysicalMemory

SHARED_DATA = 0xFFFFF78000000000


@dataclass(slots=True)
class Region:
    """A range of addresses that is handed out from the bottom. ``page`` is the size of the pages that map it."""

    base: int
    size: int
    page: int
    next: int
    first_frame: int = 0


class Machine:
    """Memory of one machine. Everything drawn from ``rng``, so that the same arguments give the same bytes.

    ``pool_pages`` is how many pages of 2 MiB its pool has.
    """

    def __init__(self, layouts: Layouts, rng: random.Random, pool_pages: int = 2) -> None:
        self.layouts = layouts
        self.rng = rng
        self.memory = PhysicalMemory()
        old = layouts.major < 14393
        self.tables = PageTables(self.memory, 0x1ED if old else rng.randrange(0x1A0, 0x1E0))
        self.zero_frame = self._filled(0x00)
        self.int3_frame = self._filled(0xCC)
        self._loose: list[int] = []
        self._regions = _regions(layouts.major, rng, self.tables.self_map, pool_pages)
        for region in self._regions.values():
            if region.page != PAGE:
                self._map_large(region)

    def region(self, name: str) -> Region:
        """One of: images, pool (2 MiB pages), large (1 GiB page), small (4 KiB pages), paged, stacks, prcb."""
        return self._regions[name]

    def allocate(self, region: str, size: int, align: int = 16) -> int:
        """The address of ``size`` new bytes of zeros in a region, mapped."""
        where = self._regions[region]
        address = (where.next + align - 1) // align * align
        where.next = address + size
        if where.next > where.base + where.size:
            raise MemoryError(f"region {region} is full")
        if where.page == PAGE:
            for page in range(address & -PAGE, address + size, PAGE):
                if not self.tables.entry(page):
                    self.tables.map(page, self.loose_frame())
        self.write(address, bytes(size))
        return address

    def reserve(self, region: str, size: int, align: int = PAGE) -> int:
        """Addresses without anything mapped."""
        where = self._regions[region]
        address = (where.next + align - 1) // align * align
        where.next = address + size
        return address

    def pool(self, size: int, tag: str, region: str = "pool") -> int:
        """A pool block behind its header, as the kernel's allocator leaves it."""
        total = size + 16 + 15 & ~15
        header = self.allocate(region, total)
        blocks = min(total // 16, 0xFF)
        self.write(header, struct.pack("<BBBB4s", 0, 0, blocks, 2, tag.encode().ljust(4)))
        return header + 16

    def loose_frame(self) -> int:
        """A page frame that does not follow the one handed out before."""
        if not self._loose:
            first = self.memory.allocate(64)
            self._loose = list(range(first, first + 64))
            self.rng.shuffle(self._loose)
        pfn = self._loose.pop()
        self.memory.frame(pfn)
        return pfn

    def write(self, address: int, data: bytes) -> None:
        """Write at a mapped virtual address. Raises: LookupError where nothing is mapped."""
        inside = address % PAGE
        if inside + len(data) <= PAGE:
            frame = self.memory.frame(self.physical(address) // PAGE)
            frame[inside : inside + len(data)] = data
            return
        done = 0
        while done < len(data):
            here = address + done
            part = data[done : done + PAGE - here % PAGE]
            self.memory.write(self.physical(here), part)
            done += len(part)

    def read(self, address: int, size: int) -> bytes:
        """Bytes at a mapped virtual address. Raises: LookupError."""
        inside = address % PAGE
        if inside + size <= PAGE:
            return self.memory.read(self.physical(address), size)
        out = bytearray()
        while len(out) < size:
            here = address + len(out)
            out += self.memory.read(self.physical(here), min(size - len(out), PAGE - here % PAGE))
        return bytes(out)

    def physical(self, address: int) -> int:
        """The physical address behind a virtual one. Raises: LookupError."""
        found = self.tables.translate(address)
        if found is None:
            raise LookupError(f"{address:#x} is not mapped")
        return found

    def u8(self, address: int, value: int) -> None:
        """Write one byte."""
        self.write(address, struct.pack("<B", value & 0xFF))

    def u16(self, address: int, value: int) -> None:
        """Write two bytes."""
        self.write(address, struct.pack("<H", value & 0xFFFF))

    def u32(self, address: int, value: int) -> None:
        """Write four bytes."""
        self.write(address, struct.pack("<I", value & 0xFFFFFFFF))

    def u64(self, address: int, value: int) -> None:
        """Write eight bytes."""
        self.write(address, (value & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little"))

    def read_u64(self, address: int) -> int:
        """Eight bytes as an unsigned number."""
        return int(struct.unpack("<Q", self.read(address, 8))[0])

    def has(self, structure: str, member: str) -> bool:
        """Whether this build has that member."""
        return self.layouts.has(structure, member)

    def at(self, structure: str, address: int, member: str) -> int:
        """The address of a member."""
        return address + self.layouts.offset(structure, member)

    def put(self, structure: str, address: int, **values: int) -> None:
        """Write members by name ("ApcState__Process" is ApcState.Process); bit fields keep their neighbours."""
        for name, value in values.items():
            member = self.layouts.member(structure, name.replace("__", "."))
            here = address + member.offset
            if member.kind == "bits":
                (word,) = struct.unpack("<I", self.read(here, 4))
                mask = (1 << member.bits) - 1 << member.bit
                self.u32(here, word & ~mask | value << member.bit & mask)
            else:
                width = int(member.kind[1:]) // 8 if member.kind[0] == "u" and member.kind[1:].isdigit() else 8
                self.write(here, (value & (1 << width * 8) - 1).to_bytes(width, "little"))

    def unicode(self, address: int, text: str, region: str = "small") -> None:
        """Write a UNICODE_STRING whose characters lie in another block."""
        data = text.encode("utf-16-le")
        buffer = self.pool(len(data) + 2, "Unic", region)
        self.write(buffer, data)
        self.write(address, struct.pack("<HHIQ", len(data), len(data) + 2, 0, buffer))

    def list_head(self, address: int) -> None:
        """Make an empty LIST_ENTRY."""
        self.write(address, struct.pack("<QQ", address, address))

    def list_append(self, head: int, entry: int) -> None:
        """Insert an entry at the tail of a list."""
        last = self.read_u64(head + 8)
        self.write(entry, struct.pack("<QQ", head, last))
        self.u64(last, entry)
        self.u64(head + 8, entry)

    def _filled(self, byte: int) -> int:
        pfn = self.memory.allocate()
        self.memory.frame(pfn)[:] = bytes([byte]) * PAGE
        return pfn

    def _map_large(self, region: Region) -> None:
        frames = region.page // PAGE
        if region.page == HUGE:
            region.first_frame = frames  # the second gigabyte of physical memory
            self.tables.map(region.base, region.first_frame, size=HUGE)
            return
        region.first_frame = self.memory.allocate(region.size // PAGE, LARGE // PAGE)
        for number in range(region.size // LARGE):
            first = region.first_frame + number * frames
            self.tables.map(region.base + number * LARGE, first, size=LARGE, execute=True)


def _regions(major: int, rng: random.Random, self_map: int, pool_pages: int) -> dict[str, Region]:
    if major < 9600:
        bases = {
            "images": 0xFFFFF80002A00000,
            "pool": 0xFFFFFA8003000000,
            "large": 0xFFFFFA8040000000,
            "small": 0xFFFFFA8006000000,
            "paged": 0xFFFFF8A000002000,
            "stacks": 0xFFFFF88002000000,
            "prcb": 0xFFFFF880009E0000,
        }
    else:
        # Windows 8.1 fixes where each kind lies, 10 (14393) draws it at boot; the draw here keeps off the self-map.
        slots = [slot for slot in range(0x110, 0x1E0) if slot != self_map]
        picked = rng.sample(slots, 6) if major >= 14393 else [0x1C0, 0x1C1, 0x1C2, 0x1C3, 0x1A0, 0x1A1]
        names = ("pool", "large", "small", "paged", "stacks", "prcb")
        bases = {
            name: 0xFFFF << 48 | slot << 39 | rng.randrange(1, 0x100) << 30
            for name, slot in zip(names, picked, strict=True)
        }
        bases["images"] = 0xFFFFF80000000000 | rng.randrange(0x10, 0x1F0) << 28 | 0x200000
    sizes = {"pool": (pool_pages * LARGE, LARGE), "large": (HUGE, HUGE)}
    regions = {}
    for name, base in bases.items():
        size, page = sizes.get(name, (0x8000000, PAGE))
        regions[name] = Region(base & -page, size, page, base & -page)
    return regions
