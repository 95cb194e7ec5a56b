"""Register sets as they are saved: CONTEXT, KTRAP_FRAME, and what a waiting thread leaves on its stack.

The offsets are the same in every x64 Windows from 7601 to 22000 (public symbols of ntkrnlmp). Only the switch
frame is in no public symbol file: five homes, ApcBypass, then Rbp and the return address.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from analysis.address import KERNEL_START_57, is_user
from analysis.errors import Absence, Unreadable
from analysis.memory.reader import Memory

REGISTER_NAMES = (
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
)  # fmt: skip
RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 = range(16)
NON_VOLATILE = (RBX, RBP, RSI, RDI, R12, R13, R14, R15)

CONTEXT_SIZE = 0x4D0
CONTEXT_REGISTERS = 0x78  # Rax to R15 in the order of their numbers, then Rip
TRAP_FRAME_SIZE = 0x190
KERNEL_CS = 0x10
USER_CODE_SEGMENTS = (0x33, 0x23)

SWITCH_RBP = 0x30  # KSWITCH_FRAME
SWITCH_RETURN = 0x38
SWITCH_FRAME_SIZE = 0x40
EXCEPTION_FRAME_RETURN = 0x138  # KEXCEPTION_FRAME
EXCEPTION_FRAME_SIZE = 0x140
SYSTEM_THREAD_RETURN = 0x38  # below InitialStack: the return into KiStartSystemThread
USER_TRAP_FRAME = TRAP_FRAME_SIZE  # below InitialStack: how a user-mode thread came in

_TRAP_LOW = {RAX: 0x30, RCX: 0x38, RDX: 0x40, R8: 0x48, R9: 0x50, R10: 0x58, R11: 0x60}
_TRAP_HIGH = {RBX: 0x140, RDI: 0x148, RSI: 0x150, RBP: 0x158}
_EXCEPTION_FRAME = {RBP: 0xF8, RBX: 0x100, RDI: 0x108, RSI: 0x110, R12: 0x118, R13: 0x120, R14: 0x128, R15: 0x130}


@dataclass(frozen=True, slots=True)
class Registers:
    """What is known of a processor's registers: ``rip``, ``rsp``, and the others by number where known."""

    rip: int
    rsp: int
    known: Mapping[int, int] = field(default_factory=dict)

    def non_volatile(self) -> dict[str, int]:
        """The known registers that a called function must preserve, by name."""
        return {REGISTER_NAMES[number]: self.known[number] for number in NON_VOLATILE if number in self.known}


@dataclass(frozen=True, slots=True)
class TrapFrame:
    """A KTRAP_FRAME: the interrupted registers, and whether they were user mode's."""

    registers: Registers
    user_mode: bool
    error_code: int
    fault_address: int


def context_registers(context: bytes) -> Registers | None:
    """The registers of an x64 CONTEXT; None where the bytes hold none (too short, or never filled in).

    A dump header that was never given a context holds the fill pattern 'PAGE' there.
    """
    if len(context) < CONTEXT_REGISTERS + 17 * 8:
        return None
    *general, rip = struct.unpack_from("<17Q", context, CONTEXT_REGISTERS)
    rsp = general[RSP]
    if rsp & 7 or not (rsp >= KERNEL_START_57 or is_user(rsp)):
        return None  # an impossible rip is a crash like any other; an impossible rsp is no context
    return Registers(rip, rsp, {number: value for number, value in enumerate(general) if number != RSP})


def read_trap_frame(memory: Memory, address: int) -> TrapFrame:
    """The KTRAP_FRAME at ``address``. R12 to R15 are not part of it.

    Raises:
        Unreadable: bytes are missing, or what is there is not a trap frame (its code segment is impossible).
    """
    raw = memory.read(address, TRAP_FRAME_SIZE)
    (segment,) = struct.unpack_from("<H", raw, 0x170)
    if segment != KERNEL_CS and segment not in USER_CODE_SEGMENTS:
        raise Unreadable(address, Absence.NOT_MAPPED, f"no trap frame: its code segment would be {segment:#x}")
    known = {number: _u64(raw, offset) for number, offset in (_TRAP_LOW | _TRAP_HIGH).items()}
    return TrapFrame(
        Registers(_u64(raw, 0x168), _u64(raw, 0x180), known),
        segment != KERNEL_CS,
        _u64(raw, 0x160),
        _u64(raw, 0xD0),
    )


def read_switch_frame(memory: Memory, kernel_stack: int) -> Registers:
    """The registers of a thread that was switched out: its next instruction is inside nt!KiSwapContext.

    ``kernel_stack`` is KTHREAD.KernelStack. Raises: Unreadable.
    """
    raw = memory.read(kernel_stack, SWITCH_FRAME_SIZE)
    return Registers(_u64(raw, SWITCH_RETURN), kernel_stack + SWITCH_FRAME_SIZE, {RBP: _u64(raw, SWITCH_RBP)})


def read_exception_frame(memory: Memory, address: int) -> Registers:
    """The caller's registers from a KEXCEPTION_FRAME, such as the one nt!KiSwapContext's frame consists of.

    ``address`` is the frame's start. Raises: Unreadable.
    """
    raw = memory.read(address, EXCEPTION_FRAME_SIZE)
    known = {number: _u64(raw, offset) for number, offset in _EXCEPTION_FRAME.items()}
    return Registers(_u64(raw, EXCEPTION_FRAME_RETURN), address + EXCEPTION_FRAME_SIZE, known)


def _u64(raw: bytes, offset: int) -> int:
    return int.from_bytes(raw[offset : offset + 8], "little")


ARM64_FRAME_POINTER, ARM64_LINK = 29, 30
_ARM64_PRESERVED = range(19, 30)
_ARM64_GENERAL, _ARM64_VECTORS, _ARM64_D8 = 8, 0x110, 40


@dataclass(frozen=True, slots=True)
class Arm64Registers:
    """What is known of an ARM64 processor's registers: ``pc``, ``sp``, and X0 to X30 by number, D0 to D31 by 32 and
    upwards, where known."""

    pc: int
    sp: int
    known: Mapping[int, int] = field(default_factory=dict)

    def non_volatile(self) -> dict[str, int]:
        """The known integer registers that a called function must preserve, by name."""
        return {f"x{number}": self.known[number] for number in _ARM64_PRESERVED if number in self.known}


def arm64_registers(context: bytes) -> Arm64Registers | None:
    """The registers of an ARM64 CONTEXT; None where the bytes are not one."""
    if len(context) < _ARM64_VECTORS:
        return None
    flags, x64_flags = (int.from_bytes(context[at : at + 4], "little") for at in (0, 0x30))
    # The architecture's bit; the top bits tell how the context was taken and may be set in either.
    if flags & 0x07F0_0000 != 0x40_0000 or x64_flags & 0x07F0_0000 == 0x10_0000:
        return None
    *general, sp, pc = struct.unpack_from("<33Q", context, _ARM64_GENERAL)
    known = dict(enumerate(general))
    if len(context) >= _ARM64_VECTORS + 32 * 16:
        vectors = struct.unpack_from("<64Q", context, _ARM64_VECTORS)
        known |= {_ARM64_D8 + number: vectors[16 + 2 * number] for number in range(8)}
    return Arm64Registers(pc, sp, known)
