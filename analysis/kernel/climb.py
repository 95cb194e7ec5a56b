"""Up an x64 stack, frame by frame: by unwind data as long as the images give them, else by what the words say.

Where unwind data end, the next plausible return address is looked for on the stack, and everything from there on is
trusted no more than a scan.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from analysis.errors import Unreadable
from analysis.kernel.context import Registers, read_exception_frame, read_trap_frame
from analysis.kernel.facts import Frame, Module, Stack
from analysis.kernel.frame_names import frame
from analysis.kernel.images import Images
from analysis.kernel.scan import Evidence, GradedWords, judge
from analysis.kernel.stack_memory import StackMemory
from analysis.kernel.symbolize import KERNEL_MODULE, Symbolizer
from analysis.kernel.traps import THREAD_STARTS, TRAP_FUNCTIONS
from analysis.kernel.unwind import Caller, unwind_frame
from analysis.kernel.unwind_codes import BadUnwind, UnknownRegister
from analysis.kernel.walk_state import End, Point, Walk
from analysis.limits import MAX_STACK_FRAMES
from analysis.memory.reader import Memory
from analysis.trust import Trust

MAX_STACK_SWITCHES = 4


class Climb:
    """Climbs the stacks of one dump. ``hull`` are addresses in the kernel's image that hold no code."""

    def __init__(
        self, memory: Memory, names: Symbolizer, images: Images, modules: Sequence[Module], hull: range
    ) -> None:
        self.names = names
        self._memory = memory
        self._images = images
        self._judged: dict[int, Evidence] = {}
        self._hull = hull
        self._lowest: int = min((module.base for module in modules), default=1)
        self._highest: int = max((module.end for module in modules), default=0)

    def run(self, walk: Walk, point: Point) -> Stack:
        """The frames from ``point`` on, and why they end."""
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
        return self.scanned(walk, point, why)

    def _starts_thread(self, walk: Walk, registers: Registers) -> bool:
        if walk.start_slot is not None:
            return registers.rsp == walk.start_slot + 8
        found = self.names.function(registers.rip - 1)
        return found is not None and found[0] in THREAD_STARTS and self.in_kernel(registers.rip)

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
        if not point.switched or not self.in_kernel(point.registers.rip):
            return None
        try:
            registers = read_exception_frame(self._memory, point.registers.rsp)
        except Unreadable:
            return None
        if registers.rsp not in walk.stack or not self.in_kernel(registers.rip):
            return None
        if self._evidence(registers.rip) is Evidence.NONE:
            return None
        return Point(registers, called=True, trust=Trust.CONTEXT)

    def _by_trap_frame(self, walk: Walk, point: Point) -> Point | None:
        """What a trap handler interrupted, where its name is certain and its unwind data are missing."""
        found = self.names.function(point.registers.rip - point.called)
        if found is None or found[0] not in TRAP_FUNCTIONS or not self.in_kernel(point.registers.rip):
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

    def scanned(self, walk: Walk, point: Point, why: str) -> Point:
        """The next return address above ``point`` as the stack's words show it. Raises: End."""
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

    def in_kernel(self, address: int) -> bool:
        """Whether an address lies in the kernel's own image."""
        module = self.names.module_at(address)
        return module is not None and module.name == KERNEL_MODULE

    def _why(self, point: Point, failure: BadUnwind | Unreadable) -> str:
        where = self.names.name(point.registers.rip)
        if isinstance(failure, Unreadable):
            return f"at {where} what unwinding needs cannot be read at {failure.address:#x} ({failure.absence.value})"
        return f"at {where}: {failure}"
