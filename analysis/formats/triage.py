"""Small memory dumps (type 4): a stack, a few structures, a driver list, and blocks of virtual memory.

TRIAGE_DUMP64 at 0x2000 is in no public PDB; its fields are checked here against real dumps of x64 and ARM64.
Everything is an offset and a length of the file's own claiming, so each is held against the file first, and what
does not fit costs a note and that part only.
"""

import struct
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from analysis.address import PAGE_MASK, is_kernel
from analysis.errors import BadDump
from analysis.formats.image import DataBlock, DumpHeader, TriageData, TriageDriver, TriageUnloaded
from analysis.formats.raw import RawFile
from analysis.formats.self_address import address_of_copy
from analysis.limits import MAX_DATA_BLOCKS, MAX_MODULES, MAX_UNLOADED_MODULES

_HEADER = 0x2000
_HEADER_SIZE = 0x80
_UNLOADED_SIZE = 0x38
_MAX_NAME_CHARACTERS = 0x7FFF
_MAX_COPY = 1 << 20  # a KPRCB is below 64 KiB on every build so far
_ADDRESS_LIMIT = 1 << 64


@dataclass(slots=True)
class _Found:
    """Notes gathered on the way, and whether the file ends too early."""

    notes: list[str] = field(default_factory=list)
    truncated: bool = False


def read_triage(raw: RawFile, header: DumpHeader) -> tuple[TriageData, bool, tuple[str, ...]]:
    """What the dump holds, whether the file was cut short, and notes on what could not be used."""
    found = _Found()
    try:
        fields = _read_fields(raw)
    except BadDump:
        return TriageData(), True, ("the file ends behind its header: nothing of memory was saved",)
    if not any(fields.values()):
        return TriageData(), False, ("there is nothing but zeros behind the header: nothing of memory was saved",)
    if raw.available(fields["valid"], 4) < 4:
        found.truncated = True
    elif raw.read(fields["valid"], 4, "the triage marker") != b"TRGD":
        found.notes.append("the marker 'TRGD' at the end of the small dump's data is missing")
    stack = DataBlock(fields["top_of_stack"], fields["stack"], fields["stack_size"])
    debugger_data = DataBlock(header.kdbg, fields["debugger_data"], fields["debugger_data_size"])
    page = DataBlock(fields["page_address"], fields["page"], fields["page_size"])
    triage = TriageData(
        blocks=_read_blocks(raw, fields, found),
        drivers=_read_drivers(raw, fields, found),
        unloaded=_read_unloaded(raw, fields, found),
        stack=_block(raw, stack, "the stack", found),
        prcb=_copy(raw, fields, "prcb", found),
        process=_copy(raw, fields, "process", found),
        thread=_copy(raw, fields, "thread", found),
        debugger_data=_block(raw, debugger_data, "the debugger data", found),
        data_page=_block(raw, page, "the data page", found),
        broken_driver=read_name(raw, fields["broken_driver"]) or None,
    )
    if found.truncated:
        found.notes.append("the file is cut short: blocks behind its end are missing")
    return replace(triage, thread=_checked_thread(raw, triage)), found.truncated, tuple(found.notes)


_FIELDS32 = (
    ("valid", 0x08),
    ("unloaded", 0x18),
    ("prcb", 0x1C),
    ("process", 0x20),
    ("thread", 0x24),
    ("stack", 0x28),
    ("stack_size", 0x2C),
    ("drivers", 0x30),
    ("strings", 0x38),
    ("strings_size", 0x3C),
    ("broken_driver", 0x40),
    ("page", 0x68),
    ("page_size", 0x6C),
    ("debugger_data", 0x70),
    ("debugger_data_size", 0x74),
    ("blocks", 0x78),
)


def _read_fields(raw: RawFile) -> dict[str, int]:
    data = raw.read(_HEADER, _HEADER_SIZE, "the triage header")
    fields = {name: int.from_bytes(data[offset : offset + 4], "little") for name, offset in _FIELDS32}
    fields["top_of_stack"] = int.from_bytes(data[0x48:0x50], "little")
    fields["page_address"] = int.from_bytes(data[0x60:0x68], "little")
    return fields


def _block(raw: RawFile, claimed: DataBlock, what: str, found: _Found) -> DataBlock | None:
    """A block cut to what the file holds of it, or None where that is nothing."""
    if not claimed.offset or not claimed.size:
        return None
    usable = raw.available(claimed.offset, min(claimed.size, _ADDRESS_LIMIT - claimed.address))
    if usable < claimed.size:
        found.truncated = True
        found.notes.append(f"{usable} of the {claimed.size} bytes of {what} are in the file")
    return replace(claimed, size=usable) if usable else None


class _Table(NamedTuple):
    """A table of the file's own claiming: what it is, where its count and its entries stand, and its bounds."""

    what: str
    count_offset: int
    entry_size: int
    limit: int


_BLOCKS = _Table("data blocks", _HEADER + 0x7C, 16, MAX_DATA_BLOCKS)
_DRIVERS = _Table("drivers", _HEADER + 0x34, 0x90, MAX_MODULES)


def _entries(raw: RawFile, table: _Table, offset: int, found: _Found) -> int:
    """How many entries of a table can be read: none of an absurd number, those that are left of a file cut short."""
    number = raw.u32(table.count_offset, f"the number of {table.what}") if offset else 0
    if number > table.limit:
        found.notes.append(f"a small dump of {number} {table.what} cannot be: none were read")
        return 0
    usable = raw.available(offset, number * table.entry_size) // table.entry_size
    if usable < number:
        found.truncated = True
        found.notes.append(f"{usable} of the {number} entries of the table of {table.what} are in the file")
    return usable


def _read_blocks(raw: RawFile, fields: dict[str, int], found: _Found) -> tuple[DataBlock, ...]:
    number = _entries(raw, _BLOCKS, fields["blocks"], found)
    blocks, cut = [], 0
    for index in range(number):
        entry = raw.read(fields["blocks"] + index * _BLOCKS.entry_size, _BLOCKS.entry_size, "a data block's entry")
        address, offset, size = struct.unpack("<QII", entry)
        usable = raw.available(offset, min(size, _ADDRESS_LIMIT - address))
        cut += raw.available(offset, size) < size
        if usable and address:
            blocks.append(DataBlock(address, offset, usable))
    if cut:
        found.truncated = True
        found.notes.append(f"{cut} of {number} data blocks reach behind the end of the file")
    return tuple(blocks)


def _read_drivers(raw: RawFile, fields: dict[str, int], found: _Found) -> tuple[TriageDriver, ...]:
    number = _entries(raw, _DRIVERS, fields["drivers"], found)
    read = [_read_driver(raw, fields["drivers"] + index * _DRIVERS.entry_size) for index in range(number)]
    drivers = tuple(driver for driver in read if _can_be_loaded(driver))
    if len(drivers) < number:
        found.notes.append(f"{number - len(drivers)} of {number} drivers are where no image can be: left out")
    nameless = sum(not driver.name for driver in drivers)
    if nameless:
        found.notes.append(f"{nameless} of {number} drivers have no readable name")
    return drivers


def _can_be_loaded(driver: TriageDriver) -> bool:
    return is_kernel(driver.base) and not driver.base & PAGE_MASK and driver.size > 0


def _read_driver(raw: RawFile, offset: int) -> TriageDriver:
    # An offset of the name, then the loader's entry: DllBase, SizeOfImage, CheckSum, TimeDateStamp.
    path = read_name(raw, raw.u32(offset, "a driver's name offset"))
    return TriageDriver(
        name=path.replace("/", "\\").rsplit("\\", 1)[-1],
        base=raw.u64(offset + 0x38, "a driver's base"),
        size=raw.u32(offset + 0x48, "a driver's size"),
        checksum=raw.u32(offset + 0x80, "a driver's checksum") or None,
        timestamp=raw.u32(offset + 0x88, "a driver's time stamp") or None,
        path=path,
    )


def read_name(raw: RawFile, offset: int) -> str:
    """A string of the pool: a 32-bit number of characters, then UTF-16. Empty where it does not fit in the file."""
    if not offset or raw.available(offset, 4) < 4:
        return ""
    length = raw.u32(offset, "a name's length")
    if length > _MAX_NAME_CHARACTERS or raw.available(offset + 4, 2 * length) < 2 * length:
        return ""
    return _printable(raw.read(offset + 4, 2 * length, "a name"))


def _printable(utf16: bytes) -> str:
    text = utf16.decode("utf-16-le", "replace").split("\0", 1)[0]
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def _read_unloaded(raw: RawFile, fields: dict[str, int], found: _Found) -> tuple[TriageUnloaded, ...]:
    table = fields["unloaded"]
    if not table:
        return ()
    try:
        number = raw.count(table, _UNLOADED_SIZE, table + 8, "list of unloaded drivers", MAX_UNLOADED_MODULES)
    except BadDump as error:
        found.notes.append(str(error))
        return ()
    return tuple(_read_one_unloaded(raw, table + 8 + index * _UNLOADED_SIZE) for index in range(number))


def _read_one_unloaded(raw: RawFile, offset: int) -> TriageUnloaded:
    # UNICODE_STRING whose buffer is the 24 bytes behind it, then start and end.
    length = min(raw.u16(offset, "an unloaded driver's name length"), 24)
    return TriageUnloaded(
        name=_printable(raw.read(offset + 0x10, length & ~1, "an unloaded driver's name")),
        start=raw.u64(offset + 0x28, "an unloaded driver's start"),
        end=raw.u64(offset + 0x30, "an unloaded driver's end"),
    )


def _copy(raw: RawFile, fields: dict[str, int], name: str, found: _Found) -> DataBlock | None:
    """A copied structure. Its size is not stored: it ends where the next part begins."""
    offset = fields[name]
    if not offset:
        return None
    ends = [
        fields[other]
        for other in ("unloaded", "prcb", "process", "thread", "stack", "drivers", "strings", "debugger_data", "blocks")
        if fields[other] > offset
    ]
    size = min(min(ends, default=raw.size) - offset, _MAX_COPY)
    block = _block(raw, DataBlock(0, offset, size), f"the {name} block", found)
    if block is None:
        return None
    return _at(block, address_of_copy(raw.read(offset, block.size, f"the {name} block")) or 0)


def _checked_thread(raw: RawFile, triage: TriageData) -> DataBlock | None:
    """The thread's address, from the processor block's CurrentThread where its own pointers do not tell."""
    thread, prcb = triage.thread, triage.prcb
    if thread is None or thread.address or prcb is None or prcb.size < 16:
        return thread
    # KPRCB.CurrentThread is at 8 on every 64-bit build, x64 and ARM64.
    return _at(thread, raw.u64(prcb.offset + 8, "the current thread"))


def _at(block: DataBlock, address: int) -> DataBlock:
    """The block at its address; at none where it would reach behind the address space."""
    return replace(block, address=address if address + block.size <= _ADDRESS_LIMIT else 0)
