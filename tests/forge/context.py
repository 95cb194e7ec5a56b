"""CONTEXT records (x64)."""

import struct

from tests.forge import functions as code
from tests.forge.layouts import Layouts

CONTEXT_FULL = 0x10000F
FLOAT_SAVE = 0x100
_PLACES = {
    code.RBX: "Rbx",
    code.RSP: "Rsp",
    code.RBP: "Rbp",
    code.RSI: "Rsi",
    code.RDI: "Rdi",
}


def context_record(
    layouts: Layouts, rip: int, rsp: int, registers: dict[int, int], arguments: tuple[int, ...] = ()
) -> bytes:
    """A CONTEXT with the given registers; ``arguments`` go to RCX, RDX, R8, R9."""
    record = bytearray(layouts.size("_CONTEXT"))

    def put(member: str, value: int, form: str = "<Q") -> None:
        struct.pack_into(form, record, layouts.offset("_CONTEXT", member), value)

    put("ContextFlags", CONTEXT_FULL, "<I")
    put("MxCsr", 0x1F80, "<I")
    struct.pack_into("<I", record, FLOAT_SAVE + 0x18, 0x1F80)  # the same MxCsr, in the floating point save area
    put("SegCs", 0x10, "<H")
    put("EFlags", 0x246, "<I")
    for register, member in _PLACES.items():
        if register in registers:
            put(member, registers[register])
    r12 = layouts.offset("_CONTEXT", "R15") - 0x18
    for index, register in enumerate((code.R12, code.R13, code.R14, code.R15)):
        struct.pack_into("<Q", record, r12 + 8 * index, registers.get(register, 0))
    for member, value in zip(("Rcx", "Rdx", "R8", "R9"), arguments, strict=False):
        put(member, value)
    put("Rsp", rsp)
    put("Rip", rip)
    return bytes(record)
