"""Where the definitions of structures, unions and enumerations lie in a type stream, and their names, all at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.symbols.pdb.records import LF_NUMERIC, NUMBER_SIZES, BadRecord

LF_CLASS, LF_STRUCTURE, LF_UNION, LF_ENUM, LF_INTERFACE = 0x1504, 0x1505, 0x1506, 0x1507, 0x1519
LF_STRUCTURE_19 = 0x1609  # since Visual Studio 2019 16.9, for few: count and properties in another order
KINDS = {
    LF_CLASS: "class",
    LF_STRUCTURE: "struct",
    LF_STRUCTURE_19: "struct",
    LF_INTERFACE: "interface",
    LF_UNION: "union",
    LF_ENUM: "enum",
}
FORWARD, UNIQUE_NAME = 0x80, 0x200

# Offset in the record of the size (an enumeration has none: of the name), and of the properties.
_SIZE_AT = {LF_CLASS: 20, LF_STRUCTURE: 20, LF_INTERFACE: 20, LF_UNION: 12, LF_ENUM: 16, LF_STRUCTURE_19: 22}
_PROPERTIES_AT = {kind: 4 if kind == LF_STRUCTURE_19 else 6 for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Definitions:
    """The definitions of a type stream: ``places`` among its records, where each one's name starts and its record ends,
    where its decorated name starts (0: it has none)."""

    places: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    unique: NDArray[np.int64]


def find_definitions(data: bytes, offsets: NDArray[np.int64]) -> Definitions:
    """The definitions among the records at the given offsets; mere announcements are left out.

    Raises:
        BadRecord: one of them is cut short, or its name has no end.
    """
    words = np.frombuffer(data, "<u2", len(data) // 2)
    places = np.flatnonzero(np.isin(words[(offsets >> 1) + 1], list(KINDS)))
    offsets = offsets[places]
    kinds = words[(offsets >> 1) + 1]
    ends = offsets + 2 + words[offsets >> 1]
    size_at = offsets + _by_kind(kinds, _SIZE_AT)
    if np.any(size_at + 2 > ends):
        raise BadRecord("has a type that is cut short")
    properties = words[offsets + _by_kind(kinds, _PROPERTIES_AT) >> 1]
    leaves = words[size_at >> 1]
    behind = np.where(leaves < LF_NUMERIC, 2, 0)
    for leaf, size in NUMBER_SIZES.items():
        behind[leaves == leaf] = 2 + size
    starts = np.where(kinds == LF_ENUM, size_at, size_at + behind)
    chosen = properties & FORWARD == 0
    places, starts, ends = places[chosen], starts[chosen], ends[chosen]
    closes = [_end(data, start, end) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
    has_unique = properties[chosen] & UNIQUE_NAME != 0
    return Definitions(places, starts, ends, np.where(has_unique, np.array(closes, np.int64) + 1, 0))


def _by_kind(kinds: NDArray[np.uint16], values: dict[int, int]) -> NDArray[np.int64]:
    found = np.zeros(len(kinds), np.int64)
    for kind, value in values.items():
        found[kinds == kind] = value
    return found


def _end(data: bytes, start: int, end: int) -> int:
    close = data.find(b"\0", start, end)
    if close < 0:
        raise BadRecord("has a type whose name has no end")
    return close
