"""Virtual memory of 32-bit x86: two levels of page tables with 32-bit entries, or three with 64-bit ones (PAE).

Entry bits: Intel SDM volume 3, 32-bit and PAE paging. Bits 10 and 11 of an entry without its valid bit mean what they
mean on x64.
"""

from collections.abc import Iterable, Iterator

from analysis.address import PAGE_MASK, PhysAddr
from analysis.errors import Absence, Unreadable
from analysis.memory.physical import PhysicalMemory
from analysis.memory.prefetch import Page
from analysis.memory.x64 import AddressSpace

_VALID, _LARGE, _PROTOTYPE, _TRANSITION = 1, 1 << 7, 1 << 10, 1 << 11
_FRAME32, _FRAME_PAE = 0xFFFF_F000, 0x000F_FFFF_FFFF_F000
_ADDRESSES = 1 << 32


class AddressSpace32(AddressSpace):
    """The virtual memory that one directory table (CR3) shows."""

    pointer_size = 4

    def __init__(self, physical: PhysicalMemory, directory_table: int, *, pae: bool) -> None:
        super().__init__(physical, directory_table)
        # With PAE the table of four pointers lies at any multiple of 32 bytes.
        self.directory_table = PhysAddr(directory_table & (0xFFFF_FFE0 if pae else _FRAME32))
        self.pae = pae

    def process(self, directory_table: int) -> "AddressSpace32":
        """The address space of a process, by its DirectoryTableBase."""
        return AddressSpace32(self.physical, directory_table, pae=self.pae)

    def _fetch(self, pages: Iterable[Page]) -> None:
        """Nothing is fetched ahead through these tables."""

    def translate(self, address: int) -> PhysAddr:
        """The physical address of a virtual one. Raises: Unreadable."""
        if not 0 <= address < _ADDRESSES:
            raise Unreadable(address, Absence.NOT_CANONICAL)
        table: int = self.directory_table
        width, frame = (8, _FRAME_PAE) if self.pae else (4, _FRAME32)
        for name, shift, bits, may_be_large in self._levels():
            at = table + (address >> shift & (1 << bits) - 1) * width
            offset = self.physical.page_offset(at)
            if offset is None:
                raise Unreadable(address, Absence.NOT_SAVED, f"nor was its {name} at {at:#x}")
            entry = int.from_bytes(self.physical.raw.read(offset + (at & PAGE_MASK), width, name), "little")
            if not entry & _VALID and entry & (_TRANSITION | _PROTOTYPE) != _TRANSITION:
                absence = Absence.PAGED_OUT if entry else Absence.NOT_MAPPED
                raise Unreadable(address, absence, f"the {name} at {at:#x} is not present")
            if may_be_large and entry & _VALID and entry & _LARGE:
                span = (1 << shift) - 1
                return PhysAddr(entry & frame & ~span | address & span)
            table = entry & frame
        return PhysAddr(table | address & PAGE_MASK)

    def _levels(self) -> Iterator[tuple[str, int, int, bool]]:
        """Name, lowest address bit, number of bits, and whether an entry may map a large page."""
        if self.pae:
            yield "page directory pointer entry", 30, 2, False
            yield "page directory entry", 21, 9, True
            yield "page table entry", 12, 9, False
        else:
            yield "page directory entry", 22, 10, True
            yield "page table entry", 12, 10, False
