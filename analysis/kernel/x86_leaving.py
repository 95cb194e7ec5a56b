"""32-bit x86 code on its way out of a function: the few instructions of an epilogue, carried out up to the return.

Where each instruction up to a return is one of these, what they do to the stack pointer is exact, wherever they stand.
Encodings: Intel SDM volume 2.
"""

from collections.abc import Callable
from dataclasses import replace

from analysis.kernel.x86_context import X86Registers

MOST = 12  # instructions
CODE_BYTES = 40
_MASK = 0xFFFF_FFFF
_RETURN, _RETURN_POP, _LEAVE = 0xC3, 0xC2, 0xC9
_POP, _POP_EBX, _POP_ESP, _POP_EBP = range(0x58, 0x60), 0x5B, 0x5C, 0x5D
_ADD_ESP = {b"\x83\xc4": 1, b"\x81\xc4": 4}  # size of the number that follows
_LEA_ESP = {b"\x8d\x65": 1, b"\x8d\xa5": 4}  # lea esp, [ebp + number]
_MOVE_ESP = (b"\x8b\xe5", b"\x89\xec")  # mov esp, ebp

Read = Callable[[int], int]


def leave(code: bytes, now: X86Registers, read: Read) -> X86Registers | None:
    """The caller's registers, where ``code`` from ``now.eip`` on does nothing but return; else None.

    Raises: Unreadable: what is popped was not saved.
    """
    at = 0
    for _ in range(MOST):
        one, two = code[at : at + 1], code[at : at + 2]
        if not one:
            return None
        if one[0] == _RETURN or (one[0] == _RETURN_POP and len(code) >= at + 3):
            extra = int.from_bytes(code[at + 1 : at + 3], "little") if one[0] == _RETURN_POP else 0
            return replace(now, eip=read(now.esp), esp=now.esp + 4 + extra & _MASK)
        if one[0] in _POP and one[0] != _POP_ESP:
            value, after = read(now.esp), now.esp + 4 & _MASK
            now = replace(now, esp=after)
            now = replace(now, ebp=value) if one[0] == _POP_EBP else now
            now = replace(now, ebx=value) if one[0] == _POP_EBX else now
            at += 1
        elif one[0] == _LEAVE:
            now = replace(now, esp=now.ebp + 4 & _MASK, ebp=read(now.ebp))
            at += 1
        elif two in _MOVE_ESP:
            now, at = replace(now, esp=now.ebp), at + 2
        elif two in _ADD_ESP or two in _LEA_ESP:
            size = _ADD_ESP.get(two) or _LEA_ESP[two]
            number = int.from_bytes(code[at + 2 : at + 2 + size], "little", signed=True)
            base = now.esp if two in _ADD_ESP else now.ebp
            now, at = replace(now, esp=base + number & _MASK), at + 2 + size
        else:
            return None
    return None


def may_have_left(before: bytes, code: bytes) -> bool:
    """Whether the frame may be gone already: a jump to another function behind the end of an epilogue.

    ``before`` is the byte in front of ``code``.
    """
    return before[-1:] in (b"\x5d", b"\xc9") and code[:1] in (b"\xe9", b"\xeb", b"\xff")
