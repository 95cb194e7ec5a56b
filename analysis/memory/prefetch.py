"""Pages of a remote dump, fetched before they are read: a walk of the page tables for many addresses at once.

A read of memory that lies elsewhere costs a round trip for each table that is not here yet and one for the page. For a
thousand addresses together it is one for each level: the tables of a level are asked for in one question, then those
of the next, then the pages. What cannot be translated is left out; whoever reads it finds out why.
"""

from collections.abc import Iterable
from itertools import islice

from analysis.address import PAGE_MASK
from analysis.memory.physical import PhysicalMemory

MAX_PAGES = 16_384  # in one go
MAX_WANTED = 262_144
_VALID, _LARGE, _PROTOTYPE, _TRANSITION = 1, 1 << 7, 1 << 10, 1 << 11
_FRAME = 0x000F_FFFF_FFFF_F000
_FIFTH = (48, False)
_LEVELS = ((39, False), (30, True), (21, True), (12, False))  # lowest address bit, whether it may map a large page


Page = tuple[int, int]  # of which directory table, at which virtual address


def fetch_pages(physical: PhysicalMemory, wanted: Iterable[Page], *, five_levels: bool = False) -> None:
    """Fetch these pages of x64 virtual memory, as far as they are mapped and were saved."""
    pages = sorted({(table, address & ~PAGE_MASK) for table, address in islice(wanted, MAX_WANTED)})[:MAX_PAGES]
    tables = {page: page[0] for page in pages}
    frames: set[int] = set()
    for shift, may_be_large in (_FIFTH, *_LEVELS) if five_levels else _LEVELS:
        places = {page: table | (page[1] >> shift & 0x1FF) << 3 for page, table in tables.items()}
        tables = {}
        for page, entry in _entries(physical, places).items():
            if may_be_large and entry & _VALID and entry & _LARGE:
                span = (1 << shift) - 1
                frames.add(entry & _FRAME & ~span | page[1] & span)
            elif entry & _VALID or entry & (_TRANSITION | _PROTOTYPE) == _TRANSITION:
                tables[page] = entry & _FRAME
    frames.update(tables.values())
    physical.raw.want(offset for frame in frames if (offset := physical.page_offset(frame)) is not None)


def _entries(physical: PhysicalMemory, places: dict[Page, int]) -> dict[Page, int]:
    # The entries at these physical addresses, for those whose table was saved.
    offsets = {page: physical.page_offset(place) for page, place in places.items()}
    physical.raw.want(offset for offset in offsets.values() if offset is not None)
    return {
        page: physical.raw.u64(offset + (places[page] & PAGE_MASK), "a page table entry")
        for page, offset in offsets.items()
        if offset is not None
    }
