"""Dump files from a machine's memory: full with page runs, the bitmap kinds, and a debugger's page ranges.

Holes in the file cost nothing.
"""

import struct
from pathlib import Path

from tests.forge.header import FULL, HeaderValues, header_pages
from tests.forge.layouts.private import BITMAP_HEADER, HEADER_SIZE
from tests.forge.pages import PAGE, PhysicalMemory


def page_runs(frames: list[int], gap: int = 16) -> list[tuple[int, int]]:
    """Runs (first, count) that cover the frames; gaps of up to ``gap`` frames are covered too."""
    runs: list[tuple[int, int]] = []
    for frame in frames:
        if runs and frame - (runs[-1][0] + runs[-1][1]) <= gap:
            runs[-1] = (runs[-1][0], frame - runs[-1][0] + 1)
        else:
            runs.append((frame, 1))
    return runs


def write_full(path: Path, memory: PhysicalMemory, values: HeaderValues, memory_bytes: int | None = None) -> None:
    """A full dump (type 1): every page of each run, in order. ``memory_bytes`` widens the runs to a bigger machine."""
    frames = memory.saved()
    runs = page_runs(frames)
    if memory_bytes is not None:
        runs = widened(memory_bytes)
    offsets = {}
    position = HEADER_SIZE
    for first, count in runs:
        offsets[first] = position
        position += count * PAGE
    with path.open("wb") as file:
        file.truncate(position)
        file.write(header_pages(values, FULL, position, runs))
        index = 0
        for frame in frames:
            while frame >= runs[index][0] + runs[index][1]:
                index += 1
            content = bytes(memory.frames[frame])
            if content.count(0) != PAGE:
                file.seek(offsets[runs[index][0]] + (frame - runs[index][0]) * PAGE)
                file.write(content)


def widened(memory_bytes: int) -> list[tuple[int, int]]:
    """The runs of a machine with that much memory: without page 0, the hole below 1 MiB and the one below 4 GiB."""
    left = memory_bytes // PAGE
    runs: list[tuple[int, int]] = []
    for start, end in ((0x1, 0x9F), (0x100, 0xC0000), (0x100000, 1 << 40)):
        count = min(end - start, left)
        if count > 0:
            runs.append((start, count))
        left -= count
    return runs


def write_bitmap(
    path: Path,
    memory: PhysicalMemory,
    values: HeaderValues,
    dump_type: int,
    signature: bytes,
    memory_bytes: int | None = None,
) -> None:
    """A bitmap dump (type 5 or 6; signature SDMP or FDMP): one bit a page frame, then the pages whose bit is set.

    ``memory_bytes`` makes the machine so big, with all of its pages saved but those that the kind leaves out.
    """
    frames = memory.saved(everything=signature == b"FDMP")
    if memory_bytes is not None:
        left_out = memory.frames.keys() - set(frames)
        frames = [f for first, count in widened(memory_bytes) for f in range(first, first + count) if f not in left_out]
    bits = frames[-1] + 1 + 0x3F & ~0x3F
    bitmap = bytearray(bits // 8)
    for frame in frames:
        bitmap[frame // 8] |= 1 << frame % 8
    first = HEADER_SIZE + BITMAP_HEADER["Bitmap"] + len(bitmap) + PAGE - 1 & -PAGE
    size = first + len(frames) * PAGE
    block = bytearray(first - HEADER_SIZE)
    struct.pack_into("<4s4s", block, 0, signature, b"DUMP")
    struct.pack_into("<QQQ", block, BITMAP_HEADER["FirstPage"], first, len(frames), bits)
    block[BITMAP_HEADER["Bitmap"] : BITMAP_HEADER["Bitmap"] + len(bitmap)] = bitmap
    with path.open("wb") as file:
        file.truncate(size)
        file.write(header_pages(values, dump_type, size, page_runs(frames, 1 << 30)) + block)
        for index, frame in enumerate(frames):
            content = memory.frames.get(frame)
            if content is not None and content.count(0) != PAGE:
                file.seek(first + index * PAGE)
                file.write(content)


def write_summary(path: Path, memory: PhysicalMemory, values: HeaderValues) -> None:
    """A kernel summary of the older kind (type 2): 32-bit numbers, then the bitmap, then the pages."""
    frames = memory.saved(everything=False)
    bits = frames[-1] + 1
    bitmap = bytearray((bits + 31) // 32 * 4)
    for frame in frames:
        bitmap[frame // 8] |= 1 << frame % 8
    first = HEADER_SIZE + 0x28 + len(bitmap) + PAGE - 1 & -PAGE
    block = bytearray(first - HEADER_SIZE)
    struct.pack_into("<4s4sIIIII", block, 0, b"SDMP", b"DUMP", 0, first, bits, len(frames), bits)
    block[0x28 : 0x28 + len(bitmap)] = bitmap
    _write_pages(path, memory, header_pages(values, 2, first, page_runs(frames, 1 << 30)) + block, frames)


def write_ranges(path: Path, memory: PhysicalMemory, values: HeaderValues, dump_type: int) -> None:
    """A dump as a debugger writes it (types 8, 9 and 10): ranges of frames, then their pages."""
    frames = [frame for frame in memory.saved(everything=dump_type != 8) if frame]
    ranges = page_runs(frames, 0)
    listed = b"".join(struct.pack("<QQ", *one) for one in ranges) + bytes(16)
    first = HEADER_SIZE + 0x30 + len(listed) + PAGE - 1 & -PAGE
    block = bytearray(first - HEADER_SIZE)
    struct.pack_into("<I4s4sIQQ", block, 0, 0x40, b"RDMP", b"DUMP", 0, first - 0x2020, first)
    if dump_type == 10:
        struct.pack_into("<IIQ", block, 0x20, len(ranges), 0, len(frames))
    block[0x30 : 0x30 + len(listed)] = listed
    _write_pages(path, memory, header_pages(values, dump_type, first, page_runs(frames, 1 << 30)) + block, frames)


def _write_pages(path: Path, memory: PhysicalMemory, head: bytearray, frames: list[int]) -> None:
    with path.open("wb") as file:
        file.truncate(len(head) + len(frames) * PAGE)
        file.write(head)
        for index, frame in enumerate(frames):
            content = bytes(memory.frames[frame])
            if content.count(0) != PAGE:
                file.seek(len(head) + index * PAGE)
                file.write(content)
