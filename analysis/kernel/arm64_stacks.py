"""Stacks of ARM64 code: by unwind data, where those are missing by frame records, and by scanning where both fail.

Windows' ARM64 code keeps x29 as a frame pointer: it points at a record of the caller's frame pointer and the return
address behind it. A function that has not stored its record yet, or needs none, is passed over by such a walk.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from analysis.address import is_kernel, is_user
from analysis.errors import Unreadable
from analysis.kernel.context import ARM64_FRAME_POINTER, Arm64Registers
from analysis.kernel.facts import Stack
from analysis.kernel.frame_names import frame
from analysis.kernel.images import Images
from analysis.kernel.scan import Evidence, ends_with_bl, judge
from analysis.kernel.stack_memory import StackMemory
from analysis.kernel.symbolize import Symbolizer
from analysis.kernel.unwind_arm64 import Arm64Caller, unwind_arm64, without_signature
from analysis.kernel.unwind_codes import BadUnwind
from analysis.limits import MAX_STACK_FRAMES
from analysis.trust import Trust

MAX_STACK_SWITCHES = 4
RECORD_SIZE = 16
_ANY_POINTER = (1, 0xFFFF_FFFF_FFFF_FFFF)


@dataclass(frozen=True, slots=True)
class _Point:
    """A frame before it is printed: ``called`` where pc is a return address."""

    registers: Arm64Registers
    called: bool
    trust: Trust


class _End(Exception):
    """The walk is over; the argument says why, in words."""


def arm64_stack(names: Symbolizer, images: Images, stack: StackMemory, registers: Arm64Registers) -> Stack:
    """The frames of code that was stopped with these registers on ``stack``."""
    return _Walk(names, images, stack).run(_Point(registers, called=False, trust=Trust.CONTEXT))


def arm64_scan(names: Symbolizer, images: Images, stack: StackMemory, why: str) -> Stack:
    """A stack without registers to start from: what the words say, and no more. ``why`` goes into its end."""
    walk = _Walk(names, images, stack, why=why, scanned_from=0)
    try:
        first = walk.scanned(_Point(Arm64Registers(0, stack.low), called=True, trust=Trust.SCAN), why)
    except _End as reason:
        return Stack(end=f"{why}, and {reason}")
    return walk.run(first)


@dataclass(slots=True)
class _Walk:
    """One walk under way."""

    names: Symbolizer
    images: Images
    stack: StackMemory
    points: list[_Point] = field(default_factory=list)
    scanned_from: int | None = None
    why: str = ""
    recorded_from: int = 0
    why_recorded: str = ""
    switches: int = 0

    def run(self, point: _Point) -> Stack:
        in_user_mode = is_user(point.registers.pc) and is_user(point.registers.sp)
        end = f"the limit of {MAX_STACK_FRAMES} frames"
        try:
            while len(self.points) < MAX_STACK_FRAMES:
                self.points.append(point)
                point = self._up(point, in_user_mode=in_user_mode)
        except _End as reason:
            end = str(reason)
        if self.recorded_from < len(self.points) and self.why_recorded and self.scanned_from != self.recorded_from:
            end += f"; from frame {self.recorded_from} on by frame pointers, because {self.why_recorded}"
        if self.why_recorded and self.recorded_from == len(self.points):
            end += f"; by the frame pointer alone, because {self.why_recorded}"
        if self.scanned_from is not None:
            end += f"; from frame {self.scanned_from} on found by scanning, because {self.why}"
        frames = (
            frame(self.names, self.images, at.registers.pc, at.registers.sp, at.trust, called=at.called)
            for at in self.points
        )
        return Stack(tuple(frames), end, tuple(at.registers.non_volatile() for at in self.points))

    def _up(self, point: _Point, *, in_user_mode: bool) -> _Point:
        try:
            return self._accepted(point, self._unwound(point), in_user_mode=in_user_mode)
        except (BadUnwind, Unreadable) as failure:
            if not self.why_recorded:
                self.recorded_from, self.why_recorded = len(self.points), _why(failure)
        try:
            return self._by_frame_record(point)
        except (BadUnwind, Unreadable) as failure:
            why = _why(failure)
        return self.scanned(point, why)

    def _unwound(self, point: _Point) -> Arm64Caller:
        module = self.names.module_at(point.registers.pc - point.called)
        if module is None:
            raise BadUnwind("the address is in no loaded module")
        image = self.images.of(module)
        if not image.arm64:
            raise BadUnwind(f"neither this dump nor a symbol store holds the unwind data of {module.name}")
        return unwind_arm64(point.registers, image, self.stack.read, called=point.called)

    def _accepted(self, point: _Point, caller: Arm64Caller, *, in_user_mode: bool) -> _Point:
        registers, trust = caller.registers, min(point.trust, Trust.UNWIND)
        if caller.interrupted:
            if caller.user_mode and not in_user_mode:
                raise _End(f"the thread came from user mode, from {registers.pc:#x}")
            self._switch(point, registers)
            return _Point(registers, called=False, trust=trust)
        if registers.pc == 0:
            raise _End("the bottom of the stack: the next return address is 0")
        lowest = point.registers.sp + point.called  # a function that called stored its return address
        if not lowest <= registers.sp <= self.stack.high or registers.sp % 16:
            raise BadUnwind(f"its unwind data lead to the stack pointer {registers.sp:#x}")
        if self._evidence(registers.pc) is Evidence.NONE:
            raise BadUnwind(f"its unwind data lead to {registers.pc:#x}, which is no return address")
        return _Point(registers, called=True, trust=trust)

    def _switch(self, point: _Point, registers: Arm64Registers) -> None:
        if registers.sp in self.stack and registers.sp > point.registers.sp:
            return
        # An interrupt has a stack of its own; what it interrupted lies on another.
        self.switches += 1
        if self.switches > MAX_STACK_SWITCHES or not is_kernel(registers.sp):
            raise _End(f"what was interrupted ran on another stack, at {registers.sp:#x}")
        self.stack = StackMemory.above(self.stack.memory, registers.sp)

    def _by_frame_record(self, point: _Point) -> _Point:
        pointer = point.registers.known.get(ARM64_FRAME_POINTER)
        if pointer is None:
            raise BadUnwind("the frame pointer is not known")
        if pointer == 0:
            raise _End("the bottom of the stack: the last frame pointer is 0")
        if not point.registers.sp <= pointer or pointer not in self.stack or pointer & 7:
            raise BadUnwind(f"the frame pointer {pointer:#x} leaves the stack")
        above, returns_to = self.stack.word(pointer), without_signature(self.stack.word(pointer + 8))
        if above and above <= pointer:
            raise BadUnwind(f"the frame pointers turn back at {pointer:#x}")
        if self._evidence(returns_to) is Evidence.NONE:
            raise BadUnwind(f"the return address {returns_to:#x} is in no known module or behind no call")
        registers = Arm64Registers(returns_to, pointer + RECORD_SIZE, {ARM64_FRAME_POINTER: above})
        return _Point(registers, called=True, trust=min(point.trust, Trust.FRAME_POINTER))

    def scanned(self, point: _Point, why: str) -> _Point:
        """The next word that may be a return address; the word below it is then its caller's frame pointer."""
        if self.scanned_from is None:
            self.scanned_from, self.why = len(self.points), why
        for slot, value in self._words(point.registers.sp):
            if self._evidence(value) is not Evidence.NONE:
                return _Point(Arm64Registers(value, slot + 8, self._record_below(slot)), called=True, trust=Trust.SCAN)
        raise _End(f"no further return address up to {self.stack.high:#x}")

    def _words(self, start: int) -> Iterator[tuple[int, int]]:
        for slot, value in self.stack.words(start, *_ANY_POINTER):
            yield slot, without_signature(value)

    def _record_below(self, slot: int) -> dict[int, int]:
        try:
            above = self.stack.word(slot - 8)
        except Unreadable:
            return {}
        return {ARM64_FRAME_POINTER: above} if above > slot and above in self.stack else {}

    def _evidence(self, address: int) -> Evidence:
        module = self.names.module_at(address - 1)
        if module is None or address % 4:
            return Evidence.NONE
        return judge(address, module, self.images.of(module), self.names.function, ends_with_bl)


def _why(failure: BadUnwind | Unreadable) -> str:
    if isinstance(failure, Unreadable):
        return f"what is needed cannot be read at {failure.address:#x}: {failure.absence.value}"
    return str(failure)
