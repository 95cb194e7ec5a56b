"""Loaded and unloaded drivers.

KLDR_DATA_TABLE_ENTRY is not in the public symbols of Windows 7 and 8.1, but the members used here have not moved
in any of the eight major builds whose layouts are known (compare _LDR_DATA_TABLE_ENTRY, which starts alike).
MmUnloadedDrivers is private: UNICODE_STRING, start, end and time of unloading, fifty times.
"""

import struct
from collections.abc import Iterable
from dataclasses import replace

from analysis.address import VirtAddr
from analysis.errors import BadDump, Unreadable
from analysis.kernel.facts import Module
from analysis.kernel.lists import walk_list
from analysis.limits import MAX_MODULES, MAX_UNLOADED_MODULES
from analysis.memory.reader import Memory
from analysis.memory.snapshot import Snapshot
from analysis.symbols.pe import PeImage, read_image

KERNEL = "ntoskrnl.exe"

_ENTRY_SIZE = 0xA0
_DLL_BASE = 0x30
_IMAGE_SIZE = 0x40
_FULL_NAME = 0x48
_BASE_NAME = 0x58
_UNLOADED = {8: struct.Struct("<HH4xQQQQ"), 4: struct.Struct("<HHIIIQ")}
_MAX_IMAGE_SIZE = 1 << 31
_UNNAMED = "unnamed-"


def read_modules(
    memory: Memory, head: int, kernel_base: int, stamp_at: int | None = None
) -> tuple[tuple[Module, ...], tuple[str, ...]]:
    """The drivers of PsLoadedModuleList at ``head`` in load order, and notes about what is missing of them.

    The image at ``kernel_base`` is named ntoskrnl.exe whatever file it was loaded from; where that base is not
    known (0), the first entry is the kernel, as the loader puts it there. ``stamp_at`` is the offset of an entry's
    TimeDateStamp, None where no source knows it.
    """
    walk = walk_list(memory, head, MAX_MODULES)
    notes = [f"loaded modules: {walk.problem}"] if walk.problem else []
    modules = []
    for entry in walk.entries:
        try:
            module = _read_entry(memory, entry, stamp_at)
        except Unreadable as gap:
            notes.append(f"loaded modules: the entry at {entry:#x} cannot be read: {gap}")
            continue
        if module is None:
            notes.append(f"loaded modules: the entry at {entry:#x} describes no image")
            continue
        modules.append(module)
    return name_kernel(modules, kernel_base), tuple(notes)


def name_kernel(modules: Iterable[Module], kernel_base: int) -> tuple[Module, ...]:
    """The same modules, the kernel called ntoskrnl.exe: the one at ``kernel_base``, or the first where that is 0."""
    listed = tuple(modules)
    if not kernel_base and listed:
        kernel_base = listed[0].base
    return tuple(_renamed(module, KERNEL) if module.base == kernel_base else module for module in listed)


def _renamed(module: Module, name: str) -> Module:
    return replace(module, name=name)


def with_image(memory: Memory, module: Module) -> Module:
    """The module with what its image in memory says of itself: timestamp, version, maker and PDB.

    A driver's resources are seldom in a kernel dump, so version and maker often stay None.
    """
    try:
        image = read_image(memory, module.base)
    except (Unreadable, BadDump):
        return module
    version = image.version()
    if is_unnamed(module.name):
        module = replace(module, name=_own_name(image))
    return replace(module, timestamp=image.timestamp, version=version.file, vendor=version.company, pdb=image.pdb)


def is_unnamed(name: str) -> bool:
    """Whether a module's name is only what stands for one that could not be read."""
    return name.startswith(_UNNAMED)


def _own_name(image: PeImage) -> str:
    # What the image says of itself: its PDB is called like it. Else what identifies an image on a symbol server:
    # the same on every start of Windows, as an address is not.
    if image.pdb and (stem := image.pdb.name.replace("/", "\\").rpartition("\\")[2].rpartition(".")[0]):
        return f"{stem.lower()}.sys"
    return unnamed(0, image.size_of_image, image.timestamp)


def unnamed(base: int, size: int, timestamp: int | None) -> str:
    """What stands for the name of an image that the dump does not hold. Without an extension no file is called so.

    It is made of time stamp and size, by which symbol servers keep images: the same on every start of Windows, as an
    address is not. Only where no time stamp is known the address tells which image is meant.
    """
    return f"{_UNNAMED}{timestamp:08x}{size:x}" if timestamp else f"{_UNNAMED}at-{base:x}"


def _read_entry(memory: Memory, address: int, stamp_at: int | None) -> Module | None:
    entry = Snapshot(memory, address, _ENTRY_SIZE)
    base = entry.u64(address + _DLL_BASE)
    size = entry.u32(address + _IMAGE_SIZE)
    if not memory.is_kernel(base) or base % 0x1000 or not 0 < size < _MAX_IMAGE_SIZE:
        return None
    path = _text(entry, address + _FULL_NAME)
    name = _text(entry, address + _BASE_NAME) or _file_name(path or "")
    stamp = entry.u32(address + stamp_at) or None if stamp_at is not None else None
    return Module(name.lower() or unnamed(base, size, stamp), VirtAddr(base), size, stamp, path=path)


def _text(memory: Memory, address: int) -> str | None:
    try:
        return memory.unicode_string(address) or None
    except Unreadable:
        return None


def _file_name(path: str) -> str:
    return path.replace("/", "\\").rpartition("\\")[2]


def read_unloaded(memory: Memory, pointer: int) -> tuple[Module, ...]:
    """The drivers unloaded lately, as nt!MmUnloadedDrivers at ``pointer`` remembers them.

    Raises:
        Unreadable: the pointer or the array behind it was not saved.
    """
    array, form = memory.pointer(pointer), _UNLOADED[memory.pointer_size]
    if not array:
        return ()
    data = memory.read_available(array, form.size * MAX_UNLOADED_MODULES)
    if len(data) < form.size:
        memory.read(array, form.size)  # says why it cannot be read
    found = []
    for at in range(0, len(data) - form.size + 1, form.size):
        length, _, buffer, start, end, _ = form.unpack_from(data, at)
        if not memory.is_kernel(start) or not start < end <= start + _MAX_IMAGE_SIZE:
            continue
        name = _name_at(memory, buffer, length)
        if name:
            found.append(Module(name.lower(), VirtAddr(start), end - start, unloaded=True))
    return tuple(found)


def _name_at(memory: Memory, buffer: int, length: int) -> str | None:
    if not length or length % 2 or not memory.is_kernel(buffer):
        return None
    try:
        return memory.read(buffer, length).decode("utf-16-le", "replace")
    except Unreadable:
        return None
