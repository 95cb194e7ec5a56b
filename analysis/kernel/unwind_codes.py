"""x64 unwind data: UNWIND_INFO, versions 1 and 2, as facts. What they do to registers is in ``unwind``.

Layout: Microsoft's public "x64 exception handling" page. Version 2 (kernels since Windows 8.1) adds epilogue
descriptors in front of the prologue's codes; their slots come in pairs.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from analysis.errors import BadDump

CHAINED = 4  # UNW_FLAG_CHAININFO
HANDLERS = 3  # UNW_FLAG_EHANDLER | UNW_FLAG_UHANDLER
MAX_CHAIN = 32  # compilers emit chains of two or three
RUNTIME_FUNCTION_SIZE = 12

ReadRva = Callable[[int, int], bytes]


class BadUnwind(BadDump):
    """Unwind data contradict themselves, or are of a version not known here."""


class UnknownRegister(BadUnwind):
    """Unwinding needs a register that is not known at this frame, as after a scan. The data may well be sound."""

    def __init__(self, number: int) -> None:
        super().__init__(f"unwinding needs register {number}, which is not known at this frame")
        self.number = number


class Op(IntEnum):
    """UWOP_* operation codes."""

    PUSH_NONVOL = 0
    ALLOC_LARGE = 1
    ALLOC_SMALL = 2
    SET_FPREG = 3
    SAVE_NONVOL = 4
    SAVE_NONVOL_FAR = 5
    EPILOG = 6
    SPARE = 7
    SAVE_XMM128 = 8
    SAVE_XMM128_FAR = 9
    PUSH_MACHFRAME = 10


@dataclass(frozen=True, slots=True)
class Code:
    """One prologue step. ``prolog_offset`` is where its instruction ends, in bytes from the function's start.

    ``info`` is the register number, or 1 where a machine frame holds an error code. ``value`` is the bytes
    allocated, or the distance of a saved register from the frame, 0 where neither applies.
    """

    prolog_offset: int
    op: Op
    info: int
    value: int = 0


@dataclass(frozen=True, slots=True)
class RuntimeFunction:
    """A .pdata row: begin, end (exclusive) and unwind information, all as RVAs."""

    begin: int
    end: int
    unwind: int


@dataclass(frozen=True, slots=True)
class Epilogs:
    """Where version 2 says the epilogues are: ``size`` bytes each, ``at_end`` where one ends the function,
    ``before_end`` the distances of the others' starts from the function's end."""

    size: int = 0
    at_end: bool = False
    before_end: tuple[int, ...] = ()

    def holds(self, function: RuntimeFunction, rva: int) -> bool:
        """Whether ``rva`` lies in one of the epilogues of ``function``."""
        starts = [function.end - distance for distance in self.before_end]
        if self.at_end:
            starts.append(function.end - self.size)
        return any(start <= rva < start + self.size for start in starts)


@dataclass(frozen=True, slots=True)
class UnwindInfo:
    """One UNWIND_INFO. ``frame_offset`` is in bytes; ``frame_register`` 0 means that there is none."""

    version: int
    flags: int
    prolog_size: int
    frame_register: int
    frame_offset: int
    codes: tuple[Code, ...]
    epilogs: Epilogs = Epilogs()
    chained: RuntimeFunction | None = None


def read_unwind_info(read: ReadRva, rva: int) -> UnwindInfo:
    """The UNWIND_INFO at ``rva``; ``read(rva, size)`` gives bytes of the image.

    Raises:
        BadUnwind: the codes run over their count, or the version or an operation is unknown.
        Unreadable: as ``read`` does.
    """
    first, prolog_size, count, frame = read(rva, 4)
    version, flags = first & 7, first >> 3
    if version not in {1, 2}:
        raise BadUnwind(f"unwind information of version {version} at RVA {rva:#x}")
    slots = struct.unpack(f"<{count}H", read(rva + 4, count * 2))
    epilogs, start = _epilogs(slots) if version == 2 else (Epilogs(), 0)
    chained = None
    if flags & CHAINED:
        if flags & HANDLERS:
            raise BadUnwind(f"unwind information at RVA {rva:#x} is both chained and handled")
        tail = rva + 4 + (count + 1 & ~1) * 2
        chained = RuntimeFunction(*struct.unpack("<III", read(tail, RUNTIME_FUNCTION_SIZE)))
    return UnwindInfo(
        version, flags, prolog_size, frame & 15, (frame >> 4) * 16, tuple(_codes(slots, start)), epilogs, chained
    )


def _epilogs(slots: tuple[int, ...]) -> tuple[Epilogs, int]:
    """The epilogue descriptors at the front of a version 2 array, and the index of the first prologue code."""
    count = 0
    while count < len(slots) and slots[count] >> 8 & 15 == Op.EPILOG:
        count += 2  # padded to a pair, and the padding slot need not be tagged
    if not count:
        return Epilogs(), 0
    head, *others = slots[: min(count, len(slots))]
    # A distance of zero is padding: nothing can start at the function's end.
    distances = (slot & 0xFF | slot >> 12 << 8 for slot in others if slot >> 8 & 15 == Op.EPILOG)
    return Epilogs(head & 0xFF, bool(head >> 12 & 1), tuple(d for d in distances if d)), min(count, len(slots))


def _codes(slots: tuple[int, ...], index: int) -> list[Code]:
    codes = []
    while index < len(slots):
        offset, kind, info = slots[index] & 0xFF, slots[index] >> 8 & 15, slots[index] >> 12
        try:
            op = Op(kind)
        except ValueError:
            raise BadUnwind(f"unknown unwind operation {kind}") from None
        if op in {Op.EPILOG, Op.SPARE}:
            raise BadUnwind(f"unwind operation {op.name} among the prologue's codes")
        extra = _extra_slots(op, info)
        operands = slots[index + 1 : index + 1 + extra]
        if len(operands) != extra:
            raise BadUnwind(f"unwind operation {op.name} runs over the end of its array")
        codes.append(Code(offset, op, info, _value(op, info, operands)))
        index += 1 + extra
    return codes


def _extra_slots(op: Op, info: int) -> int:
    match op:
        case Op.ALLOC_LARGE:
            if info > 1:
                raise BadUnwind(f"large allocation of unknown form {info}")
            return 1 + info
        case Op.SAVE_NONVOL | Op.SAVE_XMM128:
            return 1
        case Op.SAVE_NONVOL_FAR | Op.SAVE_XMM128_FAR:
            return 2
        case _:
            return 0


def _value(op: Op, info: int, operands: tuple[int, ...]) -> int:
    whole = sum(word << 16 * place for place, word in enumerate(operands))
    match op:
        case Op.ALLOC_SMALL:
            return info * 8 + 8
        case Op.ALLOC_LARGE:
            return whole * 8 if info == 0 else whole
        case Op.SAVE_NONVOL:
            return whole * 8
        case Op.SAVE_XMM128:
            return whole * 16
        case _:
            return whole
