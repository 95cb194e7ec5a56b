"""The caller of 32-bit x86 code by the frame data of its PDB: where the return address lies, and what was saved.

A record holds a program in reverse Polish notation ("$T0 $ebp 4 + = $eip $T0 ^ = …") or sizes alone. Where the frame
has no frame pointer, the return address is looked for from where it must lie if the function has pushed nothing since
(".raSearch"). Source: the public description of FRAMEDATA's programs in the DIA SDK, and the FPO rules of winnt.h.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from analysis.kernel.x86_context import X86Registers
from analysis.symbols.pdb.frames import FrameKind, FrameRecord

MAX_WORDS = 256
MAX_DEPTH = 32
SEARCH_WORDS = 32
_MASK = 0xFFFF_FFFF
_SEARCH = ".raSearch"
_OPERATORS: dict[str, Callable[[int, int], int]] = {
    "+": lambda one, other: one + other,
    "-": lambda one, other: one - other,
    "*": lambda one, other: one * other,
    "/": lambda one, other: one // other,
    "%": lambda one, other: one % other,
    "@": lambda one, other: one // other * other,  # aligned down
}

Read = Callable[[int], int]


class BadProgram(Exception):
    """A program cannot be evaluated; the argument says why."""


@dataclass(frozen=True, slots=True)
class FoundCaller:
    """The caller's registers, and the slot of the return address. ``pushed`` is how many bytes above its expected place
    that was found; None where the frame pointer tells the place."""

    registers: X86Registers
    slot: int
    pushed: int | None


def uses_search(record: FrameRecord) -> bool:
    """Whether the return address is looked for, for want of a frame pointer."""
    return record.kind is FrameKind.NO_POINTER or (record.kind is FrameKind.PROGRAM and _SEARCH in record.program)


def find_caller(
    record: FrameRecord, now: X86Registers, above: int, read: Read, is_return: Callable[[int], bool]
) -> FoundCaller | None:
    """The caller of the frame that ``record`` describes; None where there is none to be believed.

    ``above`` is how many bytes of a callee's parameters lie at ``now.esp``. Raises: BadProgram, Unreadable.
    """
    pushed: int | None = None
    start = slot = now.esp + above + record.locals + record.saved & _MASK
    if uses_search(record):
        found = next((at for at in range(start, start + 4 * SEARCH_WORDS, 4) if is_return(read(at))), None)
        if found is None:
            return None
        slot, pushed = found, found - start
    if record.kind is FrameKind.PROGRAM:
        return _by_program(record, now, slot, pushed, read)
    if record.kind is FrameKind.NO_POINTER:
        registers = X86Registers(read(slot), slot + 4, 0 if record.saves_ebp else now.ebp, now.ebx)
        return FoundCaller(registers, slot, pushed)
    if record.kind is FrameKind.POINTER:
        slot = now.ebp + 4
        return FoundCaller(X86Registers(read(slot), slot + 4, read(now.ebp), now.ebx), slot, None)
    return None


def _by_program(record: FrameRecord, now: X86Registers, slot: int, pushed: int | None, read: Read) -> FoundCaller:
    known = {
        "$eip": now.eip,
        "$esp": now.esp,
        "$ebp": now.ebp,
        "$ebx": now.ebx,
        ".cbLocals": record.locals,
        ".cbParams": record.params,
        ".cbSavedRegs": record.saved,
        _SEARCH: slot,
        ".raSearchStart": slot,
    }
    after = evaluate(record.program, known, read)
    if after["$eip"] == now.eip and after["$esp"] == now.esp:
        raise BadProgram("it leaves the registers as they are")
    registers = replace(now, eip=after["$eip"], esp=after["$esp"], ebp=after["$ebp"], ebx=after["$ebx"])
    return FoundCaller(registers, registers.esp - 4, pushed)


def evaluate(program: str, known: dict[str, int], read: Read) -> dict[str, int]:
    """The variables after a program, each 32 bits; ``known`` are those before it. Raises: BadProgram, Unreadable."""
    variables = dict(known)
    stack: list[int | str] = []
    words = program.split()
    if not words or len(words) > MAX_WORDS:
        raise BadProgram(f"it has {len(words)} parts")

    def popped() -> int:
        if not stack:
            raise BadProgram("it takes what was never there")
        top = stack.pop()
        if isinstance(top, int):
            return top
        if top not in variables:
            raise BadProgram("it uses a variable that has no value")
        return variables[top]

    for word in words:
        if word in _OPERATORS:
            other, one = popped(), popped()
            if not other and word in "/%@":
                raise BadProgram("it divides by zero")
            stack.append(_OPERATORS[word](one, other) & _MASK)
        elif word == "^":
            stack.append(read(popped()))
        elif word == "=":
            value = popped()
            name = stack.pop() if stack else None
            if not isinstance(name, str) or not name.startswith("$"):
                raise BadProgram("it assigns to what is no variable")
            variables[name] = value
        elif word[0] in "$.":
            stack.append(word)
        elif word.isascii() and word.isdigit() and len(word) <= 10:
            stack.append(int(word) & _MASK)
        else:
            raise BadProgram("it has a part that is not known")
        if len(stack) > MAX_DEPTH:
            raise BadProgram("it stacks too much")
    return variables
