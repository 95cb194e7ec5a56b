"""Machines stopped in a thread: frames of drivers above a call, a fault or a check, and what the parameters say."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from tests.forge.image import Image
from tests.forge.kernel.globals import run
from tests.forge.kernel.modules import add_driver
from tests.forge.kernel.stacks import StackWriter, new_stack
from tests.forge.kernel.state import Frame, Kernel, Process, Thread
from tests.forge.kernel.threads import add_running
from tests.forge.scenarios.story import enter_bugcheck, stop_in_idle

FAULT_OFFSET = 0x40  # of the instruction that fails, in its function
DEVICE_CALL = ("IofCallDriver", "IopSynchronousServiceTail", "IopXxxControlFile", "NtDeviceIoControlFile")


@dataclass(frozen=True, slots=True)
class Stopped:
    """Where a machine was stopped: the thread, the address of the instruction that failed, its trap frame (0: none)."""

    thread: Thread
    address: int
    trap: int


def stop_in(
    kernel: Kernel,
    process: Process,
    frames: Sequence[Frame],
    *,
    fault: bool = False,
    through: Sequence[str] = (),
    rip: int | None = None,
) -> Stopped:
    """The first processor stops inside ``frames`` (innermost first), after a page fault in the first where asked.

    ``through`` are kernel functions on the way to KeBugCheckEx. ``rip`` puts the fault at another address, which the
    innermost function had called.
    """
    stop_in_idle(kernel, kernel.frames("KiRetireDpcList"))
    stack = StackWriter(kernel, new_stack(kernel))
    if process.is_system:
        stack.bottom_system()
        stack.call(Frame(kernel.nt, "PspSystemThreadStartup"))
    else:
        stack.bottom_user(0x7FFE_0000_1234, 0x22_4000_0F00)
    for frame in reversed(frames):
        stack.call(frame)
    inner, trap = frames[0], 0
    address = inner.image.base + inner.image.function(inner.function).rva + FAULT_OFFSET
    if rip is not None:
        stack.enter_leaf(Frame(inner.image, "Callee"))
    if fault:
        trap = stack.fault(Frame(kernel.nt, "KiPageFault"), FAULT_OFFSET)
        if rip is not None:
            kernel.machine.put("_KTRAP_FRAME", trap, Rip=rip)
            address = rip
    for frame in kernel.frames(*through):
        stack.call(frame)
    enter_bugcheck(kernel, stack)
    thread = add_running(kernel, process, stack)
    run(kernel, 0, thread, kernel.others[0])
    return Stopped(thread, address, trap)


def extra(kernel: Kernel, name: str) -> Image:
    """An image of Windows that machines of this builder do not load as a rule."""
    return next((image for image in kernel.images if image.name.lower() == name.lower()), None) or add_driver(
        kernel, name
    )


def return_into(image: Image, function: str) -> int:
    """A return address inside a function, as earlier calls leave it on stacks."""
    return image.return_address(function, None)


def text_at(kernel: Kernel, text: str) -> int:
    """The address of a UNICODE_STRING with that text."""
    address = kernel.machine.pool(0x10, "Strg")
    kernel.machine.unicode(address, text)
    return address


def bytes_at(kernel: Kernel, data: bytes, tag: str = "Data") -> int:
    """The address of these bytes in pool."""
    address = kernel.machine.pool(len(data), tag)
    kernel.machine.write(address, data)
    return address


def signed(status: int) -> int:
    """A status as parameters carry it: 32 bits with the sign extended."""
    return int(struct.unpack("<Q", struct.pack("<q", status - (1 << 32)))[0])
