"""Runs a program instruction by instruction and keeps its true call chain: what a call adds, and a return takes away.

The chain is kept by watching calls and returns alone; no unwind data are looked at.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from tests.unwinding.programs import BASE, Program

STACK, STACK_BYTES = 0xFFFF_9000_0000_0000, 0x80_0000
MAX_INSTRUCTIONS = 400_000
X64_NAMES = (
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
)  # fmt: skip
X64_PRESERVED = ("rbx", "rbp", "rsi", "rdi", "r12", "r13", "r14", "r15")
ARM64_NAMES = (*(f"x{number}" for number in range(31)), *(f"d{number}" for number in range(8, 16)))
ARM64_PRESERVED = (*(f"x{number}" for number in range(19, 30)), *(f"d{number}" for number in range(8, 16)))
CALL, RETURN, OTHER = "call", "return", ""


@dataclass(frozen=True, slots=True)
class Called:
    """A frame that is to be returned to: the address, the stack pointer in it, and what the callee must preserve."""

    address: int
    sp: int
    preserved: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Moment:
    """The machine before an instruction: its address, the stack pointer, every register, and who called, innermost
    first."""

    address: int
    sp: int
    registers: Mapping[str, int]
    callers: tuple[Called, ...]
    read: Callable[[int, int], bytes]


def missing() -> str | None:
    """Why nothing can be emulated here; None where it can."""
    return "not installed: unicorn" if find_spec("unicorn") is None else None


def run(program: Program, look: Callable[[Moment], None], visits: int) -> int:
    """Runs a program to its end and lets ``look`` see the first ``visits`` times of every instruction.

    Returns how many distinct instructions were executed.
    """
    return _Run(program, look, visits).run()


class _Run:
    def __init__(self, program: Program, look: Callable[[Moment], None], visits: int) -> None:
        self.program = program
        self.look = look
        self.visits = visits
        self.seen: dict[int, int] = {}
        self.kinds: dict[int, str] = {}
        self.callers: list[Called] = []
        self.failure: BaseException | None = None
        self.x64 = program.architecture == "x64"
        self.unicorn: Any = import_module("unicorn")  # its own annotations do not pass a strict check
        constants: Any = import_module("unicorn.x86_const" if self.x64 else "unicorn.arm64_const")
        prefix = "UC_X86_REG_" if self.x64 else "UC_ARM64_REG_"
        self.names = X64_NAMES if self.x64 else ARM64_NAMES
        self.preserved = X64_PRESERVED if self.x64 else ARM64_PRESERVED
        self.numbers = [
            getattr(constants, prefix + name.upper()) for name in (*self.names, "rsp" if self.x64 else "sp")
        ]
        self.sp_number = self.numbers[-1]
        self.pc_number = getattr(constants, prefix + ("RIP" if self.x64 else "PC"))
        self.argument_number = getattr(constants, prefix + ("RCX" if self.x64 else "X0"))
        self.machine = self._machine(constants)

    def _machine(self, constants: Any) -> Any:
        unicorn = self.unicorn
        if self.x64:
            machine = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
            machine.ctl_set_tlb_mode(unicorn.UC_TLB_VIRTUAL)
        else:
            machine = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
            machine.reg_write(constants.UC_ARM64_REG_CPACR_EL1, 3 << 20)  # floating point is not trapped
        size = len(self.program.data) + 0xFFF & ~0xFFF
        machine.mem_map(BASE, size)
        machine.mem_write(BASE, self.program.data)
        machine.mem_map(STACK, STACK_BYTES)
        # The first function returns to 0. A call leaves the stack at a multiple of 16, less the return address on x64.
        machine.reg_write(self.sp_number, STACK + STACK_BYTES - (0x108 if self.x64 else 0x100))
        for number, name in zip(self.numbers, self.names, strict=False):
            if number != self.sp_number:
                machine.reg_write(number, 0 if name in ("x29", "x30") else 0x1000 + number)
        machine.reg_write(self.argument_number, 5)
        machine.hook_add(unicorn.UC_HOOK_CODE, self._step)
        return machine

    def run(self) -> int:
        self.machine.emu_start(self.program.entry, self.program.stop, count=MAX_INSTRUCTIONS)
        if self.failure is not None:
            raise self.failure
        ended = self.machine.reg_read(self.pc_number)
        assert ended == self.program.stop or sum(self.seen.values()) >= MAX_INSTRUCTIONS
        return len(self.seen)

    def _step(self, machine: Any, address: int, size: int, _data: object) -> None:
        try:
            self._seen(address, size)
        except BaseException as failure:  # an emulator written in C cannot pass it on
            self.failure = failure
            machine.emu_stop()

    def _seen(self, address: int, size: int) -> None:
        kind = self.kinds.get(address)
        if kind is None:
            kind = self.kinds[address] = self._kind(address, size)
        count = self.seen[address] = self.seen.get(address, 0) + 1
        if count <= self.visits:
            values = self.machine.reg_read_batch(self.numbers)
            registers = dict(zip(self.names, values, strict=False))
            self.look(Moment(address, values[-1], registers, tuple(reversed(self.callers)), self._read))
        if kind is CALL:
            values = dict(zip((*self.names, "sp"), self.machine.reg_read_batch(self.numbers), strict=True))
            preserved = {name: values[name] for name in self.preserved}
            self.callers.append(Called(address + size, values["sp"], preserved))
        elif kind is RETURN:
            self.callers.pop()

    def _kind(self, address: int, size: int) -> str:
        code = self._read(address, size)
        if not self.x64:
            word = int.from_bytes(code, "little")
            if word >> 26 == 0x25 or word & 0xFFFF_FC1F == 0xD63F_0000:  # BL, BLR
                return CALL
            return RETURN if word & 0xFFFF_FC1F == 0xD65F_0000 else OTHER
        code = code[1:] if code[0] & 0xF0 == 0x40 else code
        if code[0] == 0xE8 or (code[0] == 0xFF and code[1] >> 3 & 7 == 2):
            return CALL
        return RETURN if code[0] in (0xC3, 0xC2) or code[:2] == b"\xf3\xc3" else OTHER

    def _read(self, address: int, size: int) -> bytes:
        return bytes(self.machine.mem_read(address, size))
