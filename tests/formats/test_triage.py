"""Small dumps: what they hold, the same cut anywhere, and counts that lie."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.formats import DumpImage, TriageData, open_dump
from analysis.formats.self_address import address_of_copy
from analysis.memory import open_memory
from tests.formats.built import Triage

THREAD = 0xFFFF_C00B_DE9E_1640
MANY = Triage(
    drivers=[
        (f"\\SystemRoot\\system32\\drivers\\d{n}.sys", 0xFFFF_F800_0000_0000 + n * 0x10000, 0x8000) for n in range(9)
    ],
    unloaded=[(f"u{n}.sys", 0xFFFF_F900_0000_0000 + n, 0xFFFF_F900_0000_1000 + n) for n in range(5)],
    blocks=[(0xFFFF_A000_0000_0000 + n * 0x100, bytes([n]) * 0x80) for n in range(20)],
    broken_driver="d3.sys",
)


def list_heads(address: int, size: int, offsets: tuple[int, ...]) -> bytes:
    """A structure that is empty but for empty list heads."""
    data = bytearray(size)
    for offset in offsets:
        struct.pack_into("<QQ", data, offset, address + offset, address + offset)
    return bytes(data)


def opened(tmp_path: Path, data: bytes | bytearray) -> DumpImage:
    path = tmp_path / "triage.dmp"
    path.write_bytes(data)
    return open_dump(path)


def read(image: DumpImage) -> TriageData:
    assert image.triage is not None
    assert image.pages is None
    return image.triage


def test_everything_in_it_is_found(tmp_path: Path) -> None:
    with opened(tmp_path, MANY.build()) as image:
        triage = read(image)
        assert (image.notes, image.truncated, image.header.kind) == ((), False, "kernel-triage")
        assert [driver.name for driver in triage.drivers] == [f"d{n}.sys" for n in range(9)]
        third = triage.drivers[3]
        assert (third.base, third.size, third.timestamp, third.checksum) == (
            0xFFFF_F800_0003_0000, 0x8000, 0x5F3E0003, 0xC0FFEE + 3
        )  # fmt: skip
        assert third.path == "\\SystemRoot\\system32\\drivers\\d3.sys"
        assert [(old.name, old.start & 0xFF) for old in triage.unloaded] == [(f"u{n}.sys", n) for n in range(5)]
        assert len(triage.blocks) == 20
        assert triage.broken_driver == "d3.sys"
        assert triage.stack is not None
        assert (triage.stack.address, triage.stack.size) == (0xFFFF_9000_0000_0F00, 0x100)
        assert (triage.prcb, triage.process, triage.thread, triage.data_page) == (None, None, None, None)
        memory = open_memory(image)
        assert memory.read(0xFFFF_A000_0000_0510, 3) == b"\5\5\5"
        assert memory.read(0xFFFF_9000_0000_0F00, 0x100) == b"S" * 0x100
        assert memory.read(0xFFFF_F800_0000_3010, 4) == b"KDBG"


def test_a_header_alone_is_partial(tmp_path: Path) -> None:
    for length in (0x2000, 0x2001, 0x207F):
        with opened(tmp_path, MANY.build()[:length]) as image:
            assert image.truncated
            assert image.header.code == 0x9F
            assert read(image) == TriageData()
            assert "ends behind its header" in image.notes[0]


def test_zeros_behind_the_header_hold_nothing(tmp_path: Path) -> None:
    with opened(tmp_path, bytes(MANY.build()[:0x2000]) + bytes(0x10000)) as image:
        assert read(image) == TriageData()
        assert "nothing but zeros behind the header" in image.notes[0]


def test_the_same_cut_anywhere_still_opens(tmp_path: Path) -> None:
    whole = MANY.build()
    for length in range(0x2080, len(whole), 13):
        with opened(tmp_path, whole[:length]) as image:
            triage = read(image)
            assert image.truncated
            assert image.notes
            assert all(block.offset + block.size <= length for block in triage.blocks)
            for driver in triage.drivers:
                assert driver.base >= 0xFFFF_F800_0000_0000
            open_memory(image).read_available(0xFFFF_A000_0000_0000, 0x1000)


def test_a_file_cut_in_its_names_keeps_the_nameless_drivers(tmp_path: Path) -> None:
    whole = MANY.build()
    with opened(tmp_path, whole[: MANY.at["strings"] + 10]) as image:
        assert len(read(image).drivers) == 9
        assert {driver.name for driver in read(image).drivers} == {""}
        assert any("9 of 9 drivers have no readable name" in note for note in image.notes)


@pytest.mark.parametrize("field", range(0x00, 0x80, 4))
@pytest.mark.parametrize("value", [0, 1, 0x2000, 0x7FFF_FFFF, 0xFFFF_FFFF])
def test_each_field_at_its_extremes_still_opens(tmp_path: Path, field: int, value: int) -> None:
    data = MANY.build()
    struct.pack_into("<I", data, 0x2000 + field, value)
    with opened(tmp_path, data) as image:
        assert len(read(image).drivers) <= 4096
        open_memory(image).read_available(0xFFFF_A000_0000_0000, 0x1000)


@pytest.mark.parametrize(("field", "part"), [(0x34, "drivers"), (0x7C, "data blocks")])
def test_a_count_at_its_maximum_is_refused_before_any_loop(tmp_path: Path, field: int, part: str) -> None:
    data = MANY.build()
    struct.pack_into("<I", data, 0x2000 + field, 0xFFFF_FFFF)
    with opened(tmp_path, data) as image:
        assert image.notes == (f"a small dump of 4294967295 {part} cannot be: none were read",)
        assert not image.truncated
        assert (len(read(image).drivers), len(read(image).blocks)) == ((0, 20) if part == "drivers" else (9, 0))


@pytest.mark.parametrize("field", [0x34, 0x7C])
def test_a_count_beyond_the_file_gives_what_the_file_holds(tmp_path: Path, field: int) -> None:
    data = MANY.build()
    struct.pack_into("<I", data, 0x2000 + field, 4096)
    with opened(tmp_path, data) as image:
        assert image.truncated
        assert "of the 4096 entries" in image.notes[0]
        # What follows the table is no driver: its "bases" are no addresses of images.
        assert [driver.name for driver in read(image).drivers] == [f"d{n}.sys" for n in range(9)]


def test_too_many_unloaded_drivers_cost_only_them(tmp_path: Path) -> None:
    data = MANY.build()
    struct.pack_into("<I", data, MANY.at["unloaded"], 51)
    with opened(tmp_path, data) as image:
        assert read(image).unloaded == ()
        assert len(read(image).drivers) == 9
        assert "51 entries of the list of unloaded drivers" in image.notes[0]


def test_a_missing_marker_is_noted(tmp_path: Path) -> None:
    data = MANY.build()
    data[MANY.at["valid"] :] = b"XXXX"
    with opened(tmp_path, data) as image:
        assert "'TRGD'" in image.notes[0]
        assert not image.truncated


def test_a_name_of_absurd_length_is_no_name(tmp_path: Path) -> None:
    data = MANY.build()
    struct.pack_into(
        "<I", data, int.from_bytes(data[MANY.at["drivers"] : MANY.at["drivers"] + 4], "little"), 0xFFFFFFFF
    )
    with opened(tmp_path, data) as image:
        assert [driver.name for driver in read(image).drivers][:2] == ["", "d1.sys"]


def test_a_name_with_control_characters_is_made_printable(tmp_path: Path) -> None:
    with opened(tmp_path, Triage(drivers=[("\\x\\a\x1b[31m\n.sys", 0xFFFF_F800_0000_0000, 1)]).build()) as image:
        assert read(image).drivers[0].name == "a\ufffd[31m\ufffd.sys"


def test_blocks_that_wrap_around_the_address_space_are_cut(tmp_path: Path) -> None:
    top = 0xFFFF_FFFF_FFFF_FFF8
    with opened(tmp_path, Triage(blocks=[(top, b"0123456789abcdef"), (0, b"null")]).build()) as image:
        assert [(block.address, block.size) for block in read(image).blocks] == [(top, 8)]


def test_a_thread_tells_its_address_by_its_list_heads(tmp_path: Path) -> None:
    thread = list_heads(THREAD, 0x600, (8, 0x98, 0xA8))
    with opened(tmp_path, Triage(thread=thread).build()) as image:
        found = read(image).thread
        assert found is not None
        assert found.address == THREAD
        assert open_memory(image).u64(THREAD + 0x98) == THREAD + 0x98


def test_a_thread_without_list_heads_is_the_processors_current_one(tmp_path: Path) -> None:
    prcb = list_heads(0xFFFF_F804_782D_4180, 0x800, (0x40, 0x50, 0x700))
    prcb = prcb[:8] + THREAD.to_bytes(8, "little") + prcb[16:]
    with opened(tmp_path, Triage(thread=bytes(0x600), prcb=prcb, process=bytes(64)).build()) as image:
        triage = read(image)
        assert triage.thread is not None
        assert triage.prcb is not None
        assert triage.process is not None
        assert triage.thread.address == THREAD
        assert triage.prcb.address == 0xFFFF_F804_782D_4180
        assert triage.process.address == 0


def test_pointers_that_do_not_agree_tell_no_address() -> None:
    assert address_of_copy(b"") is None
    assert address_of_copy(bytes(0x100)) is None
    assert address_of_copy(list_heads(THREAD, 0x100, (8,))) is None  # one list head proves nothing
    here, there = list_heads(THREAD, 0x40, (8, 0x18)), list_heads(THREAD + 0x140, 0x40, (8, 0x18))
    assert address_of_copy(here) == THREAD
    assert address_of_copy(here + there) is None  # two structures, equally many votes


@given(st.data())
def test_any_damage_still_opens(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    dump = MANY.build()
    for _ in range(data.draw(st.integers(0, 12))):
        offset = data.draw(st.integers(0x2000, len(dump) - 8))
        dump[offset : offset + 4] = data.draw(st.binary(min_size=4, max_size=4))
    with opened(tmp_path_factory.mktemp("damaged"), dump) as image:
        open_memory(image).read_available(0xFFFF_A000_0000_0000, 0x1000)
        assert all(note.isprintable() for note in image.notes)
