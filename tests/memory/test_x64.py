"""Walks of x64 page tables, and the reasons where they end."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.address import PhysAddr
from analysis.errors import Absence, Unreadable
from analysis.formats import DumpImage, open_dump
from analysis.memory import AddressSpace, open_memory, x64
from tests.formats.built import bitmap, full
from tests.memory.tables import LARGE, PAGE, PRESENT, Physical, Space

KERNEL = 0xFFFF_F800_0000_0000
Opener = Callable[[Space], AddressSpace]


@pytest.fixture
def opener(tmp_path: Path) -> Iterator[Opener]:
    images: list[DumpImage] = []

    def open_space(space: Space) -> AddressSpace:
        path = tmp_path / f"{len(images)}.dmp"
        path.write_bytes(full({frame: bytes(page) for frame, page in space.physical.pages.items()}))
        image = open_dump(path)
        images.append(image)
        memory = open_memory(replace(image, header=replace(image.header, directory_table=PhysAddr(space.cr3))))
        assert isinstance(memory, AddressSpace)
        return memory

    yield open_space
    for image in images:
        image.close()


@pytest.fixture
def space() -> Space:
    return Space(Physical())


def gap(memory: AddressSpace, address: int, size: int = 8) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        memory.read(address, size)
    return caught.value


def test_a_page_is_read_through_four_levels(space: Space, opener: Opener) -> None:
    frame = space.map(KERNEL + 0x5000, b"hello")
    memory = opener(space)
    assert memory.read(KERNEL + 0x5000, 5) == b"hello"
    assert memory.translate(KERNEL + 0x5123) == frame << 12 | 0x123
    assert memory.u8(KERNEL + 0x5001) == ord("e")


def test_the_highest_page_and_the_lowest_can_be_read(space: Space, opener: Opener) -> None:
    space.map(0xFFFF_FFFF_FFFF_F000, b"\x7e" * PAGE)
    space.map(0, b"null")
    memory = opener(space)
    assert memory.read(0xFFFF_FFFF_FFFF_FFFF, 1) == b"\x7e"
    assert memory.read(0, 4) == b"null"
    assert gap(memory, 0xFFFF_FFFF_FFFF_FFFC).address == 1 << 64


def test_pages_of_2_mib_and_1_gib(space: Space, opener: Opener) -> None:
    space.physical.pages[0x200 * 3 + 0x12] = bytearray(b"two".ljust(PAGE, b"\0"))
    space.physical.pages[0x40000 * 2 + 0x34567] = bytearray(b"one".ljust(PAGE, b"\0"))
    space.physical.first = 0xC0000
    space.physical.pages[0xC0000] = bytearray(PAGE)
    # Bit 12 of a large page's entry is a memory type (PAT), not a part of the frame.
    space.set_entry(KERNEL, 2, 3 << 21 | 1 << 12 | LARGE | PRESENT)
    space.set_entry(KERNEL + (1 << 30), 1, 2 << 30 | 1 << 12 | LARGE | PRESENT | 1 << 63)
    memory = opener(space)
    assert memory.read(KERNEL + 0x12000, 3) == b"two"
    assert memory.translate(KERNEL + 0x1F_FFFF) == (3 << 21) + 0x1F_FFFF
    assert memory.read(KERNEL + (1 << 30) + 0x3456_7000, 3) == b"one"
    assert memory.translate(KERNEL + (1 << 30) + 0x3FFF_FFFF) == (2 << 30) + 0x3FFF_FFFF


def test_a_read_over_three_pages_starts_anywhere(space: Space, opener: Opener) -> None:
    # Frames in the wrong order, so that a read that ran on in the file would be seen.
    for number in (2, 0, 1):
        space.map(KERNEL + number * PAGE, bytes([65 + number]) * PAGE)
    memory = opener(space)
    assert memory.read(KERNEL + 0xFFD, PAGE + 6) == b"AAA" + b"B" * PAGE + b"CCC"
    assert memory.read(KERNEL + 1, 3 * PAGE - 1) == b"A" * 0xFFF + b"B" * PAGE + b"C" * PAGE
    assert memory.read(KERNEL + 0xFFF, 2) == b"AB"
    assert memory.read(KERNEL + PAGE, 0) == b""


def test_what_is_missing_is_the_first_missing_byte(space: Space, opener: Opener) -> None:
    space.map(KERNEL, b"A" * PAGE)
    memory = opener(space)
    assert gap(memory, KERNEL + 0xFF0, 0x20).address == KERNEL + PAGE
    assert memory.read_available(KERNEL + 0xFF0, 0x20) == b"A" * 0x10
    assert memory.read_available(KERNEL + PAGE, 0x20) == b""
    assert memory.is_readable(KERNEL + 0xFF8, 8)
    assert not memory.is_readable(KERNEL + 0xFF9, 8)


@pytest.mark.parametrize(
    ("level", "name"),
    [(0, "PML4 entry"), (1, "page directory pointer entry"), (2, "page directory entry"), (3, "page table entry")],
)
def test_not_mapped_names_the_level(space: Space, opener: Opener, level: int, name: str) -> None:
    at = space.set_entry(KERNEL, level, 0)
    found = gap(opener(space), KERNEL)
    assert (found.absence, found.detail) == (Absence.NOT_MAPPED, f"the {name} at {at:#x} is not present")


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_table_that_was_not_saved_is_told(space: Space, opener: Opener, level: int) -> None:
    space.set_entry(KERNEL, level, 0x7777_7000 | PRESENT)
    found = gap(opener(space), KERNEL)
    assert found.absence is Absence.NOT_SAVED
    assert "at 0x7777700" in found.detail


def test_a_mapped_page_that_was_not_saved(space: Space, opener: Opener) -> None:
    space.set_entry(KERNEL, 3, 0x7777_7000 | PRESENT)
    memory = opener(space)
    found = gap(memory, KERNEL + 0x123)
    assert (found.address, found.absence) == (KERNEL + 0x123, Absence.NOT_SAVED)
    assert found.detail == "its page at 0x77777000"
    assert memory.translate(KERNEL + 0x123) == 0x7777_7123


@pytest.mark.parametrize("inverted", [0, 0x40_0000_0000, 0x2000_0000_0000, 0xFFFF_E000_0000_0000])
def test_a_page_in_transition_is_still_in_memory(space: Space, opener: Opener, inverted: int) -> None:
    # Newer builds invert frame bits above the machine's memory in entries that are not valid.
    frame = space.map(KERNEL, b"going")
    space.set_entry(KERNEL, 3, frame << 12 | 1 << 11 | 0x80 | inverted)
    assert opener(space).read(KERNEL, 5) == b"going"


def test_a_page_table_in_transition_is_still_in_memory(space: Space, opener: Opener) -> None:
    space.map(KERNEL, b"page")
    at = space.entry_at(KERNEL, 2)
    space.physical.put(at, space.physical.get(at) & ~0xFFF | 1 << 11)
    assert opener(space).read(KERNEL, 4) == b"page"


def test_a_page_file_entry_is_paged_out(space: Space, opener: Opener) -> None:
    at = space.set_entry(KERNEL, 3, 0x1234 << 32 | 0x80)
    found = gap(opener(space), KERNEL)
    assert (found.absence, found.detail) == (
        Absence.PAGED_OUT,
        f"the page table entry at {at:#x} points into a page file",
    )


def test_a_page_table_in_the_page_file_is_paged_out(space: Space, opener: Opener) -> None:
    space.set_entry(KERNEL, 2, 0x1234 << 32 | 0x80)
    assert gap(opener(space), KERNEL).absence is Absence.PAGED_OUT


@pytest.mark.parametrize("mitigation", [0, 1 << 45])
def test_a_page_never_touched_is_not_mapped(space: Space, opener: Opener, mitigation: int) -> None:
    space.set_entry(KERNEL, 3, 0x80 | mitigation)
    found = gap(opener(space), KERNEL)
    assert found.absence is Absence.NOT_MAPPED
    assert "never touched" in found.detail


PROTOTYPE_PAGE = 0xFFFF_9000_0000_0000
PROTOTYPE = 1 << 10


def prototype_to(address: int) -> int:
    return (address & 0xFFFF_FFFF_FFFF) << 16 | PROTOTYPE


@pytest.mark.parametrize("bits", [PRESENT, 1 << 11], ids=["valid", "transition"])
def test_a_shared_page_is_found_through_its_prototype(space: Space, opener: Opener, bits: int) -> None:
    shared = space.physical.frame()
    space.physical.pages[shared][:6] = b"shared"
    space.map(PROTOTYPE_PAGE, bytes(0x18) + (shared << 12 | bits).to_bytes(8, "little"))
    space.set_entry(KERNEL, 3, prototype_to(PROTOTYPE_PAGE + 0x18))
    assert opener(space).read(KERNEL, 6) == b"shared"


@pytest.mark.parametrize(
    ("prototype", "absence", "words"),
    [
        (0xFFFF_9000_1234_0000 << 16 & (1 << 64) - 1 | PROTOTYPE, Absence.PAGED_OUT, "not in memory"),
        (0x55 << 32, Absence.PAGED_OUT, "page file"),
        (0, Absence.NOT_MAPPED, "not present"),
        (0x80, Absence.NOT_MAPPED, "never touched"),
    ],
)
def test_a_prototype_tells_why_there_is_no_page(
    space: Space, opener: Opener, prototype: int, absence: Absence, words: str
) -> None:
    space.map(PROTOTYPE_PAGE, prototype.to_bytes(8, "little"))
    space.set_entry(KERNEL, 3, prototype_to(PROTOTYPE_PAGE))
    found = gap(opener(space), KERNEL)
    assert found.absence is absence
    assert words in found.detail
    assert f"{PROTOTYPE_PAGE:#x}" in found.detail


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (0xFFFF_FFFF_0000_0000 | PROTOTYPE, "VAD tree"),
        (prototype_to(PROTOTYPE_PAGE), "cannot be read"),
        (prototype_to(KERNEL), "cannot be read"),  # a prototype behind itself
    ],
)
def test_a_prototype_out_of_reach_is_paged_out(space: Space, opener: Opener, entry: int, words: str) -> None:
    space.set_entry(KERNEL, 3, entry)
    found = gap(opener(space), KERNEL)
    assert found.absence is Absence.PAGED_OUT
    assert words in found.detail


def test_a_prototype_behind_the_mitigation_bit_is_found(space: Space, opener: Opener) -> None:
    shared = space.map(PROTOTYPE_PAGE + PAGE, b"shared")
    space.map(PROTOTYPE_PAGE, (shared << 12 | PRESENT).to_bytes(8, "little"))
    space.set_entry(KERNEL, 3, prototype_to(PROTOTYPE_PAGE) | 1 << 45)
    memory = opener(space)
    assert memory.read(KERNEL, 6) == b"shared"


def test_two_places_for_a_prototype_are_no_answer(space: Space, opener: Opener) -> None:
    for place in (PROTOTYPE_PAGE, PROTOTYPE_PAGE | 1 << 29):
        shared = space.physical.frame()
        space.map(place, (shared << 12 | PRESENT).to_bytes(8, "little"))
    space.set_entry(KERNEL, 3, prototype_to(PROTOTYPE_PAGE) | 1 << 45)
    space.set_entry(KERNEL + PAGE, 3, prototype_to(PROTOTYPE_PAGE) | 1 << 45 | 1 << 4)
    memory = opener(space)
    found = gap(memory, KERNEL)
    assert found.absence is Absence.PAGED_OUT
    assert "either of two" in found.detail
    assert memory.is_readable(KERNEL + PAGE)  # here bit 4 says that bit 45 is a part of the address


def test_a_prototype_whose_page_was_not_saved_is_paged_out(space: Space, opener: Opener) -> None:
    space.set_entry(PROTOTYPE_PAGE, 3, 0x7777_7000 | PRESENT)
    space.set_entry(KERNEL, 3, prototype_to(PROTOTYPE_PAGE))
    assert gap(opener(space), KERNEL).absence is Absence.PAGED_OUT


@pytest.mark.parametrize("address", [0x8000_0000_0000, 0xFFFF_7FFF_FFFF_FFFF, 1 << 64, -1, 0x1234_5678_9ABC_DEF0])
def test_other_addresses_are_not_canonical(space: Space, opener: Opener, address: int) -> None:
    assert gap(opener(space), address).absence is Absence.NOT_CANONICAL


def test_the_low_bits_of_cr3_are_no_address(space: Space, tmp_path: Path) -> None:
    space.map(KERNEL, b"x")
    path = tmp_path / "pcid.dmp"
    path.write_bytes(full({frame: bytes(page) for frame, page in space.physical.pages.items()}))
    with open_dump(path) as image:
        for bits in (0xFFF, 1 << 63 | 2):
            memory = open_memory(
                replace(image, header=replace(image.header, directory_table=PhysAddr(space.cr3 | bits)))
            )
            assert memory.read(KERNEL, 1) == b"x"


def test_each_process_has_its_own_lower_half(space: Space, opener: Opener) -> None:
    first, second = Space(space.physical), Space(space.physical)
    space.map(KERNEL, b"kernel")
    first.map(0x7FF6_0000_0000, b"first")
    second.map(0x7FF6_0000_0000, b"second")
    for process in (first, second):
        space.physical.put(process.cr3 + 0x1F0 * 8, space.physical.get(space.cr3 + 0x1F0 * 8))
    memory = opener(space)
    assert memory.process(first.cr3).read(0x7FF6_0000_0000, 5) == b"first"
    assert memory.process(second.cr3 | 2).read(0x7FF6_0000_0000, 6) == b"second"
    assert memory.process(first.cr3).read(KERNEL, 6) == b"kernel"
    assert gap(memory, 0x7FF6_0000_0000).absence is Absence.NOT_MAPPED


def test_a_process_reads_prototypes_through_the_kernel(space: Space, opener: Opener) -> None:
    process = Space(space.physical)
    shared = space.map(PROTOTYPE_PAGE + PAGE, b"shared")
    space.map(PROTOTYPE_PAGE, (shared << 12 | PRESENT).to_bytes(8, "little"))
    process.set_entry(0x1_0000, 3, prototype_to(PROTOTYPE_PAGE))
    assert opener(space).process(process.cr3).process(process.cr3).read(0x1_0000, 6) == b"shared"


def test_tables_that_point_at_themselves_end(space: Space, opener: Opener) -> None:
    space.physical.put(space.cr3 + 0x1ED * 8, space.cr3 | PRESENT)
    memory = opener(space)
    # The self map: this address walks the PML4 four times, and shows the PML4 itself.
    address = 0xFFFF_0000_0000_0000 | 0x1ED << 39 | 0x1ED << 30 | 0x1ED << 21 | 0x1ED << 12
    assert memory.translate(address) == space.cr3
    assert memory.u64(address + 0x1ED * 8) == space.cr3 | PRESENT


def test_the_cache_stays_bounded(space: Space, opener: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(x64, "_MAX_CACHED", 4)
    for number in range(10):
        space.map(KERNEL + number * PAGE, bytes([number]))
    memory = opener(space)
    for _ in range(2):
        assert [memory.u8(KERNEL + number * PAGE) for number in range(10)] == list(range(10))
    assert len(memory._pages) <= 4


def test_the_same_memory_in_a_bitmap_dump(space: Space, tmp_path: Path) -> None:
    space.map(KERNEL, b"hello")
    path = tmp_path / "bitmap.dmp"
    path.write_bytes(bitmap({frame: bytes(page) for frame, page in space.physical.pages.items()}))
    with open_dump(path) as image:
        memory = open_memory(replace(image, header=replace(image.header, directory_table=PhysAddr(space.cr3))))
        assert memory.read(KERNEL, 5) == b"hello"


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 511), st.integers(0, (1 << 64) - 1)), max_size=30), st.data()
)
def test_any_tables_give_bytes_or_a_reason(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    physical = Physical(pages={frame: bytearray(PAGE) for frame in range(0x1AD, 0x1B3)})
    for frame, index, value in entries:
        target = 0x1AD + value % 6 << 12
        physical.put((0x1AD + frame << 12) + index * 8, data.draw(st.sampled_from([value, target | value & 0xFFF | 1])))
    path = tmp_path_factory.mktemp("tables") / "any.dmp"
    path.write_bytes(full({frame: bytes(page) for frame, page in physical.pages.items()}))
    with open_dump(path) as image:
        memory = open_memory(image)
        for _, first, value in entries:
            for address in (value, first << 39, 0xFFFF_8000_0000_0000 | first << 39 | value & 0x7F_FFFF_FFFF):
                size = data.draw(st.integers(0, 0x2100))
                assert len(memory.read_available(address, size)) <= size
