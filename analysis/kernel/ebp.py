"""Stacks of 32-bit x86 code: by saved frame pointers, and by scanning where their chain breaks.

A function with a frame begins with ``push ebp; mov ebp, esp``: the caller's frame pointer lies at [ebp] and the return
address at [ebp+4]. Code compiled without frame pointers breaks the chain; its unwind data are in PDBs alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from analysis.address import VirtAddr
from analysis.errors import Unreadable
from analysis.kernel.facts import Frame, Stack
from analysis.kernel.images import Images
from analysis.kernel.scan import Evidence, judge
from analysis.kernel.symbolize import Symbolizer
from analysis.limits import MAX_STACK_BYTES, MAX_STACK_FRAMES
from analysis.memory.reader import Memory
from analysis.trust import Trust

CONTEXT_X86_SIZE = 0x2CC
_FLAGS_X86 = 0x1_0000
_EBP, _EIP, _ESP = 0xB4, 0xB8, 0xC4
# KTRAP_FRAME, the same in every 32-bit Windows. It begins with a copy of Ebp and Eip, so that a walk by frame pointers
# comes through it.
_TRAP_EBP, _TRAP_EIP, _TRAP_CS, _TRAP_ESP = 0x60, 0x68, 0x6C, 0x74
_KERNEL_CS = 8
# From a broken chain on, this much of the stack is looked through for each next frame.
_SCAN_BYTES = 0x2000
_PAGE = 0x1000


@dataclass(frozen=True, slots=True)
class X86Registers:
    """The three registers that a walk needs."""

    eip: int
    esp: int
    ebp: int


def x86_registers(context: bytes) -> X86Registers | None:
    """The registers of a 32-bit CONTEXT; None where the bytes are not one."""
    if len(context) < 0xCC or not int.from_bytes(context[:4], "little") & _FLAGS_X86:
        return None
    ebp, eip, esp = (int.from_bytes(context[at : at + 4], "little") for at in (_EBP, _EIP, _ESP))
    return X86Registers(eip, esp, ebp) if esp and esp % 4 == 0 else None


def x86_trap(memory: Memory, address: int) -> X86Registers | None:
    """What a 32-bit KTRAP_FRAME interrupted in kernel mode; None where there is none. A trap in kernel mode saves no
    stack pointer: the interrupted stack goes on where the frame ends."""
    try:
        ebp, eip, segment = (memory.u32(address + at) for at in (_TRAP_EBP, _TRAP_EIP, _TRAP_CS))
    except Unreadable:
        return None
    return X86Registers(eip, address + _TRAP_ESP, ebp) if segment & 0xFFFF == _KERNEL_CS and address % 4 == 0 else None


def x86_stack(memory: Memory, names: Symbolizer, registers: X86Registers, high: int | None = None) -> Stack:
    """The frames from a 32-bit register set; ``high`` is the end of its stack, where known."""
    end = min(high or 1 << 32, registers.esp + MAX_STACK_BYTES, 1 << 32)
    return _Walk(memory, names, registers, end).run()


@dataclass(slots=True)
class _Walk:
    """One walk: ``sp`` is the lowest slot above the frames found, ``pointer`` the frame pointer to follow next."""

    memory: Memory
    names: Symbolizer
    registers: X86Registers
    high: int
    frames: list[Frame] = field(default_factory=list)
    sp: int = 0
    pointer: int = 0
    trust: Trust = Trust.FRAME_POINTER
    scanned_from: int | None = None
    why: str = ""
    images: Images = field(init=False)

    def __post_init__(self) -> None:
        self.images = Images(self.memory)
        self.sp, self.pointer = self.registers.esp, self.registers.ebp

    def run(self) -> Stack:
        self._add(self.registers.eip, self.sp, Trust.CONTEXT)
        self._caller_of_nothing()
        end = self._climb()
        if self.scanned_from is not None:
            end += f"; from frame {self.scanned_from} on found by scanning, because {self.why}"
        return Stack(tuple(self.frames), end)

    def _climb(self) -> str:
        while len(self.frames) < MAX_STACK_FRAMES:
            try:
                done = self._follow()
            except Unreadable as gap:
                done, why = None, f"the stack cannot be read at {gap.address:#x}: {gap.absence.value}"
            else:
                why = f"the frame pointer {self.pointer:#x} leads to no return address"
            if done == "":
                continue
            if done is not None:
                return done
            if not self._scan(why):
                return f"no further return address, and {why}"
        return f"the limit of {MAX_STACK_FRAMES} frames"

    def _follow(self) -> str | None:
        """One frame up by its frame pointer: empty where it went well, why the stack ends, None where it breaks."""
        if not self.sp <= self.pointer <= self.high - 8 or self.pointer % 4:
            return None
        above, returns_to = (self.memory.u32(self.pointer + at) for at in (0, 4))
        if returns_to == 0:
            return "the bottom of the stack: the next return address is 0"
        trapped = x86_trap(self.memory, self.pointer)
        if trapped is not None and trapped.eip == returns_to and self.names.owner(returns_to) is not None:
            self._add(returns_to, trapped.esp, self.trust)
        elif self._is_return(returns_to):
            self._add(returns_to, self.pointer + 8, self.trust)
        else:
            return None
        self.pointer = above
        return "the bottom of the stack: the last frame pointer is 0" if above == 0 else ""

    def _caller_of_nothing(self) -> None:
        # A call through a bad pointer, or a function's first instruction: no frame was set up, and the return address
        # lies on top. Inside code whose bytes were saved, its first instruction tells.
        if self.names.owner(self.registers.eip) is not None:
            try:
                start = self.memory.read(self.registers.eip, 1) == b"\x55"
            except Unreadable:
                return
            if not start:
                return
        try:
            returns_to = self.memory.u32(self.sp)
        except Unreadable:
            return
        if self._is_return(returns_to):
            self._add(returns_to, self.sp + 4, Trust.FRAME_POINTER)

    def _scan(self, why: str) -> bool:
        for slot, value in self._words():
            if self._is_return(value):
                if self.scanned_from is None:
                    self.scanned_from, self.why = len(self.frames), why
                self.trust = Trust.SCAN
                # A function with a frame pushed its caller's frame pointer right below.
                below = self.memory.u32(slot - 4) if slot - 4 >= self.sp else 0
                self._add(value, slot + 4, Trust.SCAN)
                self.pointer = below
                return True
        return False

    def _words(self) -> Iterator[tuple[int, int]]:
        at, end = self.sp + 3 & ~3, min(self.sp + _SCAN_BYTES, self.high)
        while at < end:
            length = min(_PAGE - at % _PAGE, end - at) & ~3
            data = self.memory.read_available(at, length) if length else b""
            for offset in range(0, len(data) - 3, 4):
                yield at + offset, int.from_bytes(data[offset : offset + 4], "little")
            at += length or 4

    def _is_return(self, address: int) -> bool:
        module = self.names.module_at(address - 1) if address else None
        if module is None:
            return False
        return judge(address, module, self.images.of(module), self.names.function) is not Evidence.NONE

    def _add(self, address: int, sp: int, trust: Trust) -> None:
        owner = self.names.owner(address)
        name = None if owner is None else owner.name
        self.frames.append(Frame(VirtAddr(address), self.names.name(address), name, trust, VirtAddr(sp)))
        self.sp = sp
