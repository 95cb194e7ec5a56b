"""Virtual memory of ARM64: walks of four levels of translation tables with pages of 4 KiB.

Descriptor bits: Arm Architecture Reference Manual, VMSAv8-64, 4 KiB granule and 48-bit addresses. Windows keeps the two
halves of an address space in the two halves of one root table, so that bits 47 to 39 of an address choose the entry
whichever of TTBR0 and TTBR1 it belongs to. What Windows keeps in a descriptor that is not valid is not documented for
ARM64, so nothing is read from one.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from analysis.address import PAGE_MASK, PhysAddr
from analysis.errors import Absence, Unreadable
from analysis.memory.physical import PhysicalMemory
from analysis.memory.prefetch import Page
from analysis.memory.x64 import AddressSpace

_VALID, _TABLE = 1, 2
_FRAME = 0x0000_FFFF_FFFF_F000
_LOWER, _UPPER = 0, 0xFFFF  # bits 63 to 48 of an address


@dataclass(frozen=True, slots=True)
class _Level:
    """One level of the tables: the lowest address bit that it decodes, and whether a descriptor may map a block."""

    number: int
    shift: int
    may_be_block: bool


_LEVELS = (_Level(0, 39, False), _Level(1, 30, True), _Level(2, 21, True), _Level(3, 12, False))


class AddressSpaceArm64(AddressSpace):
    """The virtual memory that one translation table base (TTBR0 or TTBR1) shows."""

    def __init__(
        self, physical: PhysicalMemory, directory_table: int, kernel: "AddressSpaceArm64 | None" = None
    ) -> None:
        super().__init__(physical, directory_table)
        # The upper 16 bits hold an ASID, bit 0 a hint that the tables are shared.
        self.directory_table = PhysAddr(directory_table & _FRAME)
        self._upper_half = kernel.directory_table if kernel is not None else self.directory_table

    def process(self, directory_table: int) -> "AddressSpaceArm64":
        """The address space of a process, by its DirectoryTableBase; the upper half is the kernel's."""
        return AddressSpaceArm64(self.physical, directory_table, kernel=self)

    def _fetch(self, pages: Iterable[Page]) -> None:
        """Nothing is fetched ahead through these tables."""

    def translate(self, address: int) -> PhysAddr:
        """The physical address of a virtual one. Raises: Unreadable."""
        upper = address >> 48
        if upper not in (_LOWER, _UPPER):
            raise Unreadable(address, Absence.NOT_CANONICAL)
        table: int = self._upper_half if upper else self.directory_table
        for level in _LEVELS:
            at = table | (address >> level.shift & 0x1FF) << 3
            where = f"level {level.number} descriptor"
            offset = self.physical.page_offset(at)
            if offset is None:
                raise Unreadable(address, Absence.NOT_SAVED, f"nor was its {where} at {at:#x}")
            descriptor = self.physical.raw.u64(offset + (at & PAGE_MASK), where)
            if not descriptor & _VALID or not (descriptor & _TABLE or level.may_be_block):
                absence = Absence.PAGED_OUT if descriptor else Absence.NOT_MAPPED
                raise Unreadable(address, absence, f"the {where} at {at:#x} is not valid")
            if not descriptor & _TABLE:
                span = (1 << level.shift) - 1
                return PhysAddr(descriptor & _FRAME & ~span | address & span)
            table = descriptor & _FRAME
        return PhysAddr(table | address & PAGE_MASK)
