"""Dumps that a debugger writes (types 8, 9 and 10): pages by ranges of page frames, listed in front of them.

At 0x2000: 0x40, 'RDMP', 'DUMP', an unused number, the size of the list's block at 0x10, the file offset of the first
page at 0x18. Types 8 and 9 list their ranges from 0x30 on, to a zero frame or the block's end; type 10 says at 0x20
how many ranges and at 0x28 how many pages there are. Layout as several public readers have it; no file is believed
before its numbers agree with each other.
"""

import struct

from analysis.address import PAGE_SIZE
from analysis.errors import BadDump
from analysis.formats.full import RunMap
from analysis.formats.header import MAX_PAGE_FRAME
from analysis.formats.raw import RawFile
from analysis.limits import MAX_PAGE_RUNS

TYPES_RANGES = (8, 9, 10)
TYPE_COUNTED = 10
_HEADER = 0x2000
_HEADER_SIZE = 0x30
_RANGE = struct.Struct("<QQ")
# Block and first page are two ways to say the same: the block ends where the pages begin.
_BLOCK_TO_PAGE = 0x2020


def read_ranges(raw: RawFile, type_code: int) -> tuple[RunMap | None, bool, tuple[str, ...]]:
    """The saved pages, whether the file was cut short, and notes. None where no list of ranges can be used."""
    try:
        head = raw.read(_HEADER, _HEADER_SIZE, "the header of the page ranges")
    except BadDump:
        return None, True, ("the file ends behind its header: no page of memory was saved",)
    if head[4:12] != b"RDMPDUMP":
        return None, False, ("there is no list of page ranges behind the header: no page is usable",)
    size, first_page = struct.unpack_from("<QQ", head, 0x10)
    if first_page != size + _BLOCK_TO_PAGE or first_page < _HEADER + _HEADER_SIZE:
        note = f"a list of page ranges of {size:#x} bytes in front of pages at {first_page:#x} cannot be"
        return None, False, (f"{note}: no page is usable",)
    room = (first_page - _HEADER - _HEADER_SIZE) // _RANGE.size
    number, total = struct.unpack_from("<I4xQ", head, 0x20) if type_code == TYPE_COUNTED else (room, None)
    if number > min(room, MAX_PAGE_RUNS) and type_code == TYPE_COUNTED:
        return None, False, (f"{number} page ranges do not fit in their list of {room}: no page is usable",)
    return _read_list(raw, min(number, MAX_PAGE_RUNS), first_page, total)


def _read_list(
    raw: RawFile, number: int, first_page: int, total: int | None
) -> tuple[RunMap | None, bool, tuple[str, ...]]:
    start = _HEADER + _HEADER_SIZE
    held = raw.available(start, number * _RANGE.size) // _RANGE.size
    runs: list[tuple[int, int, int]] = []
    notes: list[str] = []
    position, missing, listed = first_page, 0, 0
    for frame, count in _RANGE.iter_unpack(raw.read(start, held * _RANGE.size, "the page ranges")):
        if not frame:
            break
        if count > MAX_PAGE_FRAME or frame + count > MAX_PAGE_FRAME:
            # Where the next range's pages lie depends on this one's number: nothing behind it can be trusted.
            notes.append(f"a range of {count} pages from page frame {frame:#x} on cannot be: the list ends there")
            break
        here = raw.available(position, count * PAGE_SIZE) // PAGE_SIZE
        missing += count - here
        listed += count
        if here:
            runs.append((frame, here, position))
        position += count * PAGE_SIZE
    runs, overlapping = _disjoint(runs)
    if overlapping:
        notes.append(f"{overlapping} page ranges overlap an earlier one: left out")
    if total is not None and total != listed:
        notes.append(f"the dump counts {total} saved pages, its ranges {listed}")
    cut = held < number and first_page > raw.size
    if missing or cut:
        notes.append(f"the file is cut short: {missing} of {listed} saved pages are missing")
    limit = max((frame + count for frame, count, _ in runs), default=0)
    return RunMap(runs, limit) if runs else None, bool(missing or cut), tuple(notes)


def _disjoint(runs: list[tuple[int, int, int]]) -> tuple[list[tuple[int, int, int]], int]:
    """The runs without those that cover frames of one that starts lower, and how many those were."""
    kept: list[tuple[int, int, int]] = []
    for run in sorted(runs):
        if not kept or run[0] >= kept[-1][0] + kept[-1][1]:
            kept.append(run)
    return kept, len(runs) - len(kept)
