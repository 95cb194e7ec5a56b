"""The header and the directory of streams of a minidump: 32 bytes, then (type, size, file offset) each.

Source: MINIDUMP_HEADER and MINIDUMP_DIRECTORY of Microsoft's public minidumpapiset.h. The ``minidump`` package would
loop over any number of streams that the header claims, and gives the whole file up at a type that it does not know;
so both are read here.
"""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime

from analysis.errors import BadDump
from analysis.formats.raw import RawFile

HEADER = struct.Struct("<4sIIIIIQ")
_ENTRY = struct.Struct("<III")
SIGNATURE = b"MDMP"
# Windows writes about 20, Crashpad adds a few of its own.
MAX_STREAMS = 256
UNUSED = 0
_EARLIEST, _LATEST = datetime(1995, 1, 1, tzinfo=UTC).timestamp(), datetime(2200, 1, 1, tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream that lies in the file: ``data`` bytes from ``offset`` on; ``cut`` where the file ends inside it."""

    kind: int
    offset: int
    size: int
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Directory:
    """The streams by type; of two of one type the first counts, as in Microsoft's own reader."""

    streams: dict[int, Stream]
    written: datetime | None
    notes: tuple[str, ...]


def read_directory(raw: RawFile) -> Directory:
    """The streams of a minidump as far as they lie in the file.

    Raises:
        BadDump: the header is cut off, or no entry of its directory can be used.
    """
    _, _, number, start, _, stamp, _ = HEADER.unpack(raw.read(0, HEADER.size, "the minidump's header"))
    if number > MAX_STREAMS:
        raise BadDump(f"a minidump that claims {number} streams, where at most {MAX_STREAMS} are believable", 8)
    if start < HEADER.size:
        raise BadDump(f"a minidump whose directory would lie inside its header, at {start:#x}", 12)
    held = raw.available(start, number * _ENTRY.size) // _ENTRY.size
    if not held:
        raise BadDump("a minidump without a single stream in the file", start)
    notes = [] if held == number else [f"the file is cut short: {number - held} of {number} streams are not listed"]
    streams: dict[int, Stream] = {}
    for kind, size, offset in _ENTRY.iter_unpack(raw.read(start, held * _ENTRY.size, "the directory of streams")):
        there = raw.available(offset, size)
        if kind == UNUSED or kind in streams or not there:
            if kind != UNUSED and size and not there:
                notes.append(f"the stream of type {kind:#x} lies outside the file")
            continue
        if there < size:
            notes.append(f"the file is cut short inside the stream of type {kind:#x}")
        streams[kind] = Stream(kind, offset, there, there < size)
    written = datetime.fromtimestamp(stamp, UTC) if _EARLIEST <= stamp <= _LATEST else None
    return Directory(streams, written, tuple(notes))
