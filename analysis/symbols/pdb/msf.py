"""The container of a PDB file: MSF 7.00, streams of blocks.

Source: the public description of the format in LLVM's documentation ("The MSF File Format").
"""

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.errors import BadDump, BadSymbols
from analysis.formats.raw import RawFile
from analysis.limits import MAX_PDB_FILE, MAX_PDB_STREAM

MAGIC = b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0"
OLD_MAGIC = b"Microsoft C/C++ program database 2.00\r\n\x1aJG"
PORTABLE_MAGIC = b"BSJB"

HEADER = struct.Struct("<6I")
BLOCK_LIST = 0x34  # where the header's list of blocks begins that hold the directory's own list of blocks
BLOCK_SIZES = tuple(1 << power for power in range(9, 17))
NO_STREAM = 0xFFFF_FFFF
LARGE = 1 << 20  # bytes


class Msf:
    """The streams of one PDB file, each read when asked for.

    Raises:
        BadSymbols: the file cannot be opened, is of another kind (which the reason names), or contradicts itself.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        try:
            self._raw = RawFile(path)
        except OSError as error:
            raise BadSymbols(self.name, f"cannot be read ({error.__class__.__name__})") from error
        try:
            self._check_kind()
            self._read_directory()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Gives the file back. Safe to call twice."""
        self._raw.close()

    def __len__(self) -> int:
        return len(self._sizes)

    @property
    def size(self) -> int:
        """The size of the file in bytes."""
        return self._raw.size

    @property
    def changed(self) -> int:
        """When the file was changed last, in nanoseconds since 1970."""
        try:
            return self._raw.path.stat().st_mtime_ns
        except OSError:  # it was removed since it was opened
            return 0

    def bad(self, reason: str) -> BadSymbols:
        """The error that says what is wrong with this file."""
        return BadSymbols(self.name, reason)

    def has(self, index: int) -> bool:
        """Whether there is such a stream, be it empty."""
        return 0 <= index < len(self._sizes) and int(self._sizes[index]) != NO_STREAM

    def stream(self, index: int, what: str, most: int | None = None) -> bytes:
        """The bytes of a stream, all or the first ``most`` of them.

        Raises:
            BadSymbols: there is no such stream, or it does not lie in the file; ``what`` is named.
        """
        if not self.has(index):
            raise self.bad(f"it has no {what}")
        size = int(self._sizes[index])
        size = size if most is None else min(size, most)
        if size > min(self._raw.size, MAX_PDB_STREAM):
            raise self.bad(f"its {what} claims {size} bytes of a file of {self._raw.size}")
        first = int(self._starts[index])
        return self._join(self._blocks[first : first + _blocks_of(size, self._block)], size, what)

    def _check_kind(self) -> None:
        magic = self._raw.read(0, min(len(OLD_MAGIC), self._raw.size), "its first bytes")
        if magic[:4] == PORTABLE_MAGIC:
            raise self.bad("a portable PDB of .NET code: it says nothing about native code")
        if magic == OLD_MAGIC:
            raise self.bad("an MSF 2.0 PDB of Visual C++ 6 or older: that form is not read here")
        if magic[: len(MAGIC)] != MAGIC:
            raise self.bad("not a PDB: it does not begin like one")
        if self._raw.size > MAX_PDB_FILE:
            raise self.bad(f"larger than {MAX_PDB_FILE} bytes")

    def _read_directory(self) -> None:
        try:
            header = self._raw.read(len(MAGIC), HEADER.size, "the header")
        except BadDump as cut:
            raise self.bad("cut short in its header") from cut
        self._block, _, blocks, directory_size, _, _ = HEADER.unpack(header)
        if self._block not in BLOCK_SIZES:
            raise self.bad(f"blocks of {self._block} bytes: there are none of that size")
        # The last block may be written only as far as it is used.
        self._block_count = _blocks_of(self._raw.size, self._block)
        if blocks > self._block_count:
            raise self.bad(f"cut short: {blocks} blocks of {self._block} bytes do not fit in {self._raw.size} bytes")
        if not 4 <= directory_size <= self._raw.size:
            raise self.bad(f"its directory claims {directory_size} bytes of a file of {self._raw.size}")
        self._take_directory(self._join(self._directory_blocks(directory_size), directory_size, "directory"))

    # The header lists the blocks that list the directory's blocks: nearly always one.
    def _directory_blocks(self, directory_size: int) -> NDArray[np.uint32]:
        wanted = 4 * _blocks_of(directory_size, self._block)
        lists = 4 * _blocks_of(wanted, self._block)
        if BLOCK_LIST + lists > self._block:
            raise self.bad("the list of its directory's blocks does not fit in its first block")
        numbers = np.frombuffer(self._read(BLOCK_LIST, lists, "directory"), "<u4")
        return np.frombuffer(self._join(numbers, wanted, "directory's list of blocks"), "<u4")

    def _take_directory(self, directory: bytes) -> None:
        count = int.from_bytes(directory[:4], "little")
        if 4 + 4 * count > len(directory):
            raise self.bad(f"{count} streams do not fit in a directory of {len(directory)} bytes")
        self._sizes = np.frombuffer(directory, "<u4", count, 4)
        lengths = np.where(self._sizes == NO_STREAM, 0, self._sizes.astype(np.int64))
        in_blocks = (lengths + self._block - 1) // self._block
        ends = np.cumsum(in_blocks)
        self._starts = ends - in_blocks
        listed = (len(directory) - 4 - 4 * count) // 4
        if count and int(ends[-1]) > listed:
            raise self.bad(f"its directory lists {listed} blocks, its streams need {int(ends[-1])}")
        self._blocks = np.frombuffer(directory, "<u4", listed, 4 + 4 * count)

    def _join(self, blocks: NDArray[np.uint32], size: int, what: str) -> bytes:
        if len(blocks) and int(blocks.max()) >= self._block_count:
            raise self.bad(f"its {what} lies in block {int(blocks.max())}, but it has {self._block_count}")
        # Streams mostly lie in a few runs of blocks: one read for each run.
        breaks = np.flatnonzero(np.diff(blocks.astype(np.int64)) != 1) + 1
        parts: list[memoryview] = []
        left = size
        for run in np.split(blocks, breaks) if len(blocks) else ():
            part = min(left, len(run) * self._block)
            parts.append(self._view(int(run[0]) * self._block, part, what))
            left -= part
        joined = b"".join(parts)
        for view in parts:
            view.release()
        # What was copied need not be in memory twice.
        if size >= LARGE:
            self._raw.give_back()
        return joined

    def _read(self, offset: int, size: int, what: str) -> bytes:
        return bytes(self._view(offset, size, what))

    def _view(self, offset: int, size: int, what: str) -> memoryview:
        try:
            return self._raw.view(offset, size, what)
        except BadDump as cut:
            raise self.bad(f"cut short: its {what} goes on behind the end of the file") from cut


def _blocks_of(size: int, block: int) -> int:
    return (size + block - 1) // block
