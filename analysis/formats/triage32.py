"""Small memory dumps of 32-bit Windows (type 4): TRIAGE_DUMP32 at 0x1000.

The fields are the 64-bit ones with 32-bit addresses. An entry of the driver list is the offset of its name and then
the loader's entry, whose length changed with Windows' versions: the stride is found by trying, and right is the one
with which every name lies in the string pool and every image where one can be. Layout as public readers have it.
"""

import struct
from dataclasses import dataclass, field

from analysis.address import PAGE_MASK
from analysis.errors import BadDump
from analysis.formats.image import DataBlock, TriageData, TriageDriver, TriageUnloaded
from analysis.formats.raw import RawFile
from analysis.formats.triage import read_name
from analysis.limits import MAX_DATA_BLOCKS, MAX_MODULES, MAX_UNLOADED_MODULES

_HEADER, _HEADER_SIZE = 0x1000, 0x68
KERNEL_START = 0x8000_0000
_STRIDES = tuple(range(0x48, 0xA4, 4))
_BASE, _SIZE = 4 + 0x18, 4 + 0x20
_CHECKSUM, _TIMESTAMP = 4 + 0x40, 4 + 0x44
_UNLOADED_SIZE = 0x28
_NAMES = (
    "pack", "size", "valid", "context", "exception", "mm", "unloaded", "prcb", "process", "thread", "stack",
    "stack_size", "drivers", "driver_count", "strings", "strings_size", "broken_driver", "options", "top_of_stack",
    "page_address", "page", "page_size", "debugger_data", "debugger_data_size", "blocks", "block_count",
)  # fmt: skip


@dataclass(slots=True)
class _Reading:
    """One file's reading."""

    raw: RawFile
    fields: dict[str, int]
    notes: list[str] = field(default_factory=list)
    truncated: bool = False

    def block(self, address: int, offset: int, size: int, what: str) -> DataBlock | None:
        if not offset or not size:
            return None
        usable = self.raw.available(offset, min(size, (1 << 32) - address))
        if usable < size:
            self.truncated = True
            self.notes.append(f"{usable} of the {size} bytes of {what} are in the file")
        return DataBlock(address, offset, usable) if usable else None

    def blocks(self) -> tuple[DataBlock, ...]:
        start, number = self.fields["blocks"], self.fields["block_count"]
        if not start or not number:
            return ()
        if number > MAX_DATA_BLOCKS:
            self.notes.append(f"a small dump of {number} data blocks cannot be: none were read")
            return ()
        usable = self.raw.available(start, number * 12) // 12
        rows = struct.iter_unpack("<III", self.raw.read(start, usable * 12, "the data blocks"))
        held = self.raw.available
        found = [DataBlock(at, offset, held(offset, min(size, (1 << 32) - at))) for at, offset, size in rows if at]
        self.truncated = self.truncated or usable < number
        return tuple(block for block in found if block.size)

    def drivers(self) -> tuple[TriageDriver, ...]:
        start, number = self.fields["drivers"], self.fields["driver_count"]
        if not start or not number:
            return ()
        if number > MAX_MODULES:
            self.notes.append(f"a small dump of {number} drivers cannot be: none were read")
            return ()
        best: tuple[TriageDriver, ...] = ()
        for stride in _STRIDES:
            found = self.list_of(start, number, stride)
            if len(found) == number:
                return found
            best = max(best, found, key=len)
        self.notes.append(f"{len(best)} of {number} drivers of the small dump could be read")
        return best

    def list_of(self, start: int, number: int, stride: int) -> tuple[TriageDriver, ...]:
        """The drivers from the first on with that stride, up to one that cannot be."""
        pool = range(self.fields["strings"], self.fields["strings"] + self.fields["strings_size"])
        found = []
        for index in range(number):
            at = start + index * stride
            if self.raw.available(at, _TIMESTAMP + 4) < _TIMESTAMP + 4:
                break
            entry = self.raw.read(at, _TIMESTAMP + 4, "a driver's entry")
            name, base, size = (int.from_bytes(entry[place : place + 4], "little") for place in (0, _BASE, _SIZE))
            path = read_name(self.raw, name) if name in pool else ""
            if not path or base < KERNEL_START or base & PAGE_MASK or not 0 < size <= (1 << 32) - base:
                break
            checksum, stamp = (int.from_bytes(entry[place : place + 4], "little") for place in (_CHECKSUM, _TIMESTAMP))
            short = path.replace("/", "\\").rpartition("\\")[2]
            found.append(TriageDriver(short, base, size, stamp or None, checksum or None, path))
        return tuple(found)

    def thread(self) -> DataBlock | None:
        """The copy of the current thread; its address is the processor block's CurrentThread, at 4 on every build."""
        offset, prcb = self.fields["thread"], self.fields["prcb"]
        if not self.raw.available(offset, 1) or not offset or not prcb or self.raw.available(prcb, 8) < 8:
            return None
        address = self.raw.u32(prcb + 4, "the current thread")
        return DataBlock(address, offset, 0) if address >= KERNEL_START else None

    def unloaded(self) -> tuple[TriageUnloaded, ...]:
        table = self.fields["unloaded"]
        if not table:
            return ()
        try:
            number = self.raw.count(table, _UNLOADED_SIZE, table + 4, "list of unloaded drivers", MAX_UNLOADED_MODULES)
        except BadDump as damage:
            self.notes.append(str(damage))
            return ()
        found = []
        for index in range(number):
            entry = self.raw.read(table + 4 + index * _UNLOADED_SIZE, _UNLOADED_SIZE, "an unloaded driver")
            length = min(int.from_bytes(entry[:2], "little"), 24) & ~1
            text = entry[8 : 8 + length].decode("utf-16-le", "replace")
            start, end = struct.unpack_from("<II", entry, 0x20)
            if text.isprintable() and KERNEL_START <= start < end:
                found.append(TriageUnloaded(text, start, end))
        return tuple(found)


def read_triage32(raw: RawFile) -> tuple[TriageData, bool, tuple[str, ...]]:
    """What the dump holds, whether the file was cut short, and notes on what could not be used."""
    try:
        data = raw.read(_HEADER, _HEADER_SIZE, "the triage header")
    except BadDump:
        return TriageData(), True, ("the file ends behind its header: nothing of memory was saved",)
    fields = dict(zip(_NAMES, struct.unpack(f"<{len(_NAMES)}I", data), strict=True))
    reading = _Reading(raw, fields)
    triage = TriageData(
        blocks=reading.blocks(),
        drivers=reading.drivers(),
        unloaded=reading.unloaded(),
        stack=reading.block(fields["top_of_stack"], fields["stack"], fields["stack_size"], "the stack"),
        thread=reading.thread(),
        data_page=reading.block(fields["page_address"], fields["page"], fields["page_size"], "the data page"),
        broken_driver=read_name(raw, fields["broken_driver"]) or None,
    )
    if reading.truncated:
        reading.notes.append("the file is cut short: blocks behind its end are missing")
    return triage, reading.truncated, tuple(reading.notes)
