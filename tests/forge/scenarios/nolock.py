"""A driver reads freed memory at raised IRQL: 0xD1, or 0x7E from a system thread. No lock plays a part."""

import struct

from tests.forge.context import context_record
from tests.forge.facts import Expected
from tests.forge.header import exception_record
from tests.forge.kernel.globals import run
from tests.forge.kernel.stacks import StackWriter, new_stack
from tests.forge.kernel.state import Frame, Kernel
from tests.forge.kernel.threads import add_running
from tests.forge.scenarios.story import Cast, Outcome, driver_image, enter_bugcheck, named, stop_in_idle

ACCESS_VIOLATION = 0xC0000005
STARTUP = "PspSystemThreadStartup"
FAULT_OFFSET = 0x40  # in the driver's function


def fault(kernel: Kernel, cast: Cast) -> Outcome:
    """0xD1: a page fault in a driver, called for a user's request, at DISPATCH_LEVEL."""
    (driver,) = cast.third_party(1)
    image = driver_image(kernel, driver)
    referenced = kernel.machine.reserve("pool", 0) + 0x8000_0018
    process = cast.process(kernel, "chrome.exe") if not cast.drawn else cast.process(kernel, "explorer.exe")
    stop_in_idle(kernel, kernel.frames("KiRetireDpcList"))
    stack = StackWriter(kernel, new_stack(kernel))
    stack.bottom_user(0x7FFE_0000_1234, 0x22_4000_0F00)
    callers = kernel.frames("IofCallDriver", "IopSynchronousServiceTail", "IopXxxControlFile", "NtDeviceIoControlFile")
    for frame in reversed([Frame(image, "CompleteTransfer"), Frame(image, "Dispatch"), *callers]):
        stack.call(frame)
    trap = stack.fault(Frame(kernel.nt, "KiPageFault"), FAULT_OFFSET)
    kernel.machine.put("_KTRAP_FRAME", trap, FaultAddress=referenced, ErrorCode=0)
    address = image.base + image.function("CompleteTransfer").rva + FAULT_OFFSET
    stack.call(Frame(kernel.nt, "KiBugCheckDispatch"))
    enter_bugcheck(kernel, stack)
    thread = add_running(kernel, process, stack)
    run(kernel, 0, thread, kernel.others[0])
    expected = Expected(culprit=driver.driver, culprit_address=address, drivers=(driver.driver,))
    return Outcome(0xD1, (referenced, 2, 0, address), expected)


def system_thread(kernel: Kernel, cast: Cast) -> Outcome:
    """0x7E: a driver's worker thread reads through a null pointer; the exception goes unhandled."""
    (driver,) = cast.third_party(1)
    image = driver_image(kernel, driver)
    stop_in_idle(kernel, kernel.frames("KiRetireDpcList"))
    stack = StackWriter(kernel, new_stack(kernel))
    stack.bottom_system()
    for frame in reversed((Frame(image, "ParseReply"), Frame(image, "WorkerThread"), *kernel.frames(STARTUP))):
        stack.call(frame)
    address = image.base + image.function("ParseReply").rva + FAULT_OFFSET
    context = context_record(kernel.machine.layouts, address, stack.sp, dict(stack.registers))
    parameters = (0, 0x10)
    stack.fault(Frame(kernel.nt, "KiPageFault"), FAULT_OFFSET)
    for name in ("KiExceptionDispatch", "KiDispatchException"):
        stack.call(Frame(kernel.nt, name))
    record_at, context_at = stack.sp + 0x30, stack.sp + 0xD0  # locals of KiDispatchException
    kernel.machine.write(record_at, exception_record(ACCESS_VIOLATION, address, parameters, 0))
    kernel.machine.write(context_at, context)
    enter_bugcheck(kernel, stack)
    thread = add_running(kernel, named(kernel, "System"), stack)
    run(kernel, 0, thread, kernel.others[0])
    signed = struct.unpack("<Q", struct.pack("<q", ACCESS_VIOLATION - (1 << 32)))[0]
    expected = Expected(culprit=driver.driver, culprit_address=address, drivers=(driver.driver,))
    return Outcome(0x7E, (signed, address, record_at, context_at), expected, (ACCESS_VIOLATION, address, parameters))
