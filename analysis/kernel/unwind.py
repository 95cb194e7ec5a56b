"""One step up an x64 stack: from a function's registers to its caller's, by the unwind data of its image.

The rules are Microsoft's public ones for x64 (prologue codes, epilogue forms, chained entries, machine frames).
Nothing here decides whether the result is plausible: bounds and direction are the walker's business.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from analysis.address import VirtAddr
from analysis.errors import Unreadable
from analysis.kernel.context import KERNEL_CS, RSP, Registers
from analysis.kernel.unwind_codes import (
    MAX_CHAIN,
    BadUnwind,
    Code,
    Op,
    RuntimeFunction,
    UnknownRegister,
    UnwindInfo,
)

ReadWord = Callable[[int], int]
MAX_EPILOGUE = 96  # bytes: an add, eight two-byte pops and a jump are far fewer

WHOLE_PROLOGUE = 0x100  # a prologue offset is one byte


class Code64(Protocol):
    """The image that holds an instruction."""

    @property
    def base(self) -> VirtAddr:
        """Where the image is mapped."""

    def read(self, rva: int, size: int) -> bytes:
        """Bytes of the image. Raises: Unreadable."""

    def function_at(self, rva: int) -> RuntimeFunction | None:
        """The .pdata row that covers ``rva``, or None: a leaf, or no code. Raises: Unreadable."""

    def unwind_info(self, rva: int) -> UnwindInfo:
        """The unwind data at ``rva``. Raises: BadUnwind, Unreadable."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller's registers. ``interrupted``: it did not call, it was interrupted there (a machine frame), so that
    ``rip`` is an instruction to be executed rather than a return address; ``user_mode`` says in which mode. Where
    ``sure`` is False, the place could be in an epilogue, and the bytes that would show it were not saved."""

    registers: Registers
    interrupted: bool = False
    user_mode: bool = False
    sure: bool = True


class _State:
    """Registers while a frame is being undone."""

    def __init__(self, registers: Registers, word: ReadWord) -> None:
        self.rsp = registers.rsp
        self.known = dict(registers.known)
        self.word = word

    def register(self, number: int) -> int:
        if number == RSP:
            return self.rsp
        try:
            return self.known[number]
        except KeyError:
            raise UnknownRegister(number) from None

    def pop(self) -> int:
        value = self.word(self.rsp)
        self.rsp = self.rsp + 8 & 0xFFFF_FFFF_FFFF_FFFF
        return value

    def set(self, number: int, value: int) -> None:
        if number == RSP:
            self.rsp = value
        else:
            self.known[number] = value

    def returned(self) -> Caller:
        rip = self.pop()
        return Caller(Registers(rip, self.rsp, self.known))


def unwind_frame(registers: Registers, code: Code64, word: ReadWord, *, called: bool) -> Caller:
    """The caller of the function that ``registers.rip`` is in.

    ``word`` reads 8 bytes of the stack. ``called`` is True where rip is a return address: such a place is never in
    an epilogue, belongs to the function of the byte before it, and has a .pdata row.

    Raises:
        BadUnwind: the unwind data contradict themselves or need a register that is not known.
        Unreadable: unwind data or stack are missing.
    """
    rva = registers.rip - code.base
    function = code.function_at(rva - called)
    state = _State(registers, word)
    if function is None:
        if called:
            raise BadUnwind(f"no unwind data for the return address at RVA {rva:#x}")
        return state.returned()  # a leaf: touches no stack, so the return address is on top
    function, info = _entry(code, function)
    sure = True
    if not called and rva - function.begin >= info.prolog_size:
        in_epilogue = _undo_epilogue(state, code, function, info, rva)
        if in_epilogue:
            return state.returned()
        sure = in_epilogue is not None
    caller = _undo_prologue(state, code, function, info, rva)
    return caller if sure else replace(caller, sure=False)


def _entry(code: Code64, function: RuntimeFunction) -> tuple[RuntimeFunction, UnwindInfo]:
    # An odd unwind RVA is the old indirect form: it points at another .pdata row.
    for _ in range(MAX_CHAIN):
        if not function.unwind & 1:
            return function, code.unwind_info(function.unwind)
        function = RuntimeFunction(*struct.unpack("<III", code.read(function.unwind - 1, 12)))
    raise BadUnwind("indirect function entries without an end")


def _undo_prologue(state: _State, code: Code64, function: RuntimeFunction, info: UnwindInfo, rva: int) -> Caller:
    # Codes whose instruction ended at or before this offset were executed. The row that an indirect one points at
    # describes another part of the function, whose prologue is long behind.
    done = rva - function.begin if function.begin <= rva <= function.end else WHOLE_PROLOGUE
    frame = _frame_base(state, info, done)
    for _ in range(MAX_CHAIN):
        for step in info.codes:
            if step.prolog_offset > done:
                continue
            # Nearly all steps are of these two kinds, and a large dump has a hundred thousand of them.
            if step.op is Op.PUSH_NONVOL:
                state.set(step.info, state.pop())
            elif step.op is Op.ALLOC_SMALL:
                state.rsp += step.value
            elif step.op is Op.PUSH_MACHFRAME:
                return _machine_frame(state, has_error_code=bool(step.info))
            else:
                _undo(state, step, info, frame)
        if info.chained is None:
            return state.returned()
        function, info = _entry(code, info.chained)
        done = WHOLE_PROLOGUE  # the outer parts of a chained function are behind their prologues
    raise BadUnwind(f"chained unwind information at RVA {function.unwind:#x} has no end")


def _frame_base(state: _State, info: UnwindInfo, done: int) -> int:
    if not info.frame_register:
        return state.rsp
    # In the prologue the frame register holds the caller's value until its own step was executed.
    set_up = any(step.op is Op.SET_FPREG and step.prolog_offset <= done for step in info.codes)
    if done < info.prolog_size and not set_up:
        return state.rsp
    return state.register(info.frame_register) - info.frame_offset


def _undo(state: _State, step: Code, info: UnwindInfo, frame: int) -> None:
    match step.op:
        case Op.ALLOC_LARGE:
            state.rsp += step.value
        case Op.SET_FPREG:
            state.rsp = state.register(info.frame_register) - info.frame_offset
        case Op.SAVE_NONVOL | Op.SAVE_NONVOL_FAR:
            state.set(step.info, state.word(frame + step.value))
        case _:
            pass  # XMM registers are not tracked


def _machine_frame(state: _State, *, has_error_code: bool) -> Caller:
    if has_error_code:
        state.pop()
    rip, segment, _flags, rsp = (state.word(state.rsp + offset) for offset in (0, 8, 16, 24))
    return Caller(Registers(rip, rsp, state.known), interrupted=True, user_mode=segment & 0xFFFF != KERNEL_CS)


def _undo_epilogue(state: _State, code: Code64, function: RuntimeFunction, info: UnwindInfo, rva: int) -> bool | None:
    """Run the rest of an epilogue, if ``rva`` is in one; None where nothing tells. Raises: BadUnwind, Unreadable."""
    try:
        text = _available(code, rva)
    except Unreadable:
        if info.version == 2:  # it lists every epilogue
            if info.epilogs.holds(function, rva):
                raise
            return False
        return None  # without its bytes: the body is by far the likelier place
    epilogue = _decode_epilogue(text, rva, code, function, info)
    if epilogue is None:
        return False
    allocation, restores_frame, pops = epilogue
    if restores_frame:
        state.rsp = state.register(info.frame_register)
    state.rsp += allocation
    for number in pops:
        state.set(number, state.pop())
    return True


def _available(code: Code64, rva: int) -> bytes:
    try:
        return code.read(rva, MAX_EPILOGUE)
    except Unreadable as gap:
        got = gap.address - code.base - rva
        if got <= 0:
            raise
        return code.read(rva, min(got, MAX_EPILOGUE))


def _decode_epilogue(
    text: bytes, rva: int, code: Code64, function: RuntimeFunction, info: UnwindInfo
) -> tuple[int, bool, list[int]] | None:
    """Bytes to add to rsp, whether from the frame register, and the registers popped; None: no epilogue."""
    allocation, restores_frame, at = 0, False, 0
    if text[:3] == b"\x48\x83\xc4" and len(text) > 3:  # add rsp, imm8
        allocation, at = int.from_bytes(text[3:4], "little", signed=True), 4
    elif text[:3] == b"\x48\x81\xc4" and len(text) > 6:  # add rsp, imm32
        allocation, at = int.from_bytes(text[3:7], "little", signed=True), 7
    elif (lea := _lea_rsp(text, info.frame_register)) is not None:
        allocation, at = lea
        restores_frame = True
    pops = []
    while at < len(text):
        high = text[at] & 0xF0 == 0x40 and text[at] & 0x01
        width = 2 if text[at] & 0xF0 == 0x40 else 1
        opcode = text[at + width - 1 : at + width]
        if not opcode or not 0x58 <= opcode[0] <= 0x5F:
            break
        pops.append((opcode[0] & 7) + (8 if high else 0))
        at += width
    return (allocation, restores_frame, pops) if _leaves(text[at:], rva + at, code, function) else None


def _lea_rsp(text: bytes, frame_register: int) -> tuple[int, int] | None:
    """``lea rsp, [frame register + displacement]``: the displacement and the instruction's length."""
    if len(text) < 7 or not frame_register or text[0] != (0x49 if frame_register > 7 else 0x48) or text[1] != 0x8D:
        return None
    mode, register, base = text[2] >> 6, text[2] >> 3 & 7, text[2] & 7
    if register != RSP or base != frame_register & 7 or base == RSP:
        return None
    if mode == 1:
        return int.from_bytes(text[3:4], "little", signed=True), 4
    if mode == 2:
        return int.from_bytes(text[3:7], "little", signed=True), 7
    return None


def _leaves(text: bytes, rva: int, code: Code64, function: RuntimeFunction) -> bool:
    """Whether the instruction returns or jumps out of the function. Raises: BadUnwind, Unreadable."""
    if text[:1] in {b"\xc3", b"\xc2"} or text[:2] == b"\xf3\xc3":
        return True
    if text[:1] == b"\x48":  # a REX prefix marks a jump that leaves
        return text[1:2] == b"\xff" and len(text) > 2 and text[2] >> 3 & 7 == 4
    if text[:2] == b"\xff\x25":
        return True
    if text[:1] == b"\xeb" and len(text) > 1:
        target = rva + 2 + int.from_bytes(text[1:2], "little", signed=True)
    elif text[:1] == b"\xe9" and len(text) > 4:
        target = rva + 5 + int.from_bytes(text[1:5], "little", signed=True)
    else:
        return False
    # Parts of one function jump to each other; a jump to where the whole begins is a tail call of itself.
    whole = _whole(code, function)
    if target == whole.begin or function.begin <= target < function.end:
        return target == whole.begin
    elsewhere = code.function_at(target)
    return elsewhere is None or _whole(code, elsewhere).begin != whole.begin


def _whole(code: Code64, function: RuntimeFunction) -> RuntimeFunction:
    """The row of the function that a part is chained to, or the row itself."""
    for _ in range(MAX_CHAIN):
        function, info = _entry(code, function)
        if info.chained is None:
            return function
        function = info.chained
    raise BadUnwind(f"chained unwind information at RVA {function.unwind:#x} has no end")
