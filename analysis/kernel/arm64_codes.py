"""ARM64 unwind codes, as facts. Which of them a function has is in ``arm64_records``.

Layout: Microsoft's public "ARM64 exception handling" page. Each code stands for one instruction of four bytes, the
last of a prologue first; the special frames of assembly routines (``FRAMES``) stand for none.
"""

from dataclasses import dataclass
from enum import Enum

from analysis.kernel.unwind_codes import BadUnwind

X19, FP, LR = 19, 29, 30
D0 = 32  # D0 to D31 follow X0 to X30 in the numbering of registers used here
D8 = D0 + 8


class Op(Enum):
    """What an instruction of a prologue did, or which special frame lies on the stack."""

    ALLOC = "alloc"
    SAVE = "save"
    SET_FP = "set_fp"
    NOP = "nop"
    SIGN_LR = "pac_sign_lr"
    NEXT = "save_next"
    END_C = "end_c"
    TRAP_FRAME = "trap_frame"
    MACHINE_FRAME = "machine_frame"
    CONTEXT = "context"
    EC_CONTEXT = "ec_context"
    CLEAR_UNWOUND_TO_CALL = "clear_unwound_to_call"


FRAMES = {
    0xE8: Op.TRAP_FRAME, 0xE9: Op.MACHINE_FRAME, 0xEA: Op.CONTEXT, 0xEB: Op.EC_CONTEXT,
    0xEC: Op.CLEAR_UNWOUND_TO_CALL,
}  # fmt: skip
_END, _END_C = 0xE4, 0xE5


@dataclass(frozen=True, slots=True)
class Step:
    """One code. ``registers`` were saved ``stride`` bytes apart from ``offset`` on; ``size`` is by how many bytes the
    stack pointer was lowered, or for ``SET_FP`` how far the frame pointer was set above it."""

    op: Op
    size: int = 0
    registers: tuple[int, ...] = ()
    offset: int = 0
    stride: int = 8

    @property
    def instructions(self) -> int:
        """How many instructions it stands for."""
        return 0 if self.op is Op.END_C or self.op in FRAMES.values() else 1


def read_codes(codes: bytes, index: int) -> tuple[Step, ...]:
    """The codes from a byte index up to their end. Raises: BadUnwind."""
    steps: list[Step] = []
    while index < len(codes):
        first = codes[index]
        if first == _END:
            if steps and steps[-1].op is Op.NEXT:
                raise BadUnwind("a save_next that nothing precedes")
            return tuple(steps)
        size = _code_size(first)
        code = codes[index : index + size]
        if len(code) != size:
            break
        _append(steps, _step(code))
        index += size
    raise BadUnwind("ARM64 unwind codes without an end")


def _code_size(first: int) -> int:
    if first < 0xC0:
        return 1
    if first < 0xE0:
        return 2
    return {0xE0: 4, 0xE2: 2, 0xE7: 3}.get(first, 1)


def _append(steps: list[Step], step: Step) -> None:
    """Adds a step; a pair also tells what the ``save_next`` in front of it saved."""
    steps.append(step)
    if step.op is Op.NEXT:
        return
    place = len(steps) - 2
    saved = step
    while place >= 0 and steps[place].op is Op.NEXT:
        saved = _next_pair(saved)
        steps[place] = saved
        place -= 1


def _next_pair(pair: Step) -> Step:
    if pair.op is not Op.SAVE or len(pair.registers) != 2 or pair.registers[1] != pair.registers[0] + 1:
        raise BadUnwind("a save_next behind something that is no pair")
    first = pair.registers[0] + 2
    if first == FP:  # behind the last integer pair comes the first one of floating point
        first = D8
    elif FP - 1 <= first < D0 or first + 1 >= D0 + 32:
        raise BadUnwind("a save_next behind the last pair")
    return Step(Op.SAVE, registers=(first, first + 1), offset=pair.offset + 2 * pair.stride, stride=pair.stride)


def _step(code: bytes) -> Step:
    first, value = code[0], int.from_bytes(code, "big")
    if first < 0x20:
        return Step(Op.ALLOC, (first & 0x1F) * 16)
    if first < 0x40:
        return _save(X19, 2, (first & 0x1F) * 8, writeback=True)
    if first < 0x80:
        return _save(FP, 2, (first & 0x3F) * 8)
    if first < 0xC0:
        return _save(FP, 2, (first & 0x3F) * 8 + 8, writeback=True)
    if first < 0xC8:
        return Step(Op.ALLOC, (value & 0x7FF) * 16)
    if first < 0xDF:
        return _two_bytes(first, value)
    return _long(code, first)


def _two_bytes(first: int, value: int) -> Step:
    offset, short = (value & 0x3F) * 8, (value & 0x1F) * 8 + 8
    if first < 0xCC:
        return _integers(value >> 6 & 15, 2, offset)
    if first < 0xD0:
        return _integers(value >> 6 & 15, 2, offset + 8, writeback=True)
    if first < 0xD4:
        return _integers(value >> 6 & 15, 1, offset)
    if first < 0xD6:
        return _integers(value >> 5 & 15, 1, short, writeback=True)
    if first < 0xD8:
        return Step(Op.SAVE, registers=(X19 + 2 * (value >> 6 & 7), LR), offset=offset)
    if first < 0xDA:
        return _save(D8 + (value >> 6 & 7), 2, offset)
    if first < 0xDC:
        return _save(D8 + (value >> 6 & 7), 2, offset + 8, writeback=True)
    if first < 0xDE:
        return _save(D8 + (value >> 6 & 7), 1, offset)
    return _save(D8 + (value >> 5 & 7), 1, short, writeback=True)


def _save(register: int, count: int, offset: int, *, writeback: bool = False, stride: int = 8) -> Step:
    last = register + count - 1
    if last >= D0 + 32 or (LR < last < D0):
        raise BadUnwind(f"an unwind code saves register {last}, which there is not")
    registers = tuple(range(register, last + 1))
    return Step(Op.SAVE, offset if writeback else 0, registers, 0 if writeback else offset, stride)


def _integers(place: int, count: int, offset: int, *, writeback: bool = False) -> Step:
    if X19 + place + count - 1 > LR:
        raise BadUnwind(f"an unwind code saves register x{X19 + place + count - 1}, which there is not")
    return _save(X19 + place, count, offset, writeback=writeback)


def _long(code: bytes, first: int) -> Step:
    if first == 0xE0:
        return Step(Op.ALLOC, int.from_bytes(code[1:], "big") * 16)
    if first == 0xE1:
        return Step(Op.SET_FP)
    if first == 0xE2:
        return Step(Op.SET_FP, code[1] * 8)
    if first == 0xE7:
        return _any_register(code[1], code[2])
    simple = {0xE3: Op.NOP, _END_C: Op.END_C, 0xE6: Op.NEXT, 0xFC: Op.SIGN_LR, **FRAMES}.get(first)
    if simple is None:
        raise BadUnwind(f"unknown ARM64 unwind code {first:#x}")
    return Step(simple)


def _any_register(second: int, third: int) -> Step:
    pair, writeback, number, kind = second >> 6 & 1, second >> 5 & 1, second & 0x1F, third >> 6
    if second & 0x80 or kind == 3:
        raise BadUnwind("a save of vector registers of a length that is not known")
    unit = 16 if pair or writeback or kind == 2 else 8
    offset = ((third & 0x3F) + writeback) * unit
    register = number if kind == 0 else D0 + number
    return _save(register, 1 + pair, offset, writeback=bool(writeback), stride=16 if kind == 2 else 8)
