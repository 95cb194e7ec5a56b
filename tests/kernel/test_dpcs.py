"""The deferred procedure call a processor was in, from layouts that a test states."""

import pytest

from analysis.kernel.dpcs import active_routine, read_dpcs, stopped_processor
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


QUEUES = {
    "linked both ways": {"DpcListHead": Field(0), "DpcQueueDepth": Field(0x10)},
    "linked forward": {"DpcList": Field(0), "DpcQueueDepth": Field(0x10)},
}


def queued(kind: str, *links: int, depth: int | None = None) -> tuple[Bytes, Names]:
    """A processor outside any call, with a queue of calls at these links, each for the routine at its own number."""
    memory, names = machine(OLD | {"DpcTimeCount": Field(0x6C)}, active=0)
    names.layouts["_KDPC_DATA"] = Layout("_KDPC_DATA", 0x20, QUEUES[kind])
    if kind == "linked both ways":
        memory.link(PRCB + 0x20, *links)
        memory.link(PRCB + 0x40)
    else:
        for at, link in zip((PRCB + 0x20, *links), (*links, 0), strict=True):
            memory.put_u64(at, link)
    for number, link in enumerate(links):
        memory.put_u8(link - 8, 0x13)
        memory.put_u64(link + 0x10, ROUTINE + number)
    memory.put_u32(PRCB + 0x30, len(links) if depth is None else depth)
    return memory, names


LINKS = (DPC + 8, DPC + 0x1008, DPC + 0x2008)


@pytest.mark.parametrize("kind", QUEUES)
def test_queued_calls_are_read_in_their_order(kind: str) -> None:
    memory, names = queued(kind, *LINKS)
    (state,) = read_dpcs(memory, names, 1)
    assert (state.active, state.queued, state.expected) == (None, (ROUTINE, ROUTINE + 1, ROUTINE + 2), 3)
    assert read_dpcs(*queued(kind), 1) == ()


@pytest.mark.parametrize("kind", QUEUES)
def test_threaded_calls_are_the_second_queue(kind: str) -> None:
    memory, names = queued(kind)
    if kind == "linked both ways":
        memory.link(PRCB + 0x40, *LINKS)
    else:
        memory.put_u64(PRCB + 0x40, LINKS[0])
        memory.put_u64(LINKS[0], 0)
    memory.put_u8(LINKS[0] - 8, 0x1A)
    memory.put_u64(LINKS[0] + 0x10, ROUTINE)
    memory.put_u32(PRCB + 0x50, 1)
    (state,) = read_dpcs(memory, names, 1)
    assert (state.queued, state.expected) == ((ROUTINE,), 1)


@pytest.mark.parametrize("kind", QUEUES)
def test_a_torn_queue_says_how_many_there_should_be(kind: str) -> None:
    memory, names = queued(kind, *LINKS)
    memory.lose(LINKS[1], 8)
    if kind == "linked both ways":
        memory.lose(LINKS[2], 8)
    (state,) = read_dpcs(memory, names, 1)
    assert state.expected == 3
    assert len(state.queued) < 3


def test_a_processor_inside_a_call_is_told_even_where_its_routine_is_not_recorded() -> None:
    memory, names = queued("linked both ways")
    memory.put_u8(PRCB + 0x68, 1)
    memory.put_u32(PRCB + 0x6C, 77)
    (state,) = read_dpcs(memory, names, 1)
    assert (state.inside, state.active, state.ticks, state.queued) == (True, None, 77, ())


def test_a_ring_and_a_wild_depth_end() -> None:
    memory, names = queued("linked forward", *LINKS, depth=0xFFFF_FFFF)
    memory.put_u64(LINKS[2], LINKS[0])
    (state,) = read_dpcs(memory, names, 0xFFFF_FFFF)
    assert (len(state.queued), state.expected) == (3, 0)
    assert read_dpcs(memory, Names(names.layouts), 4) == ()


def test_what_is_no_call_is_left_out() -> None:
    memory, names = queued("linked forward", *LINKS)
    memory.put_u8(LINKS[1] - 8, 5)
    memory.put_u64(LINKS[2] + 0x10, 0x1234)
    (state,) = read_dpcs(memory, names, 1)
    assert (state.queued, state.expected) == ((ROUTINE,), 3)


def test_strings_are_read_whichever_way_they_are_written() -> None:
    memory = Bytes()
    memory.put_unicode(BLOCK, "\\Driver\\Acme", BLOCK + 0x20)
    memory.put(DPC, "acme.sys\0".encode("utf-16-le"))
    memory.put(PRCB, b"csrss.exe\0")
    memory.put(THREAD, bytes(range(200, 240)))
    assert [read_text(memory, at) for at in (BLOCK, DPC, PRCB)] == ["\\Driver\\Acme", "acme.sys", "csrss.exe"]
    assert read_text(memory, THREAD) is None
    assert read_text(memory, 0x1000) is None
