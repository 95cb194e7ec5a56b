"""Who crashed a process: the first module of its stack that is not the system's, or else the program itself."""

from dataclasses import dataclass, field
from typing import Literal

from analysis.formats.minidump import Platform, UserModule
from analysis.kernel.facts import Frame, Stack
from analysis.trust import Trust
from analysis.usermode.exceptions import BREAKPOINT, CPP, FAIL_FAST, HEAP_CORRUPTION
from analysis.usermode.libraries import is_system
from analysis.usermode.process import Process
from analysis.verdict.modules import Strength
from analysis.verdict.user_rules import NO_RULES, UserRules

Confidence = Literal["high", "medium", "low", "none"]
_ORDER: tuple[Confidence, ...] = ("none", "low", "medium", "high")
_BY_TRUST: dict[Trust, Confidence] = {Trust.SCAN: "low", Trust.FRAME_POINTER: "medium", Trust.UNWIND: "medium"}


@dataclass(frozen=True, slots=True)
class UserBlame:
    """The conclusion. ``frame`` is the culprit's on the stack, None where the program is blamed without one;
    ``passed`` are the modules above it with the reason why not; ``caps`` sentences about the confidence."""

    module: UserModule | None
    frame: Frame | None
    confidence: Confidence
    passed: tuple[tuple[str, str], ...] = ()
    caps: tuple[str, ...] = field(default=())


def blame(process: Process, stack: Stack, *, hung: bool = False, rules: UserRules = NO_RULES) -> UserBlame:
    """The culprit of a crash, or of a hang where ``hung``; the user's own ``rules`` go before ours."""
    passed: dict[str, str] = {}
    weak: tuple[int, Frame, UserModule] | None = None
    chosen: tuple[int, Frame, UserModule] | None = None
    for index, frame in enumerate(stack.frames):
        module = process.image(frame.module)
        if module is None:
            continue
        why_not = _why_not(process, module, rules)
        if why_not is not None:
            passed.setdefault(module.name, why_not)
        elif rules.own_strength(module.name) not in (None, Strength.CANDIDATE):
            weak = weak or (index, frame, module)
        else:
            chosen = (index, frame, module)
            break
    if chosen is not None and weak is not None:
        passed.setdefault(weak[2].name, "your rules say to blame it only where nobody else is on the stack")
    if (best := chosen or weak) is not None:
        index, frame, module = best
        confidence, caps = _confidence(process, frame, index, hung=hung)
        return UserBlame(module, frame, confidence, tuple(passed.items()), caps)
    program = process.application
    if program is None or rules.is_ignored(program.name):
        return UserBlame(None, None, "none", tuple(passed.items()))
    caps = (
        "no frame of the stack lies outside the system's libraries: the program is named because it is the program",
    )
    return UserBlame(program, None, "low", tuple(passed.items()), caps)


def _why_not(process: Process, module: UserModule, rules: UserRules) -> str | None:
    if rules.is_ignored(module.name):
        return "on the stack, but your rules say never to blame it"
    if is_system(module, process.dump) and rules.own_strength(module.name) is None:
        return "a library of the system: it carries the calls of others"
    return None


def _confidence(process: Process, frame: Frame, index: int, *, hung: bool) -> tuple[Confidence, tuple[str, ...]]:
    confidence: Confidence = "high" if frame.trust >= Trust.CONTEXT else _BY_TRUST[frame.trust]
    caps = []
    if frame.trust is Trust.SCAN:
        caps.append("the frame was found by scanning the stack: it may be left over from an earlier call")
    elif index and not hung and not process.holds_code(exception_address(process)):
        caps.append("the processor was sent to an address outside all code, most likely by this module's call")
    elif index and not hung:
        caps.append("the fault happened in code that this module called")
    if hung:
        confidence = _at_most(confidence, "medium")
        caps.append("a program that waits was not caught failing: it may be right to wait")
    exception = process.dump.exception
    if exception is not None and not hung:
        elsewhere = exception.address and frame.address and exception.address != frame.address
        if not index and elsewhere and process.dump.system.platform is Platform.WINDOWS:
            confidence = _at_most(confidence, "medium")
            caps.append("the registers are of the place that reported the failure, not of the one where it happened")
        if exception.code == HEAP_CORRUPTION:
            confidence = _at_most(confidence, "low")
            caps.append("a corrupt heap is found by whoever uses it next, mostly not by who damaged it")
        elif exception.code in (CPP, FAIL_FAST, BREAKPOINT):
            confidence = _at_most(confidence, "medium")
            caps.append("the program ended itself: why it did is decided before this place")
    if process.dump.system.platform is not Platform.WINDOWS:
        confidence = _at_most(confidence, "medium")
        caps.append("this is no Windows process: its stack is only summarised")
    return confidence, tuple(caps)


def exception_address(process: Process) -> int:
    """Where the exception happened; 0 without one."""
    return process.dump.exception.address if process.dump.exception else 0


def _at_most(confidence: Confidence, cap: Confidence) -> Confidence:
    return _ORDER[min(_ORDER.index(confidence), _ORDER.index(cap))]
