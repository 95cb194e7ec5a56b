"""Single streams (gzip, bzip2, xz, Zstandard) and what they mostly carry: one dump, or a tar of several."""

import bz2
import gzip
import lzma
import sys
import tarfile
import zlib
from collections.abc import Callable
from typing import IO, Any

from bot.archives.collector import Collector
from bot.archives.kinds import HEAD_BYTES, archive_kind
from bot.archives.limits import ArchiveFailed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CHUNK = 256 << 10
XZ_MEMORY = 512 << 20  # an xz file may ask for 4 GiB
BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zstd.ZstdError, tarfile.TarError, ValueError)


class _Xz:
    # LZMAFile has no cap on memory; the decoder has.
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decoder = lzma.LZMADecompressor(memlimit=XZ_MEMORY)

    def read(self, size: int) -> bytes:
        while True:
            if self._decoder.eof:
                rest = self._decoder.unused_data.lstrip(b"\0") or self._file.read(CHUNK).lstrip(b"\0")
                if not rest:
                    return b""
                self._decoder = lzma.LZMADecompressor(memlimit=XZ_MEMORY)
                data = rest
            else:
                data = self._file.read(CHUNK) if self._decoder.needs_input else b""
                if not data and self._decoder.needs_input:
                    raise EOFError
            if chunk := self._decoder.decompress(data, size):
                return chunk


OPENERS: dict[str, Callable[[IO[bytes]], Any]] = {
    "gz": lambda file: gzip.GzipFile(fileobj=file),
    "bz2": bz2.BZ2File,
    "xz": _Xz,
    "zst": zstd.ZstdFile,
}


def feed_stream(kind: str, file: IO[bytes], name: str, collector: Collector, *, deep: bool) -> None:
    """Put what a stream carries into the collector: the members of its tar, or its one file.

    Raises:
        ArchiveFailed: it is damaged; or as Collector.
    """
    stream = _Counted(OPENERS[kind](file), collector)
    try:
        head = stream.peek(HEAD_BYTES)
        if archive_kind(head) == "tar":
            _feed_tar(stream, collector, deep=deep)
            return
        member = collector.member(inner_name(name), deep=deep)
        while chunk := stream.read(CHUNK):
            if not member.write(chunk):
                break
        member.close()
    except BROKEN as error:
        raise ArchiveFailed("damaged", f"it is damaged or cut off ({type(error).__name__})") from error


def feed_tar(file: IO[bytes], collector: Collector, *, deep: bool) -> None:
    """Put the members of a plain tar into the collector. It does not expand, so nothing is counted.

    Raises: as ``feed_stream``.
    """
    try:
        _feed_tar(file, collector, deep=deep)
    except BROKEN as error:
        raise ArchiveFailed("damaged", f"it is damaged or cut off ({type(error).__name__})") from error


def inner_name(name: str) -> str:
    """The name of what a stream carries: its own without the last suffix."""
    stem, dot, _ = name.rpartition(".")
    return stem if dot and stem else name


def zstd_decoder() -> Callable[[bytes], bytes]:
    """A decoder of one Zstandard stream, bytes in and bytes out."""
    decode: Callable[[bytes], bytes] = zstd.ZstdDecompressor().decompress
    return decode


class _Counted:
    # A decoder's output, counted as it comes; its first bytes can be looked at.
    def __init__(self, stream: Any, collector: Collector) -> None:
        self._stream = stream
        self._collector = collector
        self._head = b""

    def peek(self, size: int) -> bytes:
        while len(self._head) < size and (chunk := self._next(size - len(self._head))):
            self._head += chunk
        return self._head

    def read(self, size: int) -> bytes:
        if self._head:
            head, self._head = self._head[:size], self._head[size:]
            return head
        return self._next(size)

    def _next(self, size: int) -> bytes:
        chunk: bytes = self._stream.read(size)
        self._collector.count(len(chunk))
        return chunk


def _feed_tar(file: Any, collector: Collector, *, deep: bool) -> None:
    # As a stream, front to back: nothing is sought, nothing is extracted by path.
    with tarfile.open(fileobj=file, mode="r|") as archive:
        for entry in archive:
            if not entry.isreg():
                continue
            member = collector.member(entry.name, deep=deep)
            stream = archive.extractfile(entry)
            while stream is not None and (chunk := stream.read(CHUNK)):
                if not member.write(chunk):
                    break
            member.close()
