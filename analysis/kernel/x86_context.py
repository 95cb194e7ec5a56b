"""Registers of 32-bit x86 code, and the places where the kernel keeps them: CONTEXT, KTRAP_FRAME, KSWITCHFRAME."""

from dataclasses import dataclass

from analysis.errors import Unreadable
from analysis.kernel.facts import Thread
from analysis.memory.reader import Memory
from analysis.symbols.layout import Layout, Struct

CONTEXT_X86_SIZE = 0x2CC
_FLAGS_X86 = 0x1_0000
_EBX, _EBP, _EIP, _ESP = 0xA4, 0xB4, 0xB8, 0xC4
# KTRAP_FRAME, the same in every 32-bit Windows. It begins with a copy of Ebp and Eip, so that a walk by frame pointers
# comes through it.
_TRAP_EBX, _TRAP_EBP, _TRAP_EIP, _TRAP_CS, _TRAP_ESP = 0x5C, 0x60, 0x68, 0x6C, 0x74
_KERNEL_CS, _USER_CS = 8, 0x1B


@dataclass(frozen=True, slots=True)
class X86Registers:
    """The registers that a walk needs; ``ebx`` is 0 where nothing tells it."""

    eip: int
    esp: int
    ebp: int
    ebx: int = 0


def x86_registers(context: bytes) -> X86Registers | None:
    """The registers of a 32-bit CONTEXT; None where the bytes are not one."""
    if len(context) < 0xCC or not int.from_bytes(context[:4], "little") & _FLAGS_X86:
        return None
    ebx, ebp, eip, esp = (int.from_bytes(context[at : at + 4], "little") for at in (_EBX, _EBP, _EIP, _ESP))
    return X86Registers(eip, esp, ebp, ebx) if esp and esp % 4 == 0 else None


def x86_trap(memory: Memory, address: int) -> X86Registers | None:
    """What a 32-bit KTRAP_FRAME interrupted in kernel mode; None where there is none. A trap in kernel mode saves no
    stack pointer: the interrupted stack goes on where the frame ends."""
    try:
        ebx, ebp, eip, segment = (memory.u32(address + at) for at in (_TRAP_EBX, _TRAP_EBP, _TRAP_EIP, _TRAP_CS))
    except Unreadable:
        return None
    if segment & 0xFFFF != _KERNEL_CS or address % 4:
        return None
    return X86Registers(eip, address + _TRAP_ESP, ebp, ebx)


def x86_user_entry(memory: Memory, address: int) -> int | None:
    """The user-mode instruction that a KTRAP_FRAME at ``address`` returns to; None where there is none."""
    try:
        eip, segment = (memory.u32(address + at) for at in (_TRAP_EIP, _TRAP_CS))
    except Unreadable:
        return None
    return eip if segment & 0xFFFF == _USER_CS and eip and not memory.is_kernel(eip) else None


def x86_switched(memory: Memory, frame: Layout | None, thread: Thread) -> X86Registers | None:
    """The registers of a thread that was switched out; None where they cannot be told.

    ``frame`` is KSWITCHFRAME's layout: nt!SwapContext leaves that on the stack, and its caller, nt!KiSwapContext, has
    pushed the thread's Ebp last.
    """
    if frame is None or not frame.has("RetAddr") or not thread.kernel_stack:
        return None
    esp = thread.kernel_stack + frame.size
    try:
        return X86Registers(Struct(memory, frame, thread.kernel_stack).pointer("RetAddr"), esp, memory.u32(esp))
    except Unreadable:
        return None
