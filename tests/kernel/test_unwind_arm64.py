"""ARM64 unwind data built as raw bytes: every code, packed rows, special frames, and data that make no sense."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.address import VirtAddr
from analysis.errors import Unreadable
from analysis.kernel.arm64_codes import Op
from analysis.kernel.arm64_records import Arm64Unwind, function_length, read_arm64_unwind
from analysis.kernel.context import Arm64Registers
from analysis.kernel.unwind_arm64 import Arm64Caller, unwind_arm64, without_signature
from analysis.kernel.unwind_codes import BadUnwind, RuntimeFunction, UnknownRegister
from tests.kernel.invented import Bytes

BASE, STACK, BACK = 0xFFFF_F800_2000_0000, 0xFFFF_9000_0000_0000, 0xFFFF_F800_3333_0004
BEGIN, RECORD = 0x1000, 0x5000
FP, LR, D8 = 29, 30, 40
END, END_C, NEXT, SIGN = b"\xe4", b"\xe5", b"\xe6", b"\xfc"


def record(codes: bytes, *, length: int = 64, epilogs: tuple[tuple[int, int], ...] = (), last: int | None = None,
           version: int = 0, extended: bool = False) -> bytes:  # fmt: skip
    """A full record; ``last`` is the index of the codes of the one epilogue that ends the function."""
    words = -(-len(codes) // 4)
    count = last if last is not None else len(epilogs)
    head = length | version << 18 | (last is not None) << 21
    first = struct.pack("<I", head) if extended else struct.pack("<I", head | count << 22 | words << 27)
    extension = struct.pack("<I", count | words << 16) if extended else b""
    scopes = b"".join(struct.pack("<I", start | index << 22) for start, index in epilogs)
    return first + extension + scopes + codes.ljust(words * 4, b"\xe4")


def packed(*, length: int = 64, floats: int = 0, integers: int = 0, homes: int = 0, chained: int = 0, frame: int = 0,
           form: int = 1) -> int:  # fmt: skip
    """The second word of a packed row; ``frame`` in bytes."""
    return form | length << 2 | floats << 13 | integers << 16 | homes << 20 | chained << 21 | frame // 16 << 23


class Text:
    """An image of one function."""

    base = VirtAddr(BASE)

    def __init__(self, raw: bytes, word: int = RECORD) -> None:
        self.memory = Bytes()
        self.memory.put(RECORD, raw)
        self.row = RuntimeFunction(BEGIN, BEGIN + function_length(self.memory.read, word), word)

    def function_at(self, rva: int) -> RuntimeFunction | None:
        return self.row if self.row.begin <= rva < self.row.end else None

    def arm64_unwind(self, row: RuntimeFunction) -> Arm64Unwind:
        return read_arm64_unwind(self.memory.read, row.unwind)


def step(raw: bytes, words: dict[int, int], at: int = 32, *, called: bool = False, word: int = RECORD,
         known: dict[int, int] | None = None) -> Arm64Caller:  # fmt: skip
    """One step from instruction ``at``; ``words`` are what the stack holds, by distance from its pointer."""
    memory = Bytes()
    for distance, value in words.items():
        memory.put_u64(STACK + distance, value)
    registers = Arm64Registers(BASE + BEGIN + at * 4, STACK, known or {})
    return unwind_arm64(registers, Text(raw, word), memory.read, called=called)


SAVES = {
    "save_r19r20_x": (b"\x24", {0: 1, 8: 2}, {19: 1, 20: 2}, 32),
    "save_fplr": (b"\x42", {16: 1, 24: 2}, {FP: 1, LR: 2}, 0),
    "save_fplr_x": (b"\x81", {0: 1, 8: 2}, {FP: 1, LR: 2}, 16),
    "save_regp": (b"\xc8\x82", {16: 1, 24: 2}, {21: 1, 22: 2}, 0),
    "save_regp_x": (b"\xcc\x83", {0: 1, 8: 2}, {21: 1, 22: 2}, 32),
    "save_reg": (b"\xd0\xc1", {8: 1}, {22: 1}, 0),
    "save_reg_x": (b"\xd4\x61", {0: 1}, {22: 1}, 16),
    "save_lrpair": (b"\xd6\x42", {16: 1, 24: 2}, {21: 1, LR: 2}, 0),
    "save_fregp": (b"\xd8\x82", {16: 1, 24: 2}, {D8 + 2: 1, D8 + 3: 2}, 0),
    "save_fregp_x": (b"\xda\x81", {0: 1, 8: 2}, {D8 + 2: 1, D8 + 3: 2}, 16),
    "save_freg": (b"\xdc\xc1", {8: 1}, {D8 + 3: 1}, 0),
    "save_freg_x": (b"\xde\x61", {0: 1}, {D8 + 3: 1}, 16),
    "alloc_s": (b"\x02", {}, {}, 32),
    "alloc_m": (b"\xc1\x02", {}, {}, 0x1020),
    "alloc_l": (b"\xe0\x01\x00\x00", {}, {}, 0x100000),
    "nop": (b"\xe3", {}, {}, 0),
    "save_any_reg x": (b"\xe7\x15\x02", {16: 1}, {21: 1}, 0),
    "save_any_reg x pair": (b"\xe7\x55\x02", {32: 1, 40: 2}, {21: 1, 22: 2}, 0),
    "save_any_reg x pair, lowering": (b"\xe7\x75\x01", {0: 1, 8: 2}, {21: 1, 22: 2}, 32),
    "save_any_reg d": (b"\xe7\x08\x42", {16: 1}, {D8: 1}, 0),
    "save_any_reg q pair": (b"\xe7\x48\x82", {32: 1, 40: 9, 48: 2, 56: 9}, {D8: 1, D8 + 1: 2}, 0),
    "save_any_reg q, lowering": (b"\xe7\x28\x81", {0: 1, 8: 9}, {D8: 1}, 32),
    "save_next": (NEXT + NEXT + b"\x26", dict(zip(range(0, 48, 8), range(1, 7), strict=True)),
                  dict(zip(range(19, 25), range(1, 7), strict=True)), 48),
    "save_next behind the last integer pair": (NEXT + b"\xca\x00", {0: 1, 8: 2, 16: 3, 24: 4},
                                               {27: 1, 28: 2, D8: 3, D8 + 1: 4}, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", SAVES)
def test_every_code_is_undone(name: str) -> None:
    codes, words, saved, lowered = SAVES[name]
    found = step(record(codes + END), words, known={LR: BACK}).registers
    assert {number: found.known[number] for number in saved} == saved
    assert found.sp == STACK + lowered
    assert found.pc == without_signature(saved.get(LR, BACK))


def test_set_fp_and_add_fp_find_the_frame_whatever_was_allocated_since() -> None:
    words = {0x200: 0xF0, 0x208: BACK}
    for code, distance in ((b"\xe1", 0), (b"\xe2\x03", 24)):
        found = step(record(code + b"\x83" + END), words, known={FP: STACK + 0x200 + distance}, called=True).registers
        assert (found.pc, found.sp, found.known[FP]) == (BACK, STACK + 0x220, 0xF0)
    with pytest.raises(UnknownRegister):
        step(record(b"\xe1\x83" + END), words, called=True)


# stp x19, x20, [sp, #-32]! / stp x29, lr, [sp, #-16]! / mov x29, sp / sub sp, sp, #16; the epilogue is the reverse.
CODES = b"\x01\xe1\x81\x24" + END
PAIR, RECORD_AND_PAIR = {0: 1, 8: 2}, {0: 0xF0, 8: BACK, 16: 1, 24: 2}
STAGES = {0: ({}, 0), 1: (PAIR, 32), 2: (RECORD_AND_PAIR, 48), 3: (RECORD_AND_PAIR, 48)}


@pytest.mark.parametrize("epilog", ["none", "scopes", "last"])
def test_prologues_and_epilogues_are_undone_as_far_as_they_were_executed(epilog: str) -> None:
    scopes = ((20, 1), (40, 1)) if epilog == "scopes" else ()
    raw = record(CODES, epilogs=scopes, last=1 if epilog == "last" else None, extended=epilog == "scopes")
    for executed, (words, size) in STAGES.items():
        found = step(raw, words, executed, known={LR: BACK, FP: STACK}).registers
        assert (found.pc, found.sp - STACK) == (BACK, size)
    # After mov sp, x29 the pairs lie on top; the return stands behind them.
    for start in {"none": [], "scopes": [20, 40], "last": [60]}[epilog]:
        for done, (words, size) in {1: STAGES[2], 2: STAGES[1], 3: STAGES[0]}.items():
            found = step(raw, words, start + done, known={LR: BACK, FP: 0}).registers
            assert (found.pc, found.sp - STACK) == (BACK, size)


def test_a_fragment_undoes_the_prologue_of_its_function_too() -> None:
    raw = record(b"\xd0\x42" + END_C + b"\x81" + END)  # its own part saves x20 at 16
    words = {0: 0xF0, 8: BACK, 16: 7, 24: 0}
    found = step(raw, words).registers
    assert (found.pc, found.sp, found.known[20]) == (BACK, STACK + 16, 7)
    assert 20 not in step(raw, words, at=0).registers.known
    assert step(raw, words, at=0).registers.sp == STACK + 16
    part = packed(integers=2, chained=3, frame=32, form=2)
    for at in (0, 32, 63):  # a packed fragment has neither prologue nor epilogue
        found = step(b"", {0: 0xF0, 8: BACK, 16: 1, 24: 2}, at, word=part, known={FP: STACK}).registers
        assert (found.pc, found.sp, found.known[19]) == (BACK, STACK + 32, 1)


def test_a_packed_row_with_homed_parameters_has_no_trace_of_them_in_its_epilogue() -> None:
    unwind = read_arm64_unwind(Bytes().read, packed(integers=2, homes=1, chained=3, frame=96))
    assert unwind.prolog == 1 + 4 + 2
    assert [one.op for one in unwind.steps].count(Op.NOP) == 4
    (last,) = unwind.epilogs
    assert (last.start, last.end) == (61, 64)
    # With no register saved there is nowhere to home them but among the locals, behind the prologue.
    assert read_arm64_unwind(Bytes().read, packed(homes=1, chained=3, frame=96)).prolog == 2


def test_signed_return_addresses_lose_their_signature() -> None:
    signed = BACK & ~(0xFF << 56 | 0x7F << 48) | 0x5A << 56 | 0x80_0000_0000_0000
    found = step(record(b"\x81" + SIGN + END), {0: 0xF0, 8: signed}).registers
    assert (found.pc, found.known[LR]) == (BACK, BACK)
    assert without_signature(0x003A_0000_1234_5678) == 0x1234_5678


def test_a_machine_frame_and_a_cleared_call_say_that_nothing_was_called() -> None:
    found = step(record(b"\xe9" + END), {0: STACK + 0x900, 8: BACK})
    assert (found.interrupted, found.user_mode) == (True, False)
    assert (found.registers.pc, found.registers.sp) == (BACK, STACK + 0x900)
    found = step(record(b"\x01\xec" + END), {}, known={LR: BACK})
    assert (found.interrupted, found.registers.pc, found.registers.sp) == (True, BACK, STACK + 16)


@pytest.mark.parametrize(("spsr", "user_mode"), [(0x6000_0005, False), (0x4, False), (0x0, True)])
def test_a_trap_frame_gives_what_was_interrupted(spsr: int, user_mode: bool) -> None:
    raw = bytearray(0x150)
    struct.pack_into("<IIQ", raw, 0x90, spsr, 0, STACK + 0x900)
    struct.pack_into("<19Q", raw, 0xA0, *range(100, 119))
    struct.pack_into("<3Q", raw, 0x138, 0x17, 0xF0, BACK)
    words = {32 + at: int.from_bytes(raw[at : at + 8], "little") for at in range(0, 0x150, 8)}
    found = step(record(b"\x24\xe8" + END), {0: 1, 8: 2, **words})
    assert (found.interrupted, found.user_mode) == (True, user_mode)
    assert (found.registers.pc, found.registers.sp) == (BACK, STACK + 0x900)
    assert [found.registers.known[number] for number in (0, 18, 19, FP, LR)] == [100, 118, 1, 0xF0, 0x17]


def test_what_is_no_trap_frame_is_refused() -> None:
    words = dict.fromkeys(range(0, 0x150, 8), 0)
    for spsr, sp in ((0x10, STACK), (0x9, STACK), (0x5, STACK + 8)):
        with pytest.raises(BadUnwind):
            step(record(b"\xe8" + END), {**words, 0x90: spsr, 0x98: sp})


def test_a_context_is_a_whole_register_set() -> None:
    words = {0: 0x40_0007, **{8 + 8 * number: number for number in range(31)}, 0x100: STACK + 0x80, 0x108: BACK}
    found = step(record(b"\xea" + END), words)
    assert (found.interrupted, found.registers.pc, found.registers.sp) == (True, BACK, STACK + 0x80)
    assert found.registers.known == {number: number for number in range(31)}
    assert step(record(b"\xea" + END), {**words, 0: 0x2040_0007}).interrupted is False


def test_a_context_of_emulation_compatible_code_is_an_x64_one() -> None:
    words = {at: at for at in range(0, 0x128, 8)} | {0xF8: BACK, 0x98: STACK + 0x80, 0x30: 0x10_0007}
    found = step(record(b"\xeb" + END), words)
    assert (found.interrupted, found.registers.pc, found.registers.sp) == (True, BACK, STACK + 0x80)
    assert [found.registers.known[number] for number in (0, 8, 19, 22, 25, 26, 27, FP, LR)] == [
        0x80, 0x78, 0xD8, 0xF0, 0xA8, 0xB0, 0x90, 0xA0, 0x120
    ]  # fmt: skip


def test_a_leaf_returns_to_its_link_register_but_only_if_it_was_not_returned_to() -> None:
    assert step(record(END), {}, at=200, known={LR: BACK}).registers == Arm64Registers(BACK, STACK, {LR: BACK})
    with pytest.raises(BadUnwind):
        step(record(END), {}, at=200, known={LR: BACK}, called=True)
    with pytest.raises(BadUnwind):  # its own unwind data say that it never stored where it returns to
        step(record(b"\x01" + END), {}, known={LR: BACK}, called=True)


def test_a_return_address_belongs_to_the_call_in_front_of_it() -> None:
    # the call is the function's last instruction
    assert step(record(b"\x81" + END), {0: 1, 8: BACK}, at=64, called=True).registers.pc == BACK


REFUSED = {
    "a version that is not known": record(END, version=1),
    "no end": record(b"\x01\x01\x01\x01"),
    "a code cut short": record(b"\x01\x01\x01\xe0"),
    "a reserved code": record(b"\xed" + END),
    "a vector of unknown length": record(b"\xdf\x01" + END),
    "a save of any vector": record(b"\xe7\x08\xc2" + END),
    "a save_next of nothing": record(NEXT + END),
    "a save_next behind an allocation": record(NEXT + b"\x01" + END),
    "a save_next behind the last pair": record(NEXT + b"\xe7\x5e\x40" + END),
    "a register beyond the last": record(b"\xcb\x40" + END),
    "an epilogue without codes": record(b"\x81" + END, epilogs=((3, 900),)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_data_that_contradict_themselves_are_refused(name: str) -> None:
    with pytest.raises(BadUnwind):
        step(REFUSED[name], {}, known={LR: BACK})


@pytest.mark.parametrize("word", [packed(integers=11, frame=128), packed(integers=4, frame=16), packed(chained=3),
                                  packed(length=2, integers=4, frame=32), 3])  # fmt: skip
def test_packed_rows_that_contradict_themselves_are_refused(word: int) -> None:
    with pytest.raises(BadUnwind):
        read_arm64_unwind(Bytes().read, word)


@settings(max_examples=300)
@given(st.binary(min_size=4, max_size=64), st.integers(0, 70), st.booleans())
def test_no_record_makes_a_step_crash_or_hang(raw: bytes, at: int, called: bool) -> None:
    words = dict.fromkeys(range(0, 0x200, 8), STACK)
    with suppress(BadUnwind, Unreadable):
        step(raw, words, at, called=called, known={FP: STACK, LR: BACK})


@given(st.integers(0, 0xFFFF_FFFF))
def test_no_packed_row_makes_a_reader_crash(word: int) -> None:
    try:
        unwind = read_arm64_unwind(Bytes().read, word)
    except (BadUnwind, Unreadable):
        return
    assert all(0 <= epilog.start < epilog.end == unwind.length for epilog in unwind.epilogs)


def test_a_record_cut_at_every_byte_is_refused_or_missing() -> None:
    raw = record(CODES, epilogs=((20, 1), (40, 1)), extended=True)
    for length in range(len(raw)):
        memory = Bytes()
        memory.put(RECORD, raw[:length])
        with pytest.raises(Unreadable):
            read_arm64_unwind(memory.read, RECORD)
