"""Full dumps: runs of memory, honest and not."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.formats import DumpImage, open_dump
from tests.formats.built import PAGE, full, header, runs_into

PAGES = {pfn: bytes([pfn & 0xFF]) * PAGE for pfn in (1, 2, 3, 0x100, 0x101, 0x9000)}


def opened(tmp_path: Path, data: bytes | bytearray) -> DumpImage:
    path = tmp_path / "full.dmp"
    path.write_bytes(data)
    return open_dump(path)


def content(image: DumpImage, pfn: int) -> bytes | None:
    if image.pages is None:
        return None
    offset = image.pages.file_offset(pfn)
    return None if offset is None else image.raw.read(offset, PAGE, "a page")


def test_each_page_is_found_where_it_is(tmp_path: Path) -> None:
    with opened(tmp_path, full(PAGES)) as image:
        assert image.pages is not None
        assert (image.pages.page_count, image.truncated, image.notes) == (6, False, ())
        for pfn, page in PAGES.items():
            assert content(image, pfn) == page
        for pfn in (0, 4, 0xFF, 0x102, 0x8FFF, 0x9001, 1 << 40, (1 << 64) - 1):
            assert content(image, pfn) is None


def test_a_run_list_out_of_order_is_read_in_the_files_order(tmp_path: Path) -> None:
    head = header(1)
    runs_into(head, [(0x500, 1), (0x100, 2)])
    with opened(tmp_path, head + b"A" * PAGE + b"B" * PAGE + b"C" * PAGE) as image:
        assert [content(image, pfn) for pfn in (0x500, 0x100, 0x101)] == [b"A" * PAGE, b"B" * PAGE, b"C" * PAGE]


@pytest.mark.parametrize("length", [0x2001, 0x2FFF, 0x3000, 0x3001, 0x4FFF, 0x7FFF])
def test_a_cut_dump_gives_the_pages_it_still_has(tmp_path: Path, length: int) -> None:
    with opened(tmp_path, full(PAGES)[:length]) as image:
        assert image.truncated
        whole = (length - 0x2000) // PAGE
        assert (image.pages.page_count if image.pages else 0) == whole
        assert f"{6 - whole} of 6 pages are missing" in image.notes[-1]
        assert [content(image, pfn) for pfn in PAGES] == [*list(PAGES.values())[:whole], *[None] * (6 - whole)]


def test_a_header_alone_is_partial(tmp_path: Path) -> None:
    with opened(tmp_path, full(PAGES)[:0x2000]) as image:
        assert image.truncated
        assert image.header.code == 0x9F
        assert content(image, 1) is None
        assert "the file ends behind its header" in image.notes[0]


@pytest.mark.parametrize("number", [0, 43, 0xFFFF_FFFF])
def test_an_absurd_number_of_runs_costs_the_pages_only(tmp_path: Path, number: int) -> None:
    data = full(PAGES)
    struct.pack_into("<I", data, 0x88, number)
    with opened(tmp_path, data) as image:
        assert f"{number} runs" in image.notes[0]
        assert content(image, 1) is None


def test_42_runs_are_the_most_and_are_read(tmp_path: Path) -> None:
    pages = {10 * n: bytes([n]) for n in range(42)}
    with opened(tmp_path, full(pages)) as image:
        assert image.notes == ()
        assert content(image, 410) == b"\x29".ljust(PAGE, b"\0")


def test_overlapping_runs_keep_the_first(tmp_path: Path) -> None:
    head = header(1)
    runs_into(head, [(1, 2), (2, 2), (0x10, 1)])
    with opened(tmp_path, head + b"".join(letter * PAGE for letter in (b"A", b"B", b"C", b"D", b"E"))) as image:
        assert content(image, 2) == b"B" * PAGE
        assert content(image, 3) is None
        assert content(image, 0x10) == b"E" * PAGE
        assert "overlaps an earlier one" in image.notes[0]


@pytest.mark.parametrize("run", [((1 << 64) - 1, 1), (1 << 40, 5), (5, (1 << 64) - 1), ((1 << 64) - 1, (1 << 64) - 1)])
def test_a_run_beyond_any_memory_is_left_out(tmp_path: Path, run: tuple[int, int]) -> None:
    head = header(1)
    runs_into(head, [(1, 1), run])
    with opened(tmp_path, head + b"A" * PAGE + b"B" * PAGE) as image:
        assert content(image, 1) == b"A" * PAGE
        assert content(image, run[0]) is None
        assert any("beyond any memory" in note for note in image.notes)


def test_a_wrong_total_is_noted(tmp_path: Path) -> None:
    data = full(PAGES)
    struct.pack_into("<Q", data, 0x90, 7)
    with opened(tmp_path, data) as image:
        assert image.notes == ("the header counts 7 pages, its runs 6",)
        assert not image.truncated


def test_arm64_pages_open_like_those_of_x64(tmp_path: Path) -> None:
    with opened(tmp_path, full(PAGES, machine=0xAA64)) as image:
        assert image.pages is not None
        assert not image.notes


@given(
    st.lists(
        st.tuples(
            st.integers(0, 300) | st.integers(0, (1 << 64) - 1), st.integers(0, 20) | st.integers(0, (1 << 64) - 1)
        ),
        max_size=42,
    ),
    st.integers(0, 30),
)
def test_any_run_list_stays_inside_the_file(
    tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[int, int]], pages: int
) -> None:
    head = header(1)
    runs_into(head, runs)
    with opened(tmp_path_factory.mktemp("runs"), head + bytes(pages * PAGE)) as image:
        if image.pages is None:
            return
        for base, count in runs:
            for pfn in (base, base + count - 1, base + count, 0):
                offset = image.pages.file_offset(pfn)
                assert offset is None or 0x2000 <= offset <= image.raw.size - PAGE
