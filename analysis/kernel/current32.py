"""The thread that ran on the first processor of a 32-bit machine.

The kernel's debugger data block holds 64-bit addresses on 32-bit Windows too; at 0x218 is nt!KiProcessorBlock's, an
array of KPRCB pointers, and a 32-bit KPRCB has its CurrentThread at 4 (public wdbgexts.h and symbols).
"""

from analysis.address import VirtAddr
from analysis.errors import Unreadable
from analysis.memory.reader import Memory

_TAG, _PROCESSORS, _CURRENT_THREAD = 0x10, 0x218, 4
_LOW_HALF = 0xFFFF_FFFF
_THREAD_OBJECT = 6


def current_thread32(memory: Memory, debugger_data: int) -> VirtAddr | None:
    """The thread's address; None where the way there cannot be read or leads to no thread object."""
    try:
        if memory.read(debugger_data + _TAG, 4) != b"KDBG":
            return None
        processors = memory.u64(debugger_data + _PROCESSORS) & _LOW_HALF
        thread = memory.u32(memory.u32(processors) + _CURRENT_THREAD)
        return VirtAddr(thread) if memory.u8(thread) & 0x7F == _THREAD_OBJECT else None
    except Unreadable:
        return None
