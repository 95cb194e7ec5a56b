"""An open dump to its memory."""

from analysis.errors import Absence, Unreadable
from analysis.formats.image import MACHINE_X64, MACHINE_X86, DataBlock, DumpImage, TriageData
from analysis.memory.blocks import BlockMemory
from analysis.memory.physical import PhysicalMemory
from analysis.memory.reader import Memory
from analysis.memory.x64 import AddressSpace
from analysis.memory.x86 import AddressSpace32


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
    if image.header.machine != MACHINE_X64:
        return NoMemory("page tables of ARM64 are not supported yet")
    return AddressSpace(PhysicalMemory(image.raw, image.pages), image.header.directory_table)


def _blocks(triage: TriageData) -> tuple[DataBlock, ...]:
    parts = (
        triage.stack, triage.prcb, triage.thread, triage.process, triage.debugger_data, triage.data_page
    )  # fmt: skip
    return (*triage.blocks, *(part for part in parts if part is not None and part.address))
