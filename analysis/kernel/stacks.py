"""Stacks: from a thread, a CONTEXT or a trap frame up to the bottom, each frame with its trust.

Where a walk starts is told here; how it goes on, for x64 in ``climb``, and beside it for ARM64 and 32-bit code.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from analysis.address import VirtAddr, is_user
from analysis.errors import Unreadable
from analysis.kernel.arm64_stacks import arm64_scan, arm64_stack
from analysis.kernel.climb import Climb
from analysis.kernel.context import (
    SYSTEM_THREAD_RETURN,
    USER_TRAP_FRAME,
    Arm64Registers,
    Registers,
    arm64_registers,
    context_registers,
    read_switch_frame,
    read_trap_frame,
)
from analysis.kernel.ebp import stack_end, x86_stack, x86_thread_stack
from analysis.kernel.facts import Module, Stack, Thread
from analysis.kernel.image_files import ImageFiles
from analysis.kernel.images import Images
from analysis.kernel.scan import data_hull
from analysis.kernel.stack_memory import StackMemory
from analysis.kernel.symbolize import KernelNames, Symbolizer
from analysis.kernel.unwind_arm64 import read_arm64_trap_frame
from analysis.kernel.unwind_codes import BadUnwind
from analysis.kernel.walk_state import End, Point, Walk
from analysis.kernel.x86_context import x86_registers, x86_trap
from analysis.limits import MAX_STACK_BYTES
from analysis.memory.reader import Memory
from analysis.symbols.layout import Layout
from analysis.symbols.names import SymbolTable
from analysis.trust import Trust

NO_CONTEXT = "there is no context record to start from"


class WalkSymbols(KernelNames, Protocol):
    """What a walk asks of the kernel's symbols."""

    def address(self, name: str) -> int | None:
        """The address of a symbol."""

    def layout(self, name: str) -> Layout | None:
        """The layout of a structure."""


class Walker:
    """Walks stacks of one dump."""

    def __init__(
        self,
        memory: Memory,
        symbols: WalkSymbols,
        modules: Sequence[Module],
        unloaded: Sequence[Module] = (),
        tables: Mapping[int, SymbolTable] | None = None,
        *,
        files: ImageFiles | None = None,
        arm64: bool = False,
    ) -> None:
        self._arm64 = arm64
        self.names = Symbolizer(symbols, modules, unloaded, tables)
        self._memory = memory
        self._switch_frame = symbols.layout("_KSWITCHFRAME")
        self._images = Images(memory, files)
        self._climb = Climb(memory, self.names, self._images, modules, data_hull(symbols.address))

    def thread_stack(self, thread: Thread) -> Stack:
        """The stack of a thread that was switched out: waiting, ready or in transition."""
        if thread.kernel_stack is None:
            return Stack(end="the thread has no kernel stack")
        if not thread.stack_resident:
            return Stack(end="the thread's kernel stack was paged out, so the dump does not hold it")
        if thread.state == "Running":
            return Stack(end="the thread was running: its registers are the processor's, not on its stack")
        if thread.terminated:
            return Stack(end="the thread has ended")
        if self._memory.pointer_size == 4:
            return x86_thread_stack(self._memory, self.names, self._images, self._switch_frame, thread)
        walk = self._thread_walk(thread)
        if self._arm64:
            # Where a switched-out thread of ARM64 leaves its registers is in no public symbol file.
            above = StackMemory(self._memory, thread.kernel_stack, walk.stack.high)
            return arm64_scan(self.names, self._images, above, "the switch frame of ARM64 is not documented")
        try:
            switched = read_switch_frame(self._memory, thread.kernel_stack)
        except Unreadable as gap:
            # Single pages of a stack may be missing: what lies above them still tells who called.
            why = f"the stack cannot be read at {gap.address:#x}: {gap.absence.value}"
            return self._scan_only(walk, thread.kernel_stack, why)
        if self._climb.in_kernel(switched.rip):
            return self._climb.run(walk, Point(switched, called=True, trust=Trust.CONTEXT, switched=True))
        return self._scan_only(walk, thread.kernel_stack, f"there is no switch frame at {thread.kernel_stack:#x}")

    def _scan_only(self, walk: Walk, start: int, why: str) -> Stack:
        """A stack without a place to start from: what the words say, and no more."""
        walk.scanned_from, walk.why_scanned = 0, why
        try:
            first = self._climb.scanned(
                walk, Point(Registers(0, start), called=True, trust=Trust.SCAN), walk.why_scanned
            )
        except End as reason:
            return Stack(end=f"{walk.why_scanned}, and {reason}")
        return self._climb.run(walk, first)

    def context_stack(self, context: bytes, thread: Thread | None = None) -> Stack:
        """The stack from a CONTEXT record's bytes; ``thread``, where known, gives the stack's bounds."""
        if self._memory.pointer_size == 4:
            small = x86_registers(context)
            return (
                x86_stack(self._memory, self.names, self._images, small, stack_end(small.esp, thread))
                if small
                else Stack(end=NO_CONTEXT)
            )
        arm64 = arm64_registers(context)
        if arm64 is not None:
            return self.arm64_stack(arm64, thread)
        registers = context_registers(context)
        if registers is None:
            return Stack(end=NO_CONTEXT)
        return self.register_stack(registers, thread)

    def trap_stack(self, address: int, thread: Thread | None = None) -> Stack:
        """The stack of what a KTRAP_FRAME interrupted."""
        if self._memory.pointer_size == 4:
            return self._trap_stack32(address)
        if self._arm64:
            return self._trap_stack_arm64(address, thread)
        try:
            trap = read_trap_frame(self._memory, address)
        except Unreadable as gap:
            return Stack(end=f"no trap frame to start from: {gap}")
        if trap.user_mode:
            return Stack(end=f"the trap came from user mode, at {trap.registers.rip:#x}")
        return self.register_stack(trap.registers, thread)

    def _trap_stack32(self, address: int) -> Stack:
        trapped = x86_trap(self._memory, address)
        return (
            x86_stack(self._memory, self.names, self._images, trapped)
            if trapped
            else Stack(end="no trap frame to start from")
        )

    def _trap_stack_arm64(self, address: int, thread: Thread | None) -> Stack:
        try:
            trap = read_arm64_trap_frame(self._memory.read, address)
        except (BadUnwind, Unreadable) as failure:
            return Stack(end=f"no trap frame to start from: {failure}")
        if trap.user_mode:
            return Stack(end=f"the trap came from user mode, at {trap.registers.pc:#x}")
        return self.arm64_stack(trap.registers, thread)

    def arm64_stack(self, registers: Arm64Registers, thread: Thread | None = None, high: int = 0) -> Stack:
        """The stack of ARM64 code that was stopped with these registers; ``high`` ends the stack, where known."""
        stack = StackMemory.above(self._memory, registers.sp)
        if high > registers.sp:
            stack = StackMemory(self._memory, registers.sp, high)
        elif thread is not None and registers.sp in (known := self._thread_walk(thread)).stack:
            stack = known.stack
        return arm64_stack(self.names, self._images, stack, registers)

    def register_stack(self, registers: Registers, thread: Thread | None = None) -> Stack:
        """The stack of code that was stopped with these registers."""
        walk = Walk(StackMemory.above(self._memory, registers.rsp))
        if thread is not None:
            known = self._thread_walk(thread)
            if registers.rsp in known.stack:
                walk = known
            else:
                walk.beneath = known
        return self._climb.run(walk, Point(registers, called=False, trust=Trust.CONTEXT))

    def bounded_stack(self, registers: Registers, low: int, high: int) -> Stack:
        """The stack of a process' code stopped with these registers; the stack lies from ``low`` to ``high``."""
        return self._climb.run(
            Walk(StackMemory(self._memory, low, high), in_user_mode=True),
            Point(registers, called=False, trust=Trust.CONTEXT),
        )

    def _thread_walk(self, thread: Thread) -> Walk:
        pointer, base = thread.kernel_stack or 0, thread.stack_base or thread.initial_stack or 0
        low = thread.stack_limit if thread.stack_limit is not None else VirtAddr(pointer)
        if not low < base <= low + MAX_STACK_BYTES or not self._memory.is_kernel(low):
            return Walk(StackMemory.above(self._memory, pointer))
        walk = Walk(StackMemory(self._memory, low, base))
        if thread.initial_stack is not None and low < thread.initial_stack <= base:
            walk.start_slot = thread.initial_stack - SYSTEM_THREAD_RETURN
            walk.floor = thread.initial_stack
            walk.entered = self._user_mode_entry(thread.initial_stack - USER_TRAP_FRAME)
            if walk.entered is not None:
                walk.floor = thread.initial_stack - USER_TRAP_FRAME
        return walk

    def _user_mode_entry(self, trap_frame: int) -> int | None:
        if self._arm64:
            return None
        try:
            trap = read_trap_frame(self._memory, trap_frame)
        except Unreadable:
            return None
        return trap.registers.rip if trap.user_mode and is_user(trap.registers.rip) else None
