"""The loaded drivers of a 32-bit kernel: the list at nt!PsLoadedModuleList with 32-bit loader entries.

A KLDR_DATA_TABLE_ENTRY has the same first 0x48 bytes in every 32-bit Windows from 2000 to 10 (public symbols).
"""

import struct

from analysis.address import PAGE_MASK, VirtAddr
from analysis.errors import Unreadable
from analysis.kernel.facts import Module
from analysis.kernel.modules import name_kernel, unnamed
from analysis.limits import MAX_MODULES, MAX_STRING_BYTES
from analysis.memory.reader import Memory

KERNEL_START = 0x8000_0000
_ENTRY = struct.Struct("<I20xI4xIHHIHHI12xII")


def read_modules32(memory: Memory, head: int, kernel_base: int) -> tuple[tuple[Module, ...], tuple[str, ...]]:
    """The drivers in load order, and notes about what is missing of them."""
    modules: list[Module] = []
    seen = {head}
    notes: list[str] = []
    try:
        entry = memory.u32(head)
        while entry not in seen and len(seen) <= MAX_MODULES:
            seen.add(entry)
            following, module = _read_entry(memory, entry)
            if module is not None:
                modules.append(module)
            entry = following
        if entry != head:
            notes.append(f"loaded modules: the list does not come back to its head, at {entry:#x}")
    except Unreadable as gap:
        notes.append(f"loaded modules: the list cannot be followed: {gap}")
    return name_kernel(modules, kernel_base), tuple(notes)


def _read_entry(memory: Memory, address: int) -> tuple[int, Module | None]:
    """The next entry's address, and the module; None where the entry describes none. Raises: Unreadable."""
    fields = _ENTRY.unpack(memory.read(address, _ENTRY.size))
    following, base, size, full_length, _, full, short_length, _, short, _, stamp = fields
    if base < KERNEL_START or base & PAGE_MASK or not 0 < size <= (1 << 32) - base:
        return following, None
    path = _text(memory, full, full_length)
    name = _text(memory, short, short_length) or (path or "").rpartition("\\")[2]
    return following, Module(name.lower() or unnamed(base, size, stamp), VirtAddr(base), size, stamp or None, path=path)


def _text(memory: Memory, address: int, length: int) -> str | None:
    if not length or length % 2 or length > MAX_STRING_BYTES or address < KERNEL_START:
        return None
    try:
        text = memory.read(address, length).decode("utf-16-le", "replace")
    except Unreadable:
        return None
    return text if text.isprintable() else None
