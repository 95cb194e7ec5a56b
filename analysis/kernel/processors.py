"""Which thread each processor runs: nt!KiProcessorBlock lists the processors' control blocks (KPRCB)."""

from analysis.address import VirtAddr
from analysis.errors import Unreadable
from analysis.kernel.names import KernelNames, require
from analysis.memory.reader import Memory

MAX_PROCESSORS = 2048  # Windows numbers processors in 32 groups of 64


def read_running(memory: Memory, names: KernelNames, count: int) -> dict[VirtAddr, int]:
    """Running threads → the number of their processor, of the first ``count`` processors; what is missing is left out.

    Raises:
        MissingLayout: this kernel's KPRCB is not known.
    """
    block = names.address("KiProcessorBlock")
    current = require(names, "_KPRCB", "CurrentThread").offset("CurrentThread")
    running: dict[VirtAddr, int] = {}
    if block is None:
        return running
    for number in range(min(count, MAX_PROCESSORS)):
        try:
            thread = memory.pointer(memory.pointer(block + number * memory.pointer_size) + current)
        except Unreadable:
            continue
        if memory.is_kernel(thread):
            running[VirtAddr(thread)] = number
    return running
