"""Zip: the directory tells the members; each is read alone. Deflate64 and Zstandard, which the standard library does
not read, are decoded here; encryption (ZipCrypto and AES) by pyzipper.

Windows Explorer writes Deflate64 for anything above 2 GB, so most zipped memory dumps are of that kind.
Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.4.4 (flags), 4.4.5 (methods).
"""

import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any, Protocol

import inflate64
import pyzipper

from bot.archives.collector import Collector, Member, shown_name
from bot.archives.limits import ArchiveFailed
from bot.archives.streams import zstd_decoder

CHUNK = 256 << 10
TRIED_BYTES = 1 << 20  # of a member read to see whether a password fits: one wrong in 256 passes the check byte
ENCRYPTED, UTF8 = 0x1, 0x800
LOCAL_HEADER = struct.Struct("<4s22xHH")
STDLIB = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA})
DEFLATE64, ZSTD = 9, 93
# What a damaged or hostile member makes the decoders raise.
BROKEN = (
    zipfile.BadZipFile,
    pyzipper.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    struct.error,
    IndexError,  # a locked member that ends inside its twelve bytes of header
    RuntimeError,  # a method that nobody knows (NotImplementedError), and pyzipper's word for a wrong password
)


class Decoder(Protocol):
    """A decoder of raw bytes: what it has made of the next ones."""

    def __call__(self, data: bytes, /) -> bytes: ...


def feed_zip(
    file: IO[bytes],
    collector: Collector,
    passwords: tuple[str, ...],
    *,
    deep: bool,
    left_there: frozenset[int] = frozenset(),
) -> None:
    """Put every member into the collector; one that is damaged costs itself. Of those ``left_there``, by position in
    the directory, only the names are told.

    Raises:
        ArchiveFailed: the directory cannot be read; or as Collector.
    """
    try:
        archive: Any = zipfile.ZipFile(file)
        if any(entry.flag_bits & ENCRYPTED for entry in archive.infolist()):
            archive = pyzipper.AESZipFile(file)
    except BROKEN as error:
        raise ArchiveFailed("damaged", f"the zip's directory cannot be read ({type(error).__name__})") from error
    listed = list(enumerate(archive.infolist()))
    entries = [entry for position, entry in listed if _is_file(entry) and position not in left_there]
    locked = [entry for entry in entries if entry.flag_bits & ENCRYPTED]
    is_open = not locked or _unlock(archive, locked, passwords)
    collector.refused += [shown_name(_name(entry)) for position, entry in listed if position in left_there]
    for entry in entries:
        member = collector.member(_name(entry), deep=deep)
        if entry.flag_bits & ENCRYPTED and not is_open:
            collector.locked += 1
        else:
            _pump(_chunks(archive, file, entry), member, collector)


def _pump(chunks: Iterator[bytes], member: Member, collector: Collector) -> None:
    try:
        for chunk in chunks:
            collector.count(len(chunk))
            if not member.write(chunk):
                break
        member.close()
    except BROKEN:
        member.abandon()


def _is_file(entry: zipfile.ZipInfo) -> bool:
    mode = entry.external_attr >> 16
    is_directory = entry.filename.endswith(("/", "\\"))
    return not is_directory and (not stat.S_IFMT(mode) or stat.S_ISREG(mode))


def _name(entry: zipfile.ZipInfo) -> str:
    # Without its flag a name is in the DOS code page by the book, in UTF-8 by the habit of many writers.
    if entry.flag_bits & UTF8:
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return entry.filename


def _chunks(archive: Any, file: IO[bytes], entry: zipfile.ZipInfo) -> Iterator[bytes]:
    if entry.compress_type in STDLIB:
        with archive.open(entry) as stream:
            while chunk := stream.read(CHUNK):
                yield chunk
        return
    if entry.flag_bits & ENCRYPTED:
        raise ArchiveFailed("unsupported", f"it is locked and packed by method {entry.compress_type}: not both at once")
    checked = 0
    for chunk in _decoded(_raw(file, entry), _decoder(entry)):
        checked = zlib.crc32(chunk, checked)
        yield chunk
    if checked != entry.CRC:
        raise zipfile.BadZipFile("checksum")


def _decoder(entry: zipfile.ZipInfo) -> Decoder:
    if entry.compress_type == DEFLATE64:
        decode: Decoder = inflate64.Inflater().inflate
        return decode
    if entry.compress_type == ZSTD:
        return zstd_decoder()
    raise NotImplementedError(f"method {entry.compress_type}")


def _decoded(raw: Iterator[bytes], decode: Decoder) -> Iterator[bytes]:
    for data in raw:
        if chunk := decode(data):
            yield chunk


def _raw(file: IO[bytes], entry: zipfile.ZipInfo) -> Iterator[bytes]:
    # The member's packed bytes: after its local header, whose name and extra field have lengths of their own.
    file.seek(entry.header_offset)
    signature, name, extra = LOCAL_HEADER.unpack(_exactly(file, LOCAL_HEADER.size))
    if signature != b"PK\x03\x04":
        raise zipfile.BadZipFile("local header")
    start, left = entry.header_offset + LOCAL_HEADER.size + name + extra, entry.compress_size
    while left > 0:
        file.seek(start)
        data = _exactly(file, min(left, CHUNK // 16))  # small steps: what comes out may be a thousand times more
        start, left = start + len(data), left - len(data)
        yield data


def _exactly(file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _unlock(archive: Any, locked: list[zipfile.ZipInfo], passwords: tuple[str, ...]) -> bool:
    # Gives the archive the password that fits its smallest locked member; false where none does.
    smallest = min(locked, key=lambda entry: entry.compress_size)
    for password in passwords:
        archive.setpassword(password.encode())
        try:
            with archive.open(smallest) as stream:
                stream.read(TRIED_BYTES)
        except BROKEN:
            continue
        return True
    return False
