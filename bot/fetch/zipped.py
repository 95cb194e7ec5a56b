"""Zips that stay where they are, entered through their directory: only what may hold a dump is fetched.

The directory at the end and the first bytes of each member tell which members are wanted. One large dump that was
stored unpacked is read where it lies, at its offset. Else the wanted members are put, at their own offsets, into a
sparse copy of the zip, for the child that unpacks: packed, locked and nested ones are its business. All of it is given
up, and the zip fetched whole, where that saves little or where anything is out of the ordinary.
Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3.7 (local header) and 4.3.12 (central directory).
"""

import asyncio
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from bot.archives.kinds import HEAD_BYTES, archive_kind, is_dump, may_be_text
from bot.fetch.ranged import LEAST_RANGED

TAIL_BYTES = 128 << 10  # asked for first: the end record with the longest comment, and most directories
MAX_DIRECTORY = 256 << 10  # of as many members as are looked at; it is parsed in this very process
MAX_MEMBERS = 64  # whose first bytes are looked at
LOOK_BYTES = 64 << 10
ENCRYPTED = 0x1
_LOCAL = struct.Struct("<4s22xHH")

Spans = list[tuple[int, int]]  # offset and size in the file
Get = Callable[[Spans], Awaitable[dict[int, bytes]]]


class Missing(Exception):
    """Bytes of the file that are not here yet."""

    def __init__(self, offset: int, size: int) -> None:
        super().__init__(offset, size)
        self.offset, self.size = offset, size


@dataclass(frozen=True, slots=True)
class Stored:
    """A dump that lies unpacked in the zip: its name there, where it begins, its size, its first bytes."""

    name: str
    offset: int
    size: int
    head: bytes


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a sparse copy needs: spans of the zip beside the pieces that are here already, by offset. ``left`` are the
    positions in the directory of members that are not wanted."""

    spans: Spans
    pieces: dict[int, bytes]
    left: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Member:
    position: int
    entry: zipfile.ZipInfo
    start: int  # of its local header
    end: int  # of the last byte that can be its own


async def enter(head: bytes, size: int, get: Get) -> Stored | Wanted | None:
    """How to come by the dumps of a zip of ``size`` bytes that begins with ``head``; None: by fetching it whole.

    ``get`` fetches spans; what it raises comes through.
    """
    pieces = {0: head}
    tail = max(0, size - TAIL_BYTES)
    pieces |= await get([(tail, size - tail)])
    while True:
        try:
            members = await asyncio.to_thread(_members, _Known(pieces, size))
        except Missing as missing:
            if not 0 < missing.size <= MAX_DIRECTORY or len(pieces) > 4:
                return None
            pieces |= await get([(missing.offset, missing.size)])
        else:
            break
    if members is None or len(members) > MAX_MEMBERS:
        return None
    looks = [(member.start, min(LOOK_BYTES, member.end - member.start)) for member in members]
    found = await get(looks)
    return await asyncio.to_thread(_chosen, members, found, pieces, size)


def write_sparse(path: Path, size: int, pieces: dict[int, bytes]) -> Callable[[int, bytes], None]:
    """A file of ``size`` bytes that holds these pieces; what puts more into it. Raises: OSError."""
    with path.open("wb") as file:
        file.truncate(size)

    def put(offset: int, data: bytes) -> None:
        place = os.open(path, os.O_WRONLY)
        try:
            os.pwrite(place, data, offset)
        finally:
            os.close(place)

    for offset, data in pieces.items():
        put(offset, data)
    return put


class _Known(io.RawIOBase):
    # The file, of which some pieces are here. Reading any other byte raises Missing.
    def __init__(self, pieces: dict[int, bytes], size: int) -> None:
        super().__init__()
        self._pieces, self._size, self._at = pieces, size, 0

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if self._at < 0:
            raise OSError("before the start of the file")
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, count: int | None = -1) -> bytes:
        left = max(0, self._size - self._at)
        count = left if count is None or count < 0 else min(count, left)
        for offset, data in self._pieces.items():
            if offset <= self._at and self._at + count <= offset + len(data):
                start = self._at - offset
                self._at += count
                return data[start : start + count]
        raise Missing(self._at, count)


def _members(file: _Known) -> list[_Member] | None:
    # The files in the directory with the room that each has; None where the directory is damaged, or where members
    # overlap or lie outside: then the one who unpacks the whole file tells what is wrong.
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError, struct.error, NotImplementedError, OverflowError):
        return None
    entries = sorted(enumerate(archive.infolist()), key=lambda one: one[1].header_offset)
    ends = [entry.header_offset for _, entry in entries[1:]] + [archive.start_dir]
    members = []
    for (position, entry), end in zip(entries, ends, strict=True):
        if entry.header_offset < 0 or entry.header_offset + _LOCAL.size + entry.compress_size > end:
            return None
        if not entry.filename.endswith(("/", "\\")):
            members.append(_Member(position, entry, entry.header_offset, end))
    return members


def _chosen(
    members: list[_Member], looks: dict[int, bytes], pieces: dict[int, bytes], size: int
) -> Stored | Wanted | None:
    wanted = [member for member in members if _may_be_wanted(member.entry, looks[member.start])]
    stored = _stored(wanted[0], looks[wanted[0].start]) if len(wanted) == 1 else None
    if stored is not None:
        return stored
    if size - sum(member.end - member.start for member in wanted) < LEAST_RANGED:
        return None
    spans = []
    for member in wanted:
        here = len(looks[member.start])
        if member.end - member.start > here:
            spans.append((member.start + here, member.end - member.start - here))
    kept = {member.start: looks[member.start] for member in wanted}
    left = frozenset(member.position for member in members) - {member.position for member in wanted}
    return Wanted(spans, pieces | kept, left)


def _may_be_wanted(entry: zipfile.ZipInfo, look: bytes) -> bool:
    # By its first bytes, as the one who unpacks decides; where they cannot be seen here, yes.
    data = _data(look)
    if data is None or entry.flag_bits & ENCRYPTED:
        return True
    packed = look[data:][: entry.compress_size]
    if entry.compress_type == zipfile.ZIP_DEFLATED:
        try:
            head = zlib.decompressobj(-15).decompress(packed, HEAD_BYTES)
        except zlib.error:
            return True
    elif entry.compress_type == zipfile.ZIP_STORED:
        head = packed[:HEAD_BYTES]
    else:
        return True
    return is_dump(head) or archive_kind(head) is not None or may_be_text(entry.filename)


def _stored(member: _Member, look: bytes) -> Stored | None:
    entry, data = member.entry, _data(look)
    if data is None or entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & ENCRYPTED:
        return None
    is_sound = entry.compress_size == entry.file_size and member.start + data + entry.file_size <= member.end
    if not is_sound or entry.file_size < LEAST_RANGED or not is_dump(look[data:]):
        return None
    return Stored(entry.filename, member.start + data, entry.file_size, look[data:])


def _data(look: bytes) -> int | None:
    # Where a member's bytes begin: after its local header, whose name and extra field have lengths of their own.
    if len(look) < _LOCAL.size or not look.startswith(b"PK\x03\x04"):
        return None
    _, name, extra = _LOCAL.unpack_from(look)
    return _LOCAL.size + int(name) + int(extra)
