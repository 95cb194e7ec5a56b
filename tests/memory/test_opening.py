"""Which memory a dump gets, and what a dump without any says."""

from pathlib import Path

import pytest

from analysis.address import PhysAddr
from analysis.errors import Unreadable
from analysis.formats import open_dump
from analysis.memory import AddressSpace, AddressSpaceArm64, BlockMemory, PhysicalMemory, open_memory
from analysis.memory.opening import NoMemory
from tests.formats.built import PAGE, Triage, bitmap, full, header


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (full({1: b"x"}), AddressSpace),
        (bitmap({1: b"x"}), AddressSpace),
        (Triage().build(), BlockMemory),
        (full({1: b"x"})[:0x2000], NoMemory),
        (header(5), NoMemory),
        (full({1: b"x"}, machine=0xAA64), AddressSpaceArm64),
    ],
)
def test_each_kind_gets_its_memory(tmp_path: Path, data: bytearray, kind: type) -> None:
    path = tmp_path / "any.dmp"
    path.write_bytes(data)
    with open_dump(path) as image:
        memory = open_memory(image)
        assert type(memory) is kind
        assert not memory.is_readable(image.header.loaded_modules)
        assert memory.read(image.header.loaded_modules, 0) == b""


def test_the_frame_cache_stays_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analysis.memory.physical._CACHED_FRAMES", 2)
    path = tmp_path / "physical.dmp"
    path.write_bytes(full({frame: bytes([frame]) for frame in range(1, 9)}))
    with open_dump(path) as image:
        assert image.pages is not None
        physical = PhysicalMemory(image.raw, image.pages)
        for frame in [*range(1, 9), *range(1, 9)]:
            assert physical.read(PhysAddr(frame << 12), 1) == bytes([frame])
        assert len(physical._frames) <= 2


def test_physical_reads_cross_pages(tmp_path: Path) -> None:
    path = tmp_path / "physical.dmp"
    path.write_bytes(full({7: b"A" * PAGE, 8: b"B" * PAGE, 3: b"C" * PAGE}))
    with open_dump(path) as image:
        memory = open_memory(image)
        assert isinstance(memory, AddressSpace)
        physical: PhysicalMemory = memory.physical
        assert physical.read(PhysAddr(0x7FFE), 4) == b"AABB"
        assert physical.read(PhysAddr(0x7001), 2 * PAGE - 1) == b"A" * 0xFFF + b"B" * PAGE
        with pytest.raises(Unreadable) as caught:
            physical.read(PhysAddr(0x8FFE), 4)
        assert caught.value.address == 0x9000
