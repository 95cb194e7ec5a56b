"""Kernel dumps and minidumps: everything that can be asked of one, and what must hold of the answers."""

import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from analysis.address import PAGE_SIZE
from analysis.errors import Unreadable
from analysis.formats import DumpImage, RawFile, capture_hint, open_dump
from analysis.formats.full import RunMap
from analysis.formats.image import MACHINE_X86, DataBlock
from analysis.formats.minidump import is_minidump, read_minidump
from analysis.memory import open_memory
from analysis.memory.physical import PhysicalMemory
from analysis.memory.reader import Memory
from analysis.memory.x64 import AddressSpace
from analysis.memory.x86 import AddressSpace32
from analysis.usermode import tell_user_story
from tests.forge.minidump import NTDLL
from tests.forge.x86 import Machine32
from tests.formats import built
from tests.formats.test_ranges import ranges, summary
from tests.usermode import stories

_FRAMES = 24  # physical pages of the machine whose page tables are fuzzed
_RECORD = struct.Struct("<HQ")  # a slot of eight bytes in that memory, and what stands there


def check_dump(data: bytes, scratch: Path) -> None:
    """Open it, and hold every place that it names against the file."""
    scratch.write_bytes(data)
    with open_dump(scratch) as image:
        capture_hint(image.header)
        assert image.header.architecture
        assert all("\n" not in note for note in image.notes)
        _check_pages(image)
        _check_blocks(image)


def _check_pages(image: DumpImage) -> None:
    if image.pages is None:
        return
    assert 0 <= image.pages.page_count <= image.raw.size // PAGE_SIZE
    memory = open_memory(image)
    for frame in (*range(16), 0x2FF, 0x300, 0x301, 0x7FFF, image.pages.frame_limit - 1, image.pages.frame_limit):
        offset = image.pages.file_offset(frame) if frame >= 0 else None
        if offset is not None:
            assert frame < image.pages.frame_limit
            assert 0 <= offset <= image.raw.size - PAGE_SIZE
            image.raw.read(offset, PAGE_SIZE, "a page")
        memory.read_available(frame * PAGE_SIZE, 64)


def _check_blocks(image: DumpImage) -> None:
    triage = image.triage
    if triage is None:
        return
    copies = (triage.stack, triage.prcb, triage.process, triage.thread, triage.debugger_data, triage.data_page)
    for block in (*triage.blocks, *(copy for copy in copies if copy is not None)):
        assert 0 <= block.offset <= block.offset + block.size <= image.raw.size
        assert block.address + block.size <= 1 << (32 if image.header.machine == MACHINE_X86 else 64)
    memory = open_memory(image)
    for block in triage.blocks[:64]:
        _read(memory, block)
        memory.read_available(block.address - 8, block.size + 16)
    assert all(driver.name.isprintable() and driver.size > 0 for driver in triage.drivers)


def _read(memory: Memory, block: DataBlock) -> None:
    size = min(block.size, 256)
    got, gap = attempt(memory.read, block.address, size)
    assert (gap.address >= block.address) if gap else (len(got or b"") == size)


def attempt(read: Callable[[int, int], bytes], address: int, size: int) -> tuple[bytes | None, Unreadable | None]:
    """What a read gives: bytes, or why there are none."""
    try:
        return read(address, size), None
    except Unreadable as gap:
        return None, gap


def headers() -> Iterable[bytes]:
    """The start of a dump of each kind, and of some other files."""
    for type_code in (1, 2, 4, 5, 6, 8, 9, 10):
        yield bytes(built.header(type_code)) + bytes(64)
    yield bytes(built.header(4, machine=0xAA64))
    yield bytes(Machine32().header(4)) + bytes(128)
    yield b"PK\3\4" + bytes(60)
    yield b"<!DOCTYPE html><html><title>Sign in</title></html>"
    yield '{"ok": false}'.encode("utf-16")


def small_dumps() -> Iterable[bytes]:
    """Triage dumps, 64 and 32 bit."""
    thread = struct.pack("<QQQQ", 6, 0, 0xFFFF_C00B_DE9E_1648, 0xFFFF_C00B_DE9E_1648) + bytes(0x40)
    yield bytes(built.Triage(thread=thread, prcb=bytes(64), broken_driver="bad.sys").build())
    yield bytes(built.Triage(blocks=[(0xFFFF_FFFF_FFFF_FFF0, b"top" * 8)], unloaded=()).build())
    yield bytes(built.Triage(machine=0xAA64, process=bytes(64)).build())
    yield Machine32().triage()
    yield Machine32(pae=False).triage(stride=0x50)


def page_dumps() -> Iterable[bytes]:
    """Dumps of physical pages in each of their forms."""
    pages = {1: b"one", 2: b"two", 9: b"nine"}
    yield bytes(built.bitmap(pages))
    yield bytes(built.bitmap(pages, type_code=5, signature=b"FDMP", bits=0x4000))
    yield bytes(built.full(pages))
    yield bytes(ranges(8))
    yield bytes(ranges(10))
    yield bytes(summary())
    small = Machine32().header(1)
    struct.pack_into("<II", small, 0x64, 1, 2)
    struct.pack_into("<II", small, 0x6C, 1, 2)
    yield bytes(small) + bytes(2 * PAGE_SIZE)


def check_walk(data: bytes, scratch: Path) -> None:
    """Page tables of any content: a walk ends with an address or a reason, and reads agree among themselves.

    The input's first byte picks the machine; records of a slot and an entry follow, each an address to ask for, too.
    """
    memory = bytearray(_FRAMES * PAGE_SIZE)
    addresses = [0, 0x1000, 0xFFFF_F800_0000_0000, 0xFFFF_FFFF_FFFF_F000, 0x8000_0000]
    for slot, entry in _RECORD.iter_unpack(data[1 : 1 + (len(data) - 1) // _RECORD.size * _RECORD.size]):
        struct.pack_into("<Q", memory, slot * 8 % len(memory), entry)
        addresses.append(entry)
    scratch.write_bytes(memory)
    with RawFile(scratch) as raw:
        physical = PhysicalMemory(raw, RunMap([(0, _FRAMES, 0)], _FRAMES))
        for address in addresses[:40]:
            _ask(_space(physical, data[0] if data else 0), address)


def _space(physical: PhysicalMemory, kind: int) -> AddressSpace:
    if kind % 4 == 1:
        return AddressSpace32(physical, 0x20, pae=True)
    if kind % 4 == 2:
        return AddressSpace32(physical, 0, pae=False)
    return AddressSpace(physical, 0).process(0x1000) if kind % 4 == 3 else AddressSpace(physical, 0)


def _ask(space: AddressSpace, address: int) -> None:
    available = space.read_available(address, 0x1804)
    whole, gap = attempt(space.read, address, 0x1804)
    assert whole == available if gap is None else gap.address == address + len(available)
    with suppress(Unreadable):
        space.translate(address)


def tables() -> Iterable[bytes]:
    """Page tables as records: a plain mapping, large pages, prototypes, and a table that maps itself."""
    for kind in range(4):
        first = 0x200 if kind == 3 else 0
        rows = [(first, 0x2003), (0x400, 0x3003), (0x600, 0x4003), (0x800, 0x5003), (0x801, 0x80)]
        yield _records(kind, rows)
        yield _records(kind, [(first, 0x2003), (0x400, 0x83), (first + 511, 0x83)])
        yield _records(kind, [*rows, (0x801, 0xFFFF_F800_0000_0400), (0x802, 0x6800), (first + 0x1F0, 0x2003)])
        yield _records(kind, [(first + index, first << 3 | 3) for index in (0, 1, 0x1F0, 511)])


def _records(kind: int, rows: Iterable[tuple[int, int]]) -> bytes:
    return bytes([kind]) + b"".join(_RECORD.pack(*row) for row in rows)


def check_minidump(data: bytes, scratch: Path) -> None:
    """Read it, and tell what happened to its process."""
    scratch.write_bytes(data)
    with RawFile(scratch) as raw:
        if not is_minidump(raw):
            return
        dump = read_minidump(raw)
        for block in (*dump.memory, *(thread.stack for thread in dump.threads if thread.stack)):
            assert 0 <= block.offset < block.offset + block.size <= raw.size
        parts = tell_user_story(dump)
        assert all("\n" not in note for note in parts.notes)


def minidumps() -> Iterable[bytes]:
    """A crash with code and unwind data, a hang, and both ways to keep memory."""
    yield stories.crash(stories.PLUGIN + 0x1234).write()
    yield stories.unwindable().write()
    hang = stories.hang(stories.waiting(3, stories.STACK, NTDLL + 0x1200))
    yield hang.write()
    hang.memory, hang.full_memory = {0x1000: b"memory" * 8}, True
    yield hang.write()
