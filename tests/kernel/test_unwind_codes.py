"""UNWIND_INFO: each code at its limits, and data that contradict themselves."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import Absence, Unreadable
from analysis.kernel.unwind_codes import BadUnwind, Code, Op, RuntimeFunction, UnwindInfo, read_unwind_info
from tests.kernel.assembled import (
    R15,
    RBP,
    RBX,
    alloc,
    info,
    machine_frame,
    push,
    save,
    save_xmm,
    set_frame,
    slot,
)


def parse(raw: bytes) -> UnwindInfo:
    def read(rva: int, size: int) -> bytes:
        if rva + size > len(raw):
            raise Unreadable(rva, Absence.NOT_SAVED)
        return raw[rva : rva + size]

    return read_unwind_info(read, 0)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (push(1, RBX), Code(1, Op.PUSH_NONVOL, RBX)),
        (push(255, R15), Code(255, Op.PUSH_NONVOL, R15)),
        (alloc(4, 8), Code(4, Op.ALLOC_SMALL, 0, 8)),
        (alloc(4, 128), Code(4, Op.ALLOC_SMALL, 15, 128)),
        (alloc(7, 136), Code(7, Op.ALLOC_LARGE, 0, 136)),
        (alloc(7, 512 * 1024 - 8), Code(7, Op.ALLOC_LARGE, 0, 512 * 1024 - 8)),
        (alloc(7, 512 * 1024), Code(7, Op.ALLOC_LARGE, 1, 512 * 1024)),
        (alloc(7, 0xFFFF_FFF8), Code(7, Op.ALLOC_LARGE, 1, 0xFFFF_FFF8)),
        (set_frame(9), Code(9, Op.SET_FPREG, 0)),
        (save(9, RBP, 0x7FFF8), Code(9, Op.SAVE_NONVOL, RBP, 0x7FFF8)),
        (save(9, RBP, 0xFFFF_FFF8, far=True), Code(9, Op.SAVE_NONVOL_FAR, RBP, 0xFFFF_FFF8)),
        (save_xmm(9, 15, 0xFFFF0), Code(9, Op.SAVE_XMM128, 15, 0xFFFF0)),
        (save_xmm(9, 15, 0xFFFF_FFF0, far=True), Code(9, Op.SAVE_XMM128_FAR, 15, 0xFFFF_FFF0)),
        (machine_frame(0, error_code=True), Code(0, Op.PUSH_MACHFRAME, 1)),
        (machine_frame(0, error_code=False), Code(0, Op.PUSH_MACHFRAME, 0)),
    ],
)
def test_each_code_at_its_limits(code: bytes, expected: Code) -> None:
    assert parse(info(code)).codes == (expected,)


def test_codes_keep_their_order_and_the_header_its_numbers() -> None:
    found = parse(info(set_frame(11), alloc(6, 0x40), push(2, RBP), prolog=11, frame=RBP, frame_offset=0x20))
    assert [code.op for code in found.codes] == [Op.SET_FPREG, Op.ALLOC_SMALL, Op.PUSH_NONVOL]
    assert (found.prolog_size, found.frame_register, found.frame_offset) == (11, RBP, 0x20)


def test_a_chained_entry_stands_behind_the_codes_padded_to_a_pair() -> None:
    assert parse(info(push(1, RBX), chained=(0x10, 0x20, 0x30))).chained == RuntimeFunction(0x10, 0x20, 0x30)
    assert parse(info(chained=(1, 2, 3))).chained == RuntimeFunction(1, 2, 3)


def test_version_2_tells_where_its_epilogues_are() -> None:
    raw = info(slot(5, 6, 1), slot(0x23, 6, 1), slot(0x40, 6, 0), slot(0, 6, 0), alloc(4, 0x28), version=2, prolog=4)
    found = parse(raw)
    assert found.codes == (Code(4, Op.ALLOC_SMALL, 4, 0x28),)
    function = RuntimeFunction(0x1000, 0x2000, 0)
    inside = [rva for rva in range(0x1000, 0x2000) if found.epilogs.holds(function, rva)]
    assert inside == [
        *range(0x2000 - 0x123, 0x2000 - 0x123 + 5), *range(0x2000 - 0x40, 0x2000 - 0x40 + 5), *range(0x1FFB, 0x2000)
    ]  # fmt: skip


def test_version_2_skips_a_padding_slot_that_looks_like_a_push() -> None:
    raw = info(slot(5, 6, 1), b"\0\0", push(1, RBX), version=2)
    assert parse(raw).codes == (Code(1, Op.PUSH_NONVOL, RBX),)


@pytest.mark.parametrize(
    "raw",
    [
        info(version=0),
        info(version=3),
        info(slot(0, 11, 0)),
        info(slot(0, 15, 0)),
        info(slot(0, 6, 0)),  # an epilogue in version 1
        info(push(1, RBX), slot(0, 6, 0), version=2),  # an epilogue behind the prologue's codes
        info(slot(0, 7, 0)),
        info(slot(0, 1, 2) + bytes(4)),
        info(slot(0, 1, 0)),  # operands missing
        info(slot(0, 1, 1) + bytes(2)),
        info(slot(0, 5, 0) + bytes(2)),
        info(flags=1, chained=(1, 2, 3)),
    ],
)
def test_contradictions_are_named(raw: bytes) -> None:
    with pytest.raises(BadUnwind):
        parse(raw)


def test_a_cut_at_every_byte_is_unreadable() -> None:
    raw = info(alloc(4, 0x1000), push(1, RBX), chained=(1, 2, 3))
    for length in range(len(raw)):
        with pytest.raises(Unreadable):
            parse(raw[:length])


@given(st.binary(min_size=0, max_size=600))
def test_any_bytes_give_an_answer_or_a_stated_error(raw: bytes) -> None:
    try:
        found = parse(raw)
    except (BadUnwind, Unreadable):
        return
    assert len(found.codes) <= raw[2]
    assert struct.pack("<B", raw[1])[0] == found.prolog_size
