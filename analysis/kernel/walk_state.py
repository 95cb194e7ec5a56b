"""What a walk up an x64 stack knows on its way."""

from dataclasses import dataclass, field

from analysis.kernel.context import Registers
from analysis.kernel.scan import GradedWords
from analysis.kernel.stack_memory import StackMemory
from analysis.trust import Trust


@dataclass(frozen=True, slots=True)
class Point:
    """A frame before it is printed: ``called`` where rip is a return address, ``switched`` in a switch frame."""

    registers: Registers
    called: bool
    trust: Trust
    switched: bool = False


@dataclass(slots=True)
class Walk:
    """One walk under way."""

    stack: StackMemory
    floor: int | None = None  # no return address lies at or above this
    in_user_mode: bool = False  # a stack of a process: what a machine frame interrupts on it is its own code
    entered: int | None = None  # the user-mode instruction that the thread came from
    start_slot: int | None = None  # where a system thread's first return address lies
    points: list[Point] = field(default_factory=list)
    words: GradedWords | None = None  # of ``stack``, from where it was first scanned
    scanned_from: int | None = None
    why_scanned: str = ""
    switches: int = 0
    beneath: "Walk | None" = None  # the thread's own stack, while a deferred call or an interrupt has another

    def word(self, address: int) -> int:
        """The 8 bytes at an address of this stack or of the one beneath. Raises: Unreadable."""
        below = self.beneath is not None and address in self.beneath.stack
        return (self.beneath if self.beneath is not None and below else self).stack.word(address)

    def leads_beneath(self, rsp: int) -> bool:
        """Whether a stack pointer lies on the thread's own stack, which this one is not."""
        return self.beneath is not None and rsp in self.beneath.stack

    def go_beneath(self) -> None:
        """Goes on, on the thread's own stack."""
        if self.beneath is not None:
            self.stack, self.floor, self.words = self.beneath.stack, self.beneath.floor, None
            self.entered, self.start_slot, self.beneath = self.beneath.entered, self.beneath.start_slot, None

    def passes_start(self, rsp: int) -> bool:
        """Whether a frame lies above the one that every system thread begins with."""
        return self.start_slot is not None and self.entered is None and rsp > self.start_slot + 8


class End(Exception):
    """The walk is over; the argument says why, in words."""
