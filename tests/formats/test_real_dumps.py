"""The two real small dumps: what opening them gives, and the memory they hold."""

import itertools
from pathlib import Path

import pytest

from analysis.errors import NotADump
from analysis.formats import open_dump
from analysis.memory import BlockMemory, open_memory

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = [pytest.mark.shared, pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/data here")]


def test_the_x64_dump_opens_with_its_151_modules() -> None:
    with open_dump(SHARED / "dumps" / "triage_x64.dmp") as image:
        header, triage = image.header, image.triage
        assert (header.kind, header.architecture, header.build, header.processors) == (
            "kernel-triage",
            "x64",
            19041,
            16,
        )
        assert header.code == 0x1000007E
        assert header.crash_time is not None
        assert header.crash_time.isoformat() == "2021-02-21T01:38:22.987765+00:00"
        assert header.comment is None
        assert triage is not None
        assert len(triage.drivers) == 151
        assert triage.drivers[0].name == "ntoskrnl.exe"
        assert triage.drivers[0].timestamp == 0xD8333E6
        assert [driver.name for driver in triage.unloaded] == ["dam.sys", "WdBoot.sys", "hwpolicy.sys", "mcupdate.dll"]
        assert not image.truncated
        assert image.notes == ()


def test_the_arm64_dump_opens_too() -> None:
    with open_dump(SHARED / "dumps" / "triage_arm64.dmp") as image:
        assert (image.header.architecture, image.header.code, image.header.build) == ("arm64", 0x1C8, 22000)
        assert image.triage is not None
        assert len(image.triage.drivers) == 245
        assert len(image.triage.unloaded) == 11


@pytest.mark.parametrize(
    ("name", "prcb", "process", "thread"),
    [
        ("triage_x64.dmp", 0xFFFFF804782D4180, 0xFFFFC08BDCE94180, 0xFFFFC08BDE9E1640),
        ("triage_arm64.dmp", 0xFFFFF803EFD00980, 0xFFFFBB8EB1690080, 0xFFFFBB8EB1719180),
    ],
)
def test_copied_structures_tell_where_they_lived(name: str, prcb: int, process: int, thread: int) -> None:
    # Expected: KiProcessorBlock[0], KPRCB.CurrentThread and KTHREAD.ApcState.Process, read by hand from the dumps.
    with open_dump(SHARED / "dumps" / name) as image:
        triage = image.triage
        assert triage is not None
        assert triage.prcb is not None
        assert triage.process is not None
        assert triage.thread is not None
        assert (triage.prcb.address, triage.process.address, triage.thread.address) == (prcb, process, thread)
        memory = open_memory(image)
        assert memory.u64(prcb + 8) == thread
        assert memory.u8(thread) == 6  # a dispatcher header of type thread
        assert memory.read(image.header.kdbg + 0x10, 4) == b"KDBG"
        assert memory.u64(image.header.kdbg + 0x18) == triage.drivers[0].base


def test_blocks_are_sorted_and_disjoint() -> None:
    with open_dump(SHARED / "dumps" / "triage_x64.dmp") as image:
        memory = open_memory(image)
        assert isinstance(memory, BlockMemory)
        blocks = memory.blocks
        assert all(a.address + a.size <= b.address for a, b in itertools.pairwise(blocks))
        assert sum(block.size for block in blocks) > 1_000_000


@pytest.mark.parametrize("path", sorted((SHARED / "minidumps").glob("*.dmp")), ids=lambda path: path.stem)
def test_user_mode_dumps_are_named(path: Path) -> None:
    with pytest.raises(NotADump) as caught:
        open_dump(path)
    assert caught.value.what == "a user-mode minidump"
