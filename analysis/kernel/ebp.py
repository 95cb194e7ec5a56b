"""Stacks of 32-bit x86 code: by the frame data of PDBs, by saved frame pointers, and by scanning where both fail.

A function with a frame begins with ``push ebp; mov ebp, esp``: the caller's frame pointer lies at [ebp] and the return
address at [ebp+4]. Code compiled without frame pointers breaks that chain; what its frames look like is in PDBs alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from analysis.address import VirtAddr
from analysis.errors import Unreadable
from analysis.kernel.facts import Frame, Stack, Thread
from analysis.kernel.frame_data import BadProgram, FoundCaller, find_caller, uses_search
from analysis.kernel.images import Images
from analysis.kernel.scan import Evidence, judge
from analysis.kernel.symbolize import Symbolizer
from analysis.kernel.x86_context import X86Registers, x86_switched, x86_trap, x86_user_entry
from analysis.kernel.x86_leaving import CODE_BYTES, leave, may_have_left
from analysis.limits import MAX_STACK_BYTES, MAX_STACK_FRAMES
from analysis.memory.reader import Memory
from analysis.symbols.layout import Layout
from analysis.symbols.pdb.frames import FrameRecord
from analysis.trust import Trust

# From a broken chain on, this much of the stack is looked through for each next frame.
_SCAN_BYTES = 0x2000
_PAGE = 0x1000
_CALL, _CALL_SIZE = 0xE8, 5
PUSHED_OVER = "its frame has no frame pointer"


def x86_stack(
    memory: Memory, names: Symbolizer, images: Images, registers: X86Registers, high: int | None = None
) -> Stack:
    """The frames from a 32-bit register set; ``high`` is the end of its stack, where known."""
    limit = min(registers.esp + MAX_STACK_BYTES, 1 << 32)
    return _Walk(memory, names, images, registers, min(high or limit, limit)).run()


def x86_thread_stack(memory: Memory, names: Symbolizer, images: Images, frame: Layout | None, thread: Thread) -> Stack:
    """The frames of a thread that was switched out; ``frame`` is this kernel's KSWITCHFRAME, where known."""
    start = VirtAddr(thread.kernel_stack or 0)
    end = stack_end(start, thread) or min(start + MAX_STACK_BYTES, 1 << 32)
    registers = x86_switched(memory, frame, thread)
    if registers is not None and names.module_at(registers.eip) is not None:
        return _Walk(memory, names, images, registers, end, called=True, switched=True).run()
    # Single pages of a stack may be missing: what lies above them still tells who called.
    walk = _Walk(memory, names, images, X86Registers(0, start, 0), end)
    return walk.run_from_nothing(f"there is no switch frame at {start:#x}")


def stack_end(esp: int, thread: Thread | None) -> int | None:
    """Where the stack that ``esp`` points into ends; None where it is not known to be the thread's."""
    base = (thread.stack_base or thread.initial_stack or 0) if thread is not None else 0
    return base if esp < base <= esp + MAX_STACK_BYTES else None


@dataclass(slots=True)
class _Walk:
    """One walk: ``now`` are the registers in the outermost frame found, ``called`` where its eip is a return address,
    ``above`` how many bytes of its callee's parameters lie at its stack pointer; ``switched``: the first frame is
    nt!KiSwapContext's."""

    memory: Memory
    names: Symbolizer
    images: Images
    now: X86Registers
    high: int
    called: bool = False
    switched: bool = False
    above: int = 0
    frames: list[Frame] = field(default_factory=list)
    trust: Trust = Trust.CONTEXT
    scanned_from: int | None = None
    why: str = ""

    def run(self) -> Stack:
        self._add(self.now, Trust.CONTEXT)
        return self._stack(self._climb())

    def run_from_nothing(self, why: str) -> Stack:
        end = self._climb() if self._scan(why) else f"{why}, and there is no return address"
        return self._stack(end)

    def _stack(self, end: str) -> Stack:
        if self.scanned_from is not None:
            end += f"; from frame {self.scanned_from} on found by scanning, because {self.why}"
        return Stack(tuple(self.frames), end)

    def _climb(self) -> str:
        while len(self.frames) < MAX_STACK_FRAMES:
            try:
                done = self._up()
            except Unreadable as gap:
                done, why = None, f"the stack cannot be read at {gap.address:#x}: {gap.absence.value}"
            else:
                why = f"the frame pointer {self.now.ebp:#x} leads to no return address"
            if done == "":
                continue
            if done is not None:
                return done
            if not self._scan(why):
                return f"no further return address, and {why}"
        return f"the limit of {MAX_STACK_FRAMES} frames"

    # One frame up: empty where it went well, why the stack ends, None where nothing leads on.

    def _up(self) -> str | None:
        if self._leaving() or self._by_frame_data() or self._caller_of_nothing() or self._by_switch():
            return ""
        return self._follow()

    def _leaving(self) -> bool:
        """By carrying out the rest of an epilogue."""
        if self.called or self.names.module_at(self.now.eip) is None:
            return False
        code = self._code(self.now.eip, CODE_BYTES)
        try:
            caller = leave(code, self.now, self.memory.u32)
        except Unreadable:
            return False
        if caller is None or not self.now.esp < caller.esp <= self.high or not self._is_return(caller.eip):
            return False
        self._go(caller, Trust.UNWIND)
        return True

    def _by_switch(self) -> bool:
        """The caller of nt!KiSwapContext, which keeps Ebx, Esi, Edi and Ebp below its return address and sets no frame
        pointer."""
        if not self.switched or len(self.frames) != 1 or self.now.esp > self.high - 20:
            return False
        try:
            ebp, _, _, ebx, returns_to = self.memory.pointers(self.now.esp, 5)
        except Unreadable:
            return False
        if not self._is_return(returns_to):
            return False
        self._go(X86Registers(returns_to, self.now.esp + 20, ebp, ebx), Trust.FRAME_POINTER)
        return True

    def _by_frame_data(self) -> bool:
        record = self.names.frame_data(self.now.eip - self.called)
        if record is None or self._is_unset(record):
            return False
        try:
            found = find_caller(record, self.now, self.above, self.memory.u32, self._is_return)
        except (BadProgram, Unreadable):
            return False
        if found is None or not self.now.esp <= found.slot <= self.high - 4 or found.slot % 4:
            return False
        if not self._is_return(found.registers.eip):
            return False
        self._go(found.registers, self._grade(record, found), record.params)
        return True

    def _is_unset(self, record: FrameRecord) -> bool:
        # A function that was stopped in its prologue has not made the frame that one record describes for all of it.
        inside = self.now.eip - self.called - self._base() - record.start
        return (
            not self.called and record.start == record.function and not uses_search(record) and inside < record.prolog
        )

    def _base(self) -> int:
        module = self.names.module_at(self.now.eip - self.called)
        return module.base if module is not None else 0

    def _grade(self, record: FrameRecord, found: FoundCaller) -> Trust:
        if found.pushed is None:  # the frame pointer holds from the prologue to its last instruction
            code = self._code(self.now.eip - 1, 2)
            certain = self.called or (len(code) == 2 and not may_have_left(code[:1], code[1:]))
            return Trust.UNWIND if certain else Trust.FRAME_POINTER
        if found.pushed:  # another call of the same function may have left what was found
            return Trust.SCAN
        direct = self._calls(found.registers.eip, self._base() + record.function)
        if direct:
            return Trust.UNWIND if self.called else Trust.FRAME_POINTER
        return Trust.FRAME_POINTER if self.called else Trust.SCAN

    def _calls(self, returns_to: int, function: int) -> bool:
        """Whether the instruction in front of a return address calls that very function."""
        code = self._code(returns_to - _CALL_SIZE, _CALL_SIZE)
        if len(code) < _CALL_SIZE or code[0] != _CALL:
            return False
        return (returns_to + int.from_bytes(code[1:], "little")) & 0xFFFF_FFFF == function

    def _follow(self) -> str | None:
        """By the saved frame pointer."""
        pointer = self.now.ebp
        if not self.now.esp <= pointer <= self.high - 8 or pointer % 4:
            return None
        above, returns_to = (self.memory.u32(pointer + at) for at in (0, 4))
        if returns_to == 0:
            return "the bottom of the stack: the next return address is 0"
        if x86_user_entry(self.memory, pointer) == returns_to:
            return f"the thread came from user mode, from {returns_to:#x}"
        trapped = x86_trap(self.memory, pointer)
        if trapped is not None and trapped.eip == returns_to and self.names.owner(returns_to) is not None:
            self._go(replace(trapped, ebp=above), Trust.FRAME_POINTER)
            self.called = False
        elif self._is_return(returns_to):
            self._go(X86Registers(returns_to, pointer + 8, above), Trust.FRAME_POINTER)
        else:
            return None
        return "the bottom of the stack: the last frame pointer is 0" if above == 0 else ""

    def _caller_of_nothing(self) -> bool:
        # A call through a bad pointer, or a function's first instruction: no frame was set up, and the return address
        # lies on top. Inside code whose bytes were saved, its first instruction tells.
        if len(self.frames) != 1 or self.called:
            return False
        if self.names.owner(self.now.eip) is not None and self._code(self.now.eip, 1) != b"\x55":
            return False
        try:
            returns_to = self.memory.u32(self.now.esp)
        except Unreadable:
            return False
        if not self._is_return(returns_to):
            return False
        self._go(replace(self.now, eip=returns_to, esp=self.now.esp + 4), Trust.FRAME_POINTER)
        return True

    def _scan(self, why: str) -> bool:
        for slot, value in self._words():
            if self._is_return(value):
                # A function with a frame pushed its caller's frame pointer right below.
                below = self.memory.u32(slot - 4) if slot - 4 >= self.now.esp else 0
                self._go(X86Registers(value, slot + 4, below), Trust.SCAN, why=why)
                return True
        return False

    def _words(self) -> Iterator[tuple[int, int]]:
        at, end = self.now.esp + 3 & ~3, min(self.now.esp + _SCAN_BYTES, self.high)
        while at < end:
            length = min(_PAGE - at % _PAGE, end - at) & ~3
            data = self.memory.read_available(at, length) if length else b""
            for offset, word in enumerate(self.memory.words(data)):
                yield at + 4 * offset, word
            at += length or 4

    def _code(self, address: int, size: int) -> bytes:
        """Bytes of code, as many as there are: from memory, else from the file of the image."""
        module = self.names.module_at(address)
        return b"" if module is None else self.images.of(module).read_available(address - module.base, size)

    def _is_return(self, address: int) -> bool:
        module = self.names.module_at(address - 1) if address else None
        if module is None:
            return False
        return judge(address, module, self.images.of(module), self.names.function) is not Evidence.NONE

    def _go(self, registers: X86Registers, trust: Trust, above: int = 0, why: str = PUSHED_OVER) -> None:
        self.trust = min(self.trust, trust)
        if self.trust is Trust.SCAN and self.scanned_from is None:
            self.scanned_from, self.why = len(self.frames), why
        self.now, self.called, self.above = registers, True, above
        self._add(registers, self.trust)

    def _add(self, registers: X86Registers, trust: Trust) -> None:
        owner = self.names.owner(registers.eip)
        name = None if owner is None else owner.name
        symbol = self.names.name(registers.eip)
        self.frames.append(Frame(VirtAddr(registers.eip), symbol, name, trust, VirtAddr(registers.esp)))
