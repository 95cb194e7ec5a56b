"""Kernel stacks: frames laid out as the unwind data of their functions says, ends of stack, leftovers of old calls."""

import struct

from tests.forge import functions as code
from tests.forge.functions import NONVOLATILE, RBP
from tests.forge.kernel.state import Frame, Kernel, Placed, Thread
from tests.forge.layouts.private import INITIAL_STACK_BELOW_BASE, SWITCH_FRAME_SIZE
from tests.forge.pages import PAGE

STACK_PAGES = 6
OWN_PAGES = 2  # from the base down; the pages below read as zeros
SYSTEM_CALL = "KiSystemServiceCopyEnd"


class StackWriter:
    """Writes one stack from its outermost frame inwards, keeping the registers each function would find."""

    def __init__(self, kernel: Kernel, base: int) -> None:
        self.kernel = kernel
        self.machine = kernel.machine
        self.rng = kernel.rng
        self.base = base
        self.initial = base - INITIAL_STACK_BELOW_BASE
        self.registers = {register: self._value() for register in NONVOLATILE}
        self.placed: list[Placed] = []  # outermost first; .address filled when the callee is known
        self.sp = self.initial
        self._current: Frame | None = None
        self.trap_frame = 0

    def bottom_system(self) -> None:
        """The end of a system thread's stack: KiStartSystemThread and a zero behind it."""
        self.machine.u64(self.initial - 8, 0)
        self._enter(Frame(self.kernel.nt, "KiStartSystemThread"), self.initial - 0x30)

    def bottom_user(self, rip: int, rsp: int) -> None:
        """The end of a user thread's stack: the trap frame of a system call."""
        trap = self.initial - code.TRAP_SIZE
        self.write_trap(trap, rip, rsp, user=True)
        self.trap_frame = trap
        self._enter(Frame(self.kernel.nt, "KiSystemCall64"), trap - 0x70)
        self.registers[RBP] = trap + 0x80

    def bottom_idle(self) -> None:
        """The end of an idle thread's stack."""
        self.machine.u64(self.initial - 8, 0)
        self._enter(Frame(self.kernel.nt, "KiIdleLoop"), self.initial - 0x30)

    def call(self, frame: Frame) -> None:
        """The current function calls another one."""
        function = frame.image.function(frame.function)
        sp = self.sp - 8
        self._push_return(sp, frame)
        self._save(function, sp)
        shape = function.shape
        self._enter(frame, sp - shape.below_return)
        saved = {*shape.pushes, *shape.homes}
        for register in saved:
            self.registers[register] = self._value()
        if shape.frame_offset is not None:
            self.registers[RBP] = self.sp + shape.frame_offset
        self.registers.update({reg: value for reg, value in frame.registers.items() if reg in saved})
        self._locals(frame, 0 if function.special else shape.allocated)

    def fault(self, frame: Frame, offset: int = 0x40) -> int:
        """An exception inside the current function: KiPageFault with its trap frame. Returns the trap frame."""
        assert self._current is not None
        current = self._current
        rip = current.image.base + current.image.function(current.function).rva + offset
        trap = (self.sp & ~0xF) - code.TRAP_SIZE
        self.write_trap(trap, rip, self.sp, user=False)
        self.placed[-1].address = rip
        self._enter(frame, trap)
        self.registers[RBP] = trap + 0x80
        self.trap_frame = trap
        return trap

    def enter_leaf(self, frame: Frame) -> None:
        """The current function calls another, of which no instruction has run yet: RSP is at the return address."""
        self._push_return(self.sp - 8, frame)
        function = frame.image.function(frame.function)
        self._enter(frame, self.sp - 8)
        self.placed[-1].address = frame.image.base + function.rva

    def switch_out(self, thread: Thread) -> None:
        """The thread gives up its processor: KSWITCH_FRAME on top."""
        self.call(Frame(self.kernel.nt, "KiSwapContext"))
        self.sp -= SWITCH_FRAME_SIZE
        returns = self.kernel.nt.return_address("KiSwapContext", None)
        self.machine.write(self.sp + 0x28, struct.pack("<QQQ", 0, self.registers[RBP], returns))
        self.placed[-1].address = returns
        thread.kernel_stack = self.sp
        self._stale_below()

    def write_trap(self, trap: int, rip: int, rsp: int, *, user: bool) -> None:
        """A KTRAP_FRAME."""
        machine = self.machine
        machine.put(
            "_KTRAP_FRAME",
            trap,
            PreviousMode=int(user),
            Rax=self.rng.getrandbits(32),
            Rcx=rip,
            TrapFrame=0,
            Rbx=self.registers[code.RBX],
            Rdi=self.registers[code.RDI],
            Rsi=self.registers[code.RSI],
            Rbp=self.registers[RBP],
            ErrorCode=0,
            Rip=rip,
            SegCs=0x33 if user else 0x10,
            EFlags=0x10246,
            Rsp=rsp,
            SegSs=0x2B if user else 0x18,
        )

    def finish(self, thread: Thread) -> None:
        """Hand the frames to the thread, innermost first."""
        thread.frames = list(reversed(self.placed))
        thread.initial_stack, thread.stack_base = self.initial, self.base

    def _enter(self, frame: Frame, sp: int) -> None:
        if sp < self.base - OWN_PAGES * PAGE:
            raise MemoryError(f"{frame.function} does not fit on the stack")
        self._current, self.sp = frame, sp
        self.placed.append(Placed(frame.image.name, frame.function, 0, sp))

    def _push_return(self, at: int, callee: Frame) -> None:
        assert self._current is not None
        current = self._current
        address = current.image.return_address(current.function, (callee.image, callee.function))
        self.machine.u64(at, address)
        self.placed[-1].address = address

    def _save(self, function: code.Function, at: int) -> None:
        """Registers go where the prologue puts them; ``at`` is where the return address lies."""
        if function.special == "swap":
            body = at - code.SWAP_ALLOCATED
            for register, offset in code.SWAP_SAVES:
                self.machine.u64(body + offset, self.registers[register])
            return
        for index, register in enumerate(function.shape.homes):
            self.machine.u64(at + 8 + 8 * index, self.registers[register])
        for index, register in enumerate(function.shape.pushes):
            self.machine.u64(at - 8 - 8 * index, self.registers[register])

    def _locals(self, frame: Frame, allocated: int) -> None:
        for offset in range(0x20, allocated, 8):
            draw = self.rng.random()
            if draw < 0.12:
                self.machine.u64(self.sp + offset, self._stale_return())
            elif draw < 0.5:
                self.machine.u64(self.sp + offset, self._value())
        for offset, value in frame.values.items():
            self.machine.u64(self.sp + offset, value)

    def _stale_below(self) -> None:
        """What earlier, deeper calls left under the stack pointer."""
        limit = self.base - OWN_PAGES * PAGE
        for address in range(max(limit, self.sp - 0x200), self.sp - 0x20, 8):
            if self.rng.random() < 0.15:
                self.machine.u64(address, self._stale_return())

    def _stale_return(self) -> int:
        # Most leftovers are Windows' own: waits and allocations that every call makes on its way.
        image = self.kernel.nt if self.rng.random() < 0.7 else self.rng.choice(self.kernel.images)
        function = image.functions[self.rng.choice(list(image.functions))]
        site = next(iter(function.sites), None)
        return (
            image.return_address(function.name, None)
            if site is None
            else (image.base + function.rva + function.return_offset(site))
        )

    def _value(self) -> int:
        draw = self.rng.random()
        if draw < 0.4:
            return self.rng.randrange(0, 0x1000)
        if draw < 0.7:
            return self.machine.region("pool").base + self.rng.randrange(0, 0x100000, 16)
        return self.base - self.rng.randrange(0x400, 0x2000, 8)


def new_stack(kernel: Kernel, *, resident: bool = True) -> int:
    """A kernel stack's base (its upper end): the two pages used are of its own, those below read as zeros."""
    machine = kernel.machine
    low = machine.reserve("stacks", (STACK_PAGES + 1) * PAGE) + PAGE  # a guard page, then the stack
    for number in range(STACK_PAGES):
        address = low + number * PAGE
        if number >= STACK_PAGES - OWN_PAGES:
            machine.tables.map(address, machine.loose_frame())
        elif number:
            machine.tables.map(address, machine.zero_frame)
    return low + STACK_PAGES * PAGE


def page_out_stack(kernel: Kernel, base: int) -> None:
    """Take a written stack out of memory; its frames leave the dump with it."""
    for number in range(1, STACK_PAGES + 1):
        address = base - number * PAGE
        found = kernel.machine.tables.translate(address)
        if found is not None and found // PAGE != kernel.machine.zero_frame:
            kernel.machine.memory.frames.pop(found // PAGE, None)
        kernel.machine.tables.map_paged_out(address, 0x40000 + (address >> 12 & 0xFFFF))
