"""Memory of small dumps: blocks, their edges and their overlaps."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import Absence, Unreadable
from analysis.formats import DataBlock, RawFile
from analysis.memory import BlockMemory

BASE = 0xFFFF_A000_0000_0000


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> RawFile:
    path = tmp_path_factory.mktemp("blocks") / "raw"
    path.write_bytes(bytes(range(256)) * 16)
    return RawFile(path)


def test_a_read_goes_across_adjacent_blocks(raw: RawFile) -> None:
    memory = BlockMemory(raw, [DataBlock(BASE + 16, 0, 16), DataBlock(BASE, 100, 16), DataBlock(BASE + 32, 200, 16)])
    assert memory.read(BASE + 14, 20) == bytes([114, 115, *range(16), 200, 201])
    assert memory.read(BASE, 48) == bytes([*range(100, 116), *range(16), *range(200, 216)])
    assert memory.read(BASE, 0) == b""


def test_a_gap_tells_its_first_byte(raw: RawFile) -> None:
    memory = BlockMemory(raw, [DataBlock(BASE, 0, 16), DataBlock(BASE + 20, 100, 16)])
    with pytest.raises(Unreadable) as caught:
        memory.read(BASE + 8, 16)
    assert (caught.value.address, caught.value.absence) == (BASE + 16, Absence.NOT_SAVED)
    assert memory.read_available(BASE + 8, 16) == bytes(range(8, 16))
    assert memory.read_available(BASE + 16, 16) == b""
    for address in (BASE - 1, BASE + 19, BASE + 36, 0, (1 << 64) - 1):
        assert not memory.is_readable(address)


def test_the_last_byte_of_the_address_space(raw: RawFile) -> None:
    memory = BlockMemory(raw, [DataBlock((1 << 64) - 4, 0, 4)])
    assert memory.read((1 << 64) - 4, 4) == bytes(range(4))
    with pytest.raises(Unreadable):
        memory.read((1 << 64) - 4, 5)


def test_no_blocks_no_memory(raw: RawFile) -> None:
    assert not BlockMemory(raw, []).is_readable(BASE)


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 3000), st.integers(1, 60)), max_size=30))
def test_overlapping_blocks_cover_what_any_of_them_covers(raw: RawFile, parts: list[tuple[int, int, int]]) -> None:
    # One memory, copied more than once: byte n of it is n & 0xFF wherever a block keeps it.
    blocks = [DataBlock(BASE + start, start % 256, size) for start, _, size in parts]
    memory = BlockMemory(raw, blocks)
    covered = {start + index for start, _, size in parts for index in range(size)}
    for position in range(270):
        assert memory.is_readable(BASE + position) == (position in covered)
        if position in covered:
            assert memory.u8(BASE + position) == position & 0xFF
    kept = memory.blocks
    assert all(one.address + one.size <= two.address for one, two in itertools.pairwise(kept))
    assert sum(block.size for block in kept) == len(covered)
