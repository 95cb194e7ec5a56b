"""The type stream of a PDB: structures, unions, enumerations and what their members are.

Source: LLVM's documentation ("The PDB TPI Stream", "CodeView Type Records") and the public header cvinfo.h.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from analysis.symbols.pdb.definitions import (
    FORWARD,
    KINDS,
    LF_ENUM,
    LF_STRUCTURE_19,
    LF_UNION,
    UNIQUE_NAME,
    find_definitions,
)
from analysis.symbols.pdb.fields import FieldList, read_field_list
from analysis.symbols.pdb.index import Names, names_of
from analysis.symbols.pdb.kept import Arrays, Column
from analysis.symbols.pdb.records import BadRecord, number, record_offsets, text
from analysis.symbols.pdb.simple import FIRST_INDEX, SIGNED, simple_size

TPI = struct.Struct("<5I")
LF_MODIFIER, LF_POINTER, LF_BITFIELD, LF_FIELDLIST = 0x1001, 0x1002, 0x1205, 0x1203
LF_ARRAY = 0x1503
MAX_NESTING = 32


@dataclass(frozen=True, slots=True)
class Udt:
    """A named type: ``kind`` is struct, class, union, interface or enum; ``size`` in bytes, of an enum its integer's.

    ``fields`` is the index of its field list (0: none), ``integer`` of an enumeration's integer type. ``forward`` tells
    a mere announcement from the definition.
    """

    index: int
    kind: str
    name: str
    unique: str
    size: int
    fields: int
    forward: bool
    integer: int = 0


@dataclass(frozen=True, slots=True)
class Shape:
    """What a member is: ``size`` in bytes (of a bit field its integer's), ``type_name`` as in ``layout.Field``."""

    size: int
    type_name: str = ""
    bit: int = 0
    bits: int = 0


COLUMNS = {
    "offsets": Column("<i4", room=4),
    "places": Column("<i4", of="offsets"),
    "starts": Column("<i4", like="places"),
    "unique": Column("<i4", like="places"),
    "names": Column("<u4", like="places"),
    "rows": Column("<i4", like="names", of="places"),
    "unique_names": Column("<u4"),
    "unique_rows": Column("<i4", like="unique_names", of="places"),
}
"""What ``Types.arrays`` holds."""


class Types:
    """The types of one PDB, by index. In advance only their places are read, and the names of the definitions.

    ``kept`` is what ``arrays`` gave for the same stream before.

    Raises:
        BadRecord: the stream is damaged.
    """

    def __init__(self, data: bytes, kept: Arrays | None = None) -> None:
        if len(data) < TPI.size:
            raise BadRecord("has a type stream that is cut short")
        _, header, self._first, last, size = TPI.unpack_from(data)
        if header < TPI.size or header % 4 or header + size > len(data) or not FIRST_INDEX <= self._first <= last:
            raise BadRecord(f"has a type stream of {len(data)} bytes that contradicts itself")
        self._data = data
        self.arrays = kept or _indexed(data, header, header + size)
        """What was found out about the whole stream, to be kept."""
        self._offsets = self.arrays["offsets"]
        if last - self._first != len(self._offsets):
            raise BadRecord(f"claims {last - self._first} types and has {len(self._offsets)}")
        self._described: dict[int, Udt] = {}
        self._places, self._starts, self._unique_starts = (self.arrays[name] for name in ("places", "starts", "unique"))
        self._names = Names(self.arrays["names"], self.arrays["rows"])
        self._unique_names = Names(self.arrays["unique_names"], self.arrays["unique_rows"])

    def __len__(self) -> int:
        return len(self._offsets)

    # A name that is defined more than once (in several modules, or unnamed) means its first definition.
    def _index_of(self, name: str, *, unique: bool = False) -> int | None:
        names, starts = (self._unique_names, self._unique_starts) if unique else (self._names, self._starts)
        raw = name.encode()
        for row in names.candidates(raw):
            if self._data.startswith(raw + b"\0", int(starts[row])):
                return int(self._places[row]) + int(self._first)
        return None

    def find(self, name: str) -> Udt | None:
        """The definition of a structure, union or enumeration by its name; None: there is none."""
        index = self._index_of(name)
        return None if index is None else self.udt(index)

    def definitions(self) -> Iterator[Udt]:
        """Every definition, in the order of the file; of unnamed types there are many of one name."""
        for place in self._places.tolist():
            yield self._read_udt(place + self._first)

    def udt(self, index: int) -> Udt:
        """The structure, union or enumeration at an index. Raises: BadRecord."""
        known = self._described.get(index)
        if known is None:
            known = self._described[index] = self._read_udt(index)
        return known

    def resolved(self, index: int) -> Udt:
        """As ``udt``, the definition where the index is of an announcement and there is one. Raises: BadRecord."""
        found = self.udt(index)
        if not found.forward:
            return found
        other = self._index_of(found.unique or found.name, unique=bool(found.unique))
        return found if other is None else self.udt(other)

    def fields(self, udt: Udt) -> FieldList:
        """The members, bases and enumerators of a type. Raises: BadRecord."""
        found = FieldList()
        following: int | None = udt.fields or None
        seen: set[int] = set()
        while following is not None:
            kind, at, end = self._record(following)
            if kind != LF_FIELDLIST or following in seen:
                raise BadRecord(f"has a field list {following:#x} that is none, or never ends")
            seen.add(following)
            read_field_list(self._data, at, end, found)
            following = found.continues
        return found

    def enumerators(self, udt: Udt) -> dict[str, int]:
        """Names and values of an enumeration. Raises: BadRecord."""
        found = self.fields(udt).enumerators
        if udt.integer & 0xFF not in SIGNED or udt.integer >= FIRST_INDEX or not udt.size:
            return found
        # Older compilers write every negative value as a large 64-bit one.
        top = 1 << 63
        return {name: value - 2 * top if value >= top else value for name, value in found.items()}

    def shape(self, index: int) -> Shape:
        """What a member of that type is. Raises: BadRecord."""
        return self._shape(index, MAX_NESTING)

    def spelled(self, udt: Udt) -> str:
        """The name that finds a type again: its own, or one with its index where that is not unique."""
        return udt.name if self._index_of(udt.name) == udt.index else f"__unnamed_{udt.index:x}"

    def by_spelling(self, name: str) -> Udt | None:
        """The type that ``spelled`` gave this name, or None."""
        prefix, _, index = name.rpartition("_")
        if prefix == "__unnamed" and self._index_of(name) is None:
            try:
                return self.udt(int(index, 16))
            except (ValueError, BadRecord):
                return None
        return self.find(name)

    def _shape(self, index: int, depth: int) -> Shape:
        if index < self._first:
            return simple_size_shape(index)
        if not depth:
            raise BadRecord(f"has a type {index:#x} that is nested too deeply")
        kind, at, end = self._record(index)
        match kind:
            case 0x1001:  # LF_MODIFIER: const, volatile
                return self._shape(self._u32(at), depth - 1)
            case 0x1002:  # LF_POINTER: its size is in its attributes
                target = self._target(self._u32(at), depth - 1)
                return Shape(self._u32(at + 4) >> 13 & 0x3F or 8, f"*{target}")
            case 0x1205:  # LF_BITFIELD
                packed = self._u32(at + 4)  # length, then position, a byte each
                return Shape(self._shape(self._u32(at), depth - 1).size, "", packed >> 8 & 0xFF, packed & 0xFF)
            case 0x1503:  # LF_ARRAY: its size is in bytes
                return Shape(number(self._data, at + 8, end)[0], self._shape(self._u32(at), depth - 1).type_name)
            case _ if kind in KINDS:
                udt = self.resolved(index)
                return Shape(udt.size, "" if udt.kind == "enum" else self.spelled(udt))
        return Shape(0)

    # The name of the structure behind a pointer; of another pointer or a function nothing is told.
    def _target(self, index: int, depth: int) -> str:
        if index < self._first or not depth:
            return ""
        kind, at, _ = self._record(index)
        if kind == LF_MODIFIER:
            return self._target(self._u32(at), depth - 1)
        return self.spelled(self.resolved(index)) if kind in KINDS and kind != LF_ENUM else ""

    def _read_udt(self, index: int) -> Udt:
        kind, at, end = self._record(index)
        if kind not in KINDS:
            raise BadRecord(f"has no structure at the type index {index:#x}")
        if kind == LF_STRUCTURE_19:
            properties, fields, behind = self._u32(at), self._u32(at + 4), at + 18
        else:
            properties, fields = self._u32(at) >> 16, self._u32(at + 4)
            behind = at + (8 if kind == LF_UNION else 16)
        integer = 0
        if kind == LF_ENUM:
            integer, fields, behind = self._u32(at + 4), self._u32(at + 8), at + 12
            size = self._shape(integer, MAX_NESTING).size
        else:
            size, behind = number(self._data, behind, end)
        name, behind = text(self._data, behind, end)
        unique = text(self._data, behind, end)[0] if properties & UNIQUE_NAME else ""
        return Udt(index, KINDS[kind], name, unique, size, fields, bool(properties & FORWARD), integer)

    def _record(self, index: int) -> tuple[int, int, int]:
        """Kind, offset of the rest and end of the record at an index."""
        place = index - self._first
        if not 0 <= place < len(self._offsets):
            raise BadRecord(f"has no type {index:#x}")
        start = int(self._offsets[place])
        end = start + 2 + int.from_bytes(self._data[start : start + 2], "little")
        return int.from_bytes(self._data[start + 2 : start + 4], "little"), start + 4, end

    def _u32(self, at: int) -> int:
        return int.from_bytes(self._data[at : at + 4], "little")


# The places of all records and of the definitions among them, and the definitions' names.
def _indexed(data: bytes, start: int, end: int) -> Arrays:
    offsets = record_offsets(data, start, end)
    found = find_definitions(data, offsets)
    ends = found.ends.tolist()
    names = names_of(data, zip(found.starts.tolist(), ends, strict=True))
    # A definition without a decorated name has an empty one here, and nobody asks for that.
    unique = names_of(data, ((at, end if at else 0) for at, end in zip(found.unique.tolist(), ends, strict=True)))
    return {
        "offsets": offsets.astype(np.int32),
        "places": found.places.astype(np.int32),
        "starts": found.starts.astype(np.int32),
        "unique": found.unique.astype(np.int32),
        "names": names.hashes,
        "rows": names.rows,
        "unique_names": unique.hashes,
        "unique_rows": unique.rows,
    }


def simple_size_shape(index: int) -> Shape:
    """The shape of a type that needs no record: a number, or a pointer to one."""
    size, is_pointer = simple_size(index)
    return Shape(size, "*" if is_pointer else "")
