"""Loaded and unloaded drivers, with pages missing where a dump lacks them."""

import struct
from pathlib import Path

import pytest

from analysis.address import VirtAddr
from analysis.errors import Unreadable
from analysis.formats import open_dump
from analysis.kernel.facts import Module
from analysis.kernel.modules import is_unnamed, read_modules, read_unloaded, unnamed, with_image
from analysis.memory import open_memory
from tests.forge import forge
from tests.kernel.invented import KERNEL_BASE, Bytes

HEAD = 0xFFFF_F800_2000_0000
ENTRIES = [0xFFFF_9000_0000_0000 + index * 0x400 for index in range(4)]
BASES = [KERNEL_BASE, *(0xFFFF_F800_3000_0000 + index * 0x10_0000 for index in range(3))]
NAMES = ["ntkrnlmp.exe", "hal.dll", "CrowdDriver.SYS", "rassstp.sys"]


def listed() -> Bytes:
    memory = Bytes()
    memory.link(HEAD, *ENTRIES)
    for entry, base, name in zip(ENTRIES, BASES, NAMES, strict=True):
        memory.put(entry + 0x10, bytes(0x90))
        memory.put_u64(entry + 0x30, base)
        memory.put_u32(entry + 0x40, 0x8000)
        memory.put_unicode(entry + 0x48, f"\\SystemRoot\\system32\\drivers\\{name}", entry + 0x100)
        memory.put_unicode(entry + 0x58, name, entry + 0x200)
    return memory


def names(memory: Bytes, base: int = KERNEL_BASE) -> list[str]:
    return [module.name for module in read_modules(memory, HEAD, base)[0]]


def test_names_are_lower_case_and_the_kernel_has_its_own() -> None:
    assert names(listed()) == ["ntoskrnl.exe", "hal.dll", "crowddriver.sys", "rassstp.sys"]


def test_without_a_known_base_the_first_is_the_kernel() -> None:
    assert names(listed(), base=0)[0] == "ntoskrnl.exe"


def test_a_name_that_was_paged_out_is_taken_from_the_path() -> None:
    memory = listed()
    memory.lose(ENTRIES[2] + 0x200, 4)
    assert names(memory)[2] == "crowddriver.sys"


def test_what_stands_for_a_name_is_no_file_name_and_the_same_on_every_start() -> None:
    one, again = (unnamed(base, 0x12000, 0x5F00_0000) for base in BASES[1:3])
    assert one == again == "unnamed-5f00000012000"
    assert "." not in one
    assert is_unnamed(one)
    assert unnamed(BASES[1], 0x12000, None) != unnamed(BASES[2], 0x12000, None)


def test_a_driver_without_any_name_is_called_by_its_address_and_never_by_anothers() -> None:
    memory = listed()
    memory.lose(ENTRIES[2] + 0x200, 4)
    memory.lose(ENTRIES[2] + 0x100, 4)
    assert names(memory)[2] == f"unnamed-at-{BASES[2]:x}"


@pytest.mark.parametrize(("offset", "value"), [(0x30, 0), (0x30, 0x7FF0_1234_0000), (0x30, BASES[1] + 8), (0x40, 0)])
def test_an_entry_that_describes_no_image_is_left_out_and_noted(offset: int, value: int) -> None:
    memory = listed()
    memory.put(ENTRIES[1] + offset, struct.pack("<Q", value))
    modules, notes = read_modules(memory, HEAD, KERNEL_BASE)
    assert [m.base for m in modules] == [BASES[0], *BASES[2:]]
    assert "describes no image" in notes[0]


def test_an_entry_whose_page_is_cut_is_noted() -> None:
    memory = listed()
    memory.lose(ENTRIES[3] + 0x30, 0x70)
    modules, notes = read_modules(memory, HEAD, KERNEL_BASE)
    assert len(modules) == 3
    assert "cannot be read" in notes[0]


def test_an_image_that_is_not_in_memory_leaves_the_module_as_it_was() -> None:
    memory = listed()
    module = read_modules(memory, HEAD, KERNEL_BASE)[0][1]
    assert with_image(memory, module) == module
    memory.put(module.base, b"not an image at all".ljust(0x1000, b"\0"))
    assert with_image(memory, module) == module


POINTER, ARRAY = 0xFFFF_F800_2000_1000, 0xFFFF_A000_0000_0000


def unloaded(*rows: tuple[str, int, int]) -> Bytes:
    memory = Bytes()
    memory.put_u64(POINTER, ARRAY)
    memory.put(ARRAY, bytes(50 * 0x28))
    for index, (name, start, end) in enumerate(rows):
        memory.put_unicode(ARRAY + index * 0x28, name, ARRAY + 0x1000 + index * 0x100)
        memory.put_u64(ARRAY + index * 0x28 + 0x10, start, end, 1)
    return memory


def test_unloaded_drivers_are_those_with_a_range_and_a_name() -> None:
    memory = unloaded(
        ("Gone.SYS", BASES[1], BASES[1] + 0x5000),
        ("backwards.sys", BASES[2], BASES[2] - 1),
        ("user.sys", 0x1000, 0x2000),
        ("lost.sys", BASES[3], BASES[3] + 0x1000),
    )
    memory.lose(ARRAY + 0x1300, 2)
    assert [(m.name, m.base, m.size, m.unloaded) for m in read_unloaded(memory, POINTER)] == [
        ("gone.sys", BASES[1], 0x5000, True)
    ]


def test_a_machine_that_unloaded_nothing_yet_has_no_array() -> None:
    memory = Bytes()
    memory.put_u64(POINTER, 0)
    assert read_unloaded(memory, POINTER) == ()


def test_an_array_that_was_not_saved_says_so() -> None:
    memory = Bytes()
    with pytest.raises(Unreadable):
        read_unloaded(memory, POINTER)
    memory.put_u64(POINTER, ARRAY)
    with pytest.raises(Unreadable) as gap:
        read_unloaded(memory, POINTER)
    assert gap.value.address == ARRAY


def test_an_array_cut_by_a_missing_page_gives_what_is_there() -> None:
    memory = unloaded(("one.sys", BASES[1], BASES[1] + 1), ("two.sys", BASES[2], BASES[2] + 1))
    memory.lose(ARRAY + 0x28, 1)
    assert [m.name for m in read_unloaded(memory, POINTER)] == ["one.sys"]


def test_a_driver_without_a_name_is_called_by_what_its_image_says_of_itself(tmp_path: Path) -> None:
    forged = forge("seed", build=19041, kind="bitmap")
    with open_dump(forged.write(tmp_path / "seed.dmp")) as image:
        memory = open_memory(image)
        for fact in forged.facts.modules[1:6]:
            module = Module(f"unnamed-at-{fact.base:x}", VirtAddr(fact.base), fact.size)
            assert with_image(memory, module).name.partition(".")[0] == fact.name.lower().partition(".")[0]
