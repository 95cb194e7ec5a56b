"""Whole walks: waiting threads with and without images, contexts, traps, and stacks that lie."""

import struct
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.address import VirtAddr
from analysis.formats import open_dump
from analysis.kernel.facts import Module, Stack, Thread
from analysis.kernel.running import running_stack
from analysis.kernel.stacks import Walker
from analysis.limits import MAX_STACK_FRAMES
from analysis.memory import open_memory
from analysis.trust import Trust
from tests.kernel.assembled import RBP, RBX, alloc, info, machine_frame, push, put_image, set_frame
from tests.kernel.invented import Bytes, Names, layout

NT = 0xFFFF_F800_1000_0000
DRIVER = 0xFFFF_F800_2000_0000
LIMIT = 0xFFFF_9000_0000_0000
BASE = LIMIT + 0x6000
INITIAL = BASE - 0x370
MODULES = (Module("ntoskrnl.exe", VirtAddr(NT), 0x8000), Module("probe.sys", VirtAddr(DRIVER), 0x8000))
CALL = bytes.fromhex("e800000000")

# nt: four functions, 0x100 bytes each, with a call that ends at offset 0x45
SWAP, WAIT, TRAP, START = 0x1000, 0x1100, 0x1200, 0x1300
RETURNS = 0x45


class Kernel(Names):
    """A kernel whose names are certain, or not."""

    def __init__(self, exact: bool = True) -> None:
        functions = {"KiSwapContext": SWAP, "KeWaitForSingleObject": WAIT, "KiPageFault": TRAP, "Start": START}
        super().__init__(symbols={name: NT + rva for name, rva in functions.items()})
        self.exact = exact
        self.names = None


def images(memory: Bytes) -> None:
    rows = [(SWAP, SWAP + 0x100, 0x4000), (WAIT, WAIT + 0x100, 0x4040), (TRAP, TRAP + 0x100, 0x4080)]
    put_image(memory, NT, [*rows, (START, START + 0x100, 0x40C0)])
    memory.put(NT + 0x4000, info(alloc(7, 0x138), prolog=7))
    memory.put(NT + 0x4040, info(alloc(9, 0x20), push(5, RBX), prolog=9))
    memory.put(
        NT + 0x4080,
        info(
            set_frame(15),
            alloc(8, 0x158),
            push(1, RBP),
            machine_frame(0, True),
            prolog=15,
            frame=RBP,
            frame_offset=0x80,
        ),
    )
    memory.put(NT + 0x40C0, info(alloc(4, 0x30), prolog=4))
    put_image(memory, DRIVER, [(0x1000, 0x1100, 0x4000)])
    memory.put(DRIVER + 0x4000, info(alloc(9, 0x48), push(5, RBX), prolog=9))
    for base, rvas in ((NT, (SWAP, WAIT, TRAP, START)), (DRIVER, (0x1000,))):
        for rva in rvas:
            memory.put(base + rva, b"\x90" * 0x40 + CALL + b"\x90" * 0x40)


def waiting(memory: Bytes) -> tuple[Thread, list[int]]:
    """A system thread: started, in the driver, waiting, switched out. Returns it and its addresses, innermost first."""
    slot = INITIAL - 0x38
    chain = [NT + SWAP + RETURNS, NT + WAIT + RETURNS, DRIVER + 0x1000 + RETURNS, NT + START + RETURNS]
    memory.put(LIMIT, bytes(0x6000))
    memory.put_u64(slot, chain[3])
    slot -= 0x58  # the driver's frame: 0x48 allocated, one push
    memory.put_u64(slot, chain[2])
    memory.put_u64(slot + 8 + 0x48, 0xB1)
    slot -= 0x30
    memory.put_u64(slot, chain[1])
    slot -= 0x140
    memory.put_u64(slot, chain[0])
    kernel_stack = slot - 0x38
    memory.put_u64(kernel_stack + 0x30, 0xB9)
    return thread(kernel_stack), chain


def thread(pointer: int, **changes: object) -> Thread:
    facts = {
        "address": VirtAddr(0xFFFF_A000_0000_0000), "process": VirtAddr(0xFFFF_A000_0001_0000),
        "process_name": "System", "pid": 4, "tid": 8, "state": "Waiting", "kernel_stack": VirtAddr(pointer),
        "initial_stack": VirtAddr(INITIAL), "stack_base": VirtAddr(BASE), "stack_limit": VirtAddr(LIMIT),
    }  # fmt: skip
    return Thread(**(facts | changes))  # type: ignore[arg-type]


def walk(memory: Bytes, of: Thread, exact: bool = True) -> Stack:
    return Walker(memory, Kernel(exact), MODULES).thread_stack(of)


def addresses(stack: Stack) -> list[int]:
    return [frame.address for frame in stack.frames]


def test_a_waiting_thread_is_unwound_to_where_it_was_started() -> None:
    memory = Bytes()
    images(memory)
    of, chain = waiting(memory)
    stack = walk(memory, of)
    assert addresses(stack) == chain
    assert [frame.trust for frame in stack.frames] == [Trust.CONTEXT, Trust.UNWIND, Trust.UNWIND, Trust.UNWIND]
    assert [frame.symbol for frame in stack.frames] == [
        "nt!KiSwapContext+0x45", "nt!KeWaitForSingleObject+0x45", "probe+0x1045", "nt!Start+0x45"
    ]  # fmt: skip
    assert [frame.module for frame in stack.frames] == ["ntoskrnl.exe", "ntoskrnl.exe", "probe.sys", "ntoskrnl.exe"]
    assert stack.frames[0].sp == of.kernel_stack + 0x40 if of.kernel_stack else False
    assert stack.registers[0] == {"rbp": 0xB9}
    assert stack.registers[3]["rbx"] == 0xB1
    assert stack.end == "the bottom of the stack: here the thread was started"


def test_without_images_the_switch_frame_is_sure_and_the_rest_is_scanned() -> None:
    memory = Bytes()
    of, chain = waiting(memory)
    memory.put_u64((of.kernel_stack or 0) + 0x40 + 0x100, 0xBB)  # rbx in the exception frame
    stack = walk(memory, of)
    assert addresses(stack) == chain
    assert [frame.trust for frame in stack.frames] == [Trust.CONTEXT, Trust.CONTEXT, Trust.SCAN, Trust.SCAN]
    assert stack.registers[1]["rbx"] == 0xBB
    assert "from frame 2 on found by scanning" in stack.end


def test_without_names_frames_are_offsets() -> None:
    memory = Bytes()
    of, _ = waiting(memory)
    assert [frame.symbol for frame in walk(memory, of, exact=False).frames] == [
        "nt+0x1045", "nt+0x1145", "probe+0x1045", "nt+0x1345"
    ]  # fmt: skip


def test_a_driver_without_unwind_data_is_scanned_over_and_nothing_behind_it_is_more_than_a_scan() -> None:
    memory = Bytes()
    images(memory)
    of, chain = waiting(memory)
    memory.lose(DRIVER, 0x1000)
    stack = walk(memory, of)
    assert addresses(stack) == chain
    assert [frame.trust for frame in stack.frames] == [Trust.CONTEXT, Trust.UNWIND, Trust.UNWIND, Trust.SCAN]
    assert "probe+0x1045" in stack.end


def test_an_image_without_a_function_table_refutes_nothing() -> None:
    memory = Bytes()
    of, chain = waiting(memory)
    images(memory)
    put_image(memory, DRIVER, [])  # as packers leave it: the code is there, and no .pdata
    assert addresses(walk(memory, of)) == chain


def test_a_stale_return_address_that_its_own_unwind_data_refute_is_left_out() -> None:
    memory = Bytes()
    images(memory)
    of, chain = waiting(memory)
    memory.lose(DRIVER, 0x1000)
    driver_sp = INITIAL - 0x38 - 0x58 + 8
    memory.put_u64(driver_sp + 0x10, NT + WAIT + RETURNS)  # left over: what lies above it is no frame of it
    assert addresses(walk(memory, of)) == chain


def test_a_stale_return_address_whose_frame_would_reach_past_the_threads_start_is_left_out() -> None:
    memory = Bytes()
    images(memory)
    of, chain = waiting(memory)
    memory.lose(DRIVER, 0x1000)
    memory.put(NT + 0x4040, info(alloc(9, 0x80), push(5, RBX), prolog=9))  # larger than what is left of the stack
    driver_sp = INITIAL - 0x38 - 0x58 + 8
    memory.put_u64(driver_sp + 0x30, NT + WAIT + RETURNS)
    start = context(DRIVER + 0x1030, driver_sp)
    stack = Walker(memory, Kernel(), MODULES).context_stack(start, of)
    assert addresses(stack) == [DRIVER + 0x1030, chain[3]]


def test_a_word_that_follows_no_call_is_no_frame() -> None:
    memory = Bytes()
    images(memory)
    of, chain = waiting(memory)
    memory.lose(DRIVER, 0x1000)
    driver_sp = INITIAL - 0x38 - 0x58 + 8
    memory.put_u64(driver_sp + 0x8, NT + WAIT + 0x20, NT + 0x4008, NT + 0x10)
    assert addresses(walk(memory, of)) == chain


def test_a_user_thread_ends_at_the_trap_frame_that_brought_it_in() -> None:
    memory = Bytes()
    memory.put(LIMIT, bytes(0x6000))
    frame = INITIAL - 0x190
    of = thread(frame - 0x400)
    memory.put_u64(frame - 0x400 + 0x38, NT + SWAP + RETURNS)
    memory.put_u64(frame - 0x400 + 0x178, NT + WAIT + RETURNS)
    memory.put_u64(frame - 0x88, NT + START + RETURNS)
    memory.put_u64(frame + 0x168, 0x7FF8_1234_5678, 0x33, 0x246, 0x50_0000, 0x2B)
    memory.put_u64(frame + 0x20, NT + WAIT + RETURNS)  # inside the trap frame: no frame
    stack = walk(memory, of)
    assert addresses(stack) == [NT + SWAP + RETURNS, NT + WAIT + RETURNS, NT + START + RETURNS]
    assert "user mode" in stack.end


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"kernel_stack": None}, "no kernel stack"),
        ({"stack_resident": False}, "paged out"),
        ({"state": "Running"}, "running"),
        ({"terminated": True}, "ended"),
        ({}, "cannot be read"),
    ],
)
def test_a_stack_that_is_not_there_says_why(changes: dict[str, object], word: str) -> None:
    stack = walk(Bytes(), thread(BASE - 0x800, **changes))
    assert not stack.frames
    assert word in stack.end


def test_a_missing_page_of_a_stack_hides_only_what_lies_on_it() -> None:
    memory = Bytes()
    images(memory)
    of, chain = waiting(memory)
    pointer = BASE - 0x1800  # the switch frame is on a page of its own, which was not saved
    memory.lose(BASE - 0x2000, 0x1000)
    stack = walk(memory, thread(pointer))
    assert addresses(stack) == chain
    assert all(frame.trust is Trust.SCAN for frame in stack.frames)
    assert "cannot be read" in stack.end
    assert of.kernel_stack != pointer


def test_a_thread_may_still_have_to_return_to_a_driver_that_is_gone() -> None:
    memory = Bytes()
    images(memory)
    of, chain = waiting(memory)
    gone = Module("probe.sys", VirtAddr(DRIVER), 0x8000, unloaded=True)
    stack = Walker(memory, Kernel(), MODULES[:1], (gone,)).thread_stack(of)
    assert addresses(stack) == chain
    assert (stack.frames[2].module, stack.frames[2].trust) == ("probe.sys", Trust.UNWIND)


def context(rip: int, rsp: int, **registers: int) -> bytes:
    raw = bytearray(0x4D0)
    struct.pack_into("<I", raw, 0x30, 0x10001F)
    struct.pack_into("<QQQ", raw, 0x90, registers.get("rbx", 0), rsp, registers.get("rbp", 0))
    struct.pack_into("<Q", raw, 0xF8, rip)
    return bytes(raw)


def trap_frame(memory: Bytes, at: int, rip: int, rsp: int, segment: int = 0x10) -> None:
    memory.put(at, bytes(0x190))
    memory.put_u64(at + 0x168, rip, segment, 0x246, rsp, 0x18)


@pytest.mark.parametrize("saved", [True, False])
def test_a_trap_is_crossed_by_unwind_data_or_by_its_frame(saved: bool) -> None:
    memory = Bytes()
    if saved:
        images(memory)
    of, chain = waiting(memory)
    driver_sp = INITIAL - 0x38 - 0x58 + 8
    frame = driver_sp - 0x600
    trap_frame(memory, frame, DRIVER + 0x1030, driver_sp)
    memory.put_u64(frame - 8, NT + TRAP + RETURNS)
    memory.put_u64(frame - 8 - 0x30, *([0] * 6))
    start = context(NT + WAIT + 0x30, frame - 8 - 0x28, rbp=frame + 0x80)
    stack = Walker(memory, Kernel(), MODULES).context_stack(start, of)
    assert addresses(stack) == [NT + WAIT + 0x30, NT + TRAP + RETURNS, DRIVER + 0x1030, chain[3]]
    assert stack.frames[0].trust is Trust.CONTEXT
    assert stack.frames[2].trust is (Trust.UNWIND if saved else Trust.SCAN)


def test_a_trap_frame_can_be_the_start() -> None:
    memory = Bytes()
    images(memory)
    of, chain = waiting(memory)
    driver_sp = INITIAL - 0x38 - 0x58 + 8
    trap_frame(memory, LIMIT + 0x100, DRIVER + 0x1030, driver_sp)
    walker = Walker(memory, Kernel(), MODULES)
    assert addresses(walker.trap_stack(LIMIT + 0x100, of)) == [DRIVER + 0x1030, chain[3]]
    assert addresses(walker.trap_stack(LIMIT + 0x100)) == [DRIVER + 0x1030, chain[3]]
    trap_frame(memory, LIMIT + 0x100, 0x7FF8_0000_1000, 0x10_0000, segment=0x33)
    assert "user mode" in walker.trap_stack(LIMIT + 0x100).end
    assert "no trap frame" in walker.trap_stack(LIMIT + 0x1000).end


DEFERRED = 0xFFFF_A800_0000_0000  # a processor's stack for deferred calls
SWITCH = 0x1400  # push rbp; mov rbp, rsp; then onto another stack


def switching_images(memory: Bytes) -> None:
    images(memory)
    rows = [(at, at + 0x100, 0x4000 + 0x40 * index) for index, at in enumerate((SWAP, WAIT, TRAP, START, SWITCH))]
    put_image(memory, NT, rows)
    memory.put(NT + 0x4100, info(set_frame(4), push(1, RBP), prolog=4, frame=RBP))
    memory.put(NT + SWITCH, b"\x90" * 0x40 + CALL + b"\x90" * 0x40)


def in_a_deferred_call(memory: Bytes, base: int) -> tuple[Thread, list[int], bytes]:
    """nt waits on the deferred calls' stack, called by the code that switched there from the driver's frame."""
    of, chain = waiting(memory)
    memory.put(DEFERRED, bytes(0x1000))
    memory.put_u64(DEFERRED + 0x800, *([0] * 4), 0xB1, NT + SWITCH + RETURNS)
    memory.put_u64(base, 0xB9, DRIVER + 0x1000 + RETURNS)
    chain = [NT + WAIT + 0x30, NT + SWITCH + RETURNS, *chain[2:]]
    return of, chain, context(chain[0], DEFERRED + 0x800, rbp=base)


def test_a_deferred_call_leads_back_to_the_stack_of_the_thread_it_interrupted() -> None:
    memory = Bytes()
    switching_images(memory)
    driver_sp = INITIAL - 0x38 - 0x58 + 8
    of, chain, start = in_a_deferred_call(memory, driver_sp - 0x10)
    stack = Walker(memory, Kernel(), MODULES).context_stack(start, of)
    assert addresses(stack) == chain
    assert [frame.trust for frame in stack.frames[1:]] == [Trust.UNWIND] * (len(chain) - 1)
    assert stack.frames[2].sp == driver_sp
    assert stack.end == "the bottom of the stack: here the thread was started"


def test_a_frame_register_that_leads_to_a_stack_of_nobody_known_leads_nowhere() -> None:
    memory = Bytes()
    switching_images(memory)
    driver_sp = INITIAL - 0x38 - 0x58 + 8
    of, chain, start = in_a_deferred_call(memory, driver_sp - 0x10)
    stack = Walker(memory, Kernel(), MODULES).context_stack(start)  # whose stack lies beneath is not known
    assert addresses(stack) == chain[:2]
    assert "outside" in stack.end or "cannot be read" in stack.end
    elsewhere = LIMIT - 0x10_0000
    memory.put_u64(elsewhere, 0xB9, DRIVER + 0x1000 + RETURNS)
    stack = Walker(memory, Kernel(), MODULES).context_stack(context(chain[0], DEFERRED + 0x800, rbp=elsewhere), of)
    assert addresses(stack) == chain[:2]


def test_an_interrupt_on_its_own_stack_leads_back_within_the_bounds_of_the_thread() -> None:
    memory = Bytes()
    images(memory)
    of, chain = waiting(memory)
    driver_sp = INITIAL - 0x38 - 0x58 + 8
    memory.put(DEFERRED, bytes(0x1000))
    trap_frame(memory, DEFERRED + 0x200, DRIVER + 0x1030, driver_sp)
    memory.put_u64(DEFERRED + 0x1F8, NT + TRAP + RETURNS)
    start = context(NT + WAIT + 0x30, DEFERRED + 0x1D0, rbp=DEFERRED + 0x280)
    stack = Walker(memory, Kernel(), MODULES).context_stack(start, of)
    assert addresses(stack) == [NT + WAIT + 0x30, NT + TRAP + RETURNS, DRIVER + 0x1030, chain[3]]
    assert stack.end == "the bottom of the stack: here the thread was started"


def test_a_jump_to_nowhere_blames_the_caller() -> None:
    memory = Bytes()
    images(memory)
    of, chain = waiting(memory)
    slot = INITIAL - 0x38 - 0x58
    for rip in (0, 0xFFFF_F800_7777_0000):
        stack = Walker(memory, Kernel(), MODULES).context_stack(context(rip, slot), of)
        assert addresses(stack) == [rip, *chain[2:]]
        assert stack.frames[1].trust is Trust.UNWIND
    memory.put_u64(slot, DRIVER + 0x4000)  # data: who jumped there is then no more than a guess
    stack = Walker(memory, Kernel(), MODULES).context_stack(context(0, slot), of)
    assert all(frame.trust <= Trust.SCAN for frame in stack.frames[1:])


def test_a_context_that_was_never_written_is_said_to_be_none() -> None:
    walker = Walker(Bytes(), Kernel(), MODULES)
    for raw in (b"", b"PAGE" * 0x134, bytes(0x4D0)):
        stack = walker.context_stack(raw)
        assert not stack.frames
        assert "no context record" in stack.end


def test_a_stack_pointer_that_turns_back_ends_the_unwinding() -> None:
    memory = Bytes()
    images(memory)
    of, _ = waiting(memory)
    memory.put(DRIVER + 0x4000, info(set_frame(3), prolog=3, frame=RBP))  # rsp = rbp: a circle if believed
    slot = INITIAL - 0x38 - 0x58
    start = context(DRIVER + 0x1000 + RETURNS, slot + 8, rbp=slot)
    stack = Walker(memory, Kernel(), MODULES).context_stack(start, of)
    assert len(stack.frames) < 5
    assert "stack pointer" in stack.end


def test_a_part_of_a_function_that_lies_behind_others_has_its_functions_name() -> None:
    memory = Bytes()
    rows = [(SWAP, SWAP + 0x80, 0x4000), (WAIT, WAIT + 0x100, 0x4040), (START + 0x80, START + 0xF0, 0x4080)]
    put_image(memory, NT, rows)
    memory.put(NT + 0x4000, info(alloc(7, 0x28), prolog=7))
    memory.put(NT + 0x4040, info(alloc(7, 0x28), prolog=7))
    memory.put(NT + 0x4080, info(chained=(SWAP, SWAP + 0x80, 0x4000)))
    walker = Walker(memory, Kernel(), MODULES)

    def name(rva: int) -> str:
        return walker.context_stack(context(NT + rva, LIMIT)).frames[0].symbol

    assert name(WAIT + 0x10) == "nt!KeWaitForSingleObject+0x10"
    assert name(START + 0x90) == f"nt!KiSwapContext+{START + 0x90 - SWAP:#x}"
    memory.put(NT + 0x4080, info(alloc(7, 0x28), prolog=7))  # a function without a name of its own
    walker = Walker(memory, Kernel(), MODULES)
    assert name(START + 0x90) == f"nt+{START + 0x90:#x}"


def test_an_export_that_unwind_data_say_is_a_functions_start_names_all_of_it() -> None:
    memory = Bytes()
    images(memory)
    of, _ = waiting(memory)
    assert [frame.symbol for frame in walk(memory, of, exact=False).frames] == [
        "nt!KiSwapContext+0x45", "nt!KeWaitForSingleObject+0x45", "probe+0x1045", "nt!Start+0x45"
    ]  # fmt: skip
    memory.put(NT + 0x5000, struct.pack("<I", SWAP - 8))  # the function begins before the export
    assert walk(memory, of, exact=False).frames[0].symbol == "nt+0x1045"


def test_a_wrong_kernel_stack_gives_no_certain_frame() -> None:
    memory = Bytes()
    of, chain = waiting(memory)
    stack = walk(memory, thread((of.kernel_stack or 0) - 0x80))
    assert stack.frames
    assert all(frame.trust is Trust.SCAN for frame in stack.frames)
    assert set(addresses(stack)) <= set(chain)
    assert "no switch frame" in stack.end
    memory.put(LIMIT, bytes(0x6000))
    stack = walk(memory, of)
    assert not stack.frames
    assert "no switch frame" in stack.end


def running(memory: Bytes, saved: bytes, **changes: object) -> Stack:
    names = Kernel()
    names.symbols["KiProcessorBlock"] = 0xFFFF_A000_2000_0000
    names.layouts["_KPRCB"] = layout("_KPRCB", 0x800, ProcessorState__ContextFrame=0x120)
    memory.put_u64(0xFFFF_A000_2000_0000, 0, 0xFFFF_A000_2100_0000)
    memory.put(0xFFFF_A000_2100_0120, saved)
    walker = Walker(memory, names, MODULES)
    of = thread(LIMIT + 0x100, state="Running", **changes)
    return running_stack(memory, names, walker, context(NT + 0x10, 0xFFFF_9999_0000_0000), of)


def test_a_running_threads_registers_are_its_processors() -> None:
    memory = Bytes()
    images(memory)
    _, chain = waiting(memory)
    driver_sp = INITIAL - 0x38 - 0x58 + 8
    saved = context(DRIVER + 0x1030, driver_sp)
    assert addresses(running(memory, saved, processor=1)) == [DRIVER + 0x1030, chain[3]]
    elsewhere = running(memory, context(DRIVER + 0x1030, 0xFFFF_9999_0000_0000), processor=1)
    assert (elsewhere.frames, "not stopped in time" in elsewhere.end) == ((), True)
    assert "which processor" in running(memory, saved).end
    memory.lose(0xFFFF_A000_2100_0120, 8)
    assert "cannot be read" in running(memory, saved[:0], processor=1).end


def arm64_context(pc: int, sp: int, frame: int) -> bytes:
    raw = bytearray(0x390)
    struct.pack_into("<I", raw, 0, 0x40_0007)
    struct.pack_into("<4Q", raw, 0xF0, frame, 0, sp, pc)
    return bytes(raw)


def test_arm64_stacks_follow_their_frame_pointers() -> None:
    memory = Bytes()
    memory.put(LIMIT, bytes(0x6000))
    memory.put_u64(LIMIT + 0x100, LIMIT + 0x200, NT + 0x1104)
    memory.put_u64(LIMIT + 0x200, 0, DRIVER + 0x1100)
    walker = Walker(memory, Kernel(), MODULES)
    stack = walker.context_stack(arm64_context(NT + 0x1000, LIMIT + 0x80, LIMIT + 0x100))
    assert addresses(stack) == [NT + 0x1000, NT + 0x1104, DRIVER + 0x1100]
    assert [frame.trust for frame in stack.frames] == [Trust.CONTEXT, Trust.FRAME_POINTER, Trust.FRAME_POINTER]
    assert "bottom" in stack.end
    memory.put_u64(LIMIT + 0x200, LIMIT + 0x100)
    assert "turn back" in walker.context_stack(arm64_context(NT + 0x1000, LIMIT, LIMIT + 0x100)).end
    memory.put_u64(LIMIT + 0x200, 0, 0x1234)
    assert "no known module" in walker.context_stack(arm64_context(NT + 0x1000, LIMIT, LIMIT + 0x100)).end
    assert "leaves" in walker.context_stack(arm64_context(NT + 0x1000, LIMIT, 0x30)).end


WORDS = st.one_of(
    st.integers(0, 2**64 - 1),
    st.integers(NT, NT + 0x8000),
    st.integers(DRIVER, DRIVER + 0x8000),
    st.integers(LIMIT, BASE),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(WORDS, min_size=64, max_size=64),
    st.lists(st.binary(min_size=24, max_size=24), min_size=5, max_size=5),
    st.integers(0, 300),
)
def test_no_stack_and_no_unwind_data_crash_or_hang_the_walk(words: list[int], infos: list[bytes], at: int) -> None:
    memory = Bytes()
    images(memory)
    for index, raw in enumerate(infos):
        memory.put((DRIVER + 0x4000) if index == 4 else NT + 0x4000 + index * 0x40, raw)
    memory.put_u64(BASE - 64 * 8, *words)
    walker = Walker(memory, Kernel(), MODULES)
    of = thread(BASE - 64 * 8 + at // 8 * 8)
    stacks = [walker.thread_stack(of), walker.context_stack(context(words[0], words[1]), of)]
    for stack in stacks:
        assert stack.end
        assert len(stack.frames) <= MAX_STACK_FRAMES
        frames = [(frame.sp, frame.address) for frame in stack.frames]
        assert len(set(frames)) == len(frames)


def test_a_stack_full_of_return_addresses_costs_one_look_at_each_word() -> None:
    memory = Bytes()
    memory.put_u64(LIMIT, *[NT + WAIT + RETURNS] * (0x6000 // 8))
    started = time.process_time()
    stack = walk(memory, thread(LIMIT))
    assert len(stack.frames) == MAX_STACK_FRAMES
    assert "limit" in stack.end
    assert time.process_time() - started < 5


TRIAGE = Path("../shared/data/dumps/triage_x64.dmp")


@pytest.mark.shared
@pytest.mark.skipif(not TRIAGE.exists(), reason="needs ../shared/data")
def test_the_real_small_dump_starts_at_the_drivers_instruction_and_ends_at_the_threads_start() -> None:
    with open_dump(TRIAGE) as image:
        memory = open_memory(image)
        assert image.triage is not None
        modules = [
            Module("ntoskrnl.exe" if driver.name.lower().startswith(("ntos", "ntkr")) else driver.name.lower(),
                   VirtAddr(driver.base), driver.size)
            for driver in image.triage.drivers
        ]  # fmt: skip
        kernel = Names()
        kernel.exact = False  # type: ignore[attr-defined]
        stack = Walker(memory, kernel, modules).context_stack(memory.read(image.header.parameters[3], 0x4D0))  # type: ignore[arg-type]
    assert (stack.frames[0].symbol, stack.frames[0].trust) == ("amdppm+0x334c", Trust.CONTEXT)
    assert all(frame.trust is Trust.SCAN for frame in stack.frames[1:])
    assert {"amdppm.sys", "wdf01000.sys", "ntoskrnl.exe"} <= {frame.module for frame in stack.frames}
