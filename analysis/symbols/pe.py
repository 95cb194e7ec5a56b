"""An executable image as it lies in a dump's memory: what it is, and which of its parts can be read.

Every part is read on its own, because every part may be missing on its own: kernel dumps lack paged-out headers, export
tables, function tables and nearly always resources. A part that cannot be read is None or empty, never an error.
Source: the public PE/COFF specification.
"""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.address import PAGE_SIZE, VirtAddr
from analysis.errors import BadDump
from analysis.limits import MAX_FUNCTIONS
from analysis.memory.reader import Memory
from analysis.symbols.exports import Exports, read_exports
from analysis.symbols.names import PdbIdentity
from analysis.symbols.version import ImageVersion, read_version

MACHINE_X64, MACHINE_ARM64 = 0x8664, 0xAA64
HEADER_BYTES = 0x1000
MAX_SECTIONS = 96
# Magic of the optional header → where its data directories begin: 32-bit and 64-bit images.
_DIRECTORIES = {0x10B: 0x60, 0x20B: 0x70}
MAX_PDB_NAME = 260
RSDS_BYTES = 24
DIRECTORY_EXPORT, DIRECTORY_RESOURCE, DIRECTORY_EXCEPTION, DIRECTORY_DEBUG = 0, 2, 3, 6

FUNCTION = np.dtype([("begin", "<u4"), ("end", "<u4"), ("unwind", "<u4")])
"""One row of an x64 function table: RVAs of a function's first byte, the byte behind it, and its unwind data."""

FUNCTION_ARM64 = np.dtype([("begin", "<u4"), ("unwind", "<u4")])
"""One row of an ARM64 function table: a function's RVA, and its unwind data: packed, or the RVA of their record."""


@dataclass(frozen=True, slots=True)
class Section:
    """A section: RVA and size in memory, offset and size in the file.

    ``executable``, ``discardable`` (INIT is) and ``writable`` are its flags.
    """

    name: str
    rva: int
    size: int
    executable: bool
    discardable: bool
    writable: bool
    file_offset: int
    file_size: int

    def holds(self, rva: int) -> bool:
        """Whether an RVA lies in it."""
        return self.rva <= rva < self.rva + self.size


@dataclass(frozen=True, slots=True)
class PeImage:
    """The headers of an image at ``base``, and readers of its parts. ``timestamp`` is its TimeDateStamp."""

    memory: Memory
    base: VirtAddr
    machine: int
    timestamp: int
    size_of_image: int
    checksum: int
    entry_point: int
    sections: tuple[Section, ...]
    directories: tuple[tuple[int, int], ...]

    def directory(self, index: int) -> tuple[int, int]:
        """RVA and size of a data directory; (0, 0) where the image has none or it lies outside the image."""
        rva, size = self.directories[index] if index < len(self.directories) else (0, 0)
        inside = 0 < rva < self.size_of_image and 0 < size <= self.size_of_image - rva
        return (rva, size) if inside else (0, 0)

    @property
    def pdb(self) -> PdbIdentity | None:
        """What its CodeView record says about its PDB, or None."""
        rva, size = self.directory(DIRECTORY_DEBUG)
        entries = self.memory.read_available(self.base + rva, min(size, 28 * 32)) if rva else b""
        for at in range(0, len(entries) - 27, 28):
            kind, length, where = struct.unpack_from("<III", entries, at + 12)
            if kind == 2 and length > RSDS_BYTES and 0 < where < self.size_of_image:
                found = self._codeview(where, min(length, RSDS_BYTES + MAX_PDB_NAME))
                if found is not None:
                    return found
        return None

    def _codeview(self, rva: int, length: int) -> PdbIdentity | None:
        record = self.memory.read_available(self.base + rva, length)
        if len(record) <= RSDS_BYTES or record[:4] != b"RSDS":
            return None
        first, second, third, rest, age = struct.unpack_from("<IHH8sI", record, 4)
        # Drivers carry the path of their builder's disk; the file name is all that symbol stores go by.
        path = record[RSDS_BYTES:].split(b"\0")[0].decode("utf-8", "replace")
        guid = f"{first:08X}{second:04X}{third:04X}{rest.hex().upper()}"
        return PdbIdentity(path.replace("\\", "/").rsplit("/", 1)[-1], guid, age)

    def exports(self) -> Exports | None:
        """Its exported names, or None where the export table is missing or contradicts itself."""
        rva, size = self.directory(DIRECTORY_EXPORT)
        return read_exports(self.memory, self.base, self.size_of_image, rva, size) if rva else None

    def functions(self) -> NDArray[np.void]:
        """The rows of its x64 function table (``FUNCTION``) that can be read, by rising address; maybe none.

        A row that lies on a page which was not saved is left out: a search must look at ``end``, too.
        """
        rows = self._function_rows(MACHINE_X64, FUNCTION)
        sound = (rows["begin"] < rows["end"]) & (rows["end"] <= self.size_of_image) & (rows["unwind"] != 0)
        return _by_begin(rows[sound & (rows["unwind"] < self.size_of_image)])

    def functions_arm64(self) -> NDArray[np.void]:
        """The rows of its ARM64 function table (``FUNCTION_ARM64``) that can be read, by rising address; maybe none."""
        rows = self._function_rows(MACHINE_ARM64, FUNCTION_ARM64)
        packed = rows["unwind"] & 3 != 0
        sound = packed | ((rows["unwind"] != 0) & (rows["unwind"] < self.size_of_image))
        return _by_begin(rows[sound & (rows["begin"] < self.size_of_image)])

    def _function_rows(self, machine: int, row: np.dtype[np.void]) -> NDArray[np.void]:
        rva, size = self.directory(DIRECTORY_EXCEPTION)
        if not rva or self.machine != machine or size // row.itemsize > MAX_FUNCTIONS:
            return np.empty(0, row)
        table, known = self._read_with_holes(rva, size - size % row.itemsize)
        return table.view(row)[known.reshape(-1, row.itemsize).all(axis=1)]

    # The bytes of a range, and which of them could be read.
    def _read_with_holes(self, rva: int, size: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        table = np.zeros(size, np.uint8)
        known = np.zeros(size, np.bool_)
        at = 0
        while at < size:
            step = min(PAGE_SIZE - (self.base + rva + at) % PAGE_SIZE, size - at)
            part = self.memory.read_available(self.base + rva + at, step)
            table[at : at + len(part)] = np.frombuffer(part, np.uint8)
            known[at : at + len(part)] = True
            at += step
        return table, known

    def version(self) -> ImageVersion:
        """File version and company from its version resource; both None where that cannot be read."""
        rva, size = self.directory(DIRECTORY_RESOURCE)
        return read_version(self.memory, self.base, self.size_of_image, rva, size) if rva else ImageVersion()


def _by_begin(rows: NDArray[np.void]) -> NDArray[np.void]:
    ordered: NDArray[np.void] = rows[np.argsort(rows["begin"], kind="stable")]
    return ordered


def read_image(memory: Memory, base: int) -> PeImage:
    """The headers of the image at ``base``.

    Raises:
        Unreadable: the page with the headers is missing.
        BadDump: there is no PE image at that address.
    """
    header = memory.read_available(base, HEADER_BYTES)
    if len(header) < 0x40:
        memory.read(base, 0x40)
    (new,) = struct.unpack_from("<I", header, 0x3C)
    if header[:2] != b"MZ" or new > HEADER_BYTES - 0x108:
        raise BadDump(f"no PE image at {base:#x}")
    if len(header) < new + 0x108:
        memory.read(base + len(header), new + 0x108 - len(header))
    if header[new : new + 4] != b"PE\0\0":
        raise BadDump(f"no PE image at {base:#x}")
    machine, sections, timestamp = struct.unpack_from("<HHI", header, new + 4)
    optional_size, magic = struct.unpack_from("<HxxH", header, new + 20)
    if magic not in _DIRECTORIES:
        raise BadDump(f"the image at {base:#x} is of an unknown kind ({magic:#x})")
    entry_point, size_of_image, checksum = (_u32(header, new + 24 + at) for at in (0x10, 0x38, 0x40))
    first = new + 24 + _DIRECTORIES[magic]
    count = min(_u32(header, first - 4), 16)
    directories = tuple(struct.unpack_from("<II", header, first + 8 * i) for i in range(count))
    return PeImage(
        memory=memory,
        base=VirtAddr(base),
        machine=machine,
        timestamp=timestamp,
        size_of_image=size_of_image,
        checksum=checksum,
        entry_point=entry_point,
        sections=_sections(header, new + 24 + optional_size, min(sections, MAX_SECTIONS)),
        directories=directories,
    )


def _sections(header: bytes, start: int, count: int) -> tuple[Section, ...]:
    found = []
    for at in range(start, start + 40 * count, 40):
        if at + 40 > len(header):
            break
        name, size, rva, file_size, file_offset = struct.unpack_from("<8s4I", header, at)
        flags = _u32(header, at + 36)
        text = name.rstrip(b"\0").decode("ascii", "replace")
        executable, discardable, writable = (bool(flags & bit) for bit in (0x2000_0000, 0x0200_0000, 0x8000_0000))
        found.append(Section(text, rva, size, executable, discardable, writable, file_offset, file_size))
    return tuple(found)


def _u32(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 4], "little")
