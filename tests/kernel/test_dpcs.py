"""The deferred procedure call a processor was in, from layouts that a test states."""

import pytest

from analysis.kernel.dpcs import active_routine, stopped_processor
from analysis.kernel.strings import read_text
from analysis.symbols.layout import Field, Layout
from tests.kernel.invented import Bytes, Names

PRCB, THREAD, BLOCK, DPC = 0xFFFF_8000_0001_0000, 0xFFFF_8000_0002_0000, 0xFFFF_8000_0003_0000, 0xFFFF_8000_0004_0000
ROUTINE = 0xFFFF_F800_2000_1000
STACK, DPC_STACK = 0xFFFF_9000_0000_6000, 0xFFFF_9000_0001_6000
OLD = {"CurrentThread": Field(8), "DpcData": Field(0x20), "DpcStack": Field(0x60), "DpcRoutineActive": Field(0x68)}
NEW = OLD | {"CurrentDpcRoutine": Field(0x70)}


def machine(fields: dict[str, Field], *, active: int = 1) -> tuple[Bytes, Names]:
    layouts = {
        "_KPRCB": Layout("_KPRCB", 0x80, fields),
        "_KTHREAD": Layout("_KTHREAD", 0x40, {"StackLimit": Field(0x10), "StackBase": Field(0x18)}),
        "_KDPC_DATA": Layout("_KDPC_DATA", 0x28, {"ActiveDpc": Field(0x20)}),
    }
    memory = Bytes()
    memory.put(PRCB, bytes(0x80))
    memory.put(THREAD, bytes(0x40))
    memory.put(DPC, bytes(0x40))
    memory.put_u64(BLOCK, PRCB)
    memory.put_u64(PRCB + 8, THREAD)
    memory.put_u64(PRCB + 0x60, DPC_STACK)
    memory.put_u8(PRCB + 0x68, active)
    memory.put_u64(THREAD + 0x10, STACK - 0x6000, STACK)
    return memory, Names(layouts, {"KiProcessorBlock": BLOCK})


@pytest.mark.parametrize(("pointer", "found"), [(STACK - 8, PRCB), (DPC_STACK - 8, PRCB), (STACK + 0x800, None)])
def test_the_stopped_processor_is_told_by_its_stacks(pointer: int, found: int | None) -> None:
    memory, names = machine(OLD)
    assert stopped_processor(memory, names, 1, pointer) == found
    assert stopped_processor(memory, Names(names.layouts), 1, pointer) is None


def test_the_recorded_routine_goes_before_the_dpc() -> None:
    memory, names = machine(NEW)
    memory.put_u64(PRCB + 0x70, ROUTINE)
    assert active_routine(memory, names, PRCB) == ROUTINE


@pytest.mark.parametrize(("kind", "found"), [(0x13, ROUTINE), (0x1A, ROUTINE), (5, None)])
def test_older_kernels_point_to_the_dpc_which_must_be_one(kind: int, found: int | None) -> None:
    memory, names = machine(OLD)
    memory.put_u64(PRCB + 0x40, DPC)
    memory.put_u8(DPC, kind)
    memory.put_u64(DPC + 0x18, ROUTINE)
    assert active_routine(memory, names, PRCB) == found


def test_without_an_active_dpc_old_records_mean_nothing() -> None:
    memory, names = machine(NEW, active=0)
    memory.put_u64(PRCB + 0x70, ROUTINE)
    assert active_routine(memory, names, PRCB) is None
    assert active_routine(memory, Names(), PRCB) is None


def test_strings_are_read_whichever_way_they_are_written() -> None:
    memory = Bytes()
    memory.put_unicode(BLOCK, "\\Driver\\Acme", BLOCK + 0x20)
    memory.put(DPC, "acme.sys\0".encode("utf-16-le"))
    memory.put(PRCB, b"csrss.exe\0")
    memory.put(THREAD, bytes(range(200, 240)))
    assert [read_text(memory, at) for at in (BLOCK, DPC, PRCB)] == ["\\Driver\\Acme", "acme.sys", "csrss.exe"]
    assert read_text(memory, THREAD) is None
    assert read_text(memory, 0x1000) is None
