"""CodeView records: a length, a kind, the rest; and the numbers and names inside them.

Source: the public headers cvinfo.h of Microsoft's microsoft-pdb repository, and LLVM's documentation.
"""

import struct
from array import array

import numpy as np
from numpy.typing import NDArray

LF_NUMERIC = 0x8000
_NUMBERS: dict[int, struct.Struct] = {
    0x8000: struct.Struct("<b"),
    0x8001: struct.Struct("<h"),
    0x8002: struct.Struct("<H"),
    0x8003: struct.Struct("<i"),
    0x8004: struct.Struct("<I"),
    0x8009: struct.Struct("<q"),
    0x800A: struct.Struct("<Q"),
}
_BYTES: dict[int, bool] = {0x8017: True, 0x8018: False}  # 16 bytes, signed or not
NUMBER_SIZES = {**{leaf: form.size for leaf, form in _NUMBERS.items()}, **dict.fromkeys(_BYTES, 16)}
"""Bytes behind the leaf that says how a number is written."""


class BadRecord(Exception):
    """A record contradicts itself; the argument completes "it …" for a person."""


def record_offsets(
    data: bytes, start: int, end: int | None = None, wanted: frozenset[int] | None = None
) -> NDArray[np.int64]:
    """Where the records between two offsets of a stream begin; only those of the kinds ``wanted``.

    Each record moves on by at least four bytes, so there are no more of them than a quarter of the stream's bytes.

    Raises:
        BadRecord: a record goes on behind the end, or is of a length that leaves the next one unaligned.
    """
    end = len(data) if end is None else end
    words = memoryview(data)[: end & ~1].cast("H")
    last = len(words) - 1
    found = array("q")
    at = start >> 1
    while at < last:
        length = words[at]
        if length < 2 or length & 1:
            raise BadRecord(f"has a record of {length} bytes at {2 * at:#x} of a stream")
        if wanted is None or words[at + 1] in wanted:
            found.append(2 * at)
        at += (length >> 1) + 1
    if at > len(words):
        raise BadRecord(f"has a record that goes on behind the end of its stream of {end} bytes")
    return np.array(found, np.int64)


def text(data: bytes, at: int, end: int) -> tuple[str, int]:
    """The name at an offset, and the offset behind its closing zero.

    Raises:
        BadRecord: it does not end before ``end``.
    """
    close = data.find(b"\0", at, end)
    if close < 0:
        raise BadRecord("has a name without an end")
    return data[at:close].decode("utf-8", "replace"), close + 1


def number(data: bytes, at: int, end: int) -> tuple[int, int]:
    """A number of variable length, and the offset behind it.

    Raises:
        BadRecord: it is no whole number, or does not end before ``end``.
    """
    if at + 2 > end:
        raise BadRecord("has a number without an end")
    value = data[at] | data[at + 1] << 8
    if value < LF_NUMERIC:
        return value, at + 2
    form = _NUMBERS.get(value)
    size = form.size if form else 16
    if (form is None and value not in _BYTES) or at + 2 + size > end:
        raise BadRecord(f"has a number of the unknown form {value:#x}")
    if form is None:
        return int.from_bytes(data[at + 2 : at + 18], "little", signed=_BYTES[value]), at + 18
    return int(form.unpack_from(data, at + 2)[0]), at + 2 + size
