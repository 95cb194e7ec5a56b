"""Our own name for a failure: what two crashes of one bug have in common on any build, address and machine.

A signature is made of the code and its subcase, the culprit, the culprit's function, the lock and the device's service.
What a dump could not tell is left out of the text. So two signatures name the same failure when they agree in code and
culprit and contradict each other nowhere: a driver without symbols fits each of its bugs, two named functions never
fit each other. Measured with ``python -m tests.corpus``: more frames than the culprit's own split one bug into many,
because compilers inline, stacks are cut short and scanned ones hold strangers.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from analysis.kernel.facts import Frame
from analysis.trust import Trust
from analysis.verdict.functions import is_pass_through, split_symbol
from analysis.verdict.modules import Strength, is_kernel_name, stem, strength

FORM = 2  # of the text; a new one has history name its reports anew
LONGEST = 255
NOBODY = "nobody"
MAX_FRAMES = 3  # where no culprit has a frame of its own
_LOCK, _SERVICE = " lock=", " service="


@dataclass(frozen=True, slots=True)
class Signature:
    """The parts. ``failure`` is code and subcase ("0x9f:4"), ``frames`` are "module!function" or "module" alone."""

    failure: str
    culprit: str
    frames: tuple[str, ...] = ()
    lock: str | None = None
    service: str | None = None

    def __str__(self) -> str:
        lock = f"{_LOCK}{self.lock}" if self.lock else ""
        service = f"{_SERVICE}{self.service}" if self.service else ""
        frames = f" {'|'.join(self.frames)}" if self.frames else ""
        return f"{self.failure} {self.culprit}{frames}{lock}{service}"[:LONGEST]

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The parts of a text that ``str`` made; None for the name of another kind of failure."""
        rest, _, service = text.partition(_SERVICE)
        rest, _, lock = rest.partition(_LOCK)
        words = rest.split(" ")
        if len(words) not in (2, 3) or not words[0].startswith("0x"):
            return None
        frames = tuple(words[2].split("|")) if len(words) == 3 else ()
        return cls(words[0], words[1], frames, lock or None, service or None)

    def less_known(self) -> tuple[str, ...]:
        """Every text that this failure has when less can be told of it: without functions, lock or service."""
        frames = dict.fromkeys((self.frames, *(() if self.culprit == NOBODY else (_modules(self.frames), ()))))
        locks, services = dict.fromkeys((self.lock, None)), dict.fromkeys((self.service, None))
        texts = [
            str(replace(self, frames=some, lock=lock, service=service))
            for some, lock, service in itertools.product(frames, locks, services)
        ]
        return tuple(dict.fromkeys(texts))[1:]

    def fits(self, other: Self) -> bool:
        """Whether both can name the same failure: nothing that both tell differs."""
        if (self.failure, self.culprit) != (other.failure, other.culprit):
            return False
        if self.culprit == NOBODY:  # nothing but the frames is particular
            return self.frames == other.frames and self.lock == other.lock
        pairs = ((self.lock, other.lock), (self.service, other.service))
        told = all(None in pair or pair[0] == pair[1] for pair in pairs)
        return told and all(map(_fit, self.frames, other.frames))


def frames_of(module: str | None, function: str | None, frames: Sequence[Frame]) -> tuple[str, ...]:
    """The frames of a signature: the culprit's own, or, where nobody has one, drivers' frames of the stack.

    ``function`` is the symbol of the culprit's frame. Frames of nt are left out; so are frames that were only found by
    scanning, because any driver may have left them there.
    """
    if module is not None and not is_kernel_name(module):
        return (_text(function),) if function else ()
    found: list[str] = []
    for frame in frames:
        if frame.module is None or frame.trust is Trust.SCAN:
            continue
        if strength(frame.module) is Strength.NEVER or is_pass_through(frame.symbol):
            continue
        text = _text(frame.symbol)
        if not found or found[-1] != text:
            found.append(text)
    return tuple(found[:MAX_FRAMES])


def _text(symbol: str) -> str:
    place = split_symbol(symbol)
    name = stem(place.module)
    return f"{name}!{place.function}" if place.function else name


def _modules(frames: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(frame.partition("!")[0] for frame in frames)


def _fit(one: str, other: str) -> bool:
    return one == other or (("!" not in one or "!" not in other) and _modules((one,)) == _modules((other,)))
