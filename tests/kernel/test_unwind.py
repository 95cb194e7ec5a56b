"""One step up a hand-built stack."""

import struct

import pytest

from analysis.address import VirtAddr
from analysis.errors import Absence, Unreadable
from analysis.kernel.context import Registers
from analysis.kernel.unwind import Caller, unwind_frame
from analysis.kernel.unwind_codes import BadUnwind, RuntimeFunction, UnknownRegister, UnwindInfo, read_unwind_info
from tests.kernel.assembled import (
    R12,
    R13,
    R14,
    RBP,
    RBX,
    RDI,
    RSI,
    alloc,
    info,
    machine_frame,
    push,
    save,
    save_xmm,
    set_frame,
    slot,
)
from tests.kernel.invented import Bytes

BASE = 0xFFFF_F800_2000_0000
STACK = 0xFFFF_9000_0000_0000
BACK = 0xFFFF_F800_3333_0005


class Text:
    """An image of literal bytes and rows."""

    base = VirtAddr(BASE)

    def __init__(self, rows: list[RuntimeFunction], data: dict[int, bytes]) -> None:
        self.rows = rows
        self.memory = Bytes()
        for rva, raw in data.items():
            self.memory.put(rva, raw)

    def read(self, rva: int, size: int) -> bytes:
        try:
            return self.memory.read(rva, size)
        except Unreadable as gap:
            raise Unreadable(self.base + gap.address, Absence.NOT_SAVED) from None

    def function_at(self, rva: int) -> RuntimeFunction | None:
        return next((row for row in self.rows if row.begin <= rva < row.end), None)

    def unwind_info(self, rva: int) -> UnwindInfo:
        return read_unwind_info(self.read, rva)


def stack_of(*values: int) -> Bytes:
    memory = Bytes()
    memory.put_u64(STACK, *values)
    return memory


def step(
    raw: bytes,
    stack: Bytes,
    at: int = 0x80,
    *,
    code: dict[int, bytes] | None = None,
    known: dict[int, int] | None = None,
    called: bool = True,
    rsp: int = STACK,
    more: list[RuntimeFunction] | None = None,
) -> Caller:
    image = Text([RuntimeFunction(0x1000, 0x1100, 0x5000), *(more or [])], {0x5000: raw, **(code or {})})
    return unwind_frame(Registers(BASE + 0x1000 + at, rsp, known or {}), image, stack.u64, called=called)


def test_allocations_and_pushes_are_undone_in_order() -> None:
    raw = info(alloc(9, 0x20), push(5, RDI), push(4, RSI), push(3, RBX), prolog=9)
    found = step(raw, stack_of(0, 0, 0, 0, 0xD1, 0x51, 0xB8, BACK)).registers
    assert (found.rip, found.rsp) == (BACK, STACK + 0x40)
    assert found.non_volatile() == {"rbx": 0xB8, "rsi": 0x51, "rdi": 0xD1}


def test_saved_registers_lie_at_their_distance_and_xmm_registers_are_passed_over() -> None:
    raw = info(save_xmm(20, 6, 0x10), save(14, R12, 0x28), save(10, RBX, 0x20, far=True), alloc(4, 0x28), prolog=20)
    found = step(raw, stack_of(0, 0, 0, 0, 0xB8, BACK, 0x12)).registers
    assert found.rip == BACK
    assert found.known[RBX] == 0xB8
    # 0x28 above the frame is the return address's own slot: the rule is arithmetic, whatever lies there
    assert found.known[R12] == BACK


@pytest.mark.parametrize("size", [136, 512 * 1024 - 8, 512 * 1024])
def test_large_allocations(size: int) -> None:
    memory = Bytes()
    memory.put_u64(STACK + size, BACK)
    assert step(info(alloc(7, size), prolog=7), memory).registers == Registers(BACK, STACK + size + 8, {})


def test_a_frame_register_finds_the_frame_whatever_was_allocated_since() -> None:
    raw = info(
        set_frame(12), save(12, RSI, 0x18), alloc(6, 0x40), push(1, RBP), prolog=12, frame=RBP, frame_offset=0x20
    )
    memory = Bytes()
    frame = STACK + 0x1000
    memory.put_u64(frame + 0x18, 0x51)
    memory.put_u64(frame + 0x40, 0xB9, BACK)
    found = step(raw, memory, known={RBP: frame + 0x20}).registers
    assert (found.rip, found.rsp, found.known[RBP], found.known[RSI]) == (BACK, frame + 0x50, 0xB9, 0x51)


def test_a_frame_register_that_is_not_known_is_said() -> None:
    with pytest.raises(UnknownRegister):
        step(info(set_frame(3), alloc(2, 8), frame=R13, prolog=3), stack_of(0, BACK))


@pytest.mark.parametrize(("at", "expected"), [(0, 0), (1, 1), (2, 1), (5, 2), (9, 3)])
def test_in_the_prologue_only_what_was_executed_is_undone(at: int, expected: int) -> None:
    raw = info(alloc(9, 8), push(5, RDI), push(1, RBX), prolog=9)
    words = {0: [BACK], 1: [1, BACK], 2: [2, 1, BACK], 3: [0, 2, 1, BACK]}[expected]
    found = step(raw, stack_of(*words), at=at, called=False).registers
    assert (found.rip, found.rsp) == (BACK, STACK + 8 * len(words))


def test_in_the_prologue_the_frame_register_still_belongs_to_the_caller() -> None:
    raw = info(set_frame(8), alloc(5, 0x10), push(1, RBP), frame=RBP, prolog=8)
    found = step(raw, stack_of(0, 0, 0xB9, BACK), at=5, called=False, known={RBP: 0x1234}).registers
    assert (found.rip, found.known[RBP]) == (BACK, 0xB9)


def test_a_leaf_has_its_return_address_on_top_but_only_if_it_was_not_returned_to() -> None:
    assert step(info(), stack_of(BACK), at=0x500, called=False).registers == Registers(BACK, STACK + 8, {})
    with pytest.raises(BadUnwind):
        step(info(), stack_of(BACK), at=0x500, called=True)


def test_a_return_address_belongs_to_the_function_of_the_call_before_it() -> None:
    # the call was the function's last instruction: 0x1100 itself belongs to the next function
    other = RuntimeFunction(0x1100, 0x1200, 0x6000)
    found = step(info(alloc(4, 8)), stack_of(0, BACK), at=0x100, more=[other], code={0x6000: info(alloc(4, 0x80))})
    assert found.registers.rsp == STACK + 16


def test_chained_entries_are_undone_up_to_the_first() -> None:
    inner = info(push(1, R14), chained=(0x2000, 0x2100, 0x6000))
    outer = info(alloc(5, 0x10), push(1, RBX), prolog=5)
    found = step(inner, stack_of(0x14, 0, 0, 0xB8, BACK), code={0x6000: outer}).registers
    assert (found.rip, found.known[R14], found.known[RBX]) == (BACK, 0x14, 0xB8)


def test_a_chain_that_bites_its_tail_is_refused() -> None:
    with pytest.raises(BadUnwind):
        step(info(alloc(5, 8), chained=(0x1000, 0x1100, 0x5000)), stack_of(*([0] * 64)))


def test_an_indirect_row_points_at_another_row_and_a_circle_of_them_is_refused() -> None:
    image = Text(
        [RuntimeFunction(0x1000, 0x1100, 0x4001)],
        {0x4000: struct.pack("<III", 0x2000, 0x2100, 0x5000), 0x5000: info(alloc(4, 8))},
    )
    found = unwind_frame(Registers(BASE + 0x2010, STACK), image, stack_of(BACK).u64, called=False)
    assert found.registers.rip == BACK  # no row for 0x2010 itself
    at = Registers(BASE + 0x1080, STACK)
    assert unwind_frame(at, image, stack_of(0, BACK).u64, called=True).registers.rip == BACK
    image = Text([RuntimeFunction(0x1000, 0x1100, 0x4001)], {0x4000: struct.pack("<III", 0x1000, 0x1100, 0x4001)})
    with pytest.raises(BadUnwind):
        unwind_frame(at, image, stack_of(BACK).u64, called=True)


@pytest.mark.parametrize(("segment", "user_mode"), [(0x10, False), (0x33, True), (0x23, True)])
@pytest.mark.parametrize("error_code", [True, False])
def test_a_machine_frame_gives_the_interrupted_registers(segment: int, user_mode: bool, error_code: bool) -> None:
    raw = info(alloc(8, 0x10), push(1, RBP), machine_frame(0, error_code), prolog=8)
    frame = [BACK, segment, 0x246, STACK + 0x900, 0x18]
    found = step(raw, stack_of(0, 0, 0xB9, *([5] if error_code else []), *frame))
    assert (found.interrupted, found.user_mode) == (True, user_mode)
    assert (found.registers.rip, found.registers.rsp, found.registers.known[RBP]) == (BACK, STACK + 0x900, 0xB9)


EPILOGUES = {
    "add, pop, ret": (b"\x48\x83\xc4\x20\x5f\x5b\xc3", [0, 0, 0, 0, 0xD1, 0xB8]),
    "add imm32, ret": (b"\x48\x81\xc4\x80\x00\x00\x00\xc3", [0] * 16),
    "pops of high registers": (b"\x41\x5e\x41\x5c\xc3", [0x14, 0x12]),
    "ret alone": (b"\xc3", []),
    "ret imm16": (b"\xc2\x08\x00", []),
    "rep ret": (b"\x5b\xf3\xc3", [0xB8]),
    "tail jump out": (b"\x5b\xe9\x00\x10\x00\x00", [0xB8]),
    "short jump to another function": (b"\xeb\x7f", []),
    "jump through a pointer": (b"\x48\xff\x25\x00\x00\x00\x00", []),
    "jump through a register": (b"\x48\xff\xe0", []),
    "import jump": (b"\xff\x25\x00\x00\x00\x00", []),
}


@pytest.mark.parametrize("name", EPILOGUES)
def test_in_an_epilogue_the_rest_of_it_is_run(name: str) -> None:
    code, words = EPILOGUES[name]
    raw = info(alloc(9, 0x20), push(5, RDI), push(4, RBX), prolog=9)
    found = step(raw, stack_of(*words, BACK), at=0xE0, called=False, code={0x10E0: code.ljust(96, b"\xcc")})
    assert (found.registers.rip, found.registers.rsp) == (BACK, STACK + 8 * len(words) + 8)
    assert found.registers.known.get(RBX, 0xB8) == 0xB8


def test_an_epilogue_may_start_from_the_frame_register() -> None:
    raw = info(set_frame(9), alloc(6, 0x20), push(1, RBP), prolog=9, frame=RBP)
    memory = Bytes()
    memory.put_u64(STACK + 0x400, 0xB9, BACK)
    for code in (b"\x48\x8d\x65\x20\x5d\xc3", b"\x48\x8d\xa5\x20\x00\x00\x00\x5d\xc3"):
        text = {0x10E0: code.ljust(96, b"\xcc")}
        found = step(raw, memory, at=0xE0, called=False, code=text, known={RBP: STACK + 0x3E0}).registers
        assert (found.rip, found.known[RBP]) == (BACK, 0xB9)


@pytest.mark.parametrize(
    "code",
    [
        b"\x48\x83\xc4\x20\x90\xc3",  # something between
        b"\x5b\xe9\x00\x00\x00\x00",  # jumps to the next instruction of the same function
        b"\x48\x83\xec\x20\xc3",  # sub, not add
        b"\x5b\xe8\x00\x10\x00\x00",  # a call
        b"\x48\x8d\x64\x24\x20\xc3",  # lea from rsp
    ],
)
def test_what_only_resembles_an_epilogue_is_the_body(code: bytes) -> None:
    raw = info(alloc(9, 0x20), push(5, RDI), prolog=9)
    text = {0x10E0 - 0x40: code.ljust(96, b"\xcc")}
    found = step(raw, stack_of(0, 0, 0, 0, 0xD1, BACK), at=0xA0, called=False, code=text).registers
    assert (found.rip, found.known[RDI]) == (BACK, 0xD1)


def test_code_that_was_not_saved_counts_as_body_unless_version_2_says_epilogue() -> None:
    raw = info(alloc(4, 8), prolog=4)
    assert step(raw, stack_of(0, BACK), at=0xFE, called=False).registers.rip == BACK
    declared = info(slot(2, 6, 1), slot(0, 6, 0), alloc(4, 8), prolog=4, version=2)
    with pytest.raises(Unreadable):
        step(declared, stack_of(0, BACK), at=0xFE, called=False)
    assert step(declared, stack_of(0, BACK), at=0xFE, called=True).registers.rip == BACK


def test_a_stack_that_ends_is_unreadable() -> None:
    with pytest.raises(Unreadable):
        step(info(alloc(4, 0x28), prolog=4), stack_of(0, 0))
