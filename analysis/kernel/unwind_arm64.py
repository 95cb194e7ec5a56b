"""One step up an ARM64 stack: from a function's registers to its caller's, by the unwind data of its image.

The rules are Microsoft's public ones for ARM64. They need no code bytes: where a prologue or an epilogue stands is part
of the data. KTRAP_FRAME and the two CONTEXT layouts are those of the public Windows headers and of the .NET runtime.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from analysis.address import VirtAddr
from analysis.kernel.arm64_codes import FP, LR, Op, Step
from analysis.kernel.arm64_records import Arm64Unwind
from analysis.kernel.context import Arm64Registers
from analysis.kernel.unwind_codes import BadUnwind, RuntimeFunction, UnknownRegister

ReadStack = Callable[[int, int], bytes]
_ADDRESSES = 0xFFFF_FFFF_FFFF_FFFF
_UPPER_HALF, _LOWER_HALF = 0xFFFF_8000_0000_0000, 0x0000_7FFF_FFFF_FFFF

TRAP_FRAME_SIZE = 0x150
_TRAP_SPSR, _TRAP_SP, _TRAP_X0, _TRAP_LR = 0x90, 0x98, 0xA0, 0x138  # behind Lr: Fp, Pc
_MODE, _AARCH32 = 0xF, 0x10
_MODES = (0, 4, 5)  # user mode, kernel mode with either stack pointer
CONTEXT_GENERAL_SIZE = 0x110
_CONTEXT_X0 = 8  # X0 to X28, Fp, Lr, Sp, Pc
_UNWOUND_TO_CALL = 0x2000_0000
# ARM64EC code keeps its registers in an x64 CONTEXT: which one lies at which offset.
_EC_CONTEXT = {
    8: 0x78, 0: 0x80, 1: 0x88, 27: 0x90, FP: 0xA0, 25: 0xA8, 26: 0xB0, 2: 0xB8, 3: 0xC0, 4: 0xC8, 5: 0xD0, 19: 0xD8,
    20: 0xE0, 21: 0xE8, 22: 0xF0, LR: 0x120,
}  # fmt: skip
_EC_SP, _EC_PC, _EC_FLAGS, _EC_SIZE = 0x98, 0xF8, 0x30, 0x128


class Arm64Code(Protocol):
    """The image that holds an instruction."""

    @property
    def base(self) -> VirtAddr:
        """Where the image is mapped."""

    def function_at(self, rva: int) -> RuntimeFunction | None:
        """The .pdata row that covers ``rva``, or None: a leaf, or no code. Raises: Unreadable."""

    def arm64_unwind(self, row: RuntimeFunction) -> Arm64Unwind:
        """The unwind data of a row. Raises: BadUnwind, Unreadable."""


@dataclass(frozen=True, slots=True)
class Arm64Caller:
    """The caller's registers. ``interrupted``: it did not call, it was interrupted there, so that ``pc`` is an
    instruction to be executed rather than a return address; ``user_mode`` says in which mode."""

    registers: Arm64Registers
    interrupted: bool = False
    user_mode: bool = False


def without_signature(pointer: int) -> int:
    """A code pointer without its authentication bits. Windows' addresses repeat bit 55 from bit 47 upwards."""
    return pointer | _UPPER_HALF if pointer >> 55 & 1 else pointer & _LOWER_HALF


def unwind_arm64(registers: Arm64Registers, code: Arm64Code, stack: ReadStack, *, called: bool) -> Arm64Caller:
    """The caller of the function that ``registers.pc`` is in.

    ``stack`` reads bytes of the stack. ``called`` is True where pc is a return address: what counts is then the call
    in front of it, which may be the function's last instruction.

    Raises:
        BadUnwind: the unwind data contradict themselves or need a register that is not known.
        Unreadable: unwind data or stack are missing.
    """
    rva = registers.pc - code.base - 4 * called
    function = code.function_at(rva)
    state = _State(registers, stack)
    if function is None:
        if called:
            raise BadUnwind(f"no unwind data for the return address at RVA {rva + 4:#x}")
        return state.returned()  # a leaf: the return address is in the link register
    for step in _steps_to_undo(code.arm64_unwind(function), (rva - function.begin) // 4):
        special = state.undo(step)
        if special is not None:
            return special
    if called and not state.restored_lr:
        raise BadUnwind(f"the function at RVA {function.begin:#x} made a call, but does not save its return address")
    return state.returned()


def _steps_to_undo(unwind: Arm64Unwind, instruction: int) -> Sequence[Step]:
    if instruction < unwind.prolog:
        return _skipped(unwind.steps, unwind.prolog - instruction)
    for epilog in unwind.epilogs:
        if epilog.start <= instruction < epilog.end:
            return _skipped(epilog.steps, instruction - epilog.start)
    return unwind.steps


def _skipped(steps: Sequence[Step], instructions: int) -> Sequence[Step]:
    """The steps without those of the first ``instructions``: not executed yet, or undone already."""
    for index, step in enumerate(steps):
        if instructions <= 0:
            return steps[index:]
        instructions -= step.instructions
    return ()


class _State:
    """Registers while a frame is being undone."""

    def __init__(self, registers: Arm64Registers, stack: ReadStack) -> None:
        self.sp = registers.sp
        self.known = dict(registers.known)
        self.stack = stack
        self.restored_lr = False

    def word(self, address: int) -> int:
        return int.from_bytes(self.stack(address & _ADDRESSES, 8), "little")

    def register(self, number: int) -> int:
        try:
            return self.known[number]
        except KeyError:
            raise UnknownRegister(number) from None

    def undo(self, step: Step) -> Arm64Caller | None:
        """Undoes an instruction; returns the interrupted code's registers where the step is a special frame."""
        match step.op:
            case Op.ALLOC:
                self.sp += step.size
            case Op.SAVE:
                for place, number in enumerate(step.registers):
                    self.known[number] = self.word(self.sp + step.offset + place * step.stride)
                self.restored_lr |= LR in step.registers
                self.sp += step.size
            case Op.SET_FP:
                self.sp = self.register(FP) - step.size
            case Op.SIGN_LR:
                self.known[LR] = without_signature(self.register(LR))
            case Op.TRAP_FRAME:
                return self._trap_frame()
            case Op.MACHINE_FRAME:
                return self._interrupted(self.word(self.sp + 8), self.word(self.sp))
            case Op.CONTEXT:
                return self._context()
            case Op.EC_CONTEXT:
                return self._ec_context()
            case Op.CLEAR_UNWOUND_TO_CALL:
                return self._interrupted(without_signature(self.register(LR)), self.sp)
            case _:
                pass
        self.sp &= _ADDRESSES
        return None

    def returned(self) -> Arm64Caller:
        return Arm64Caller(Arm64Registers(without_signature(self.register(LR)), self.sp, self.known))

    def _interrupted(self, pc: int, sp: int) -> Arm64Caller:
        return Arm64Caller(Arm64Registers(pc, sp, self.known), interrupted=True, user_mode=not pc >> 63)

    def _trap_frame(self) -> Arm64Caller:
        found = read_arm64_trap_frame(self.stack, self.sp)
        return replace(found, registers=replace(found.registers, known={**self.known, **found.registers.known}))

    def _context(self) -> Arm64Caller:
        raw = self.stack(self.sp, CONTEXT_GENERAL_SIZE)
        *general, sp, pc = struct.unpack_from("<33Q", raw, _CONTEXT_X0)
        self.known = dict(enumerate(general))
        unwound = int.from_bytes(raw[:4], "little") & _UNWOUND_TO_CALL
        return Arm64Caller(Arm64Registers(pc, sp, self.known), interrupted=not unwound)

    def _ec_context(self) -> Arm64Caller:
        raw = self.stack(self.sp, _EC_SIZE)
        self.known = {number: _u64(raw, at) for number, at in _EC_CONTEXT.items()}
        unwound = int.from_bytes(raw[_EC_FLAGS : _EC_FLAGS + 4], "little") & _UNWOUND_TO_CALL
        registers = Arm64Registers(_u64(raw, _EC_PC), _u64(raw, _EC_SP), self.known)
        return Arm64Caller(registers, interrupted=not unwound)


def read_arm64_trap_frame(read: ReadStack, address: int) -> Arm64Caller:
    """What the KTRAP_FRAME at ``address`` interrupted; X19 to X28 are not part of it.

    Raises:
        BadUnwind: what is there is not a trap frame.
        Unreadable: bytes are missing.
    """
    raw = read(address, TRAP_FRAME_SIZE)
    spsr, sp = struct.unpack_from("<I4xQ", raw, _TRAP_SPSR)
    known = dict(enumerate(struct.unpack_from("<19Q", raw, _TRAP_X0)))
    known[LR], known[FP], pc = struct.unpack_from("<3Q", raw, _TRAP_LR)
    if spsr & _AARCH32 or spsr & _MODE not in _MODES or sp & 15:
        raise BadUnwind(f"no trap frame at {address:#x}: its mode would be {spsr & 0x1F:#x}")
    return Arm64Caller(Arm64Registers(pc, sp, known), interrupted=True, user_mode=not spsr & _MODE)


def _u64(raw: bytes, offset: int) -> int:
    return int.from_bytes(raw[offset : offset + 8], "little")
