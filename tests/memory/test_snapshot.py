"""A structure read once, in front of the memory it came from."""

import pytest

from analysis.errors import Unreadable
from analysis.memory.snapshot import Snapshot
from tests.memory.test_reader import BASE, Bytes


class Counting(Bytes):
    """Counts its reads."""

    reads = 0

    def read(self, address: int, size: int) -> bytes:
        self.reads += 1
        return super().read(address, size)


def test_reads_inside_cost_no_further_read() -> None:
    memory = Counting(bytes(range(64)))
    shot = Snapshot(memory, BASE + 8, 16)
    before = memory.reads
    assert shot.read(BASE + 8, 16) == bytes(range(8, 24))
    assert shot.u32(BASE + 20) == 0x17161514
    assert memory.reads == before


def test_reads_outside_fall_through() -> None:
    memory = Counting(bytes(range(64)))
    shot = Snapshot(memory, BASE + 8, 16)
    for address, size in ((BASE, 4), (BASE + 4, 8), (BASE + 20, 8), (BASE + 40, 4)):
        assert shot.read(address, size) == bytes(range(address - BASE, address - BASE + size))


def test_a_range_with_a_gap_keeps_its_reason() -> None:
    shot = Snapshot(Bytes(bytes(range(12))), BASE, 64)
    assert shot.read(BASE, 12) == bytes(range(12))
    with pytest.raises(Unreadable) as caught:
        shot.read(BASE + 8, 8)
    assert caught.value.address == BASE + 12
