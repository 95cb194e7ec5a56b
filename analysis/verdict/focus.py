"""Which stack is read for the blame, and how it is found: a thread's, a saved context's, a trap frame's."""

import struct

from analysis.address import VirtAddr
from analysis.bugchecks.explained import Explained, FocusKind
from analysis.errors import Unreadable
from analysis.kernel.context import CONTEXT_SIZE, TRAP_FRAME_SIZE, context_registers, read_trap_frame
from analysis.kernel.facts import Stack, Thread
from analysis.kernel.running import processor_stack, running_on, stack_pointer
from analysis.kernel.scene import Scene
from analysis.kernel.x86_context import CONTEXT_X86_SIZE
from analysis.waits.processors import STUCK_PROCESSOR

CONTEXT_SIZES = {"x64": CONTEXT_SIZE, "arm64": 0x390, "x86": CONTEXT_X86_SIZE}
TRAP_RIP = 0x168  # KTRAP_FRAME.Rip, the same in all x64 builds
DEEPEST_TRAP = 0x4000  # bytes from the stop itself to the fault: KeBugCheckEx' own frames are larger than most


def crashing_thread(scene: Scene) -> VirtAddr | None:
    """The thread in which the machine stopped: the one whose stack holds the saved stack pointer."""
    pointer = stack_pointer(scene.memory, scene.image.header.context)
    for thread in scene.facts.threads.values():
        if pointer is not None and _holds(thread, pointer):
            return thread.address
    if scene.crashing is not None:
        return scene.crashing
    triage = scene.image.triage
    if triage is not None and triage.thread is not None and triage.thread.address:
        return VirtAddr(triage.thread.address)
    return None


def stuck_thread(scene: Scene, explained: Explained) -> VirtAddr | None:
    """The thread that the stop is about: named by a parameter, or what the processor ran that a watchdog missed."""
    if explained.focus.kind is FocusKind.THREAD:
        return VirtAddr(explained.focus.address)
    if explained.code not in STUCK_PROCESSOR:
        return None
    if explained.focus.kind is FocusKind.PROCESSOR:
        return running_on(scene.memory, scene.symbols, explained.focus.address)
    return crashing_thread(scene)


def focus_stack(scene: Scene, explained: Explained, crashing: VirtAddr | None) -> Stack:
    """The stack that the bugcheck says to read first; the crashing one where that cannot be read."""
    thread = scene.thread(crashing) if crashing is not None else None
    focus = explained.focus
    if focus.kind is FocusKind.NONE:
        return Stack(end=focus.why)
    if focus.kind is FocusKind.THREAD:
        return scene.stack(focus.address)
    if focus.kind is FocusKind.PROCESSOR:
        there = running_on(scene.memory, scene.symbols, focus.address)
        known = scene.thread(there) if there is not None else None
        return processor_stack(scene.memory, scene.symbols, scene.walker, known, focus.address)
    if focus.kind is FocusKind.TRAP:
        stack = scene.walker.trap_stack(focus.address, thread)
        if stack.frames:
            return stack
    if focus.kind is FocusKind.CONTEXT:
        size = CONTEXT_SIZES[scene.image.header.architecture]
        try:
            stack = scene.walker.context_stack(scene.memory.read(focus.address, size), thread)
        except Unreadable:
            stack = Stack()  # the header's own context is the next best
        if stack.frames:
            return stack
    return _crash_stack(scene, explained, thread)


def _crash_stack(scene: Scene, explained: Explained, thread: Thread | None) -> Stack:
    stack = scene.walker.context_stack(scene.image.header.context, thread)
    wanted = explained.instruction if scene.memory.pointer_size == 8 else None
    if wanted is None or any(frame.address == wanted for frame in stack.frames):
        return stack
    # Without the kernel's unwind data a walk gets lost in the trap handler. The bugcheck names the instruction that
    # failed, so the trap frame is found by it: the only one on this stack that would return there.
    trap = _trap_frame_of(scene, wanted)
    found = scene.walker.trap_stack(trap, thread) if trap is not None else Stack()
    return found if found.frames else stack


def _trap_frame_of(scene: Scene, instruction: int) -> int | None:
    registers = context_registers(scene.image.header.context)
    if registers is None:
        return None
    start = registers.rsp
    raw = scene.memory.read_available(start, DEEPEST_TRAP)
    words = struct.unpack_from(f"<{len(raw) // 8}Q", raw)
    for index, word in enumerate(words):
        base = start + index * 8 - TRAP_RIP
        if word == instruction and base >= start and _is_trap_frame(scene, base):
            return base
    return None


def _is_trap_frame(scene: Scene, address: int) -> bool:
    try:
        trap = read_trap_frame(scene.memory, address)
    except Unreadable:
        return False
    return not trap.user_mode and trap.registers.rsp >= address + TRAP_FRAME_SIZE


def _holds(thread: Thread, pointer: int) -> bool:
    low, high = thread.stack_limit, thread.stack_base
    return low is not None and high is not None and low <= pointer < high
