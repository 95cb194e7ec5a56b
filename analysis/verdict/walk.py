"""The walk: from the frames of one stack to the module to blame for what that stack shows.

After the owner rule published for WinDbg ("Specifying Module and Function Owners"), with our own table of strengths.
Pure functions over frames.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from analysis.address import KERNEL_START_57
from analysis.bugchecks.explained import Stop
from analysis.kernel.facts import Frame
from analysis.trust import Trust
from analysis.verdict.functions import is_pass_through, is_plumbing, is_wait_function, is_waiting, split_symbol
from analysis.verdict.modules import USER_MODE, Strength, is_framework, is_kernel_name, stem, strength

Weigh = Callable[[str], Strength]  # how willingly a module is blamed


@dataclass(frozen=True, slots=True)
class Candidate:
    """A module that may be blamed, with the frame that put it there where a stack did."""

    module: str
    function: str | None
    strength: Strength
    trust: Trust
    frame: Frame | None = None


@dataclass(frozen=True, slots=True)
class Walk:
    """The outcome of walking one stack. ``outside`` is the first kernel address that lay in no module."""

    chosen: Candidate | None
    candidates: tuple[Candidate, ...] = ()
    outside: int | None = None


def walk_stack(frames: Sequence[Frame], stop: Stop, weigh: Weigh = strength) -> Walk:
    """The module to blame from one stack alone, innermost frame first.

    The strongest module wins, then the innermost. In a hang a framework gives way to a client of equal strength,
    because the framework waits on the client's behalf. Only faults fall back on nt itself, on the first frame that
    is not plumbing. ``weigh`` says how willingly a module is blamed; by default our own table does.
    Rule published for WinDbg: "Specifying Module and Function Owners".
    """
    kernel = _kernel_part(frames)
    if stop is Stop.HANG:
        kernel = _without_leftovers(kernel)
    candidates = tuple(_candidates(kernel, weigh))
    best = _best(candidates, clients_first=stop in (Stop.HANG, Stop.REQUEST))
    if best is None and stop is Stop.FAULT:
        best = _kernel_itself(kernel)
    return Walk(best, candidates, _outside(kernel))


def _kernel_part(frames: Sequence[Frame]) -> tuple[Frame, ...]:
    # A stack that crosses into user mode goes on in the program that made the system call: never a culprit.
    for index, frame in enumerate(frames):
        named_user = frame.module is not None and stem(frame.module) in USER_MODE
        if named_user or (frame.address and _is_program(frame.address) and _is_after_entry(frames[:index])):
            return tuple(frames[:index])
    return tuple(frames)


def _without_leftovers(frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
    # A waiting thread is inside one of nt's wait functions: a scanned frame nearer to the top than that cannot be real.
    waiting = next((at for at, frame in enumerate(frames) if is_wait_function(frame.symbol)), 0)
    return tuple(frame for at, frame in enumerate(frames) if at >= waiting or frame.trust > Trust.SCAN)


def _is_program(address: int) -> bool:
    # From 2 to 4 GiB lie the kernel of 32-bit Windows and, rarely, a program on 64-bit Windows: not told apart here.
    return address < KERNEL_START_57 and not 0x8000_0000 <= address < 0x1_0000_0000


def _is_after_entry(above: Sequence[Frame]) -> bool:
    # A wild jump leaves an address of the lower half as innermost frame: that is no way back to user mode.
    return any(frame.module and is_kernel_name(frame.module) and not is_plumbing(frame.symbol) for frame in above)


def _candidates(frames: Sequence[Frame], weigh: Weigh) -> list[Candidate]:
    found: list[Candidate] = []
    for frame in frames:
        if frame.module is None or is_pass_through(frame.symbol):
            continue
        how_strong = weigh(frame.module)
        if how_strong is not Strength.NEVER:
            found.append(Candidate(frame.module, frame.symbol, how_strong, frame.trust, frame))
    return found


def _best(candidates: Sequence[Candidate], *, clients_first: bool) -> Candidate | None:
    def rank(one: Candidate) -> tuple[int, bool]:
        return one.strength, not (clients_first and is_framework(one.module))

    # max keeps the first, innermost one among equals.
    best = max(candidates, key=rank, default=None)
    if best is None or best.trust > Trust.SCAN:
        return best
    # Leftovers of earlier calls lie about on a scanned stack one by one; code that runs leaves a frame for each of its
    # functions. So a module with several frames goes first, and in a hang even before a stronger one with a single one.
    peers = [one for one in candidates if rank(one) == rank(best)]
    if clients_first:
        peers = [one for one in candidates if one.strength >= Strength.NAMED and not is_framework(one.module)] or peers

    def likely(one: Candidate) -> tuple[bool, int, int]:
        count = frame_count(candidates, one.module)
        return count > 1, one.strength, count

    return max(peers, key=likely)


def in_cycle(walks: Iterable[Walk]) -> tuple[Frame, ...]:
    """The chosen frames of a deadlock's threads, in an order that does not depend on which thread comes first."""
    frames = (walk.chosen.frame for walk in walks if walk.chosen and walk.chosen.frame)
    return tuple(sorted(frames, key=lambda frame: frame.symbol))


def frame_count(candidates: Sequence[Candidate], module: str) -> int:
    """How many different frames of a stack lie in a module."""
    return len({one.function for one in candidates if one.module == module})


def called_kernel(frames: Sequence[Frame]) -> tuple[Frame, ...]:
    """nt's frames between the stop and the first other module: what that module had called."""
    found: list[Frame] = []
    for frame in frames:
        if frame.module is None or not is_kernel_name(frame.module):
            break
        if not is_plumbing(frame.symbol):
            found.append(frame)
    return tuple(found)


def _kernel_itself(frames: Sequence[Frame]) -> Candidate | None:
    for frame in frames:
        if frame.module is None or not is_kernel_name(frame.module) or is_plumbing(frame.symbol):
            continue
        if split_symbol(frame.symbol).function is None or is_waiting(frame.symbol):
            continue
        return Candidate("ntoskrnl.exe", frame.symbol, Strength.NEVER, frame.trust, frame)
    return None


def _outside(frames: Sequence[Frame]) -> int | None:
    return next((int(frame.address) for frame in frames if frame.module is None and frame.address), None)
