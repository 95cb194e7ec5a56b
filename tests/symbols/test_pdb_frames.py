"""Frame data streams of PDBs, built from their description: what they say, and what is refused."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.symbols.pdb.frames import FrameData, FrameKind
from analysis.symbols.pdb.records import BadRecord

TEXT = b"\0$T0 .raSearch =\0$T0 $ebp 4 + =\0"
NAMES = struct.pack("<III", 0xEFFEEFFE, 1, len(TEXT)) + TEXT
SEARCH, POINTER = 1, TEXT.index(b"$T0 $ebp")


def fpo(start: int, size: int, local: int, params: int, *, prolog: int = 0, saved: int = 0, kind: int = 0) -> bytes:
    return struct.pack("<IIIHH", start, size, local, params, prolog | saved << 8 | kind << 14)


def frame(start: int, size: int, program: int, *, local: int = 0, saved: int = 0, first: bool = False) -> bytes:
    return struct.pack("<6IHHI", start, size, local, 0, 0, program, 0, saved, 4 if first else 0)


FRAMES = frame(0x1000, 0x40, SEARCH, first=True) + frame(0x1003, 0x3D, POINTER, local=8, saved=4)


def test_the_record_that_begins_last_describes_the_code() -> None:
    data = FrameData(b"", FRAMES, NAMES)
    entry, body = data.at(0x1002), data.at(0x103F)
    assert entry is not None
    assert body is not None
    assert (entry.start, entry.function, entry.program) == (0x1000, 0x1000, "$T0 .raSearch =")
    assert (body.start, body.function, body.program) == (0x1003, 0x1000, "$T0 $ebp 4 + =")
    assert (body.locals, body.saved) == (8, 4)
    assert (data.at(0xFFF), data.at(0x1040), len(data)) == (None, None, 2)


def test_a_relocation_in_front_is_passed_over() -> None:
    assert FrameData(b"", b"\0\0\0\0" + FRAMES, NAMES).at(0x1000) is not None


@pytest.mark.parametrize(
    ("kind", "found"),
    [(0, FrameKind.NO_POINTER), (1, FrameKind.TRAP), (2, FrameKind.TRAP), (3, FrameKind.POINTER)],
)
def test_sizes_of_old_records_are_counted_in_words(kind: int, found: FrameKind) -> None:
    one = FrameData(fpo(0x2000, 0x10, 3, 2, prolog=5, saved=4, kind=kind), b"", b"").at(0x200F)
    assert one is not None
    assert (one.kind, one.locals, one.params, one.saved, one.prolog) == (found, 12, 8, 16, 5)


def test_a_record_of_both_kinds_is_read_as_the_richer_one() -> None:
    one = FrameData(fpo(0x1000, 0x100, 1, 0), FRAMES, NAMES).at(0x1004)
    assert one is not None
    assert one.kind is FrameKind.PROGRAM


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        (b"\0" * 15, b"", b""),
        (b"", b"\0" * 31, b""),
        (b"", FRAMES, b"\0" * 12),
        (b"", FRAMES, struct.pack("<III", 0xEFFEEFFE, 1, 0xFFFF_FFFF)),
    ],
)
def test_damaged_streams_are_refused(old: bytes, new: bytes, names: bytes) -> None:
    with pytest.raises(BadRecord):
        FrameData(old, new, names)


@pytest.mark.parametrize("program", [len(TEXT), 0xFFFF_FFFF])
def test_a_program_outside_the_names_is_empty(program: int) -> None:
    one = FrameData(b"", frame(0x1000, 4, program, first=True), NAMES).at(0x1000)
    assert one is not None
    assert one.program == ""


@given(st.binary(max_size=256), st.binary(max_size=256), st.binary(max_size=64), st.integers(0, 0xFFFF_FFFF))
def test_any_bytes_give_a_record_or_are_refused(old: bytes, new: bytes, names: bytes, rva: int) -> None:
    try:
        data = FrameData(old[: len(old) & ~15], new[: len(new) & ~31], names and NAMES[: len(names)])
    except BadRecord:
        return
    one = data.at(rva)
    assert one is None or one.start <= rva < one.start + one.size
