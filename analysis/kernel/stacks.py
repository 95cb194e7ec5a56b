"""Stacks: from a thread, a CONTEXT or a trap frame up to the bottom, each frame with its trust.

Frames come by unwind data as long as the images give them. Where they do not, the next plausible return address is
looked for on the stack, and everything from there on is trusted no more than a scan.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from analysis.address import VirtAddr, is_user
from analysis.errors import Unreadable
from analysis.kernel.arm64_stacks import arm64_scan, arm64_stack
from analysis.kernel.context import (
    SYSTEM_THREAD_RETURN,
    USER_TRAP_FRAME,
    Arm64Registers,
    Registers,
    arm64_registers,
    context_registers,
    read_exception_frame,
    read_switch_frame,
    read_trap_frame,
)
from analysis.kernel.ebp import stack_end, x86_stack, x86_thread_stack
from analysis.kernel.facts import Frame, Module, Stack, Thread
from analysis.kernel.frame_names import frame
from analysis.kernel.image_files import ImageFiles
from analysis.kernel.images import Images
from analysis.kernel.scan import Evidence, GradedWords, data_hull, judge
from analysis.kernel.stack_memory import StackMemory
from analysis.kernel.symbolize import KERNEL_MODULE, KernelNames, Symbolizer
from analysis.kernel.traps import THREAD_STARTS, TRAP_FUNCTIONS
from analysis.kernel.unwind import Caller, unwind_frame
from analysis.kernel.unwind_arm64 import read_arm64_trap_frame
from analysis.kernel.unwind_codes import BadUnwind, UnknownRegister
from analysis.kernel.walk_state import End, Point, Walk
from analysis.kernel.x86_context import x86_registers, x86_trap
from analysis.limits import MAX_STACK_BYTES, MAX_STACK_FRAMES
from analysis.memory.reader import Memory
from analysis.symbols.layout import Layout
from analysis.symbols.names import SymbolTable
from analysis.trust import Trust

MAX_STACK_SWITCHES = 4
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
        self._judged: dict[int, Evidence] = {}
        self._hull = data_hull(symbols.address)
        self._lowest = min((module.base for module in modules), default=VirtAddr(1))
        self._highest = max((module.end for module in modules), default=0)

    # From where

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
        if self._in_kernel(switched.rip):
            return self._run(walk, Point(switched, called=True, trust=Trust.CONTEXT, switched=True))
        return self._scan_only(walk, thread.kernel_stack, f"there is no switch frame at {thread.kernel_stack:#x}")

    def _scan_only(self, walk: Walk, start: int, why: str) -> Stack:
        """A stack without a place to start from: what the words say, and no more."""
        walk.scanned_from, walk.why_scanned = 0, why
        try:
            first = self._scanned(walk, Point(Registers(0, start), called=True, trust=Trust.SCAN), walk.why_scanned)
        except End as reason:
            return Stack(end=f"{walk.why_scanned}, and {reason}")
        return self._run(walk, first)

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
        return self._run(walk, Point(registers, called=False, trust=Trust.CONTEXT))

    def bounded_stack(self, registers: Registers, low: int, high: int) -> Stack:
        """The stack of a process' code stopped with these registers; the stack lies from ``low`` to ``high``."""
        return self._run(
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

    # Upwards

    def _run(self, walk: Walk, point: Point) -> Stack:
        end = f"the limit of {MAX_STACK_FRAMES} frames"
        try:
            while len(walk.points) < MAX_STACK_FRAMES:
                walk.points.append(point)
                point = self._up(walk, point)
        except End as reason:
            end = str(reason)
        if walk.scanned_from is not None:
            end += f"; from frame {walk.scanned_from} on found by scanning, because {walk.why_scanned}"
        return Stack(
            tuple(self._frame(point) for point in walk.points),
            end,
            tuple(point.registers.non_volatile() for point in walk.points),
        )

    def _frame(self, point: Point) -> Frame:
        rip, rsp = point.registers.rip, point.registers.rsp
        return frame(self.names, self._images, rip, rsp, point.trust, called=point.called)

    def _up(self, walk: Walk, point: Point) -> Point:
        if point.called and self._starts_thread(walk, point.registers):
            raise End("the bottom of the stack: here the thread was started")
        try:
            return self._unwound(walk, point)
        except (BadUnwind, Unreadable) as failure:
            why = self._why(point, failure)
        for attempt in (self._by_exception_frame, self._by_trap_frame, self._by_call_to_nowhere):
            found = attempt(walk, point)
            if found is not None:
                return found
        return self._scanned(walk, point, why)

    def _starts_thread(self, walk: Walk, registers: Registers) -> bool:
        if walk.start_slot is not None:
            return registers.rsp == walk.start_slot + 8
        found = self.names.function(registers.rip - 1)
        return found is not None and found[0] in THREAD_STARTS and self._in_kernel(registers.rip)

    def _unwound(self, walk: Walk, point: Point) -> Point:
        """The caller by unwind data. Raises: BadUnwind, Unreadable where they are missing or lead astray."""
        module = self.names.module_at(point.registers.rip - point.called)
        if module is None:
            raise BadUnwind("the address is in no loaded module")
        word = walk.stack.word if walk.beneath is None else walk.word
        caller = unwind_frame(point.registers, self._images.of(module), word, called=point.called)
        return self._accepted(walk, point, caller)

    def _accepted(self, walk: Walk, point: Point, caller: Caller) -> Point:
        registers = caller.registers
        if caller.interrupted:
            return self._interrupted(walk, point, registers, user_mode=caller.user_mode)
        # What switches stacks keeps the old one's pointer in its frame register. Scanned words prove no such thing.
        crosses = point.trust > Trust.SCAN and walk.leads_beneath(registers.rsp)
        if not crosses and not point.registers.rsp < registers.rsp <= walk.stack.high:
            raise BadUnwind(f"its unwind data lead to the stack pointer {registers.rsp:#x}, outside what is above")
        if point.trust is Trust.SCAN and walk.passes_start(registers.rsp):
            raise BadUnwind("its unwind data lead past the place where the thread was started")
        if registers.rip == 0 and (walk.start_slot is None or registers.rsp > walk.start_slot):
            raise End("the bottom of the stack: the next return address is 0")
        if self._evidence(registers.rip) is Evidence.NONE and not self._was_unloaded(point, registers.rip):
            raise BadUnwind(f"its unwind data lead to {registers.rip:#x}, which is no return address")
        if not caller.sure:
            self._note_scan(walk, f"the code at {self.names.name(point.registers.rip)} was not saved")
        if crosses:
            walk.go_beneath()
        return Point(registers, called=True, trust=min(point.trust, Trust.UNWIND if caller.sure else Trust.SCAN))

    @staticmethod
    def _note_scan(walk: Walk, why: str) -> None:
        if walk.scanned_from is None:
            walk.scanned_from, walk.why_scanned = len(walk.points), why

    def _was_unloaded(self, point: Point, address: int) -> bool:
        # A driver may be gone while a thread is still to return to it: sound unwind data say so, scanned words do not.
        return point.trust > Trust.SCAN and self.names.unloaded_at(address) is not None

    def _interrupted(self, walk: Walk, point: Point, registers: Registers, *, user_mode: bool) -> Point:
        if user_mode and not walk.in_user_mode:
            raise End(f"the thread came from user mode, from {registers.rip:#x}")
        if walk.leads_beneath(registers.rsp):
            walk.go_beneath()
        elif registers.rsp not in walk.stack or registers.rsp <= point.registers.rsp:
            # A double fault or an interrupt has a stack of its own; what it interrupted lies on another.
            walk.switches += 1
            if walk.switches > MAX_STACK_SWITCHES or not self._memory.is_kernel(registers.rsp):
                raise End(f"what was interrupted ran on another stack, at {registers.rsp:#x}")
            walk.stack = StackMemory.above(self._memory, registers.rsp)
            walk.floor = walk.start_slot = walk.entered = walk.words = None
        return Point(registers, called=False, trust=min(point.trust, Trust.UNWIND))

    def _by_exception_frame(self, walk: Walk, point: Point) -> Point | None:
        """The caller of nt!KiSwapContext, whose frame is a KEXCEPTION_FRAME, where its unwind data are missing."""
        if not point.switched or not self._in_kernel(point.registers.rip):
            return None
        try:
            registers = read_exception_frame(self._memory, point.registers.rsp)
        except Unreadable:
            return None
        if registers.rsp not in walk.stack or not self._in_kernel(registers.rip):
            return None
        if self._evidence(registers.rip) is Evidence.NONE:
            return None
        return Point(registers, called=True, trust=Trust.CONTEXT)

    def _by_trap_frame(self, walk: Walk, point: Point) -> Point | None:
        """What a trap handler interrupted, where its name is certain and its unwind data are missing."""
        found = self.names.function(point.registers.rip - point.called)
        if found is None or found[0] not in TRAP_FUNCTIONS or not self._in_kernel(point.registers.rip):
            return None
        try:
            trap = read_trap_frame(self._memory, point.registers.rsp)
        except Unreadable:
            return None
        if not trap.user_mode and trap.registers.rsp <= point.registers.rsp and trap.registers.rsp in walk.stack:
            return None
        return self._interrupted(walk, point, trap.registers, user_mode=trap.user_mode)

    def _by_call_to_nowhere(self, walk: Walk, point: Point) -> Point | None:
        """The caller of an address without code: nothing was pushed since the call, so it is on top of the stack."""
        registers = point.registers
        if point.called or point.trust < Trust.UNWIND or self.names.module_at(registers.rip) is not None:
            return None
        try:
            caller = walk.stack.word(registers.rsp)
        except Unreadable:
            return None
        if self._evidence(caller) < Evidence.FUNCTION:
            return None
        return Point(replace(registers, rip=caller, rsp=registers.rsp + 8), called=True, trust=Trust.UNWIND)

    # By scanning

    def _scanned(self, walk: Walk, point: Point, why: str) -> Point:
        self._note_scan(walk, why)
        floor = walk.floor if walk.floor is not None else walk.stack.high
        for candidate in self._candidates(walk, point.registers.rsp, floor):
            if not self._leads_astray(walk, candidate):
                return candidate
        if walk.entered is not None:
            raise End(f"the thread came from user mode, from {walk.entered:#x}")
        raise End(f"no further return address up to {floor:#x}")

    def _candidates(self, walk: Walk, start: int, floor: int) -> Iterator[Point]:
        if walk.words is None:
            found = walk.stack.words(start, self._lowest, self._highest)
            walk.words = GradedWords([(slot, value, self._evidence(value)) for slot, value in found])
        certain = [point.registers.rsp for point in walk.points if point.called and point.trust > Trust.SCAN]
        for slot, value in walk.words.from_slot(start, certain):
            if slot >= floor:
                return
            yield Point(Registers(value, slot + 8), called=True, trust=Trust.SCAN)

    def _leads_astray(self, walk: Walk, candidate: Point) -> bool:
        """Whether unwind data exist for a scanned address and show that it cannot be a frame here."""
        module = self.names.module_at(candidate.registers.rip - 1)
        if module is None:
            return True
        if self._starts_thread(walk, candidate.registers):
            return False
        try:
            caller = unwind_frame(candidate.registers, self._images.of(module), walk.stack.word, called=True)
            self._accepted(replace(walk), candidate, caller)
        except (Unreadable, UnknownRegister, End):
            return False  # this proves nothing either way
        except BadUnwind:
            return True
        return False

    def _evidence(self, address: int) -> Evidence:
        known = self._judged.get(address)
        if known is None:
            known = self._judged[address] = self._judge(address)
        return known

    def _judge(self, address: int) -> Evidence:
        module = self.names.module_at(address - 1)
        if module is None or (module.name == KERNEL_MODULE and address in self._hull):
            return Evidence.NONE
        return judge(address, module, self._images.of(module), self.names.function)

    def _in_kernel(self, address: int) -> bool:
        module = self.names.module_at(address)
        return module is not None and module.name == KERNEL_MODULE

    def _why(self, point: Point, failure: BadUnwind | Unreadable) -> str:
        where = self.names.name(point.registers.rip)
        if isinstance(failure, Unreadable):
            return f"at {where} what unwinding needs cannot be read at {failure.address:#x} ({failure.absence.value})"
        return f"at {where}: {failure}"
