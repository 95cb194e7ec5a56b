"""What counts as a return address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.address import VirtAddr
from analysis.kernel.facts import Module
from analysis.kernel.images import Image
from analysis.kernel.scan import Evidence, GradedWords, data_hull, ends_with_call, judge
from tests.kernel.assembled import put_image
from tests.kernel.invented import Bytes

BASE = 0xFFFF_F800_2000_0000
MODULE = Module("probe.sys", VirtAddr(BASE), 0x8000)

CALLS = {
    "call rel32": "e8 11 22 33 44",
    "call [rip+disp32]": "ff 15 11 22 33 44",
    "call rax": "ff d0",
    "call r8": "41 ff d0",
    "call [rax]": "ff 10",
    "call [rax+8]": "ff 50 08",
    "call [rax+disp32]": "ff 90 11 22 33 44",
    "call [rsp+8]": "ff 54 24 08",
    "call [rsp]": "ff 14 24",
    "call [rax*8+disp32]": "ff 14 c5 11 22 33 44",
    "call [r11+rax*8+disp32]": "41 ff 94 c3 11 22 33 44",
}
OTHERS = {
    "jmp rel32": "e9 11 22 33 44",
    "jmp rax": "ff e0",
    "push [rax]": "ff 30",
    "inc eax": "ff c0",
    "call [rax+8] cut": "ff 50",
    "call rel32 a byte too early": "e8 11 22 33 44 90",
    "nothing": "90",
}


@pytest.mark.parametrize("name", CALLS)
def test_every_form_of_call_is_seen(name: str) -> None:
    code = bytes.fromhex(CALLS[name])
    assert ends_with_call((b"\x90" * 8 + code)[-8:])


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_call_is_not(name: str) -> None:
    assert not ends_with_call((b"\x90" * 8 + bytes.fromhex(OTHERS[name]))[-8:])


@given(st.binary(max_size=8))
def test_any_bytes_have_an_answer(code: bytes) -> None:
    assert ends_with_call(code) in {True, False}


def grade(memory: Bytes, rva: int, name: tuple[str, int] | None = None) -> Evidence:
    return judge(BASE + rva, MODULE, Image(memory, MODULE), lambda address: name)


def test_with_code_bytes_only_a_call_counts() -> None:
    memory = Bytes()
    put_image(memory, BASE, [(0x1000, 0x1100, 0x4000)])
    memory.put(BASE + 0x1000, bytes.fromhex("90" * 16 + "e811223344" + "90" * 16))
    assert grade(memory, 0x1015) is Evidence.CALL
    assert grade(memory, 0x1016, ("F", 0x16)) is Evidence.NONE


def test_without_code_bytes_the_functions_of_pdata_decide() -> None:
    memory = Bytes()
    put_image(memory, BASE, [(0x1000, 0x1100, 0x4000)])
    assert grade(memory, 0x1080) is Evidence.FUNCTION
    assert grade(memory, 0x1100) is Evidence.FUNCTION  # behind a call that ends the function
    assert grade(memory, 0x1101) is Evidence.NONE
    assert grade(memory, 0x1001) is Evidence.NONE  # no call is one byte long
    assert grade(memory, 0x1000) is Evidence.NONE


def test_without_any_page_ranges_and_names_are_left() -> None:
    nothing = Bytes()
    assert grade(nothing, 0x1080) is Evidence.RANGE
    assert grade(nothing, 0x1080, ("F", 0x80)) is Evidence.NAME
    assert grade(nothing, 0x1080, ("F", 0)) is Evidence.NONE
    assert grade(nothing, 0xFFF) is Evidence.NONE  # the headers' page


def test_data_sections_hold_no_return_address() -> None:
    memory = Bytes()
    put_image(memory, BASE, [(0x1000, 0x1100, 0x4000)])
    memory.put(BASE + 0x4000, bytes.fromhex("e811223344" * 8))
    assert grade(memory, 0x4005) is Evidence.NONE


def test_a_gap_in_pdata_is_not_proof_of_absence() -> None:
    memory = Bytes()
    put_image(memory, BASE, [(0x1000, 0x1100, 0x4000)])
    memory.lose(BASE + 0x5000, 12)
    assert grade(memory, 0x2080) is Evidence.RANGE


def test_the_kernels_data_lie_between_its_known_variables() -> None:
    known = {"KdDebuggerDataBlock": 0x5000, "MmPfnDatabase": 0x9000, "KeBugCheckEx": 0x1000}
    assert data_hull(known.get) == range(0x5000, 0x9001)


def test_a_kernel_with_code_among_its_variables_has_no_such_range() -> None:
    known = {"KdDebuggerDataBlock": 0x5000, "MmPfnDatabase": 0x9000, "KeBugCheckEx": 0x6000}
    assert not data_hull(known.get)
    assert not data_hull({"KdDebuggerDataBlock": 0x5000}.get)
    assert not data_hull({"KdDebuggerDataBlock": 0x5000, "MmPfnDatabase": 0x9000}.get)


def test_words_at_places_no_call_uses_are_passed_over_once_a_stack_shows_the_rule() -> None:
    odd = [(0x1008 + 16 * i, i, Evidence.RANGE) for i in range(8)]
    even = (0x1040, 99, Evidence.RANGE)
    strong = (0x1050, 98, Evidence.CALL)
    words = GradedWords(sorted([*odd, even, strong]))
    assert [value for _, value in words.from_slot(0x1000, [])] == [0, 1, 2, 3, 4, 98, 5, 6, 7]
    certain = [0x800 + 16 * i for i in range(4)]
    assert [value for _, value in words.from_slot(0x1040, certain)] == [4, 5, 6, 7]
    assert [value for _, value in words.from_slot(0x1040, [0x808, *certain])] == [4, 98, 5, 6, 7]


def test_a_short_stack_shows_no_rule() -> None:
    words = GradedWords([(0x1008, 1, Evidence.RANGE), (0x1010, 2, Evidence.RANGE), (0x1018, 3, Evidence.NONE)])
    assert [value for _, value in words.from_slot(0, [])] == [1, 2]
