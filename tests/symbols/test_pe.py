"""Images in memory: every part alone, with any part missing."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.errors import BadDump, Unreadable
from analysis.symbols.names import PdbIdentity
from analysis.symbols.pe import PeImage, read_image
from analysis.symbols.version import ImageVersion, parse_version
from tests.symbols.flat import FlatMemory
from tests.symbols.images import BASE, DEBUG, EXPORTS, FUNCTION_COUNT, FUNCTIONS, RESOURCES, SIZE, build_image

PAIRS = Path(__file__).parents[3] / "shared" / "data" / "pe_pdb"


def image_without(*pages: int) -> PeImage:
    """The sample image with some of its pages (RVAs) missing."""
    data = build_image()
    ranges = {BASE + at: data[at : at + 0x1000] for at in range(0, SIZE, 0x1000) if at not in pages}
    return read_image(FlatMemory(dict(ranges)), BASE)


def test_headers() -> None:
    image = image_without()
    assert (image.machine, image.timestamp, image.size_of_image) == (0x8664, 0x5F3E1234, SIZE)
    assert (image.checksum, image.entry_point) == (0xABCD, 0x1040)
    assert [(s.name, s.rva, s.size, s.executable, s.discardable) for s in image.sections] == [
        (".text", 0x1000, 0x800, True, False),
        ("INIT", 0x1000, 0x800, True, True),
    ]


def test_the_pdb_record_gives_the_file_name_only() -> None:
    assert image_without().pdb == PdbIdentity("sample.pdb", "0123456789ABCDEF0001020304050607", 3)
    assert image_without(DEBUG).pdb is None


def test_exports_and_forwarders() -> None:
    exports = image_without().exports()
    assert exports is not None
    assert exports.name == "sample.sys"
    assert exports.names == {"Alpha": 0x1300, "Beta": 0x1100, "Zeta": 0x1200}
    assert exports.forwarders == {"Forwarded": "hal.Other"}
    assert exports.rva("Forwarded") is None
    assert exports.nearest(0x1250) == ("Zeta", 0x50)
    assert exports.nearest(0x10FF) is None
    assert not exports.has_functions
    assert image_without(EXPORTS).exports() is None


def test_function_rows_survive_the_loss_of_a_page() -> None:
    assert [int(row["begin"]) for row in image_without().functions()] == list(range(0x1000, 0x1000 + FUNCTION_COUNT))
    first = image_without(FUNCTIONS + 0x1000).functions()
    assert len(first) == 0x1000 // 12  # the row across the edge is lost with its second half
    second = image_without(FUNCTIONS).functions()
    assert len(second) == FUNCTION_COUNT - (0x1000 // 12 + 1)
    assert len(image_without(FUNCTIONS, FUNCTIONS + 0x1000).functions()) == 0


def test_an_arm64_image_has_no_x64_function_table() -> None:
    image = read_image(FlatMemory({BASE: build_image(0xAA64)}), BASE)
    assert len(image.functions()) == 0


def test_version_and_company() -> None:
    assert image_without().version() == ImageVersion("10.0.19041.804", "Example Corp.")
    assert image_without(RESOURCES).version() == ImageVersion(None, None)


def test_a_version_block_cut_anywhere_gives_what_is_left() -> None:
    data = build_image()
    block = bytes(data[RESOURCES + 0x200 : RESOURCES + 0x300])
    for end in range(len(block)):
        version = parse_version(block[:end])
        assert version.file in (None, "10.0.19041.804")
        assert version.company is None or "Example Corp.".startswith(version.company)


def test_without_its_first_page_there_is_no_image() -> None:
    with pytest.raises(Unreadable):
        image_without(0)


def test_other_bytes_are_no_image() -> None:
    with pytest.raises(BadDump):
        read_image(FlatMemory({BASE: bytes(0x1000)}), BASE)


def read_all(image: PeImage) -> None:
    """Every part, for tests that only ask for no other error than the documented ones."""
    assert len(image.sections) <= 96
    assert image.pdb is None or len(image.pdb.guid) == 32
    exports = image.exports()
    assert exports is None or all(0 < rva < image.size_of_image for rva in exports.names.values())
    assert all(row["begin"] < row["end"] for row in image.functions())
    assert image.version().company is None or image.version().company


@pytest.mark.parametrize("part", [0, EXPORTS, FUNCTIONS, RESOURCES, DEBUG])
def test_an_image_cut_at_any_byte_of_a_part_is_still_read(part: int) -> None:
    data = build_image()
    for end in [*range(part, part + 0x260), part + 0xFFF]:
        try:
            image = read_image(FlatMemory({BASE: data[:end]}), BASE)
        except Unreadable:
            assert part == 0
            continue
        read_all(image)


@pytest.mark.parametrize(
    "at",
    [
        EXPORTS + 20,
        EXPORTS + 24,
        RESOURCES + 12,
        RESOURCES + 14,
        0xE8 + 6,
        0xE8 + 24 + 0x6C,
        0xE8 + 24 + 0x70 + 3 * 8 + 4,
    ],
)
def test_counts_at_their_maximum_are_refused_before_any_loop(at: int) -> None:
    data = build_image()
    data[at : at + 4] = b"\xff\xff\xff\xff"
    read_all(read_image(FlatMemory({BASE: data}), BASE))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damage_anywhere_raises_nothing_else(data: st.DataObject) -> None:
    image = build_image()
    for _ in range(data.draw(st.integers(1, 6))):
        part = data.draw(st.sampled_from([0xE8, EXPORTS, FUNCTIONS, RESOURCES, DEBUG]))
        at = part + data.draw(st.integers(0, 0x150))
        image[at : at + 4] = data.draw(st.binary(min_size=4, max_size=4))
    try:
        read_all(read_image(FlatMemory({BASE: image}), BASE))
    except (BadDump, Unreadable):
        return


@pytest.mark.shared
@pytest.mark.skipif(not PAIRS.is_dir(), reason="../shared/data is not here")
def test_a_real_image_and_the_pdb_beside_it() -> None:
    raw = (PAIRS / "rizin_seh_x64_xcpt4.exe").read_bytes()
    image = read_image(FlatMemory({BASE: _mapped(raw)}), BASE)
    assert image.pdb == PdbIdentity("xcpt4.pdb", "C8C2329E0E9949E68B6F132BECA69E7E", 1)
    assert len(image.functions()) == 241  # as another reader counts them
    assert image.exports() is None


def _mapped(raw: bytes) -> bytes:
    flat = read_image(FlatMemory({BASE: raw}), BASE)
    mapped = bytearray(flat.size_of_image)
    mapped[:0x400] = raw[:0x400]
    new = int.from_bytes(raw[0x3C:0x40], "little")
    table = new + 24 + int.from_bytes(raw[new + 20 : new + 22], "little")
    for at in range(table, table + 40 * len(flat.sections), 40):
        rva, size, offset = (int.from_bytes(raw[at + o : at + o + 4], "little") for o in (12, 16, 20))
        mapped[rva : rva + size] = raw[offset : offset + size]
    return bytes(mapped[: flat.size_of_image])
