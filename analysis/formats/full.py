"""Full dumps (type 1): all physical memory, as runs of pages listed in the header.

The pages follow the header (0x2000 bytes, 0x1000 in a 32-bit dump) in the order of the runs.
"""

import struct
from bisect import bisect_right
from collections.abc import Iterable

from analysis.address import PAGE_SIZE
from analysis.formats.header import FIRST_RUN, HEADER_SIZE, MAX_HEADER_RUNS, MAX_PAGE_FRAME, RUNS
from analysis.formats.header32 import FIRST_RUN32, HEADER32_SIZE, MAX_HEADER_RUNS32, RUNS32
from analysis.formats.raw import RawFile


class RunMap:
    """Pages of a file that lie in runs, each contiguous both in memory and in the file."""

    __slots__ = ("_bases", "_runs", "frame_limit", "page_count")

    def __init__(self, runs: Iterable[tuple[int, int, int]], frame_limit: int) -> None:
        """``runs`` are (first page frame, number of pages, file offset), disjoint, in any order."""
        self.frame_limit = frame_limit
        self._runs = sorted(runs)
        self._bases = [base for base, _, _ in self._runs]
        self.page_count = sum(count for _, count, _ in self._runs)

    def file_offset(self, pfn: int) -> int | None:
        """Where the page starts in the file, or None."""
        index = bisect_right(self._bases, pfn) - 1
        if index < 0:
            return None
        base, count, offset = self._runs[index]
        return offset + (pfn - base) * PAGE_SIZE if pfn - base < count else None


def read_runs(raw: RawFile) -> tuple[RunMap | None, bool, tuple[str, ...]]:
    """The pages of a full dump as far as the file holds them, whether it was cut short, and notes. None where no page
    can be used."""
    number, _, total = struct.unpack("<IIQ", raw.read(RUNS, 16, "the memory descriptor"))
    return place_runs(raw, HEADER_SIZE, total, _listed(raw, FIRST_RUN, number, MAX_HEADER_RUNS, "<QQ"))


def read_runs32(raw: RawFile) -> tuple[RunMap | None, bool, tuple[str, ...]]:
    """As ``read_runs``, of a 32-bit dump."""
    number, total = struct.unpack("<II", raw.read(RUNS32, 8, "the memory descriptor"))
    return place_runs(raw, HEADER32_SIZE, total, _listed(raw, FIRST_RUN32, number, MAX_HEADER_RUNS32, "<II"))


def _listed(raw: RawFile, first: int, number: int, most: int, layout: str) -> list[tuple[int, int]] | str:
    """The runs that a header lists as (first page frame, number of pages), or why they cannot be."""
    if not 0 < number <= most:
        return f"the header claims {number} runs of memory, where 1 to {most} are possible: no page is usable"
    data = raw.read(first, number * struct.calcsize(layout), "the memory runs")
    return list(struct.iter_unpack(layout, data))


def place_runs(
    raw: RawFile, header: int, total: int, claimed: list[tuple[int, int]] | str
) -> tuple[RunMap | None, bool, tuple[str, ...]]:
    """Where the pages of the claimed runs lie, which follow the ``header`` bytes of the header in their order."""
    if raw.available(header, 1) == 0:
        return None, True, ("the file ends behind its header: no page of memory was saved",)
    if isinstance(claimed, str):
        return None, False, (claimed,)
    notes = []
    if sum(count for _, count in claimed) != total:
        notes.append(f"the header counts {total} pages, its runs {sum(count for _, count in claimed)}")
    runs, missing = _place(raw, header, claimed, notes)
    if missing:
        notes.append(f"the file is cut short: {missing} of {missing + sum(run[1] for run in runs)} pages are missing")
    ends = [base + count for base, count in claimed if base + count <= MAX_PAGE_FRAME]
    return RunMap(runs, max(ends, default=0)) if runs else None, missing > 0, tuple(notes)


def _place(
    raw: RawFile, header: int, claimed: list[tuple[int, int]], notes: list[str]
) -> tuple[list[tuple[int, int, int]], int]:
    """The runs as far as the file holds them, and how many pages it lacks."""
    runs: list[tuple[int, int, int]] = []
    missing, position = 0, header
    for base, count in claimed:
        here = raw.available(position, count * PAGE_SIZE) // PAGE_SIZE
        missing += count - here
        if base + count > MAX_PAGE_FRAME:
            notes.append(f"a run of {count} pages from page frame {base:#x} on lies beyond any memory: left out")
        elif any(base < other + length and other < base + count for other, length, _ in runs):
            notes.append(f"the run of {count} pages from page frame {base:#x} on overlaps an earlier one: left out")
        elif here:
            runs.append((base, here, position))
        position += count * PAGE_SIZE
    return runs, missing
