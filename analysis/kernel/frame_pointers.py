"""ARM64 stacks by their frame records: each holds the caller's frame pointer and the return address behind it.

The ARM64 calling convention of Windows keeps x29 as a frame pointer throughout the kernel, so that no unwind data
are needed for a first picture. Unwind data of ARM64 images are not read here.
"""

from analysis.address import VirtAddr, is_kernel, is_user
from analysis.errors import Unreadable
from analysis.kernel.context import Arm64Registers
from analysis.kernel.facts import Frame, Stack
from analysis.kernel.stack_memory import StackMemory
from analysis.kernel.symbolize import Symbolizer
from analysis.limits import MAX_STACK_FRAMES
from analysis.memory.reader import Memory
from analysis.trust import Trust


def arm64_stack(memory: Memory, names: Symbolizer, registers: Arm64Registers) -> Stack:
    """The frames from an ARM64 register set, by frame pointers."""
    stack = StackMemory.above(memory, registers.sp)
    frames = [_frame(names, registers.pc, registers.sp, Trust.CONTEXT)]
    pointer = registers.frame_pointer
    end = f"the limit of {MAX_STACK_FRAMES} frames"
    while len(frames) < MAX_STACK_FRAMES:
        if pointer == 0:
            end = "the bottom of the stack: the last frame pointer is 0"
            break
        if pointer not in stack or pointer & 7 or not (is_kernel(pointer) or is_user(pointer)):
            end = f"the frame pointer {pointer:#x} leaves the stack"
            break
        try:
            above, returns_to = stack.word(pointer), stack.word(pointer + 8)
        except Unreadable as gap:
            end = f"the stack cannot be read at {gap.address:#x}: {gap.absence.value}"
            break
        if names.owner(returns_to) is None:
            end = f"the return address {returns_to:#x} is in no known module"
            break
        frames.append(_frame(names, returns_to, pointer + 16, Trust.FRAME_POINTER))
        if above and above <= pointer:
            end = f"the frame pointers turn back at {pointer:#x}"
            break
        pointer = above
    return Stack(tuple(frames), end)


def _frame(names: Symbolizer, address: int, sp: int, trust: Trust) -> Frame:
    owner = names.owner(address)
    return Frame(VirtAddr(address), names.name(address), None if owner is None else owner.name, trust, VirtAddr(sp))
