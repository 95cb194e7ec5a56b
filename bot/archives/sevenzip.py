"""7z: read by py7zr, which also opens encrypted ones; cabinet and RAR, and 7z with a filter py7zr lacks, by archi.

archi bundles libarchive, C that meets hostile bytes: it runs in the confined child only. libarchive reads no
encrypted RAR and no solid RAR of the old kind (before RAR 5); both are said.
"""

import lzma
import stat
import warnings
import zlib
from typing import IO

import archi
import py7zr
import py7zr.exceptions
from py7zr.io import Py7zIO, WriterFactory

from bot.archives.collector import Collector, Member
from bot.archives.limits import ArchiveFailed

CHUNK = 256 << 10
# What damaged or hostile bytes make py7zr raise: it checks little before it uses a field.
BROKEN = (
    py7zr.exceptions.ArchiveError,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    AttributeError,
    AssertionError,
    RuntimeError,
    OverflowError,
)


def feed_7z(file: IO[bytes], collector: Collector, passwords: tuple[str, ...], *, deep: bool) -> None:
    """Put every member into the collector.

    Raises:
        ArchiveFailed: it is damaged, or packed in a way nobody here reads; or as Collector.
    """
    writers = _Writers(collector, deep=deep)
    try:
        archive = _opened(file, passwords)
        if archive is None:
            collector.locked += 1
            return
        archive.extract(targets=None, factory=writers)
    except py7zr.exceptions.UnsupportedCompressionMethodError:
        file.seek(0)
        feed_libarchive(file, collector, deep=deep)
    except BROKEN as error:
        if not collector.dumps:
            raise ArchiveFailed("damaged", f"it is damaged or cut off ({type(error).__name__})") from error
    finally:
        writers.close()


def feed_libarchive(file: IO[bytes], collector: Collector, *, deep: bool) -> None:
    """Put every member of whatever libarchive reads into the collector. Raises: as ``feed_7z``."""
    member: Member | None = None
    try:
        with warnings.catch_warnings():
            # archi warns of a name that it cannot read, and asking it for that name then ends this process.
            warnings.simplefilter("error")
            for entry in archi.Archive(file):
                if stat.S_IFMT(entry.mode or 0) not in (0, stat.S_IFREG):
                    continue
                member = collector.member(_text(entry.filename), deep=deep)
                while chunk := entry.read(CHUNK):
                    collector.count(len(chunk))
                    if not member.write(chunk):
                        break
                member.close()
                member = None
    except (archi.Error, UserWarning) as error:
        if member is not None:
            member.abandon()
        if not collector.dumps:
            raise _failure(_text(error.args[1] if len(error.args) > 1 else "")) from error


def _opened(file: IO[bytes], passwords: tuple[str, ...]) -> py7zr.SevenZipFile | None:
    # With the password that fits, if it needs one; None where none does.
    archive = _parsed(file, None)
    if archive is not None and not archive.needs_password():
        return archive
    for password in passwords:
        archive = _parsed(file, password)
        if archive is not None and _fits(archive):
            return archive
    return None


def _parsed(file: IO[bytes], password: str | None) -> py7zr.SevenZipFile | None:
    # An encrypted header can be parsed only with the right password: a wrong one makes noise of it.
    file.seek(0)
    try:
        return py7zr.SevenZipFile(file, password=password)
    except py7zr.exceptions.UnsupportedCompressionMethodError:
        raise
    except py7zr.exceptions.PasswordRequired:
        return None
    except BROKEN:
        if password is None:
            raise
        return None


def _fits(archive: py7zr.SevenZipFile) -> bool:
    # A wrong password decrypts to noise that no decoder takes, or that the checksum refuses.
    filled = [entry for entry in archive.list() if entry.uncompressed]
    if not filled:
        return True
    smallest = min(filled, key=lambda entry: entry.uncompressed)
    try:
        archive.extract(targets=[smallest.filename], factory=_Nowhere())
        archive.reset()
    except BROKEN:
        return False
    return True


class _Writers(WriterFactory):
    # What py7zr writes into: a member of the collector each. A link's content is a path, so no dump.
    def __init__(self, collector: Collector, *, deep: bool) -> None:
        self._collector = collector
        self._deep = deep
        self._open: list[_Writer] = []

    def create(self, filename: str) -> Py7zIO:
        writer = _Writer(self._collector, self._collector.member(filename, deep=self._deep))
        self._open.append(writer)
        return writer

    def close(self) -> None:
        for writer in self._open:
            writer.abandon()


class _Discarded(Py7zIO):
    def __init__(self) -> None:
        self._size = 0

    def write(self, data: bytes | bytearray) -> int:
        self._size += len(data)
        return len(data)

    def read(self, _size: int | None = None) -> bytes:
        return b""

    def seek(self, _offset: int, _whence: int = 0) -> int:
        return 0

    def flush(self) -> None:
        pass

    def size(self) -> int:
        return self._size


class _Nowhere(WriterFactory):
    def create(self, _filename: str) -> Py7zIO:
        return _Discarded()


class _Writer(_Discarded):
    def __init__(self, collector: Collector, member: Member) -> None:
        super().__init__()
        self._collector = collector
        self._member = member
        self._whole = False

    def write(self, data: bytes | bytearray) -> int:
        self._collector.count(len(data))
        self._member.write(bytes(data))
        return super().write(data)

    def close(self) -> None:
        self._whole = True
        self._member.close()

    def abandon(self) -> None:
        if not self._whole:
            self._member.abandon()


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _failure(says: str) -> ArchiveFailed:
    if "ncrypt" in says:
        return ArchiveFailed("unsupported", "it is encrypted in a way that cannot be read here; an encrypted zip can")
    if "solid" in says:
        return ArchiveFailed("unsupported", "it is a solid archive of the old RAR, which cannot be read here")
    return ArchiveFailed("damaged", "it is damaged, cut off, or a part of a split archive")
