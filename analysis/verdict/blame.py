"""Who did it: from frames and facts to a conclusion. Pure functions; nothing here reads a dump.

The conclusion weighs the strongest module of a stack (``analysis.verdict.walk``) against what parameters, devices and
requests name, and says how far it can be trusted and why.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from analysis.bugchecks.explained import Blamed, Cap, Hint, Stop
from analysis.kernel.facts import Frame
from analysis.kernel.modules import is_unnamed
from analysis.trust import Trust
from analysis.verdict.functions import is_pool_internal
from analysis.verdict.modules import Strength, is_bus, is_framework, stem, strength
from analysis.verdict.report import Confidence
from analysis.verdict.walk import Candidate, Walk, Weigh, called_kernel, frame_count, walk_stack

# Driver Verifier's own stops: a driver broke its rules, never the kernel that found it.
VERIFIER = frozenset({0xC4, 0xC9, 0xE6, 0x1C4})
DPC_WATCHDOG = 0x133
BAD_POOL_CALLER = 0xC2  # the call itself was wrong, whatever state the pool was in
LEVELS: tuple[Confidence, ...] = ("none", "low", "medium", "high")


@dataclass(frozen=True, slots=True)
class Passed:
    """A module that was considered and not chosen, and why."""

    module: str
    why: str


@dataclass(frozen=True, slots=True)
class DeviceEvidence:
    """The device that a thread or a request was working on. ``driver`` is the module of its function driver.

    ``enough`` says whether that driver may be blamed where no stack names anybody.
    """

    driver: str | None
    name: str | None = None
    service: str | None = None
    instance_path: str | None = None
    why: str = ""
    trust: Trust = Trust.STRUCTURE
    enough: bool = True


@dataclass(frozen=True, slots=True)
class Case:
    """Everything the conclusion rests on."""

    code: int
    stop: Stop
    frames: tuple[Frame, ...] = ()
    hints: tuple[Hint, ...] = ()
    device: DeviceEvidence | None = None
    blamed: Blamed | None = None
    caps: tuple[Cap, ...] = ()
    weigh: Weigh = strength


@dataclass(frozen=True, slots=True)
class Blame:
    """The conclusion. ``module`` None with ``kind`` set means hardware, memory; with kind None nobody is blamed."""

    module: str | None
    function: str | None
    kind: str | None
    confidence: Confidence
    stack_culprit: str | None = None
    device_culprit: str | None = None
    reasons: tuple[str, ...] = ()
    passed: tuple[Passed, ...] = ()
    frame: Frame | None = None


def conclude(case: Case) -> Blame:
    """The conclusion of one case, with its reasons, suspects and confidence."""
    walk = walk_stack(case.frames, case.stop, case.weigh)
    if case.blamed is not None:
        blame = _no_module(case.blamed)
    elif case.stop in (Stop.HANG, Stop.REQUEST):
        blame = _hang(case, walk)
    elif case.stop in (Stop.HARDWARE, Stop.DELIBERATE):
        blame = Blame(None, None, None, "none")
    else:
        blame = _fault(case, walk)
    blame = replace(blame, stack_culprit=_named(walk.chosen), device_culprit=_blamable(case, walk))
    blame = _capped(
        blame, case.caps + _standing_caps(case) + _leftover_caps(blame, walk, case.hints) + _name_caps(blame)
    )
    return replace(blame, passed=_passed_over(blame, walk, case))


def _standing_caps(case: Case) -> tuple[Cap, ...]:
    if case.stop is Stop.CORRUPTION:
        return (Cap("medium", "the damage was found here, but may have been done before by somebody else"),)
    return ()


def _name_caps(blame: Blame) -> tuple[Cap, ...]:
    if blame.module is None or not is_unnamed(blame.module):
        return ()
    return (Cap("medium", f"the dump does not hold the name of this driver: {blame.module} only stands for it"),)


def _leftover_caps(blame: Blame, walk: Walk, hints: Sequence[Hint]) -> tuple[Cap, ...]:
    # A scanned stack keeps return addresses of calls long over. One driver among them is a lead, and so is one that
    # left more of them than any other; several alike, with nothing else that points to one of them, are a guess.
    chosen = walk.chosen
    if chosen is None or chosen.trust > Trust.SCAN or blame.module != chosen.module:
        return ()
    if blame.device_culprit is not None and stem(blame.device_culprit) == stem(chosen.module):
        return ()
    if any(hint.trust > Trust.SCAN and stem(hint.module) == stem(chosen.module) for hint in hints):
        return ()
    others = {
        stem(one.module) for one in walk.candidates if one.trust <= Trust.SCAN and one.strength >= chosen.strength
    } - {stem(chosen.module)}
    own = frame_count(walk.candidates, chosen.module)
    if own == 1 and not others:
        return (Cap("low", "a single return address, found by scanning, is all that points to it"),)
    if not others or own > max(
        frame_count(walk.candidates, one.module) for one in walk.candidates if stem(one.module) in others
    ):
        return ()
    more = "1 more driver has" if len(others) == 1 else f"{len(others)} more drivers have"
    return (Cap("low", f"{more} left return addresses on the same scanned stack"),)


def lowest(*levels: str) -> Confidence:
    """The lowest of several confidences."""
    return min((level for level in LEVELS if level in levels), key=LEVELS.index)


def _fault(case: Case, walk: Walk) -> Blame:
    hint = _best_hint(case)
    chosen = walk.chosen
    if hint is not None and (hint.decisive or chosen is None or case.weigh(hint.module) >= chosen.strength):
        return _from_hint(hint, case)
    if chosen is None:
        return Blame(None, None, None, "none", reasons=_outside_reason(walk))
    if chosen.strength is Strength.NEVER and case.code in VERIFIER:
        return Blame(None, None, None, "none")
    if chosen.strength is Strength.NEVER:
        why = f"no driver is on the stack; {chosen.function} is the first kernel function above the stop itself"
        return Blame(chosen.module, chosen.function, "windows", "low", reasons=(why,), frame=chosen.frame)
    blame = _capped(_from_candidate(chosen), _nearer(case, walk, chosen))
    return replace(blame, reasons=blame.reasons + _outside_reason(walk))


def _nearer(case: Case, walk: Walk, chosen: Candidate) -> tuple[Cap, ...]:
    # A module that is rarely guilty may be so this time: it is the one that failed, the other only led there. And what
    # fails in the pool's own bookkeeping was mostly damaged before, by whoever wrote past an end.
    first = walk.candidates[0]
    caps = []
    if stem(first.module) != stem(chosen.module):
        caps.append(Cap("medium", f"{first.function} is nearer to the fault; {chosen.module} led to it"))
    pool = next((frame.symbol for frame in called_kernel(case.frames) if is_pool_internal(frame.symbol)), None)
    if pool is not None and case.code != BAD_POOL_CALLER:
        caps.append(Cap("medium", f"{pool} met damage in the memory pool, which may be older"))
    return tuple(caps)


def _hang(case: Case, walk: Walk) -> Blame:
    hint = _best_hint(case)
    if hint is not None and hint.decisive and not is_bus(hint.module):
        return _from_hint(hint, case)
    driver = _blamable(case, walk)
    chosen = walk.chosen
    if case.stop is Stop.REQUEST and hint is not None and (driver is None or not is_bus(hint.module)):
        return _from_hint(hint, case)
    if driver is None or case.device is None:
        if chosen is not None:
            # A processor that ran too long was in the innermost driver; a waiting thread is in whoever called that.
            caps = _nearer(case, walk, chosen) if case.code == DPC_WATCHDOG else ()
            return _capped(_from_candidate(chosen), caps)
        return _from_hint(hint, case) if hint is not None else Blame(None, None, None, "none")
    level: Confidence = "low" if case.device.trust <= Trust.SCAN else "medium"
    alone = Blame(driver, None, "driver", level, reasons=(case.device.why,))
    if chosen is None:
        return alone if case.device.enough else Blame(None, None, None, "none")
    same = next((one for one in walk.candidates if stem(one.module) == stem(driver)), None)
    if same is not None and (stem(chosen.module) == stem(driver) or _yields_to(same, chosen, case.device, walk)):
        blame = _from_candidate(same)
        confidence: Confidence = "high" if same.trust >= Trust.UNWIND else "medium"
        return replace(blame, confidence=confidence, reasons=(*blame.reasons, case.device.why))
    if same is None and _gives_way(chosen, case.device):
        return alone
    blame = _from_candidate(chosen)
    mixed = f"the device being worked on belongs to {driver}, the stack shows {chosen.module}: mixed evidence"
    return replace(blame, confidence=lowest(blame.confidence, "medium"), reasons=(*blame.reasons, mixed))


def _yields_to(same: Candidate, chosen: Candidate, device: DeviceEvidence, walk: Walk) -> bool:
    # Whether the driver of the device, which is on the stack, goes before the walk's choice. Where both frames and the
    # device itself were found by scanning, the number of frames decides.
    weak = max(chosen.trust, same.trust, device.trust) <= Trust.SCAN
    if weak and chosen.strength is same.strength and not is_framework(chosen.module):
        return frame_count(walk.candidates, same.module) >= frame_count(walk.candidates, chosen.module)
    return _gives_way(chosen, device)


def _gives_way(chosen: Candidate, device: DeviceEvidence) -> bool:
    # A framework waits for somebody else, and a scanned frame may be a stale return address: against both the driver
    # of the very device that is being worked on is the better witness. A pointer left on the stack is not.
    if is_framework(chosen.module) or chosen.trust <= Trust.SCAN:
        return True
    return chosen.strength < Strength.CANDIDATE and device.trust > Trust.SCAN


def _blamable(case: Case, walk: Walk) -> str | None:
    # The driver of a physical device object is the bus: it only made the device. Its own code on the stack is another
    # matter.
    driver = case.device.driver if case.device is not None else None
    if driver is None or case.weigh(driver) is Strength.NEVER:
        return None
    running = any(stem(one.module) == stem(driver) for one in walk.candidates)
    return None if is_bus(driver) and not running else driver


def _best_hint(case: Case) -> Hint | None:
    # A bus driver is where a request comes from or ends up: anybody else who is named goes before it.
    usable = [hint for hint in case.hints if case.weigh(hint.module) is not Strength.NEVER]
    return max(
        usable, key=lambda hint: (hint.decisive and not is_bus(hint.module), not is_bus(hint.module)), default=None
    )


def _from_hint(hint: Hint, case: Case) -> Blame:
    frames = case.frames
    frame = next((one for one in frames if one.module and stem(one.module) == stem(hint.module)), None)
    exact = next((one for one in frames if hint.address is not None and one.address == hint.address), None)
    function = hint.function or (exact.symbol if exact else frame.symbol if frame else None)
    level = _level(case.weigh(hint.module), max(hint.trust, Trust.UNWIND) if hint.trust > Trust.SCAN else hint.trust)
    blame = Blame(hint.module, function, "driver", level, reasons=(hint.because,), frame=exact or frame)
    shown = any(one.trust > Trust.SCAN and one.module and stem(one.module) == stem(hint.module) for one in frames)
    return blame if hint.alone is None or shown else _capped(blame, (hint.alone,))


def _from_candidate(chosen: Candidate) -> Blame:
    how = {
        Trust.CONTEXT: "the saved instruction pointer is in it",
        Trust.UNWIND: "found by the image's own unwind data",
        Trust.FRAME_POINTER: "found by following frame pointers",
    }.get(chosen.trust, "found by scanning the stack")
    reason = f"{chosen.function} is the first frame that is neither Windows' kernel nor a mere pass-through ({how})"
    if chosen.frame is not None and chosen.frame.address:
        reason += f", at {chosen.frame.address:#x}"
    return Blame(
        chosen.module,
        chosen.function,
        "driver",
        _level(chosen.strength, chosen.trust),
        reasons=(reason,),
        frame=chosen.frame,
    )


def _no_module(blamed: Blamed) -> Blame:
    confidence = next(level for level in LEVELS if level == blamed.confidence)
    return Blame(blamed.name, None, blamed.kind, confidence, reasons=blamed.why)


def _level(how_strong: Strength, trust: Trust) -> Confidence:
    levels: dict[Strength, Confidence] = {Strength.CANDIDATE: "high", Strength.NAMED: "medium", Strength.WEAK: "low"}
    level = levels.get(how_strong, "low")
    return lowest(level, "medium") if trust <= Trust.FRAME_POINTER else level


def _capped(blame: Blame, caps: Sequence[Cap]) -> Blame:
    if blame.kind is None:
        return replace(blame, confidence="none")
    binding = [cap for cap in caps if LEVELS.index(lowest(cap.level)) < LEVELS.index(blame.confidence)]
    level = lowest(blame.confidence, *(cap.level for cap in caps))
    said = tuple(f"confidence is kept at {cap.level} at most: {cap.why}" for cap in binding)
    return replace(blame, confidence=level, reasons=blame.reasons + said)


def _outside_reason(walk: Walk) -> tuple[str, ...]:
    if walk.outside is None:
        return ()
    return (f"execution had reached {walk.outside:#x}, which lies in no module: the caller is looked at instead",)


def _named(chosen: Candidate | None) -> str | None:
    return chosen.module if chosen else None


def _passed_over(blame: Blame, walk: Walk, case: Case) -> tuple[Passed, ...]:
    found: dict[str, str] = {}
    for frame in case.frames:
        if frame.module and case.weigh(frame.module) is Strength.NEVER and strength(frame.module) is not Strength.NEVER:
            found.setdefault(frame.module, "on the stack, but your rules say never to blame it")
    for one in walk.candidates:
        found.setdefault(one.module, _why_not(one, blame, case))
    for hint in case.hints:
        if case.weigh(hint.module) is Strength.NEVER and strength(hint.module) is not Strength.NEVER:
            found.setdefault(hint.module, "named, but your rules say never to blame it")
        elif strength(hint.module) is Strength.NEVER:
            found.setdefault(hint.module, "the address lies in the kernel, which runs everybody's calls")
        else:
            found.setdefault(hint.module, f"named ({hint.because}), but the stack names a more likely one")
    if case.device is not None and case.device.driver is not None:
        bus = is_bus(case.device.driver)
        found.setdefault(
            case.device.driver,
            "the bus driver of the device: it made it"
            if bus
            else "it drives the device, but its code is not on the stack",
        )
    return tuple(Passed(module, why) for module, why in found.items() if module != blame.module)


def _why_not(one: Candidate, blame: Blame, case: Case) -> str:
    if case.stop is Stop.DELIBERATE or case.blamed is not None:
        return "on the stack of the stop itself, which is no evidence here"
    if is_framework(one.module):
        return "a framework: it runs its clients' code on their behalf"
    if one.strength is Strength.WEAK:
        return "file systems and frameworks are on many stacks; a more specific driver is there too"
    if case.device is not None and case.device.driver == blame.module:
        trust = " and its frame was found by scanning only" if one.trust <= Trust.SCAN else ""
        return f"on the stack, but the device being worked on belongs to {blame.module}{trust}"
    if is_bus(one.module):
        return "a bus driver: requests pass through it"
    if one.strength is Strength.NAMED:
        return "a Windows driver that calls go through; a more specific driver is on the same stack"
    return "further out on the same stack: it called the one that is named"
