"""Builds PDB files from their published description, independent of the reader: streams, names, functions, types."""

import struct
from dataclasses import dataclass, field
from pathlib import Path

MAGIC = b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0"
GUID = "00112233445566778899AABBCCDDEEFF"
MINIMAL = 0x494E494D
NONE = 0xFFFF


def msf(streams: list[bytes | None], block: int = 4096) -> bytes:
    """An MSF 7.00 file; None makes a stream that does not exist. Streams lie backwards, so that none is in order."""
    blocks: list[bytes] = [b"", b"\xff" * block, b"\xff" * block]
    places: list[list[int]] = [[] for _ in streams]
    for index in reversed(range(len(streams))):
        data = streams[index] or b""
        parts = [data[at : at + block] for at in range(0, len(data), block)]
        # The last part first: a stream's blocks need not follow one another.
        for part in reversed(parts):
            places[index].insert(0, len(blocks))
            blocks.append(part.ljust(block, b"\0"))
    sizes = [0xFFFF_FFFF if data is None else len(data) for data in streams]
    directory = struct.pack(f"<{1 + len(sizes)}I", len(sizes), *sizes)
    directory += b"".join(struct.pack(f"<{len(place)}I", *place) for place in places)
    listed = _append(blocks, directory, block)
    list_blocks = _append(blocks, struct.pack(f"<{len(listed)}I", *listed), block)
    header = MAGIC + struct.pack("<5I", block, 1, len(blocks), len(directory), 0)
    blocks[0] = (header + struct.pack(f"<{len(list_blocks)}I", *list_blocks)).ljust(block, b"\0")
    return b"".join(blocks)


def _append(blocks: list[bytes], data: bytes, block: int) -> list[int]:
    first = len(blocks)
    blocks += [data[at : at + block].ljust(block, b"\0") for at in range(0, len(data), block)]
    return list(range(first, len(blocks)))


def record(kind: int, body: bytes) -> bytes:
    """A symbol or type record, padded to a multiple of four bytes."""
    body += b"\0" * (-(len(body) + 4) % 4)
    return struct.pack("<HH", len(body) + 2, kind) + body


def public(name: str, offset: int, section: int = 1, kind: int = 0x110E) -> bytes:
    return record(kind, struct.pack("<IIH", 2, offset, section) + name.encode() + b"\0")


def reference(name: str, module: int, offset: int, kind: int = 0x1125) -> bytes:
    return record(kind, struct.pack("<IIH", 0, offset, module + 1) + name.encode() + b"\0")


def procedure(name: str, offset: int, size: int, section: int = 1, kind: int = 0x1110) -> bytes:
    return record(kind, struct.pack("<8IHB", 0, 0, 0, size, 0, 0, 0, offset, section, 0) + name.encode() + b"\0")


def thunk(name: str, offset: int, size: int) -> bytes:
    return record(0x1102, struct.pack("<4IHHB", 0, 0, 0, offset, 1, size, 0) + name.encode() + b"\0")


def separated(parent: int, offset: int, size: int, parent_offset: int) -> bytes:
    return record(0x1132, struct.pack("<6IHH", parent, 0, size, 0, offset, parent_offset, 1, 1))


@dataclass
class Contribution:
    """So many bytes of a section that come from a module."""

    module: int
    offset: int
    size: int
    section: int = 1


@dataclass
class Pdb:
    """A PDB to be written. ``modules`` are the records of each module; ``sections`` name, RVA and size."""

    guid: str = GUID
    age: int = 1
    own_age: int | None = None
    symbols: list[bytes] = field(default_factory=list)
    modules: list[list[bytes]] = field(default_factory=list)
    contributions: list[Contribution] = field(default_factory=list)
    types: list[bytes] = field(default_factory=list)
    sections: list[tuple[str, int, int]] = field(default_factory=lambda: [(".text", 0x1000, 0x8000)])
    original: list[tuple[str, int, int]] | None = None
    to_image: list[tuple[int, int]] | None = None
    from_image: list[tuple[int, int]] | None = None
    features: tuple[int, ...] = (20140508,)
    machine: int = 0x8664
    newest: bool = False  # contributions in their second form
    fpo: bytes | None = None  # records of frames without a frame pointer, of the old form
    frames: bytes | None = None  # frame data, whose programs' texts begin in ``programs``
    programs: bytes | None = None

    def build(self, block: int = 4096) -> bytes:
        """The file's bytes."""
        streams: list[bytes | None] = [b"", self._info(), self._types(), b"", None]
        numbers = []
        for records in self.modules:
            numbers.append(len(streams))
            streams.append(b"\4\0\0\0" + b"".join(records) + b"\0" * 8)
        symbols = len(streams)
        streams.append(b"".join(self.symbols))
        optional = [NONE] * 11
        for slot, data in (
            (5, _headers(self.sections)),
            (10, _headers(self.original) if self.original else None),
            (4, _pairs(self.to_image)),
            (3, _pairs(self.from_image)),
            (0, self.fpo),
            (9, self.frames),
        ):
            if data is not None:
                optional[slot] = len(streams)
                streams.append(data)
        if self.programs is not None:
            streams[1] = self._info(len(streams))
            streams.append(struct.pack("<III", 0xEFFEEFFE, 1, len(self.programs)) + self.programs)
        streams[3] = self._debug(numbers, symbols, optional)
        return msf(streams, block)

    def write(self, path: Path, block: int = 4096) -> Path:
        """Writes the file, and its folders."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.build(block))
        return path

    def _info(self, names_stream: int = 5) -> bytes:
        raw = bytes.fromhex(self.guid)
        guid = struct.pack("<IHH8s", *struct.unpack(">IHH8s", raw))
        names = b"/names\0"
        table = struct.pack("<I", len(names)) + names + struct.pack("<II", 1, 4)
        table += (
            struct.pack("<II", 1, 1) + struct.pack("<I", 0) + struct.pack("<II", 0, names_stream) + struct.pack("<I", 0)
        )
        own = self.age if self.own_age is None else self.own_age
        return (
            struct.pack("<III", 20000404, 7, own)
            + guid
            + table
            + struct.pack(f"<{len(self.features)}I", *self.features)
        )

    def _types(self) -> bytes:
        data = b"".join(self.types)
        header = struct.pack("<5I", 20040203, 56, 0x1000, 0x1000 + len(self.types), len(data))
        return header.ljust(56, b"\0") + data

    def _debug(self, numbers: list[int], symbols: int, optional: list[int]) -> bytes:
        modules = b""
        for index, number in enumerate(numbers):
            size = 4 + sum(len(one) for one in self.modules[index])
            one = struct.pack("<I28xHHI24x", 0, 0, number, size) + b"module.obj\0" + b"a.lib\0"
            modules += one + b"\0" * (-len(one) % 4)
        version = 0xEFFE0000 + (20140516 if self.newest else 19970605)
        rows = [
            struct.pack("<HHIIIHHII", c.section, 0, c.offset, c.size, 0x60000020, c.module, 0, 0, 0)
            for c in self.contributions
        ]
        contributions = struct.pack("<I", version) + b"".join(
            row + (b"\0\0\0\0" if self.newest else b"") for row in rows
        )
        streams = struct.pack(f"<{len(optional)}H", *optional)
        header = struct.pack("<iIIHHHHHH", -1, 19990903, self.age, NONE, 0, NONE, 0, symbols, 0)
        header += struct.pack("<iiiii", len(modules), len(contributions), 0, 0, 0)
        header += struct.pack("<IiiHHI", 0, len(streams), 0, 0, self.machine, 0)
        return header + modules + contributions + streams


def _headers(sections: list[tuple[str, int, int]]) -> bytes:
    return b"".join(
        name.encode().ljust(8, b"\0") + struct.pack("<II", size, rva) + b"\0" * 24 for name, rva, size in sections
    )


def _pairs(rows: list[tuple[int, int]] | None) -> bytes | None:
    return None if rows is None else b"".join(struct.pack("<II", *row) for row in rows)


# Types


def numeric(value: int) -> bytes:
    """A number of variable length, in its shortest form."""
    if 0 <= value < 0x8000:
        return struct.pack("<H", value)
    for form, kind in (("b", 0x8000), ("h", 0x8001), ("H", 0x8002), ("i", 0x8003), ("I", 0x8004), ("q", 0x8009)):
        try:
            return struct.pack("<H", kind) + struct.pack(f"<{form}", value)
        except struct.error:
            continue
    return struct.pack("<HQ", 0x800A, value)


def padded(entry: bytes) -> bytes:
    """An entry of a field list with the padding bytes that say how many of them follow."""
    left = -len(entry) % 4
    return entry + bytes(0xF0 | more for more in range(left, 0, -1))


def member(name: str, kind: int, offset: int) -> bytes:
    return padded(struct.pack("<HHI", 0x150D, 3, kind) + numeric(offset) + name.encode() + b"\0")


def base(kind: int, offset: int) -> bytes:
    return padded(struct.pack("<HHI", 0x1400, 3, kind) + numeric(offset))


def enumerate_(name: str, value: int) -> bytes:
    return padded(struct.pack("<HH", 0x1502, 3) + numeric(value) + name.encode() + b"\0")


def continued(index: int) -> bytes:
    return struct.pack("<HHI", 0x1404, 0, index)


def field_list(*entries: bytes) -> bytes:
    return record(0x1203, b"".join(entries))


def structure(
    name: str, size: int, fields: int, *, kind: int = 0x1505, forward: bool = False, unique: str = ""
) -> bytes:
    flags = (0x80 if forward else 0) | (0x200 if unique else 0)
    head = struct.pack("<HHI", 1, flags, fields) + (b"" if kind == 0x1506 else struct.pack("<II", 0, 0))
    text = name.encode() + b"\0" + (unique.encode() + b"\0" if unique else b"")
    return record(kind, head + numeric(size) + text)


def enum(name: str, kind: int, fields: int) -> bytes:
    return record(0x1507, struct.pack("<HHII", 1, 0, kind, fields) + name.encode() + b"\0")


def array(kind: int, size: int) -> bytes:
    return record(0x1503, struct.pack("<II", kind, 0x23) + numeric(size) + b"\0")


def pointer(kind: int, size: int = 8) -> bytes:
    return record(0x1002, struct.pack("<II", kind, 0xC | size << 13))


def modifier(kind: int) -> bytes:
    return record(0x1001, struct.pack("<IH", kind, 1))


def bitfield(kind: int, bits: int, position: int) -> bytes:
    return record(0x1205, struct.pack("<IBB", kind, bits, position))
