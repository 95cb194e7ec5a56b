"""Machine code of invented functions: a prologue, call sites, an epilogue, and the unwind data that describes them.

x64 unwind data version 1 as documented under "x64 exception handling": https://learn.microsoft.com/cpp/build/exception-handling-x64
"""

import struct
from dataclasses import dataclass, field
from functools import cache

RBX, RSP, RBP, RSI, RDI, R12, R13, R14, R15 = 3, 4, 5, 6, 7, 12, 13, 14, 15
NONVOLATILE = (RBX, RBP, RSI, RDI, R12, R13, R14, R15)
CHAIN = 4
SITES = 4
SITE_SPACING = 0x10
TAIL = 0x20


@dataclass(frozen=True, slots=True)
class Shape:
    """A frame: registers pushed in order, registers kept in the caller's home space, bytes allocated.

    ``frame_offset`` is set where RBP serves as frame pointer (a multiple of 16 above RSP).
    """

    pushes: tuple[int, ...] = ()
    homes: tuple[int, ...] = ()
    allocated: int = 0x28
    frame_offset: int | None = None

    @property
    def below_return(self) -> int:
        """Bytes between the return address and RSP in the body."""
        return 8 * len(self.pushes) + self.allocated


@dataclass(slots=True)
class Function:
    """A function at ``rva``. ``special`` names one of the hand-made prologues (swap, syscall, start)."""

    name: str
    rva: int
    extent: int
    shape: Shape
    special: str = ""
    chained: bool = False
    sites: dict[str, int] = field(default_factory=dict)  # callee -> site number
    targets: dict[int, int] = field(default_factory=dict)  # site number -> RVA called, or -slot for an import
    extra_offset: int | None = None  # the one site of a special function

    def return_offset(self, callee: str) -> int:
        """Offset in the function of the instruction behind the call of ``callee``."""
        if self.extra_offset is not None:
            return self.extra_offset
        number = self.sites.get(callee)
        if number is None:
            number = min(len(self.sites), self.room - 1)
            self.sites[callee] = number
        return self.first_site + number * SITE_SPACING + 7

    @property
    def first_site(self) -> int:
        """Where the first call instruction may begin."""
        return len(prologue(self.shape)[0]) + 4

    @property
    def room(self) -> int:
        """How many call sites fit."""
        return max(1, min(SITES, (self.extent - self.first_site - TAIL) // SITE_SPACING))

    @property
    def end(self) -> int:
        """Bytes of code."""
        if self.extra_offset is not None:
            return self.extra_offset + 0x10
        return self.first_site + self.room * SITE_SPACING + TAIL


def shape_for(number: int, extent: int, locals_size: int = 0) -> Shape:
    """A frame shape that differs from function to function; ``number`` decides, small extents get small prologues."""
    if extent < 0x60:
        return Shape((), (), 0x28 + (locals_size + 15 & ~15))
    kind = number % 6
    pushes = {0: (RBX,), 1: (RBX, RSI, RDI), 2: (RDI,), 3: (RBP, RSI, RDI, R14), 4: (), 5: (RBX, RBP, RDI, R12)}[kind]
    homes = {2: (RBX, RSI), 3: (RBX,)}.get(kind, ())
    allocated = 0x20 + (number // 6 % 5) * 0x10 + (locals_size + 15 & ~15)
    if number % 11 == 7:
        allocated += 0x90
    if len(pushes) % 2 == 0:
        allocated += 8  # RSP is a multiple of 16 in every body
    frame = 0x20 if kind == 3 and number % 4 == 3 else None
    return Shape(pushes, homes, allocated, frame)


@cache
def prologue(shape: Shape) -> tuple[bytes, tuple[tuple[int, int, int, tuple[int, ...]], ...]]:
    """Code and unwind codes (offset, operation, info, further slots) of a shape, in code order."""
    code = bytearray()
    codes: list[tuple[int, int, int, tuple[int, ...]]] = []
    below = shape.below_return
    for index, register in enumerate(shape.homes):
        rex, low = 0x48 | (register >> 3) << 2, register & 7
        code += bytes([rex, 0x89, 0x44 | low << 3, 0x24, 8 + 8 * index])  # mov [rsp+8+8i], reg
        codes.append((len(code), 4, register, ((below + 8 + 8 * index) // 8,)))
    for register in shape.pushes:
        code += bytes([0x41, 0x50 + (register & 7)]) if register > 7 else bytes([0x40, 0x50 + register])
        codes.append((len(code), 0, register, ()))
    if shape.allocated:
        if shape.allocated < 0x80:
            code += bytes([0x48, 0x83, 0xEC, shape.allocated])
        else:
            code += b"\x48\x81\xec" + struct.pack("<I", shape.allocated)
        if shape.allocated <= 128:
            codes.append((len(code), 2, shape.allocated // 8 - 1, ()))
        else:
            codes.append((len(code), 1, 0, (shape.allocated // 8,)))
    if shape.frame_offset is not None:
        code += bytes([0x48, 0x8D, 0x6C, 0x24, shape.frame_offset])  # lea rbp, [rsp+offset]
        codes.append((len(code), 3, 0, ()))
    return bytes(code), tuple(codes)


def unwind_info(shape: Shape, special: str = "") -> bytes:
    """UNWIND_INFO version 1 of a shape."""
    if special:
        return _special_unwind(special)
    code, codes = prologue(shape)
    slots = b"".join(
        struct.pack("<BB", offset, op | info << 4) + b"".join(struct.pack("<H", extra) for extra in more)
        for offset, op, info, more in reversed(codes)
    )
    count = len(slots) // 2
    frame = RBP | shape.frame_offset // 16 << 4 if shape.frame_offset is not None else 0
    return struct.pack("<BBBB", 1, len(code), count, frame) + slots + (b"\0\0" if count % 2 else b"")


def chained_info(begin: int, end: int, info: int) -> bytes:
    """UNWIND_INFO that sends the reader to another RUNTIME_FUNCTION."""
    return struct.pack("<BBBBIII", 1 | CHAIN << 3, 0, 0, 0, begin, end, info)


def body(function: Function) -> bytes:
    """The bytes of a function; unused sites call nothing."""
    if function.special:
        return _special_body(function)
    code = bytearray(b"\xcc" * function.end)
    start, _ = prologue(function.shape)
    code[: len(start)] = start
    code[len(start) : function.end - TAIL] = b"\x90" * (function.end - TAIL - len(start))
    for number in range(function.room):
        at = function.first_site + number * SITE_SPACING
        target = function.targets.get(number)
        if number in function.sites.values() or number == 0:
            code[at : at + 7] = _call(function.rva + at, target)
    tail = _epilogue(function.shape)
    code[function.end - TAIL : function.end - TAIL + len(tail)] = tail
    return bytes(code[: function.end])


def _call(at: int, target: int | None) -> bytes:
    if target is None:
        return b"\x48\x8b\x40\x08\x90\xff\xd0"  # mov rax, [rax+8]; nop; call rax
    if target < 0:
        return b"\x90\xff\x15" + struct.pack("<i", -target - (at + 7))  # nop; call [rip+slot]
    return b"\x8b\xcb\xe8" + struct.pack("<i", target - (at + 7))  # mov ecx, ebx; call rel32


def _epilogue(shape: Shape) -> bytes:
    code = b"\x33\xc0\x48\x81\xc4" + struct.pack("<I", shape.allocated)  # xor eax, eax; add rsp, allocated
    for register in reversed(shape.pushes):
        code += bytes([0x41 if register > 7 else 0x40, 0x58 + (register & 7)])
    return code + b"\xc3"


# KiSwapContext keeps all nonvolatile registers in a KEXCEPTION_FRAME; a system call and an exception push a machine
# frame and use RBP = trap frame + 0x80; KiStartSystemThread is the bottom of a system thread.
SWAP_ALLOCATED = 0x138
SWAP_SAVES = (
    (RBP, 0xF8),
    (RBX, 0x100),
    (RDI, 0x108),
    (RSI, 0x110),
    (R12, 0x118),
    (R13, 0x120),
    (R14, 0x128),
    (R15, 0x130),
)
TRAP_ALLOCATED = 0x158
TRAP_SIZE = 0x190


def _special_unwind(special: str) -> bytes:
    if special == "swap":
        codes = [struct.pack("<BBH", 0x50, 4 | register << 4, at // 8) for register, at in reversed(SWAP_SAVES)]
        codes += [struct.pack("<BBH", 0x30, 8 | xmm << 4, (0x30 + 16 * (xmm - 6)) // 16) for xmm in range(15, 5, -1)]
        codes += [struct.pack("<BBH", 7, 1, SWAP_ALLOCATED // 8)]
        return _pack(0x50, codes, 0)
    if special == "trap":  # error code pushed by the processor or by hand, then RBP, then the rest of KTRAP_FRAME
        codes = [struct.pack("<BB", 0x14, 3), struct.pack("<BBH", 0xC, 1, TRAP_ALLOCATED // 8)]
        codes += [struct.pack("<BB", 4, 0 | RBP << 4), struct.pack("<BB", 3, 2), struct.pack("<BB", 0, 10)]
        return _pack(0x14, codes, RBP | 0x80 // 16 << 4)
    if special == "start":
        return _pack(4, [struct.pack("<BB", 4, 2 | 4 << 4)], 0)
    raise ValueError(special)


def _pack(prolog: int, codes: list[bytes], frame: int) -> bytes:
    slots = b"".join(codes)
    count = len(slots) // 2
    return struct.pack("<BBBB", 1, prolog, count, frame) + slots + (b"\0\0" if count % 2 else b"")


def _special_body(function: Function) -> bytes:
    assert function.extra_offset is not None
    code = bytearray(b"\x90" * function.end)
    if function.special == "start":
        code[0:4] = b"\x48\x83\xec\x28"
    if function.special == "swap":
        code[0:7] = b"\x48\x81\xec" + struct.pack("<I", SWAP_ALLOCATED)
    at = function.extra_offset
    target = function.targets.get(0)
    if target is None or target < 0:
        code[at - 2 : at] = b"\xff\xd0"
    else:
        code[at - 5 : at] = b"\xe8" + struct.pack("<i", target - (function.rva + at))
    return bytes(code)
