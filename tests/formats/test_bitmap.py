"""Bitmap dumps: the rank of a page among the saved ones, and headers that lie."""

import random
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.formats import DumpImage, open_dump
from tests.formats.built import PAGE, bitmap, header


def opened(tmp_path: Path, data: bytes | bytearray) -> DumpImage:
    path = tmp_path / "bitmap.dmp"
    path.write_bytes(data)
    return open_dump(path)


@pytest.mark.parametrize(
    ("type_code", "signature", "kind"),
    [
        (5, b"FDMP", "kernel-bitmap-full"),
        (6, b"SDMP", "kernel-bitmap"),
        (5, b"SDMP", "kernel-bitmap"),
        (6, b"FDMP", "kernel-bitmap-full"),
    ],
)
def test_the_signature_names_the_kind_not_the_type(tmp_path: Path, type_code: int, signature: bytes, kind: str) -> None:
    with opened(tmp_path, bitmap({3: b"x"}, type_code=type_code, signature=signature)) as image:
        assert (image.header.kind, image.header.type_code) == (kind, type_code)
        assert image.notes == ()
        assert image.pages is not None
        assert image.pages.file_offset(3) is not None


@pytest.mark.parametrize(("type_code", "kind"), [(5, "kernel-bitmap-full"), (6, "kernel-bitmap")])
def test_a_header_alone_is_partial_and_named_by_its_type(tmp_path: Path, type_code: int, kind: str) -> None:
    for behind in (b"", b"SDM", bytes(0x37)):
        with opened(tmp_path, bytes(header(type_code)) + behind) as image:
            assert (image.header.kind, image.pages, image.truncated) == (kind, None, True)
            assert "no page of memory was saved" in image.notes[0]


def test_zeros_behind_the_header_are_no_bitmap(tmp_path: Path) -> None:
    with opened(tmp_path, bytes(header(5)) + bytes(0x10000)) as image:
        assert image.pages is None
        assert "no page bitmap" in image.notes[0]


def test_every_page_is_found_at_its_rank(tmp_path: Path) -> None:
    chosen = random.Random(7).sample(range(5000), 300)
    pages = {pfn: pfn.to_bytes(4, "little") for pfn in [*chosen, 0, 511, 512, 513, 4999]}
    with opened(tmp_path, bitmap(pages)) as image:
        found = image.pages
        assert found is not None
        assert found.page_count == len(pages)
        for pfn in range(6000):
            one = found.file_offset(pfn)
            assert (one is not None) == (pfn in pages)
            if one is not None:
                assert image.raw.u32(one, "page") == pfn


def test_far_pages_are_not_saved(tmp_path: Path) -> None:
    with opened(tmp_path, bitmap({1: b"x"})) as image:
        assert image.pages is not None
        assert image.pages.file_offset(-1) is None
        assert image.pages.file_offset((1 << 64) - 1) is None


def test_bits_behind_the_last_page_do_not_count(tmp_path: Path) -> None:
    with opened(tmp_path, bitmap({1: b"x", 6: b"y"}, bits=4)) as image:
        assert image.pages is not None
        assert image.pages.page_count == 1
        assert image.pages.file_offset(6) is None
        assert "counts 2 saved pages, its bitmap 1" in image.notes[0]


def test_a_cut_file_gives_the_pages_it_still_has(tmp_path: Path) -> None:
    data = bitmap(dict.fromkeys(range(10, 20), b"x"))
    for length in range(0x2038 + 3, len(data), 911):
        with opened(tmp_path, data[:length]) as image:
            assert image.truncated
            assert image.pages is not None
            whole = max(0, length - 0x3000) // PAGE
            assert image.pages.page_count == whole
            saved = [pfn for pfn in range(30) if image.pages.file_offset(pfn) is not None]
            assert saved == list(range(10, 10 + whole))


def test_a_file_cut_inside_its_bitmap_has_no_page(tmp_path: Path) -> None:
    with opened(tmp_path, bitmap({5000: b"x"})[:0x2100]) as image:
        assert (image.pages, image.truncated) == (None, True)
        assert "inside its page bitmap" in image.notes[0]


@pytest.mark.parametrize("bits", [0, (1 << 32) + 1, 1 << 63, (1 << 64) - 1])
def test_an_absurd_bitmap_is_refused_before_it_is_read(tmp_path: Path, bits: int) -> None:
    data = bitmap({5: b"x"})
    struct.pack_into("<Q", data, 0x2030, bits)
    with opened(tmp_path, data) as image:
        assert image.pages is None
        assert "cannot be" in image.notes[0]


@pytest.mark.parametrize("first", [0, 0x2000, 0x2038])
def test_pages_cannot_begin_inside_the_bitmap(tmp_path: Path, first: int) -> None:
    data = bitmap({5: b"x"})
    struct.pack_into("<Q", data, 0x2020, first)
    with opened(tmp_path, data) as image:
        assert image.pages is None


def test_a_first_page_behind_the_file_leaves_no_page(tmp_path: Path) -> None:
    data = bitmap({5: b"x"})
    struct.pack_into("<Q", data, 0x2020, (1 << 64) - 1)
    with opened(tmp_path, data) as image:
        assert image.truncated
        assert image.pages is not None
        assert image.pages.file_offset(5) is None


def test_a_bitmap_in_several_chunks_sums_up(tmp_path: Path) -> None:
    # 12 MiB of bitmap: the totals are made in chunks of 4 MiB.
    data = bitmap({0: b"a", (1 << 25) + 3: b"b", (3 << 25) - 1: b"c"})
    with opened(tmp_path, data) as image:
        assert image.pages is not None
        assert [image.raw.u8(image.pages.file_offset(pfn) or 0, "x") for pfn in (0, (1 << 25) + 3, (3 << 25) - 1)] == [
            *b"abc"
        ]


@settings(max_examples=60)
@given(st.binary(min_size=0, max_size=0x38), st.integers(0, 0x3000))
def test_any_bitmap_header_opens(tmp_path_factory: pytest.TempPathFactory, damage: bytes, length: int) -> None:
    data = bitmap({5: b"x", 900: b"y"})
    data[0x2000 : 0x2000 + len(damage)] = damage
    with opened(tmp_path_factory.mktemp("bitmaps"), data[: 0x2000 + length]) as image:
        if image.pages is not None:
            for pfn in (0, 5, 900):
                offset = image.pages.file_offset(pfn)
                assert offset is None or offset + PAGE <= image.raw.size
