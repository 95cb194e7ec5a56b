"""How likely a word on a stack is a return address. A stack holds stale ones too: what passes here is still SCAN.

The evidence is graded by what the dump holds. Where code bytes were saved, a call instruction must end at the
address; where only .pdata were saved, the address must lie inside a function; where neither, as in every triage
dump, only ranges and names speak.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from typing import Protocol

from analysis.address import VirtAddr
from analysis.errors import Unreadable
from analysis.kernel.facts import Module
from analysis.kernel.unwind_codes import RuntimeFunction

HEADER_BYTES = 0x1000  # no code lies in the page of the headers
LONGEST_CALL = 8


class Evidence(IntEnum):
    """What speaks for a return address, weakest first. NONE: something speaks against it."""

    NONE = 0
    RANGE = 1  # in an image's range
    NAME = 2  # behind a plausible name of the kernel's own table
    FUNCTION = 3  # inside a function by .pdata
    CALL = 4  # behind a call instruction


class CodeBytes(Protocol):
    """The image around a candidate."""

    @property
    def base(self) -> VirtAddr:
        """Where the image is mapped."""

    def read(self, rva: int, size: int) -> bytes:
        """Bytes of the image. Raises: Unreadable."""

    def function_at(self, rva: int) -> RuntimeFunction | None:
        """The .pdata row that covers ``rva``. Raises: Unreadable."""

    def is_code(self, rva: int) -> bool | None:
        """Whether the section of ``rva`` is executable; None where the section table was not saved."""


NameDistance = Callable[[int], "tuple[str, int] | None"]
IsCall = Callable[[bytes], bool]


def ends_with_call(before: bytes) -> bool:
    """Whether a call instruction of x86 or x64 can end at the end of these bytes (the 8 in front of an address).

    ``E8 rel32``; ``FF /2`` with every addressing form, with or without a REX prefix.
    """
    if len(before) >= 5 and before[-5] == 0xE8:
        return True
    return any(_is_indirect_call(before[-length:]) for length in range(2, min(len(before), 7) + 1))


def ends_with_bl(before: bytes) -> bool:
    """Whether these bytes end with a call of ARM64: ``BL``, ``BLR``, or ``BLR`` with an authenticated pointer."""
    word = int.from_bytes(before[-4:], "little")
    return word >> 26 == 0x25 or word & 0xFEFF_F000 == 0xD63F_0000


def judge(
    address: int, module: Module, image: CodeBytes, function: NameDistance, is_call: IsCall = ends_with_call
) -> Evidence:
    """The evidence that ``address``, inside ``module``, is a return address.

    ``function(address)`` gives the certain name at or below it and the distance, or None; ``is_call`` says whether the
    bytes in front of the address end with a call.
    """
    rva = address - module.base
    if rva < HEADER_BYTES or image.is_code(rva) is False:
        return Evidence.NONE
    try:
        before = image.read(rva - LONGEST_CALL, LONGEST_CALL)
    except Unreadable:
        return _without_code(address, module, image, function)
    return Evidence.CALL if is_call(before) else Evidence.NONE


def _without_code(address: int, module: Module, image: CodeBytes, function: NameDistance) -> Evidence:
    rva = address - module.base
    try:
        row = image.function_at(rva - 1)
    except Unreadable:
        name = function(address)
        if name is None:
            return Evidence.RANGE
        # A call takes at least two bytes, so an address at a name or one byte behind it is not returned to.
        return Evidence.NAME if name[1] >= 2 else Evidence.NONE
    return Evidence.NONE if row is None or rva - row.begin < 2 else Evidence.FUNCTION


def _is_indirect_call(code: bytes) -> bool:
    if code[0] != 0xFF or len(code) < 2 or code[1] >> 3 & 7 != 2:
        return False  # a REX prefix stands in front and need not be looked at
    mode, register = code[1] >> 6, code[1] & 7
    length = 2
    if mode != 3 and register == 4:  # a SIB byte follows
        length += 1
        if mode == 0 and len(code) > 2 and code[2] & 7 == 5:
            length += 4
    if mode == 1:
        length += 1
    elif mode == 2 or (mode == 0 and register == 5):
        length += 4
    return length == len(code)


# A call is made with the stack pointer at a multiple of 16, so that return addresses lie at odd slots. Code written by
# hand need not keep to it, hence a stack must show that it does: by frames that are certain, or by its words.
CERTAIN_FRAMES = 4
WEAK_WORDS = 8


class GradedWords:
    """The words of a stack that may be return addresses, by rising address, each with its evidence."""

    def __init__(self, words: Sequence[tuple[int, int, Evidence]]) -> None:
        self._words = [word for word in words if word[2] is not Evidence.NONE]
        self._slots = [slot for slot, _, _ in self._words]
        weak = [slot for slot, _, evidence in self._words if evidence < Evidence.FUNCTION]
        even = sum(1 for slot in weak if slot % 16 == 0)
        self._keeps_rule = len(weak) >= WEAK_WORDS and even * 4 <= len(weak) - even

    def from_slot(self, start: int, certain: Sequence[int]) -> Iterator[tuple[int, int]]:
        """``(slot, value)`` from ``start`` on; ``certain`` are stack pointers of frames found otherwise.

        Slots where no call of a compiler leaves its return address are passed over: all of them if the certain frames
        keep to the rule, else the weak ones if the stack's words keep to it.
        """
        strict = len(certain) >= CERTAIN_FRAMES and all(pointer % 16 == 0 for pointer in certain)
        for slot, value, evidence in self._words[bisect_left(self._slots, start) :]:
            misplaced = slot % 16 == 0 and (strict or (self._keeps_rule and evidence < Evidence.FUNCTION))
            if not misplaced:
                yield slot, value


# Without section headers, a pointer to a variable of nt looks like one to code. Between the lowest and the highest of
# these variables lies no function in any of the ten tables compared (7601 to 22000). An invented kernel may be laid
# out in another way, so functions found in between switch the rule off.
VARIABLES = (
    "KdDebuggerDataBlock", "PsLoadedModuleList", "PsActiveProcessHead", "ExpSystemResourcesList", "KiProcessorBlock",
    "MmUnloadedDrivers", "MmLastUnloadedDriver", "PiEngineLock", "KiInitialThread", "PsInitialSystemProcess",
    "KeTimeIncrement", "KiBugCheckData", "MmPfnDatabase", "ObTypeIndexTable",
)  # fmt: skip
FUNCTIONS = (
    "KeBugCheckEx", "KiSwapContext", "KiSwapThread", "KeWaitForSingleObject", "KiPageFault", "KiStartSystemThread",
    "PspSystemThreadStartup", "ExpWorkerThread", "IofCallDriver", "KiSystemCall64", "KeDelayExecutionThread",
)  # fmt: skip


def data_hull(address: Callable[[str], int | None]) -> range:
    """The addresses between the kernel's known variables; empty where that is not a range of data alone.

    ``address`` gives a symbol's address, or None.
    """
    variables = [found for name in VARIABLES if (found := address(name)) is not None]
    functions = [found for name in FUNCTIONS if (found := address(name)) is not None]
    if len(variables) < 2 or not functions:
        return range(0)
    hull = range(min(variables), max(variables) + 1)
    return range(0) if any(function in hull for function in functions) else hull
