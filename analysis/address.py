"""Types of addresses, and the arithmetic of pages."""

from typing import NewType

PhysAddr = NewType("PhysAddr", int)
VirtAddr = NewType("VirtAddr", int)

PAGE_SIZE = 0x1000
PAGE_MASK = PAGE_SIZE - 1
# Where the canonical upper half begins: with four levels of page tables (48 bits) and with five (57 bits).
KERNEL_START, KERNEL_START_57 = 0xFFFF_8000_0000_0000, 0xFF00_0000_0000_0000


def is_kernel(address: int) -> bool:
    """Whether an x64 or ARM64 address lies in the canonical upper half, where the kernel lives.

    On a machine with 57-bit addresses more does: where memory is at hand, ask it (``Memory.is_kernel``). Images lie in
    the top 47 bits on every machine.
    """
    return KERNEL_START <= address <= 0xFFFF_FFFF_FFFF_FFFF


def is_user(address: int) -> bool:
    """Whether an x64 address lies in the canonical lower half and is not in the null page."""
    return 0x1_0000 <= address < 0x0000_8000_0000_0000
