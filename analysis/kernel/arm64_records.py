"""ARM64 unwind data of a function: full .xdata records and packed .pdata rows, as prologue and epilogues.

Layout: Microsoft's public "ARM64 exception handling" page. What they do to registers is in ``unwind_arm64``.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from analysis.kernel.arm64_codes import D8, FP, LR, X19, Op, Step, read_codes
from analysis.kernel.unwind_codes import BadUnwind

ReadRva = Callable[[int, int], bytes]
PACKED_FRAGMENT = 2  # a part of a function whose prologue lies elsewhere
_LENGTH_MASK = 0x3FFFF  # instructions
_HEADER_EPILOG = 1 << 21


@dataclass(frozen=True, slots=True)
class Epilog:
    """An epilogue: its first instruction, counted from the function's start, and its codes, without the return."""

    start: int
    steps: tuple[Step, ...]

    @property
    def end(self) -> int:
        """The instruction behind its return."""
        return self.start + 1 + sum(step.instructions for step in self.steps)


@dataclass(frozen=True, slots=True)
class Arm64Unwind:
    """Unwind data of one function: its length in instructions, what undoes its frame, and its epilogues. ``prolog`` is
    how many instructions the prologue has; the steps of a fragment hold those of its function behind its own."""

    length: int
    steps: tuple[Step, ...]
    prolog: int
    epilogs: tuple[Epilog, ...]


def function_length(read: ReadRva, unwind: int) -> int:
    """The bytes of the function whose .pdata row holds ``unwind``. Raises: as ``read`` does."""
    if unwind & 3:
        return (unwind >> 2 & 0x7FF) * 4
    (header,) = struct.unpack("<I", read(unwind, 4))
    return int(header & _LENGTH_MASK) * 4


def read_arm64_unwind(read: ReadRva, unwind: int) -> Arm64Unwind:
    """The unwind data of the .pdata row whose second word is ``unwind``; ``read(rva, size)`` gives bytes of the image.

    Raises:
        BadUnwind: they contradict themselves, or are of a version or with a code not known here.
        Unreadable: as ``read`` does.
    """
    form = unwind & 3
    if form == 3:
        raise BadUnwind("packed unwind data of a form not known")
    return _packed(unwind, fragment=form == PACKED_FRAGMENT) if form else _full(read, unwind)


# Full records


def _full(read: ReadRva, rva: int) -> Arm64Unwind:
    (header,) = struct.unpack("<I", read(rva, 4))
    version = header >> 18 & 3
    if version:
        raise BadUnwind(f"unwind information of version {version} at RVA {rva:#x}")
    count, words, at = header >> 22 & 0x1F, header >> 27, rva + 4
    if not count and not words:
        (extension,) = struct.unpack("<I", read(at, 4))
        count, words, at = extension & 0xFFFF, extension >> 16 & 0xFF, at + 4
    in_header = bool(header & _HEADER_EPILOG)
    scopes = () if in_header else struct.unpack(f"<{count}I", read(at, count * 4))
    codes = read(at + 4 * len(scopes), words * 4)
    length = header & _LENGTH_MASK
    steps = read_codes(codes, 0)
    return Arm64Unwind(length, steps, _own_instructions(steps), _epilogs(codes, length, scopes, count, in_header))


def _epilogs(codes: bytes, length: int, scopes: Sequence[int], index: int, in_header: bool) -> tuple[Epilog, ...]:
    if in_header:  # the only one; it ends the function, and ``index`` is its first code
        last = Epilog(0, read_codes(codes, index))
        return (replace(last, start=length - last.end),)
    known: dict[int, tuple[Step, ...]] = {}
    for scope in scopes:
        first = scope >> 22
        if first not in known:
            known[first] = read_codes(codes, first)
    return tuple(Epilog(scope & _LENGTH_MASK, known[scope >> 22]) for scope in scopes)


def _own_instructions(steps: Sequence[Step]) -> int:
    own = 0
    for step in steps:
        if step.op is Op.END_C:
            break
        own += step.instructions
    return own


# Packed rows


def _packed(word: int, *, fragment: bool) -> Arm64Unwind:
    """The canonical prologue that a packed row stands for; the epilogue is its mirror image at the function's end."""
    length, floats, integers = word >> 2 & 0x7FF, word >> 13 & 7, word >> 16 & 15
    homes, chained, frame = word >> 20 & 1, word >> 21 & 3, (word >> 23) * 16
    if integers > 10:
        raise BadUnwind(f"packed unwind data with {integers} saved registers")
    saved, area = _saved(integers, floats, saves_lr=chained == 1, homes=bool(homes))
    if area > frame:
        raise BadUnwind("packed unwind data whose saved registers are larger than their frame")
    first = [Step(Op.SIGN_LR)] if chained == 2 else []
    # Parameters are homed among the saved registers where there are any, else among the locals, after the prologue.
    homing = [Step(Op.NOP)] * 4 if homes and saved else []
    locals_ = _chain(frame - area) if chained >= 2 else _allocations(frame - area)
    prolog = [*first, *saved, *homing, *locals_]
    if fragment:
        return Arm64Unwind(length, tuple(reversed(prolog)), 0, ())
    undone = tuple(step for step in reversed([*first, *saved, *locals_]) if step.op is not Op.SET_FP)
    last = Epilog(0, undone)
    if last.end > length:
        raise BadUnwind("packed unwind data whose epilogue is longer than the function")
    epilogs = (replace(last, start=length - last.end),)
    return Arm64Unwind(length, tuple(reversed(prolog)), len(prolog), epilogs)


def _saved(integers: int, floats: int, *, saves_lr: bool, homes: bool) -> tuple[list[Step], int]:
    """The steps that save registers, the first one lowering the stack pointer, and the bytes that they take."""
    numbers = list(range(X19, X19 + integers)) + ([LR] if saves_lr else [])
    doubles = list(range(D8, D8 + floats + 1)) if floats else []
    if not numbers and not doubles:
        return [], 0
    area = (len(numbers) + len(doubles)) * 8 + 64 * homes + 15 & ~15
    pairs = [numbers[at : at + 2] for at in range(0, len(numbers), 2)]
    if saves_lr and integers and not integers % 2:
        pairs = [*(numbers[at : at + 2] for at in range(0, integers, 2)), [LR]]
    pairs += [doubles[at : at + 2] for at in range(0, len(doubles), 2)]
    steps, offset = [], 0
    if pairs[0] == [X19, LR]:  # no instruction stores this pair and lowers the stack pointer
        steps.append(Step(Op.ALLOC, area))
    for pair in pairs:
        steps.append(Step(Op.SAVE, 0 if steps else area, tuple(pair), offset))
        offset += 8 * len(pair)
    return steps, area


def _chain(size: int) -> list[Step]:
    pair = (FP, LR)
    if size <= 0:
        raise BadUnwind("packed unwind data without room for the frame pointer")
    if size <= 512:
        return [Step(Op.SAVE, size, pair), Step(Op.SET_FP)]
    return [*_allocations(size), Step(Op.SAVE, registers=pair), Step(Op.SET_FP)]


def _allocations(size: int) -> list[Step]:
    # One instruction takes up to 4095 bytes; the stack pointer stays a multiple of 16.
    if not size:
        return []
    return [Step(Op.ALLOC, size)] if size <= 4080 else [Step(Op.ALLOC, 4080), Step(Op.ALLOC, size - 4080)]
