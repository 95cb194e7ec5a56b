"""Programs of frame data, records of sizes alone, and code on its way out: what they lead to, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import Absence, Unreadable
from analysis.kernel.frame_data import MAX_DEPTH, MAX_WORDS, BadProgram, evaluate, find_caller
from analysis.kernel.x86_context import X86Registers
from analysis.kernel.x86_leaving import leave, may_have_left
from analysis.symbols.pdb.frames import FrameKind, FrameRecord

ESP, EBP, RETURN = 0x9000_1000, 0x9000_1040, 0x8C00_1234
NOW = X86Registers(0x8C00_5000, ESP, EBP, 7)
KNOWN = {"$eip": NOW.eip, "$esp": ESP, "$ebp": EBP, "$ebx": 7}


class Stack:
    """Words by address; what was not put there was not saved."""

    def __init__(self, words: dict[int, int]) -> None:
        self.words = words

    def __call__(self, address: int) -> int:
        if address not in self.words:
            raise Unreadable(address, Absence.NOT_SAVED)
        return self.words[address]


def record(kind: FrameKind = FrameKind.PROGRAM, program: str = "", **sizes: int) -> FrameRecord:
    local, saved = sizes.get("locals", 0), sizes.get("saved", 0)
    return FrameRecord(0x5000, 0x100, kind, 0x5000, local, 0, saved, 0, program)


def is_return(value: int) -> bool:
    return value == RETURN


def test_a_program_of_a_frame_pointer_finds_the_caller() -> None:
    program = "$T0 $ebp 4 + = $eip $T0 ^ = $esp $T0 4 + = $ebp $T0 4 - ^ = $ebx $T0 8 - ^ ="
    stack = Stack({EBP + 4: RETURN, EBP: 0x9000_2000, EBP - 4: 42})
    found = find_caller(record(program=program), NOW, 0, stack, is_return)
    assert found is not None
    assert found.registers == X86Registers(RETURN, EBP + 8, 0x9000_2000, 42)
    assert (found.slot, found.pushed) == (EBP + 4, None)


@pytest.mark.parametrize("pushed", [0, 4, 8])
def test_the_return_address_is_searched_from_where_it_must_lie(pushed: int) -> None:
    program = "$T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + ="
    start = ESP + 8 + 16 + 4  # parameters of the callee, locals, saved registers
    # What looks like a return address among the locals does not count.
    words = dict.fromkeys(range(ESP, start + 64, 4), 0) | {ESP + 8: RETURN, start + pushed: RETURN}
    found = find_caller(record(program=program, locals=16, saved=4), NOW, 8, Stack(words), is_return)
    assert found is not None
    assert (found.registers.eip, found.registers.esp) == (RETURN, start + pushed + 4)
    assert (found.slot, found.pushed) == (start + pushed, pushed)


def test_records_of_sizes_alone() -> None:
    stack = Stack({ESP + 12: RETURN, EBP: 0x9000_2000, EBP + 4: RETURN})
    bare = find_caller(record(FrameKind.NO_POINTER, locals=8, saved=4), NOW, 0, stack, is_return)
    assert bare is not None
    assert bare.registers == X86Registers(RETURN, ESP + 16, EBP, 7)
    framed = find_caller(record(FrameKind.POINTER), NOW, 0, stack, is_return)
    assert framed is not None
    assert framed.registers == X86Registers(RETURN, EBP + 8, 0x9000_2000, 7)
    assert find_caller(record(FrameKind.TRAP), NOW, 0, stack, is_return) is None


@pytest.mark.parametrize(
    ("program", "value"),
    [
        ("$T0 1 2 + =", 3),
        ("$T0 1 2 - =", 0xFFFF_FFFF),
        ("$T0 3 4 * =", 12),
        ("$T0 9 4 / =", 2),
        ("$T0 9 4 % =", 1),
        ("$T0 19 8 @ =", 16),
        ("$T0 4294967295 2 + =", 1),
        ("$T1 5 = $T0 $T1 $T1 * =", 25),
    ],
)
def test_operators(program: str, value: int) -> None:
    assert evaluate(program, KNOWN, Stack({}))["$T0"] == value


@pytest.mark.parametrize(
    "program",
    [
        "", "+", "=", "$T0 =", "1 2 =", "$T0 $T9 =", "$T0 1 0 / =", "$T0 1 0 % =", "$T0 1 0 @ =", "$T0 x =", "^",
        "$T0 -1 =", ".raSearch 1 =", "1 " * (MAX_DEPTH + 1), "$T0 1 = " * MAX_WORDS, "$T0 99999999999 =",
        "$T0 \u0661 =",
    ],
)  # fmt: skip
def test_programs_that_make_no_sense_are_refused(program: str) -> None:
    with pytest.raises(BadProgram):
        evaluate(program, KNOWN, Stack({}))


@given(st.lists(st.sampled_from([*"+-*/%@^=", "$T0", "$eip", "$esp", ".raSearch", "4", "0", "", "$"]), max_size=40))
def test_any_program_ends_or_is_refused(words: list[str]) -> None:
    try:
        found = evaluate(" ".join(words), KNOWN, lambda address: address ^ 0x55)
    except BadProgram:
        return
    assert all(0 <= value < 1 << 32 for value in found.values())


def test_a_program_that_leads_nowhere_is_refused() -> None:
    with pytest.raises(BadProgram):
        find_caller(record(program="$T0 1 ="), NOW, 0, Stack({}), is_return)


WORDS = {ESP + 4 * at: 0x100 + at for at in range(16)} | {EBP: 0x9000_2000, EBP + 4: RETURN}


@pytest.mark.parametrize(
    ("code", "eip", "esp", "ebp"),
    [
        ("c3", 0x100, ESP + 4, EBP),
        ("c20800", 0x100, ESP + 12, EBP),
        ("5e5fc3", 0x102, ESP + 12, EBP),
        ("5dc3", 0x101, ESP + 8, 0x100),
        ("83c4085dc3", 0x103, ESP + 16, 0x102),
        ("c9c3", RETURN, EBP + 8, 0x9000_2000),
        ("8be55dc3", RETURN, EBP + 8, 0x9000_2000),
        ("89ec5dc20400", RETURN, EBP + 12, 0x9000_2000),
        ("8d65c4c3", 0x101, EBP - 0x3C + 4, EBP),
        ("81c408000000c3", 0x102, ESP + 12, EBP),
    ],
)
def test_the_rest_of_an_epilogue_is_carried_out(code: str, eip: int, esp: int, ebp: int) -> None:
    found = leave(bytes.fromhex(code), NOW, Stack(WORDS))
    assert found is not None
    assert (found.eip, found.esp, found.ebp) == (eip, esp, ebp)


@pytest.mark.parametrize("code", ["", "5d", "5c", "90c3", "5de900000000", "83c4", "c2", "5e" * 40])
def test_anything_else_is_no_epilogue(code: str) -> None:
    assert leave(bytes.fromhex(code), NOW, Stack(WORDS)) is None


def test_a_jump_behind_an_epilogue_may_have_left_the_frame() -> None:
    assert may_have_left(b"\x5d", b"\xe9")
    assert not may_have_left(b"\x90", b"\xe9")
    assert not may_have_left(b"\x5d", b"\x90")
