"""The one reader of a dump's raw bytes.

The file is mapped, never copied. A mapped page that was looked at counts as memory of this process until it is given
back, so after every 64 MiB of new ground all of the mapping is: an analysis may wander through 8 GiB and stay small.
Every read names what it wanted, so that a file cut short says where it stopped making sense. Of a dump that lies
elsewhere the file is sparse: what is looked at for the first time is fetched before it is read.
"""

import mmap
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from analysis.errors import BadDump
from analysis.formats.remote import PAGE_SHIFT, RemotePages

_CHUNK_SHIFT = 16  # reads are accounted in chunks of 64 KiB: so much Linux maps around each fault
_MOST_BYTES = 64 << 20


class RawFile:
    """A file's bytes, little endian. Offsets and sizes are in bytes from the start of the file.

    ``remote`` fills the file's pages where it is a sparse one.

    Raises:
        OSError: the file cannot be opened.
    """

    __slots__ = ("_bytes", "_map", "_new_chunks", "_remote", "_round", "_shift", "_touched", "path", "size")

    def __init__(self, path: Path, remote: RemotePages | None = None) -> None:
        self.path = path
        self._remote = remote
        self._shift = _CHUNK_SHIFT if remote is None else PAGE_SHIFT
        with path.open("rb") as file:
            self.size = file.seek(0, 2)
            # An empty file cannot be mapped.
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if self.size else None
        self._bytes: mmap.mmap | bytes = self._map if self._map is not None else b""
        # For each chunk the last round that looked at it, 0 for none. A round ends when the mapping is given back.
        self._touched = bytearray((self.size >> self._shift) + 1)
        self._round = 1
        self._new_chunks = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the mapping back. Safe to call twice; views still held keep it alive until they go."""
        if self._map is not None:
            try:
                self._map.close()
            except BufferError:  # a numpy view of it is still alive: the mapping goes with the last one
                return
        self._map, self._bytes, self.size = None, b"", 0

    @property
    def bytes_read(self) -> int:
        """How many bytes of the file were looked at, to the nearest 64 KiB, or 4 KiB of a sparse one."""
        return min(len(self._touched) - self._touched.count(0) << self._shift, self.size)

    def read(self, offset: int, size: int, what: str) -> bytes:
        """Exactly ``size`` bytes at ``offset``.

        Raises:
            BadDump: the range does not lie in the file; ``what`` is named.
        """
        if offset < 0 or size < 0 or offset + size > self.size:
            raise BadDump(f"{what} needs {size} bytes, but the file ends at {self.size:#x}", offset)
        chunk = offset >> self._shift
        if self._touched[chunk] != self._round or offset + size > chunk + 1 << self._shift:
            self._touch(offset, size)
        return self._bytes[offset : offset + size]

    def u8(self, offset: int, what: str) -> int:
        """An unsigned 8-bit integer. Raises: BadDump."""
        return self.read(offset, 1, what)[0]

    def u16(self, offset: int, what: str) -> int:
        """An unsigned 16-bit integer. Raises: BadDump."""
        return int.from_bytes(self.read(offset, 2, what), "little")

    def u32(self, offset: int, what: str) -> int:
        """An unsigned 32-bit integer. Raises: BadDump."""
        return int.from_bytes(self.read(offset, 4, what), "little")

    def u64(self, offset: int, what: str) -> int:
        """An unsigned 64-bit integer. Raises: BadDump."""
        return int.from_bytes(self.read(offset, 8, what), "little")

    def count(self, offset: int, item_size: int, items_offset: int, what: str, limit: int) -> int:
        """The 32-bit count at ``offset``, once it is sure that so many items of ``item_size`` bytes fit in the file
        from ``items_offset`` on, and that they are no more than ``limit``.

        Raises:
            BadDump: they do not fit, or are too many.
        """
        number = self.u32(offset, f"the count of the {what}")
        if number > limit or items_offset + number * item_size > self.size:
            raise BadDump(f"{number} entries of the {what} do not fit in a file of {self.size} bytes", offset)
        return number

    def available(self, offset: int, size: int) -> int:
        """How many of ``size`` bytes from ``offset`` on lie in the file."""
        if offset < 0:
            return 0
        return max(0, min(size, self.size - offset))

    def view(self, offset: int, size: int, what: str) -> memoryview:
        """A window on the mapped bytes, without a copy. Keep it short-lived: it holds the mapping open.

        Raises:
            BadDump: the range does not lie in the file.
        """
        if offset < 0 or size < 0 or offset + size > self.size:
            raise BadDump(f"{what} needs {size} bytes, but the file ends at {self.size:#x}", offset)
        self._touch(offset, size)
        return memoryview(self._bytes)[offset : offset + size]

    @property
    def is_remote(self) -> bool:
        """Whether what is read first has to be fetched: then ``want`` is worth its while."""
        return self._remote is not None

    def lacks(self, offset: int) -> bool:
        """Whether the page at ``offset`` would have to be fetched."""
        return self._remote is not None and 0 <= offset < self.size and self._remote.lacks(offset >> PAGE_SHIFT)

    def want(self, offsets: Iterable[int]) -> None:
        """Fetch the 4 KiB pages at these offsets together, for they will be read soon. A local file needs none."""
        if self._remote is not None:
            self._remote.want(offset >> PAGE_SHIFT for offset in offsets)

    def _touch(self, offset: int, size: int) -> None:
        first, last = offset >> self._shift, offset + max(size, 1) - 1 >> self._shift
        if self._remote is not None and size:
            self._remote.need(first, last)
        for chunk in range(first, last + 1):
            if self._touched[chunk] != self._round:
                self._touched[chunk] = self._round
                self._new_chunks += 1
        if self._new_chunks > _MOST_BYTES >> self._shift:
            self.give_back()

    def give_back(self) -> None:
        """Let the system take the mapped pages back; what is read again comes from the file again."""
        self._new_chunks = 0
        self._round = self._round % 255 + 1
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)
