"""Dumps with a bitmap (types 2, 5 and 6): one bit for each page of physical memory, then the pages whose bit is set.

At 0x2000: 'SDMP' (kernel pages) or 'FDMP' (all pages), 'DUMP', at 0x20 the file offset of the first page, at 0x28
the number of saved pages, at 0x30 the number of bits, at 0x38 the bitmap. The older kernel summary (type 2, as Windows
7 still writes it; also 32-bit) has 32-bit numbers in their place: first page, bits, saved pages, and the bits again
where the bitmap follows. Where a page lies in the file is the number
of bits set before its own. One running total for each 512 bits finds it in a step: 64 KiB of totals for 16 GiB of
memory, against a table of every page.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.address import PAGE_SIZE
from analysis.errors import BadDump
from analysis.formats.header import HEADER_SIZE
from analysis.formats.raw import RawFile
from analysis.limits import MAX_PHYSICAL_PAGES

_BITMAP = 0x38
_SUMMARY_32, _SUMMARY_64 = 0x20, 0x28
_BLOCK_BYTES = 64
_BLOCK_SHIFT = 9  # bits of a block, as a power of two
_CHUNK_BYTES = 1 << 22
_WORD = "the page bitmap"


class BitmapMap:
    """Saved pages by bitmap. The bitmap stays in the mapped file; only the totals are kept."""

    __slots__ = ("_bitmap", "_bits", "_first_page", "_present", "_raw", "_totals", "page_count")

    def __init__(self, raw: RawFile, bitmap: int, bits: int, first_page: int) -> None:
        """``bits`` of the bitmap lie in the file from ``bitmap`` on; the first saved page is at ``first_page``."""
        self._raw = raw
        self._bitmap = bitmap
        self._bits = bits
        self._first_page = min(first_page, raw.size)
        self._totals = _running_totals(raw, bitmap, bits)
        self._present = int(self._totals[-1])
        self.page_count = min(self._present, raw.available(first_page, raw.size) // PAGE_SIZE)

    @property
    def present(self) -> int:
        """How many bits are set, whether or not their pages lie in the file."""
        return self._present

    @property
    def frame_limit(self) -> int:
        """The first page frame behind the bitmap, which covers all of the machine's memory."""
        return self._bits

    def file_offset(self, pfn: int) -> int | None:
        """Where the page starts in the file, or None."""
        if not 0 <= pfn < self._bits:
            return None
        start = pfn >> _BLOCK_SHIFT
        at = self._bitmap + start * _BLOCK_BYTES
        block = self._raw.read(at, (pfn >> 3) + 1 - start * _BLOCK_BYTES, _WORD)
        bit = pfn & (1 << _BLOCK_SHIFT) - 1
        word = int.from_bytes(block, "little")
        if not word >> bit & 1:
            return None
        rank = int(self._totals[start]) + (word & (1 << bit) - 1).bit_count()
        return self._first_page + rank * PAGE_SIZE if rank < self.page_count else None


def _running_totals(raw: RawFile, bitmap: int, bits: int) -> NDArray[np.int64]:
    """Set bits before each block of 512, and in all as the last entry. Bits behind the last page do not count."""
    size = (bits + 7) // 8
    blocks = (size + _BLOCK_BYTES - 1) // _BLOCK_BYTES
    totals = np.zeros(blocks + 1, dtype=np.int64)
    for start in range(0, size, _CHUNK_BYTES):
        length = min(_CHUNK_BYTES, size - start)
        chunk = np.zeros(-(-length // _BLOCK_BYTES) * _BLOCK_BYTES, dtype=np.uint8)
        chunk[:length] = np.frombuffer(raw.view(bitmap + start, length, _WORD), dtype=np.uint8)
        if start + length == size and bits & 7:
            chunk[length - 1] &= (1 << (bits & 7)) - 1
        counts = np.bitwise_count(chunk.view("<u8")).reshape(-1, 8).sum(axis=1, dtype=np.int64)
        first = start // _BLOCK_BYTES
        totals[first + 1 : first + 1 + len(counts)] = counts
    return np.cumsum(totals, out=totals)


def read_bitmap(raw: RawFile, header: int) -> tuple[BitmapMap | None, bool, tuple[str, ...]]:
    """The saved pages, whether the file was cut short, and notes. None where no bitmap can be used.

    ``header`` is the size of the dump's header, behind which the bitmap's begins.
    """
    head, truncated, notes = _head(raw, header, _BITMAP)
    if not head:
        return None, truncated, notes
    first_page, claimed, bits = (int.from_bytes(head[at : at + 8], "little") for at in (0x20, 0x28, 0x30))
    return _open(raw, _Claim(header + _BITMAP, bits, first_page, claimed))


def read_summary(raw: RawFile, header: int) -> tuple[BitmapMap | None, bool, tuple[str, ...]]:
    """As ``read_bitmap``, of a kernel summary of the older kind; its bitmap lies deeper in a 64-bit dump."""
    start = _SUMMARY_64 if header == HEADER_SIZE else _SUMMARY_32
    head, truncated, notes = _head(raw, header, start)
    if not head:
        return None, truncated, notes
    first_page, bits, claimed, again = (int.from_bytes(head[at : at + 4], "little") for at in (0xC, 0x10, 0x14, 0x18))
    if again != bits:
        note = f"the dump says {bits} and {again} for the bits of its page bitmap: no page is usable"
        return None, False, (note,)
    return _open(raw, _Claim(header + start, bits, first_page, claimed))


class _Claim(NamedTuple):
    """What a dump says of its bitmap; ``pages`` is how many it counts."""

    bitmap: int
    bits: int
    first_page: int
    pages: int


def _head(raw: RawFile, header: int, size: int) -> tuple[bytes, bool, tuple[str, ...]]:
    """The bytes in front of the bitmap; empty where there is none, and then why."""
    try:
        head = raw.read(header, size, "the bitmap header")
    except BadDump:
        return b"", True, ("the file ends behind its header: no page of memory was saved",)
    if head[:4] not in {b"SDMP", b"FDMP"} or head[4:8] != b"DUMP":
        return b"", False, ("there is no page bitmap behind the header: no page is usable",)
    return head, False, ()


def _open(raw: RawFile, claim: _Claim) -> tuple[BitmapMap | None, bool, tuple[str, ...]]:
    bits, first_page = claim.bits, claim.first_page
    size = (bits + 7) // 8
    if not 0 < bits <= MAX_PHYSICAL_PAGES or first_page < claim.bitmap + size:
        note = f"a bitmap of {bits} pages before a first page at {first_page:#x} cannot be: no page is usable"
        return None, False, (note,)
    if raw.available(claim.bitmap, size) < size:
        return None, True, ("the file is cut short inside its page bitmap: no page is usable",)
    pages = BitmapMap(raw, claim.bitmap, bits, first_page)
    notes = []
    if pages.present != claim.pages:
        notes.append(f"the dump counts {claim.pages} saved pages, its bitmap {pages.present}")
    missing = pages.present - pages.page_count
    if missing:
        notes.append(f"the file is cut short: {missing} of {pages.present} saved pages are missing")
    return pages, missing > 0, tuple(notes)
