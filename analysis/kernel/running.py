"""Stacks of threads that were running when the machine stopped: their registers are in a processor's saved state.

The processor that stopped the machine left its registers in the dump's header; the others were frozen and left
theirs in their control blocks (KPRCB). A processor that did not answer left nothing new there, so registers count
only if their stack pointer lies in the very thread's stack.
"""

from analysis.address import VirtAddr
from analysis.errors import MissingLayout, Unreadable
from analysis.kernel.context import CONTEXT_SIZE, context_registers
from analysis.kernel.facts import Stack, Thread
from analysis.kernel.names import KernelNames
from analysis.kernel.processors import MAX_PROCESSORS
from analysis.kernel.stacks import Walker
from analysis.kernel.x86_context import CONTEXT_X86_SIZE, x86_registers
from analysis.memory.reader import Memory

_KERNEL_STACK_SIZE = 0x6000  # KERNEL_STACK_SIZE of ntddk.h, which these stacks have too


def running_stack(memory: Memory, names: KernelNames, walker: Walker, header_context: bytes, thread: Thread) -> Stack:
    """The stack of a running thread; without frames and with the reason where its registers are not in the dump."""
    context = running_context(memory, names, header_context, thread)
    if context is not None:
        return walker.context_stack(context, thread)
    if thread.processor is None:
        return Stack(end="the thread was running, but on which processor cannot be told")
    if processor_context(memory, names, thread.processor) is None:
        return Stack(end=f"the saved registers of processor {thread.processor} cannot be read")
    return Stack(end=f"processor {thread.processor} saved no registers of this thread: it was not stopped in time")


def running_context(memory: Memory, names: KernelNames, header_context: bytes, thread: Thread) -> bytes | None:
    """The CONTEXT of a running thread, as the header or its processor has it; None where neither does.

    A processor that interrupted the thread for a deferred call or an interrupt runs on a stack of its own meanwhile.
    """
    if _belongs(memory, header_context, thread):
        return header_context
    if thread.processor is None:
        return None
    stacks = _interrupt_stacks(memory, names, thread.processor)
    if _lies_in(memory, header_context, stacks):
        return header_context
    context = processor_context(memory, names, thread.processor)
    return (
        context
        if context is not None and (_belongs(memory, context, thread) or _lies_in(memory, context, stacks))
        else None
    )


def _interrupt_stacks(memory: Memory, names: KernelNames, number: int) -> tuple[range, ...]:
    # The stacks on which a processor runs deferred calls and interrupts; the KPRCB has their upper ends.
    block = names.address("KiProcessorBlock")
    if block is None:
        return ()
    found = []
    for member in ("DpcStack", "IsrStack"):
        try:
            prcb = names.struct(memory, "_KPRCB", memory.pointer(block + memory.pointer_size * number))
            end = prcb.pointer(member) if prcb.has(member) else 0
        except (Unreadable, MissingLayout):
            continue
        if memory.is_kernel(end):
            found.append(range(end - _KERNEL_STACK_SIZE, end))
    return tuple(found)


def _lies_in(memory: Memory, context: bytes, stacks: tuple[range, ...]) -> bool:
    pointer = stack_pointer(memory, context)
    return pointer is not None and any(pointer in stack for stack in stacks)


def processor_context(memory: Memory, names: KernelNames, number: int) -> bytes | None:
    """The CONTEXT that a frozen processor saved in its KPRCB; None where it cannot be read."""
    block = names.address("KiProcessorBlock")
    if block is None:
        return None
    try:
        prcb = names.struct(memory, "_KPRCB", memory.pointer(block + memory.pointer_size * number))
        if not prcb.has("ProcessorState.ContextFrame"):
            return None
        return memory.read(
            prcb.address_of("ProcessorState.ContextFrame"),
            CONTEXT_X86_SIZE if memory.pointer_size == 4 else CONTEXT_SIZE,
        )
    except (Unreadable, MissingLayout):
        return None


def stack_pointer(memory: Memory, context: bytes) -> int | None:
    """The stack pointer in a CONTEXT of this machine; None where the bytes are not one."""
    if memory.pointer_size == 4:
        small = x86_registers(context)
        return small.esp if small is not None else None
    registers = context_registers(context)
    return registers.rsp if registers is not None else None


def _belongs(memory: Memory, context: bytes, thread: Thread) -> bool:
    pointer = stack_pointer(memory, context)
    base = thread.stack_base or thread.initial_stack
    if pointer is None or base is None or thread.stack_limit is None:
        return False
    return thread.stack_limit <= pointer < base


def running_on(memory: Memory, names: KernelNames, number: int) -> VirtAddr | None:
    """The thread that a processor was running; None where it cannot be read."""
    block = names.address("KiProcessorBlock")
    if block is None or number >= MAX_PROCESSORS:
        return None
    try:
        prcb = names.struct(memory, "_KPRCB", memory.pointer(block + memory.pointer_size * number))
        thread = prcb.pointer("CurrentThread")
    except (Unreadable, MissingLayout, KeyError):
        return None
    return VirtAddr(thread) if memory.is_kernel(thread) else None


def processor_stack(memory: Memory, names: KernelNames, walker: Walker, thread: Thread | None, number: int) -> Stack:
    """The stack of what a processor was running; without frames where it saved no registers of that thread."""
    context = processor_context(memory, names, number)
    if context is None or thread is None:
        return Stack(end=f"the saved registers of processor {number} are not in this dump")
    if not _belongs(memory, context, thread):
        return Stack(end=f"processor {number} saved no registers of this thread: it was not stopped in time")
    return walker.context_stack(context, thread)
