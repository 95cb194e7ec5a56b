"""What a family says about one stop: facts for the verdict, no conclusion yet."""

from dataclasses import dataclass
from enum import Enum

from analysis.trust import Trust


class Stop(Enum):
    """What sort of stop this is: it decides which evidence counts."""

    FAULT = "fault"  # code did something it must not, here and now
    CORRUPTION = "corruption"  # damage was found; who did it may be long gone
    HANG = "hang"  # somebody waits for somebody who does not come back
    REQUEST = "request"  # an I/O request was not completed in time
    HARDWARE = "hardware"  # the machine reported an error of its own
    STORAGE = "storage"  # data could not be read back from disk
    PROCESS = "process"  # a process that must live has ended
    DELIBERATE = "deliberate"  # a person or a program asked for the stop
    OTHER = "other"


class FocusKind(Enum):
    """Which stack tells the story."""

    THREAD = "thread"
    CONTEXT = "context"
    TRAP = "trap"
    PROCESSOR = "processor"  # what runs on a processor; its number stands where the address would
    CRASH = "crash"  # the thread and the context in which the machine stopped
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Focus:
    """The stack to read first, why that one, and the address that names it (0 for CRASH and NONE)."""

    kind: FocusKind
    address: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Hint:
    """A module that something other than a stack names. ``because`` is a sentence with its evidence.

    ``decisive`` hints beat the stack whatever it holds; the others only stacks that are not stronger. ``alone`` caps
    the confidence where no stack that was unwound shows the module as well.
    """

    module: str
    because: str
    function: str | None = None
    decisive: bool = False
    trust: Trust = Trust.PARAMETER
    address: int | None = None
    alone: "Cap | None" = None


@dataclass(frozen=True, slots=True)
class ParameterFact:
    """One parameter: value, meaning in this subcase, and what it turned out to be."""

    value: int
    meaning: str | None
    resolved: str | None


@dataclass(frozen=True, slots=True)
class Cap:
    """A rule that keeps the confidence at or below ``level`` ("low", "medium"), and the sentence that says why."""

    level: str
    why: str


@dataclass(frozen=True, slots=True)
class Explained:
    """One stop, explained.

    ``deed`` completes a sentence that begins with the culprit ("raised …"). ``blamed`` is set where the rule names
    something that is no module: hardware, memory, a process. ``irps`` are addresses of requests that the story needs,
    ``device`` that of a device object, ``instruction`` that of the instruction that failed. ``facts`` are sentences of
    evidence that point at nobody by themselves. ``next_steps`` hold whoever is blamed; ``driver_steps`` only where a
    driver is, ``{driver}`` standing for its name, and take the place of the general advice to verify it.
    ``locks_first``: whoever stands in front of the most important queue is the story, although no parameter names it.
    """

    code: int
    raw_code: int
    name: str
    stop: Stop
    explanation: str
    deed: str = ""
    subcase: int | None = None
    parameters: tuple[ParameterFact, ...] = ()
    focus: Focus = Focus(FocusKind.CRASH)
    hints: tuple[Hint, ...] = ()
    device: int | None = None
    instruction: int | None = None
    blamed: "Blamed | None" = None
    caps: tuple[Cap, ...] = ()
    irps: tuple[int, ...] = ()
    live: bool = False
    timeout_seconds: int | None = None
    facts: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()
    driver_steps: tuple[str, ...] = ()
    locks_first: bool = False
    cannot_tell: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Blamed:
    """Something that is no module: ``kind`` is hardware, memory or process; ``name`` for a process its image."""

    kind: str
    what: str
    name: str | None = None
    confidence: str = "medium"
    why: tuple[str, ...] = ()
