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


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        ("pe_pdb/*.exe", "a Windows program or driver (a PE image)"),
        ("pe_pdb/*.pdb", "a PDB symbol file"),
        ("windbg/logs/*.txt", "a text file"),
        ("windbg/*.jsonl", "a JSON document"),
        ("symbols/*/*.json.xz", "an xz file"),
    ],
)
def test_what_people_send_beside_dumps_is_named(pattern: str, what: str) -> None:
    paths = sorted(SHARED.glob(pattern))
    assert paths
    for path in paths:
        with pytest.raises(NotADump) as caught:
            open_dump(path)
        assert caught.value.what == what, path.name


@pytest.mark.parametrize("name", ["triage_x64.dmp", "triage_arm64.dmp"])
def test_a_real_dump_cut_anywhere_opens_as_far_as_it_goes(name: str, tmp_path: Path) -> None:
    whole = (SHARED / "dumps" / name).read_bytes()
    path = tmp_path / "cut.dmp"
    drivers, blocks = -1, -1
    for length in [0x2000, 0x2080, *range(0x2100, 0x22000, 0x1777), *range(0x22000, len(whole), len(whole) // 12)]:
        path.write_bytes(whole[:length])
        with open_dump(path) as image:
            triage = image.triage
            assert triage is not None
            assert image.truncated == (length < 0x2080 or b"TRGD" not in whole[0x2080:length])
            assert (len(triage.drivers), len(triage.blocks)) >= (drivers, blocks)
            drivers, blocks = len(triage.drivers), len(triage.blocks)
            open_memory(image).read_available(image.header.kdbg, 0x380)
