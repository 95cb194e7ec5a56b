"""Walks a stack at every instruction of a program and holds each frame against the truth."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from analysis.address import PAGE_SIZE, VirtAddr
from analysis.errors import Absence, Unreadable
from analysis.kernel.context import Arm64Registers, Registers
from analysis.kernel.facts import Module, Stack
from analysis.kernel.stacks import Walker
from analysis.memory.reader import Memory
from analysis.trust import Trust
from tests.kernel.invented import Names
from tests.unwinding import emulation
from tests.unwinding.emulation import STACK, STACK_BYTES, Moment
from tests.unwinding.programs import BASE, Program

MAX_KEPT = 20


@dataclass
class Result:
    """Frames by trust: right, wrong; and the true frames in all, found or not. ``wrong`` keeps a few in words."""

    right: Counter[Trust] = field(default_factory=Counter)
    wrong: Counter[Trust] = field(default_factory=Counter)
    registers: int = 0
    total: int = 0
    moments: int = 0
    instructions: int = 0
    complaints: list[str] = field(default_factory=list)

    def add(self, other: "Result") -> None:
        """Adds another program's."""
        self.right.update(other.right)
        self.wrong.update(other.wrong)
        self.registers += other.registers
        self.total += other.total
        self.moments += other.moments
        self.instructions += other.instructions
        self.complaints += other.complaints[: MAX_KEPT - len(self.complaints)]

    @property
    def found(self) -> int:
        """The right frames of every trust."""
        return sum(self.right.values())


class Running(Memory):
    """The memory of the moment: the image as it was loaded, and the emulator's stack. ``lost`` are page numbers of
    the image, counted from its base, that were not saved."""

    def __init__(self, program: Program, lost: Collection[int] = ()) -> None:
        self._image = program.data
        self._lost = frozenset(lost)
        self.moment: Moment | None = None

    def read(self, address: int, size: int) -> bytes:
        """Exactly ``size`` bytes. Raises: Unreadable."""
        rva = address - BASE
        if rva >= 0 and rva + size <= len(self._image):
            for page in range(rva // PAGE_SIZE, (rva + max(size, 1) - 1) // PAGE_SIZE + 1):
                if page in self._lost:
                    raise Unreadable(max(address, BASE + page * PAGE_SIZE), Absence.NOT_SAVED)
            return self._image[rva : rva + size]
        if self.moment is None or not STACK <= address <= address + size <= STACK + STACK_BYTES:
            raise Unreadable(address, Absence.NOT_MAPPED)
        return self.moment.read(address, size)


class NoNames(Names):
    """A kernel without names: frames are told by their addresses."""

    exact = False
    names = None


def judged(program: Program, visits: int = 1, lost: Collection[int] = ()) -> Result:
    """Runs a program and walks its stack at the first ``visits`` times of every instruction."""
    memory = Running(program, lost)
    walker = Walker(memory, NoNames(), [Module("program.sys", VirtAddr(BASE), len(program.data))])
    result = Result()

    def look(moment: Moment) -> None:
        memory.moment = moment
        result.moments += 1
        _judge(result, moment, _walk(walker, moment, program.architecture))

    result.instructions = emulation.run(program, look, visits)
    return result


def _walk(walker: Walker, moment: Moment, architecture: str) -> Stack:
    if architecture == "arm64":
        numbers = [*range(31), *range(40, 48)]  # D8 is the register of number 40
        known = dict(zip(numbers, (moment.registers[name] for name in emulation.ARM64_NAMES), strict=True))
        return walker.arm64_stack(Arm64Registers(moment.address, moment.sp, known), high=STACK + STACK_BYTES)
    known = {number: moment.registers[name] for number, name in enumerate(emulation.X64_NAMES) if name != "rsp"}
    return walker.bounded_stack(Registers(moment.address, moment.sp, known), moment.sp & ~0xFFF, STACK + STACK_BYTES)


def _judge(result: Result, moment: Moment, stack: Stack) -> None:
    true = [(moment.address, moment.sp), *((called.address, called.sp) for called in moment.callers)]
    result.total += len(true)
    places = set(true)
    wrong = len(stack.frames) == 0
    addresses = {address for address, _ in true}
    for index, frame in enumerate(stack.frames):
        if frame.trust >= Trust.UNWIND:
            right = true[index : index + 1] == [(frame.address, frame.sp)]
            right = right and (index == 0 or _preserved(result, moment, stack, index))
            wrong |= not right
        elif frame.trust is Trust.FRAME_POINTER:  # where the frame ends, a frame record does not tell
            right = frame.address in addresses
        else:
            right = (frame.address, frame.sp) in places
        (result.right if right else result.wrong)[frame.trust] += 1
    if wrong and len(result.complaints) < MAX_KEPT:
        found = ", ".join(f"{frame.address:#x}/{frame.sp or 0:#x} {frame.trust.label}" for frame in stack.frames)
        expected = ", ".join(f"{address:#x}/{sp:#x}" for address, sp in true)
        result.complaints.append(f"at {moment.address:#x}: {found} ({stack.end}); expected {expected}")


def _preserved(result: Result, moment: Moment, stack: Stack, index: int) -> bool:
    expected, found = moment.callers[index - 1].preserved, stack.registers[index]
    result.registers += len(found)
    return all(expected[name] == value for name, value in found.items())
