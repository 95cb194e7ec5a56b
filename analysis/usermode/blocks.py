"""The blocks that Windows keeps for each thread and process, and what of them a story needs: TEB and PEB.

Offsets of _TEB, _TEB32, _PEB and _PEB32 in the public symbols of ntkrnlmp and ntdll: the same in each kernel from 7601
to 22000 (a test compares them). The loader lock is only named where a wait led to a section at that very address. A
32-bit process on
a 64-bit Windows (WOW64) has both: its 32-bit TEB lies two pages behind the 64-bit one, and the 32-bit registers of a
thread that is in the system lie in the block that TLS slot 1 (WOW64_TLS_CPURESERVED) points to, behind two words of 16
bits.
"""

from analysis.errors import Unreadable
from analysis.formats.minidump import Platform, UserDump, UserThread
from analysis.kernel.x86_context import CONTEXT_X86_SIZE, X86Registers, x86_registers
from analysis.memory.reader import Memory

TEB32_BEHIND = 0x2000
PEB_OF_TEB = {8: 0x60, 4: 0x30}
LOADER_LOCK = {8: 0x110, 4: 0xA0}  # of the PEB
CPU_AREA = 0x1480 + 8  # TEB.TlsSlots[1]
CONTEXT_IN_AREA = 4
# Of a 64-bit CONTEXT: the code segment, and where the 32-bit registers are while 32-bit code runs.
SEG_CS, RBX, RSP, RBP, RIP = 0x38, 0x90, 0x98, 0xA0, 0xF8
CODE_32 = 0x23
MAX_TEBS = 16  # threads whose block is tried


def is_wow64(dump: UserDump) -> bool:
    """Whether this is a 32-bit process that a 64-bit tool captured."""
    is_64 = dump.system.platform is Platform.WINDOWS and dump.system.architecture == "x64"
    return is_64 and any(one.name == "wow64.dll" for one in dump.modules)


def wow64_registers(memory: Memory, thread: UserThread | None, context: bytes) -> X86Registers | None:
    """The 32-bit registers of a thread of such a process; None where the dump does not hold them."""
    if len(context) > RIP + 8 and int.from_bytes(context[SEG_CS : SEG_CS + 2], "little") == CODE_32:
        ebx, esp, ebp, eip = (int.from_bytes(context[at : at + 4], "little") for at in (RBX, RSP, RBP, RIP))
        return X86Registers(eip, esp, ebp, ebx) if esp and esp % 4 == 0 else None
    if thread is None:
        return None
    try:
        area = memory.u64(thread.teb + CPU_AREA)
    except Unreadable:
        return None
    return x86_registers(memory.read_available(area + CONTEXT_IN_AREA, CONTEXT_X86_SIZE))


def loader_lock(memory: Memory, dump: UserDump) -> int | None:
    """The address of the process' loader lock, under which libraries are loaded; None where no block leads to it.

    ``memory`` has the process' own size of pointers.
    """
    size = memory.pointer_size
    if size not in PEB_OF_TEB:
        return None
    behind = TEB32_BEHIND if is_wow64(dump) else 0
    for thread in dump.threads[:MAX_TEBS]:
        try:
            block = memory.pointer(thread.teb + behind + PEB_OF_TEB[size])
            return memory.pointer(block + LOADER_LOCK[size])
        except Unreadable:
            continue
    return None
