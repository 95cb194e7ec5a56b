"""An open dump to its memory."""

from analysis.errors import Absence, Unreadable
from analysis.formats.image import MACHINE_ARM64, MACHINE_X86, DataBlock, DumpHeader, DumpImage, TriageData
from analysis.memory.arm64 import AddressSpaceArm64
from analysis.memory.blocks import BlockMemory
from analysis.memory.physical import PhysicalMemory
from analysis.memory.reader import Memory
from analysis.memory.x64 import AddressSpace
from analysis.memory.x86 import AddressSpace32

_KDBG_TAG = 0x10


class NoMemory(Memory):
    """Memory of a dump of which nothing can be read; ``reason`` says why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def read(self, address: int, size: int) -> bytes:
        """Nothing but the empty range can be read. Raises: Unreadable."""
        if size:
            raise Unreadable(address, Absence.NOT_SAVED, self.reason)
        return b""


def open_memory(image: DumpImage) -> Memory:
    """The virtual memory that the dump shows: the kernel's address space, or the blocks of a small dump.

    Where nothing can be read, every read says why; the header's facts stand.
    """
    if image.triage is not None:
        blocks = BlockMemory(image.raw, _blocks(image.triage))
        blocks.pointer_size = 4 if image.header.machine == MACHINE_X86 else 8
        return blocks
    if image.pages is None:
        return NoMemory("no page of memory was saved")
    if image.header.machine == MACHINE_X86:
        physical = PhysicalMemory(image.raw, image.pages)
        return AddressSpace32(physical, image.header.directory_table, pae=image.header.pae)
    physical = PhysicalMemory(image.raw, image.pages)
    if image.header.machine == MACHINE_ARM64:
        return AddressSpaceArm64(physical, image.header.directory_table)
    space = AddressSpace(physical, image.header.directory_table)
    five = AddressSpace(physical, image.header.directory_table, five_levels=True)
    return five if not _shows_kernel(space, image.header) and _shows_kernel(five, image.header) else space


def _shows_kernel(space: AddressSpace, header: DumpHeader) -> bool:
    """Whether this reading of the page tables shows what the header says lies in the kernel.

    No dump header tells how many levels a machine uses (CR4.LA57). With one too many or too few, a walk that ends at
    all ends anywhere; a list head whose neighbour points back, or KDBG's tag, does not lie there by chance.
    """
    try:
        if space.read(header.kdbg + _KDBG_TAG, 4) == b"KDBG":
            return True
    except Unreadable:
        pass
    try:
        first = space.u64(header.loaded_modules)
        return first != header.loaded_modules and space.u64(first + 8) == header.loaded_modules
    except Unreadable:
        return False


def _blocks(triage: TriageData) -> tuple[DataBlock, ...]:
    parts = (
        triage.stack, triage.prcb, triage.thread, triage.process, triage.debugger_data, triage.data_page
    )  # fmt: skip
    return (*triage.blocks, *(part for part in parts if part is not None and part.address))
