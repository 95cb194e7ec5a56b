"""The kernel's debugger data block (KDBG): addresses and offsets that the kernel itself publishes for debuggers.

Source: KDDEBUGGER_DATA64 of the public wdbgexts.h; offsets checked against a real dump of 10.0.19041.804.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from analysis.address import VirtAddr, is_kernel
from analysis.errors import Unreadable
from analysis.memory.reader import Memory

TAG_OFFSET = 0x10
SMALLEST = 0x340  # Windows 7's is 0x340 long; older ones are not read here
LARGEST = 0x1000

# Name of the kernel's variable → where the block holds its address.
ADDRESSES: Mapping[str, int] = {
    "PsLoadedModuleList": 0x48,
    "PsActiveProcessHead": 0x50,
    "PspCidTable": 0x58,
    "ExpSystemResourcesList": 0x60,
    "KeTimeIncrement": 0x78,
    "KeBugCheckCallbackListHead": 0x80,
    "KiBugCheckData": 0x88,
    "ObpRootDirectoryObject": 0x98,
    "ObpTypeObjectType": 0xA0,
    "MmPfnDatabase": 0xC0,
    "KiProcessorBlock": 0x218,
    "MmUnloadedDrivers": 0x220,
    "MmLastUnloadedDriver": 0x228,
    "MmPhysicalMemoryBlock": 0x270,
}

# (structure, member) → where the block holds the member's offset, a u16. Zero there means: not published.
OFFSETS: Mapping[tuple[str, str], int] = {
    ("_KTHREAD", "NextProcessor"): 0x298,
    ("_KTHREAD", "Teb"): 0x29A,
    ("_KTHREAD", "KernelStack"): 0x29C,
    ("_KTHREAD", "InitialStack"): 0x29E,
    ("_KTHREAD", "ApcState.Process"): 0x2A0,
    ("_KTHREAD", "State"): 0x2A2,
    ("_EPROCESS", "Peb"): 0x2AA,
    ("_EPROCESS", "InheritedFromUniqueProcessId"): 0x2AC,
    ("_EPROCESS", "Pcb.DirectoryTableBase"): 0x2AE,
    ("_KPRCB", "DpcRoutineActive"): 0x2B2,
    ("_KPRCB", "CurrentThread"): 0x2B4,
    ("_KPRCB", "MHz"): 0x2B6,
    ("_KPRCB", "VendorString"): 0x2BA,
    ("_KPRCB", "Number"): 0x2BE,
    ("_KPRCB", "Context"): 0x338,
    ("_KTHREAD", "StackLimit"): 0x340,
    ("_KTHREAD", "StackBase"): 0x344,
    ("_KTHREAD", "QueueListEntry"): 0x348,
    ("_ETHREAD", "IrpList"): 0x34C,
    ("_KPRCB", "IdleThread"): 0x350,
    ("_KPRCB", "DpcStack"): 0x354,
    ("_KPRCB", "IsrStack"): 0x356,
    ("_KTHREAD", "WaitReason"): 0x35C,
}

# Structure → where the block holds its size. EPROCESS is left out: its size grows within one major build.
SIZES: Mapping[str, int] = {"_ETHREAD": 0x2C0, "_KPRCB": 0x2B0}

PTE_BASE = 0x360


class HasKdbg(Protocol):
    """The part of a dump image that is needed here."""

    @property
    def header(self) -> "HasKdbgAddress":
        """The dump's header."""


class HasKdbgAddress(Protocol):
    """A header that says where the block is."""

    @property
    def kdbg(self) -> VirtAddr:
        """The block's address; 0 where the header does not name it."""


@dataclass(frozen=True, slots=True)
class Kdbg:
    """The block, checked. ``addresses`` are of variables by name, ``offsets`` of members, ``sizes`` of structures;
    what the block does not publish is left out. ``pte_base`` is None where it is not published."""

    address: VirtAddr
    size: int
    base: VirtAddr
    addresses: Mapping[str, VirtAddr]
    offsets: Mapping[tuple[str, str], int]
    sizes: Mapping[str, int]
    pte_base: VirtAddr | None


def find_kdbg(image: HasKdbg, memory: Memory) -> tuple[Kdbg | None, str]:
    """The dump's KDBG, or None and a sentence that says why not: an empty one for 32-bit, whose offsets are others."""
    address = image.header.kdbg
    if memory.pointer_size == 4:
        return None, ""
    if not is_kernel(address):
        return None, "the dump header does not say where the kernel's debugger data is"
    try:
        head = memory.read(address, 0x20)
        if head[TAG_OFFSET : TAG_OFFSET + 4] != b"KDBG":
            return None, "the kernel's debugger data is encoded (a live capture) or overwritten"
        (size,) = struct.unpack_from("<I", head, 0x14)
        if not SMALLEST <= size <= LARGEST:
            return None, f"the kernel's debugger data claims a size of {size:#x} bytes"
        block = memory.read(address, size)
    except Unreadable as gap:
        return None, f"the kernel's debugger data cannot be read: {gap}"
    found = parse_kdbg(address, block)
    if not is_kernel(found.base) or found.base & 0xFFF:
        return None, f"the kernel's debugger data names {found.base:#x} as the kernel's base"
    return found, ""


def read_kdbg(image: HasKdbg, memory: Memory) -> Kdbg | None:
    """The dump's KDBG, or None where it is missing, encoded or contradicts itself."""
    return find_kdbg(image, memory)[0]


def parse_kdbg(address: int, block: bytes) -> Kdbg:
    """The block's content; ``block`` has at least ``SMALLEST`` bytes. What it is too short for is left out."""
    base, *_ = struct.unpack_from("<Q", block, 0x18)
    addresses = {name: VirtAddr(value) for name, at in ADDRESSES.items() if is_kernel(value := _word(block, at, 8))}
    offsets = {member: value for member, at in OFFSETS.items() if (value := _word(block, at, 2))}
    sizes = {name: value for name, at in SIZES.items() if (value := _word(block, at, 2))}
    pte_base = _word(block, PTE_BASE, 8)
    return Kdbg(
        address=VirtAddr(address),
        size=len(block),
        base=VirtAddr(base),
        addresses=addresses,
        offsets=offsets,
        sizes=sizes,
        pte_base=VirtAddr(pte_base) if is_kernel(pte_base) else None,
    )


def _word(block: bytes, offset: int, size: int) -> int:
    return int.from_bytes(block[offset : offset + size], "little") if offset + size <= len(block) else 0
