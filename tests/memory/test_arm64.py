"""Walks of ARM64 translation tables, against an emulated processor's own, and the reasons where they end."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import Absence, Unreadable
from analysis.formats import open_dump
from analysis.memory import AddressSpace, AddressSpaceArm64, open_memory
from tests.forge.arm64 import LIST_HEAD, PAGE, MachineArm64

KERNEL, USER = 0xFFFF_F800_1234_5000, 0x7FF6_1234_5000
PLACES = (KERNEL, KERNEL + PAGE, 0xFFFF_8000_0000_0000, 0xFFFF_FFFF_FFFF_F000, USER, 0x1_0000)
BLOCK_AT, BLOCK_FRAME = 0xFFFF_A000_0020_0000, 0x1000


@contextmanager
def opened(tmp_path: Path, machine: MachineArm64) -> Iterator[AddressSpaceArm64]:
    path = tmp_path / "arm64.dmp"
    path.write_bytes(machine.full())
    with open_dump(path) as image:
        memory = open_memory(image)
        assert isinstance(memory, AddressSpaceArm64)
        yield memory


@pytest.fixture
def machine() -> MachineArm64:
    made = MachineArm64()
    for place in PLACES:
        made.map(place)
        made.write(place + 8, struct.pack("<Q", place ^ 0x5A5A))
    made.map_block(BLOCK_AT, BLOCK_FRAME)
    made.write(BLOCK_AT + 0x12_3456, b"in a block")
    return made


def test_pages_and_blocks_are_read_in_both_halves(tmp_path: Path, machine: MachineArm64) -> None:
    with opened(tmp_path, machine) as memory:
        for place in PLACES:
            assert memory.u64(place + 8) == place ^ 0x5A5A
            assert memory.translate(place + 8) == machine.physical(place + 8)
        assert memory.read(BLOCK_AT + 0x12_3456, 10) == b"in a block"
        assert memory.read(KERNEL + PAGE - 4, 8) == bytes(8)
        assert memory.u64(LIST_HEAD) == LIST_HEAD
        # A process has its own lower half and the kernel's upper half.
        other = memory.process(machine.frame() * PAGE)
        assert other.u64(KERNEL + 8) == KERNEL ^ 0x5A5A
        with pytest.raises(Unreadable):
            other.u64(USER + 8)


def test_a_gigabyte_block_is_one_translation(tmp_path: Path, machine: MachineArm64) -> None:
    at = machine.entry(machine.table(0xFFFF_B000_0000_0000, 30), 0xFFFF_B000_0000_0000, 30)
    machine.put(at, 0x8000_0000 | 0x701)
    with opened(tmp_path, machine) as memory:
        assert memory.translate(0xFFFF_B000_1234_5678) == 0x8000_0000 | 0x1234_5678


@pytest.mark.parametrize(
    ("shift", "descriptor", "absence"),
    [
        (12, 0, Absence.NOT_MAPPED),
        (12, 0x1234_0000_0800, Absence.PAGED_OUT),  # what Windows means by it is not documented for ARM64
        (12, 0x40_0401, Absence.PAGED_OUT),  # a block descriptor where no block can be
        (21, 0, Absence.NOT_MAPPED),
        (39, 0x40_0401, Absence.PAGED_OUT),
        (30, 0xF_FFFF_F003, Absence.NOT_SAVED),
    ],
)
def test_where_a_walk_ends_the_reason_is_told(
    tmp_path: Path, machine: MachineArm64, shift: int, descriptor: int, absence: Absence
) -> None:
    machine.put(machine.entry(machine.table(KERNEL, shift), KERNEL, shift), descriptor)
    with opened(tmp_path, machine) as memory, pytest.raises(Unreadable) as caught:
        memory.u64(KERNEL)
    assert caught.value.absence is absence


def test_addresses_between_the_halves_are_none(tmp_path: Path, machine: MachineArm64) -> None:
    with opened(tmp_path, machine) as memory:
        for address in (0x0001_0000_0000_0000, 0xFFFE_F800_0000_0000, 1 << 63):
            with pytest.raises(Unreadable) as caught:
                memory.u8(address)
            assert caught.value.absence is Absence.NOT_CANONICAL


# msr ttbr0_el1, x0; msr ttbr1_el1, x0; msr tcr_el1, x2; msr mair_el1, x3; dsb sy; isb; msr sctlr_el1, x4; isb;
# ldr x0, [x6]; b .
SET_UP = "002018d5202018d5422018d503a218d59f3f03d5df3f03d5041018d5df3f03d5c00040f900000014"


REGION, CODE = 1 << 39, 0x40_0000


@pytest.mark.skipif(find_spec("unicorn") is None, reason="not installed: unicorn")
def test_an_emulated_processor_walks_the_written_tables_alike(tmp_path: Path, machine: MachineArm64) -> None:
    machine.write(BLOCK_AT + 0x12_3450, struct.pack("<Q", 0x1122_3344_5566))
    # The emulator faults where the highest of the 39 bits is set.
    places = [place + 8 for place in PLACES if place % REGION < REGION // 2] + [BLOCK_AT + 0x12_3450]
    assert len(places) == 5
    for place in places:
        machine.map(place & -REGION | CODE, CODE // PAGE)
    with opened(tmp_path, machine) as memory:
        assert [walked_by_a_processor(machine, place) for place in places] == [memory.u64(place) for place in places]


def walked_by_a_processor(machine: MachineArm64, address: int) -> int:
    """The word that a processor reads at an address through the three lower levels; it gets 39 bits of the address,
    and the table that the root names, because the emulator does not walk 48."""
    unicorn: Any = import_module("unicorn")
    registers: Any = import_module("unicorn.arm64_const")
    processor = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
    processor.mem_map(0, 0x200_0000)
    for frame, page in machine.frames.items():
        processor.mem_write(frame * PAGE, bytes(page))
    processor.mem_write(CODE, bytes.fromhex(SET_UP))
    width_39, no_upper_half, cached, space_36 = 25, 1 << 23, 0x3F00, 1 << 32
    values = {
        "X0": machine.table(address, 30) * PAGE, "X2": width_39 | no_upper_half | cached | 2 << 30 | space_36,
        "X3": 0xFF, "X4": 0x30D0_1805, "X6": address % REGION,
    }  # fmt: skip
    for name, value in values.items():
        processor.reg_write(getattr(registers, f"UC_ARM64_REG_{name}"), value)
    processor.emu_start(CODE, CODE + len(SET_UP) // 2 - 4)
    return int(processor.reg_read(registers.UC_ARM64_REG_X0))


@given(st.integers(0, 2**64 - 1), st.binary(min_size=64, max_size=64))
def test_no_tables_make_a_walk_crash(address: int, entries: bytes) -> None:
    class _Pages:
        frame_limit = 1 << 20

        def file_offset(self, frame: int) -> int | None:
            return 0 if frame % 2 else None

    class _Raw:
        def u64(self, offset: int, _what: str) -> int:
            at = offset % 56
            return int.from_bytes(entries[at : at + 8], "little")

    class _Physical:
        raw, pages = _Raw(), _Pages()

        def page_offset(self, at: int) -> int | None:
            return self.pages.file_offset(at >> 12)

    space = AddressSpaceArm64(_Physical(), 0x1000)  # type: ignore[arg-type]
    assert isinstance(space, AddressSpace)
    with suppress(Unreadable):
        assert 0 <= space.translate(address) < 1 << 48
