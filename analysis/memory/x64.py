"""Virtual memory of x64: walks of four or five levels of page tables, and the reason where they end early.

Entry bits: Intel SDM volume 3, 4-level and 5-level paging. What an entry without its valid bit means is Windows' own
business: bit 10 marks a prototype, bit 11 (without bit 10) a page in transition, still in memory on its way out; the
rest is a place in a page file, or a page never touched.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from analysis.address import KERNEL_START, KERNEL_START_57, PAGE_MASK, PAGE_SIZE, PhysAddr
from analysis.errors import Absence, Unreadable
from analysis.memory.physical import PhysicalMemory
from analysis.memory.prefetch import Page, fetch_pages
from analysis.memory.reader import Memory, readable

_VALID, _LARGE, _PROTOTYPE, _TRANSITION = 1, 1 << 7, 1 << 10, 1 << 11
_FRAME = 0x000F_FFFF_FFFF_F000
# Since 2018 nt may set a bit above the machine's memory in entries that are not valid (the L1TF mitigation), bit 45 on
# what has been seen. Bit 4 then says that the bit belongs to the entry after all. A processor that needs no mitigation
# leaves both alone, and which it is stands only in private data of nt.
_SWIZZLE, _MITIGATION = 1 << 4, 1 << 45
_PAGE_FILE_HIGH = 32
_MAX_CACHED = 1 << 16
_REGION_SHIFT = 21
_AROUND = (0x1_0000, 0x4_0000, 0x10_0000, 0x20_0000)  # bytes fetched around a missing page, by how often that was so


@dataclass(frozen=True, slots=True)
class _Level:
    """One level of the tables: what its entries are called, the lowest address bit they decode, and whether an
    entry may map a large page."""

    name: str
    shift: int
    may_be_large: bool


_LEVELS = (
    _Level("PML4 entry", 39, may_be_large=False),
    _Level("page directory pointer entry", 30, may_be_large=True),
    _Level("page directory entry", 21, may_be_large=True),
    _Level("page table entry", 12, may_be_large=False),
)
_FIVE_LEVELS = (_Level("PML5 entry", 48, may_be_large=False), *_LEVELS)


class AddressSpace(Memory):
    """The virtual memory that one directory table (CR3) shows. ``process`` gives that of another."""

    def __init__(
        self,
        physical: PhysicalMemory,
        directory_table: int,
        kernel: "AddressSpace | None" = None,
        *,
        five_levels: bool = False,
    ) -> None:
        self.physical = physical
        self.five_levels = five_levels
        # The low 12 bits of CR3 hold a PCID, and with KPTI a flag, not an address.
        self.directory_table = PhysAddr(directory_table & _FRAME)
        self._kernel = kernel
        # Frame bits above all memory are no part of a frame in transition.
        self._transition_frame = (1 << max(0, physical.pages.frame_limit - 1).bit_length()) - 1 << 12
        self._regions: dict[int, int] = {}  # of a remote dump: how often a region was found missing
        self._pages: dict[int, int] = {}  # virtual page number → file offset; bounded

    def process(self, directory_table: int) -> "AddressSpace":
        """The address space of a process, by its DirectoryTableBase. Prototype entries are read through this one."""
        return AddressSpace(self.physical, directory_table, kernel=self._kernel or self, five_levels=self.five_levels)

    def is_kernel(self, address: int) -> bool:
        """Whether an address lies where the kernel lives: with five levels that begins further down."""
        if self.pointer_size == 4:
            return super().is_kernel(address)
        start = KERNEL_START_57 if self.five_levels else KERNEL_START
        return start <= address <= 0xFFFF_FFFF_FFFF_FFFF

    def translate(self, address: int) -> PhysAddr:
        """The physical address of a virtual one. That its page was saved is not implied.

        Raises:
            Unreadable: with the reason, and the table level in ``detail``.
        """
        return self._walk(address, follow_prototype=True)

    def read(self, address: int, size: int) -> bytes:
        """Exactly ``size`` bytes. Raises: Unreadable."""
        within = address & PAGE_MASK
        offset = self._pages.get(address >> 12)
        if offset is not None and within + size <= PAGE_SIZE:
            return self.physical.raw.read(offset + within, size, "a page of memory")
        return b"".join(self._read_pages(address, size))

    def read_available(self, address: int, size: int) -> bytes:
        """The longest readable prefix; no page is walked twice."""
        return readable(self._read_pages(address, size))

    def _read_pages(self, address: int, size: int) -> Iterator[bytes]:
        position, end = address, address + size
        while position < end:
            # What is left in this page: it changes with every page of a range that starts inside one.
            within = position & PAGE_MASK
            length = min(PAGE_SIZE - within, end - position)
            yield self.physical.raw.read(self._page(position) + within, length, "a page of memory")
            position += length

    def _page(self, address: int) -> int:
        """Where the page of a virtual address starts in the file."""
        number = address >> 12
        offset = self._pages.get(number)
        if offset is None:
            physical = self.translate(address)
            offset = self.physical.page_offset(physical)
            if offset is None:
                raise Unreadable(address, Absence.NOT_SAVED, f"its page at {physical & ~PAGE_MASK:#x}")
            if self.physical.raw.lacks(offset):
                self._look_around(address)
            if len(self._pages) >= _MAX_CACHED:
                self._pages.clear()
            self._pages[number] = offset
        return offset

    def expect(self, addresses: Iterable[int], size: int) -> None:
        """Fetch what will be read soon, where the dump is a remote one. As ``Memory.expect``."""
        self.expect_of_processes(((self.directory_table, address) for address in addresses), size)

    def expect_of_processes(self, wanted: Iterable[tuple[int, int]], size: int) -> None:
        """The same of several address spaces. As ``Memory.expect_of_processes``."""
        self._fetch((table & _FRAME, page) for table, at in wanted for page in _pages(at, size))

    def _fetch(self, pages: Iterable[Page]) -> None:
        # Whatever walks other tables than these overrides this: page by page its dump is read as well.
        if self.physical.raw.is_remote:
            fetch_pages(self.physical, pages, five_levels=self.five_levels)

    def _look_around(self, address: int) -> None:
        # Neighbours in virtual memory are used together and may lie anywhere in the file. The more often a region
        # turns out to be wanted, the more of it comes at once.
        region = address >> _REGION_SHIFT
        seen = self._regions.get(region, 0)
        if len(self._regions) >= _MAX_CACHED:
            self._regions.clear()
        self._regions[region] = seen + 1
        span = _AROUND[min(seen, len(_AROUND) - 1)]
        start = address // span * span
        self._fetch((self.directory_table, page) for page in _pages(start, span))

    def _walk(self, address: int, *, follow_prototype: bool) -> PhysAddr:
        _check_canonical(address, 57 if self.five_levels else 48)
        table: int = self.directory_table
        for level in _FIVE_LEVELS if self.five_levels else _LEVELS:
            at = table | (address >> level.shift & 0x1FF) << 3
            entry = self._entry(address, at, level)
            if entry & _VALID:
                if level.may_be_large and entry & _LARGE:
                    span = (1 << level.shift) - 1
                    return PhysAddr(entry & _FRAME & ~span | address & span)
                table = entry & _FRAME
            elif entry & (_TRANSITION | _PROTOTYPE) == _TRANSITION:
                table = entry & self._transition_frame
            elif entry & _PROTOTYPE and level is _LEVELS[-1] and follow_prototype:
                table = self._prototype_frame(address, entry)
            else:
                raise _absent(address, entry, f"the {level.name} at {at:#x}")
        return PhysAddr(table | address & PAGE_MASK)

    def _entry(self, address: int, at: int, level: _Level) -> int:
        offset = self.physical.page_offset(at)
        if offset is None:
            raise Unreadable(address, Absence.NOT_SAVED, f"nor was its {level.name} at {at:#x}")
        return self.physical.raw.u64(offset + (at & PAGE_MASK), level.name)

    def _prototype_frame(self, address: int, entry: int) -> int:
        """The frame that a shared page's prototype entry names.

        The upper 48 bits of the entry are the prototype's address in kernel memory. All ones in the upper 32 of them
        mean that only the VAD tree knows it.
        """
        if entry >> 32 == 0xFFFF_FFFF:
            raise Unreadable(address, Absence.PAGED_OUT, "a shared page that only the VAD tree describes")
        places = [entry]
        if entry & (_SWIZZLE | _MITIGATION) == _MITIGATION:
            places.append(entry & ~_MITIGATION)
        gaps, frames = [], set()
        for place in places:
            try:
                frames.add(self._frame_by_prototype(address, place >> 16 | 0xFFFF << 48))
            except Unreadable as gap:
                gaps.append(gap)
        if len(frames) == 1:
            return frames.pop()
        if frames:
            raise Unreadable(address, Absence.PAGED_OUT, "a shared page whose prototype entry could be either of two")
        raise gaps[-1]

    def _frame_by_prototype(self, address: int, at: int) -> int:
        where = f"its prototype entry at {at:#x}"
        space = self._kernel or self
        try:
            offset = self.physical.page_offset(space._walk(at, follow_prototype=False))
        except Unreadable:
            offset = None
        if offset is None:
            raise Unreadable(address, Absence.PAGED_OUT, f"{where} cannot be read")
        prototype = self.physical.raw.u64(offset + (at & PAGE_MASK & ~7), "a prototype entry")
        if prototype & _VALID:
            return prototype & _FRAME
        if prototype & (_TRANSITION | _PROTOTYPE) == _TRANSITION:
            return prototype & self._transition_frame
        raise _absent(address, prototype, where)


def _pages(address: int, size: int) -> range:
    # An address in every page that the range touches.
    return range(address & ~PAGE_MASK, address + max(size, 1), PAGE_SIZE)


def _check_canonical(address: int, bits: int) -> None:
    upper = address >> bits - 1
    if upper not in {0, (1 << 65 - bits) - 1}:
        raise Unreadable(address, Absence.NOT_CANONICAL)


def _absent(address: int, entry: int, where: str) -> Unreadable:
    if not entry:
        return Unreadable(address, Absence.NOT_MAPPED, f"{where} is not present")
    if entry & _PROTOTYPE:
        return Unreadable(address, Absence.PAGED_OUT, f"{where} stands for a shared page that is not in memory")
    own = entry if entry & _SWIZZLE else entry & ~_MITIGATION
    if own >> _PAGE_FILE_HIGH:
        return Unreadable(address, Absence.PAGED_OUT, f"{where} points into a page file")
    return Unreadable(address, Absence.NOT_MAPPED, f"{where} is for a page of zeros that was never touched")
