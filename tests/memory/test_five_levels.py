"""Page tables of five levels: how a dump shows that its machine used them, and walks of them."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from analysis.errors import Absence, Unreadable
from analysis.formats import open_dump
from analysis.kernel.context import CONTEXT_SIZE, context_registers
from analysis.kernel.lists import walk_list
from analysis.memory import AddressSpace, open_memory
from analysis.memory.snapshot import Snapshot
from tests.formats.built import full
from tests.memory.tables import LARGE, PAGE, PRESENT, Physical, Space

KERNEL, WIDE = 0xFFFF_F800_0000_0000, 0xFF12_3456_7890_A000
LIST, KDBG = KERNEL + 0x5000, KERNEL + 0x9000


@contextmanager
def opened(tmp_path: Path, space: Space) -> Iterator[AddressSpace]:
    path = tmp_path / "levels.dmp"
    data = full({frame: bytes(page) for frame, page in space.physical.pages.items()})
    struct.pack_into("<Q", data, 0x10, space.cr3)
    struct.pack_into("<Q", data, 0x20, LIST)
    struct.pack_into("<Q", data, 0x80, KDBG)
    path.write_bytes(data)
    with open_dump(path) as image:
        memory = open_memory(image)
        assert isinstance(memory, AddressSpace)
        yield memory


def listed(space: Space) -> None:
    """A list of modules whose first entry points back."""
    space.map(LIST, struct.pack("<QQ", LIST + PAGE, LIST + PAGE))
    space.map(LIST + PAGE, struct.pack("<QQ", LIST, LIST))


def tagged(space: Space) -> None:
    """A block of debugger data."""
    space.map(KDBG, bytes(16) + b"KDBG")


@pytest.mark.parametrize("levels", [4, 5])
@pytest.mark.parametrize("evidence", [listed, tagged])
def test_what_the_header_says_lies_in_the_kernel_tells_the_levels(
    tmp_path: Path, levels: int, evidence: object
) -> None:
    space = Space(Physical(), levels)
    evidence(space)  # type: ignore[operator]
    with opened(tmp_path, space) as memory:
        assert memory.five_levels == (levels == 5)
        assert memory.process(space.cr3).five_levels == (levels == 5)


def test_without_evidence_there_are_four(tmp_path: Path) -> None:
    space = Space(Physical(), 5)
    space.map(LIST, struct.pack("<QQ", LIST + PAGE, LIST + PAGE))  # its neighbour was not saved
    with opened(tmp_path, space) as memory:
        assert not memory.five_levels


def test_wide_addresses_and_large_pages_are_read_through_five_levels(tmp_path: Path) -> None:
    space = Space(Physical(), 5)
    tagged(space)
    frame = space.map(WIDE, b"wide")
    large = space.physical.first >> 9 << 21
    space.set_entry(WIDE + (1 << 30), 3, large | LARGE | PRESENT)
    with opened(tmp_path, space) as memory:
        assert memory.read(WIDE, 4) == b"wide"
        assert memory.translate(WIDE + 5) == frame << 12 | 5
        assert memory.translate(WIDE + (1 << 30)) == large | (WIDE & 0x1F_FFFF)
        with pytest.raises(Unreadable) as caught:
            memory.u8(0xFE12_3456_7890_A000)
        assert caught.value.absence is Absence.NOT_CANONICAL
        with pytest.raises(Unreadable) as caught:
            memory.u8(0xFF7F_3456_7890_A000 | 1 << 56)
        assert "PML5" in str(caught.value)


def test_wide_addresses_are_none_where_there_are_four(tmp_path: Path) -> None:
    space = Space(Physical(), 4)
    tagged(space)
    with opened(tmp_path, space) as memory, pytest.raises(Unreadable) as caught:
        memory.u8(WIDE)
    assert caught.value.absence is Absence.NOT_CANONICAL


def test_a_list_at_wide_addresses_is_the_kernels_with_five_levels_and_nobodys_with_four(tmp_path: Path) -> None:
    space = Space(Physical(), 5)
    tagged(space)
    links = [WIDE, WIDE + 0x40, WIDE + 0x80]
    ring = bytearray(0x100)
    for number in range(3):
        struct.pack_into("<QQ", ring, 0x40 * number, links[(number + 1) % 3], links[number - 1])
    space.map(WIDE, bytes(ring))
    with opened(tmp_path, space) as memory:
        assert walk_list(memory, WIDE, 9).entries == tuple(links[1:])
        assert Snapshot(memory, WIDE, 0x100).is_kernel(WIDE)
        assert memory.process(space.cr3).is_kernel(WIDE)
    four = Space(Physical(), 4)
    tagged(four)
    with opened(tmp_path, four) as memory:
        assert not memory.is_kernel(WIDE)
        assert memory.is_kernel(0xFFFF_8000_0000_0000)


def test_a_context_on_a_wide_stack_is_one() -> None:
    context = bytearray(CONTEXT_SIZE)
    for rsp, sound in ((WIDE & ~7, True), (0x7FFE_0000_1000, True), (0x80FE_0000_0000_1000, False)):
        struct.pack_into("<Q", context, 0x98, rsp)
        assert (context_registers(bytes(context)) is not None) == sound
