"""What a fuzz target is: a parser, seeds for it, what may come out of it, and which modules it is to reach."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from analysis.errors import AnalysisError

MAX_INPUT = 1 << 16  # bytes; what is larger only costs time


@dataclass(frozen=True, slots=True)
class Fault:
    """One bounds check to be taken out of a copy of the code: ``old`` stands once in ``file`` and becomes ``new``."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Target:
    """``check(data, scratch)`` gives input to a parser; ``scratch`` is a file that it may write.

    It raises ``allowed`` where the parser refuses, AssertionError where an answer contradicts the input; anything
    else is a finding, too. ``modules`` are those whose coverage counts. ``hot`` are ranges of bytes in which fields
    stand that decide something, ``words`` what may stand in a text in place of another word; ``fault`` is a bounds
    check without which the harness must find something.
    """

    name: str
    check: Callable[[bytes, Path], None]
    seeds: Callable[[], Iterable[bytes]]
    modules: tuple[str, ...]
    fault: Fault
    allowed: tuple[type[Exception], ...] = (AnalysisError,)
    hot: tuple[tuple[int, int], ...] = ()
    words: tuple[bytes, ...] = ()


def runs(target: Target, data: bytes, scratch: Path) -> None:
    """Give one input to a target. Raises: whatever is not allowed to come out of it."""
    with suppress(*target.allowed):
        target.check(data, scratch)
