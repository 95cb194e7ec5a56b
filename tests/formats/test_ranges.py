"""A debugger's page ranges (types 8, 9, 10) and the older kernel summary (type 2)."""

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.formats import DumpImage, open_dump
from tests.formats.built import PAGE, header

PAGES = {5: b"five", 6: b"six", 7: b"seven", 0x300: b"far"}
RANGES = ((5, 3), (0x300, 1))


def ranges(type_code: int, listed: tuple[tuple[int, int], ...] = RANGES, *, total: int = 4) -> bytearray:
    """A dump of PAGES as a debugger writes it."""
    block = bytearray(PAGE)
    struct.pack_into("<I4s4sIQQ", block, 0, 0x40, b"RDMP", b"DUMP", 0, 0x3000 - 0x2020, 0x3000)
    if type_code == 10:
        struct.pack_into("<IIQ", block, 0x20, len(listed), 0, total)
    for index, one in enumerate(listed):
        struct.pack_into("<QQ", block, 0x30 + 16 * index, *one)
    return header(type_code) + block + b"".join(PAGES[pfn].ljust(PAGE, b"\0") for pfn in sorted(PAGES))


def summary(*, bits: int = 0x301, again: int | None = None) -> bytearray:
    """A dump of PAGES as Windows 7 writes it."""
    block = bytearray(PAGE)
    struct.pack_into("<4s4sIIIII", block, 0, b"SDMP", b"DUMP", 0, 0x3000, bits, 4, bits if again is None else again)
    for pfn in PAGES:
        block[0x28 + pfn // 8] |= 1 << pfn % 8
    return header(2) + block + b"".join(PAGES[pfn].ljust(PAGE, b"\0") for pfn in sorted(PAGES))


def opened(tmp_path: Path, data: bytes | bytearray) -> DumpImage:
    path = tmp_path / "ranges.dmp"
    path.write_bytes(data)
    return open_dump(path)


def content(image: DumpImage, pfn: int) -> bytes | None:
    offset = image.pages.file_offset(pfn) if image.pages else None
    return None if offset is None else image.raw.read(offset, 8, "a page").rstrip(b"\0")


@pytest.mark.parametrize("type_code", [8, 9, 10])
def test_every_page_of_every_range_is_found(tmp_path: Path, type_code: int) -> None:
    with opened(tmp_path, ranges(type_code)) as image:
        assert (image.header.kind, image.notes, image.truncated) == ("kernel-ranges", (), False)
        assert image.pages is not None
        assert image.pages.page_count == 4
        assert {pfn: content(image, pfn) for pfn in (4, 5, 6, 7, 8, 0x300)} == {4: None, 8: None, **PAGES}


def test_every_page_of_a_summary_is_found(tmp_path: Path) -> None:
    with opened(tmp_path, summary()) as image:
        assert (image.header.kind, image.notes, image.truncated) == ("kernel-summary", (), False)
        assert {pfn: content(image, pfn) for pfn in (4, 5, 6, 7, 8, 0x300)} == {4: None, 8: None, **PAGES}


def test_a_summary_that_contradicts_itself_gives_no_page(tmp_path: Path) -> None:
    with opened(tmp_path, summary(again=0x300)) as image:
        assert image.pages is None
        assert "0x" not in image.notes[0]
        assert "no page is usable" in image.notes[0]


def test_type_10_believes_no_more_pages_than_it_counts(tmp_path: Path) -> None:
    with opened(tmp_path, ranges(10, total=5)) as image:
        assert any("counts 5 saved pages, its ranges 4" in note for note in image.notes)


@pytest.mark.parametrize(
    "place", [(4, b"XDMP"), (0x10, b"\0\0"), (0x18, b"\0\0"), (0x18, b"\xff\xff\xff\xff\xff\xff\xff\xff")]
)
def test_a_header_that_lies_gives_no_page(tmp_path: Path, place: tuple[int, bytes]) -> None:
    data = ranges(8)
    data[0x2000 + place[0] : 0x2000 + place[0] + len(place[1])] = place[1]
    with opened(tmp_path, data) as image:
        assert image.pages is None
        assert "no page is usable" in image.notes[0]


def test_a_count_that_lies_gives_no_page(tmp_path: Path) -> None:
    data = ranges(10)
    struct.pack_into("<I", data, 0x2020, 0xFFFF_FFFF)
    with opened(tmp_path, data) as image:
        assert image.pages is None


@pytest.mark.parametrize("bad", [((5, 3), (0x300, 1 << 60)), ((5, 3), ((1 << 64) - 1, 2))])
def test_an_impossible_range_ends_the_list(tmp_path: Path, bad: tuple[tuple[int, int], ...]) -> None:
    with opened(tmp_path, ranges(8, bad)) as image:
        assert content(image, 5) == b"five"
        assert content(image, 0x300) is None
        assert any("cannot be" in note for note in image.notes)


def test_overlapping_ranges_are_left_out(tmp_path: Path) -> None:
    with opened(tmp_path, ranges(8, ((5, 3), (6, 1)))) as image:
        assert content(image, 6) == b"six"
        assert any("overlap" in note for note in image.notes)


@pytest.mark.parametrize("make", [ranges(8), ranges(10), summary()])
def test_cut_anywhere_it_opens_and_says_so(tmp_path: Path, make: bytearray) -> None:
    for end in [*range(0x2000, 0x2080), *range(0x2080, len(make), 997)]:
        with opened(tmp_path, make[:end]) as image:
            assert image.truncated
            assert image.notes


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([8, 9, 10, 2]), st.integers(0, 0x7F), st.binary(min_size=1, max_size=24))
def test_noise_in_front_of_the_pages_never_breaks_out(tmp_path: Path, kind: int, at: int, noise: bytes) -> None:
    data = summary() if kind == 2 else ranges(kind)
    data[0x2000 + at : 0x2000 + at + len(noise)] = noise
    with opened(tmp_path, data) as image:
        if image.pages is not None:
            for pfn in (0, 5, 0x300, 1 << 39):
                offset = image.pages.file_offset(pfn)
                assert offset is None or offset + PAGE <= image.raw.size
