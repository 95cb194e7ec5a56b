"""The verdict on a process in words."""

from collections.abc import Iterator
from dataclasses import dataclass

from analysis.formats.minidump import Platform, UserException, UserModule
from analysis.kernel.facts import Stack
from analysis.trust import Trust
from analysis.usermode.blame import UserBlame
from analysis.usermode.blocking import Blocked, wait_function
from analysis.usermode.exceptions import CLR, CPP, HEAP_CORRUPTION, STACK_OVERFLOW, exception_name, in_words
from analysis.usermode.process import Process
from analysis.usermode.sections import LOADER_LOCK
from analysis.verdict.report import Culprit, Suspect, Verdict, hexa
from analysis.verdict.user_rules import NO_RULES, UserRules

MAX_KNOWN_BAD = 5
SAVES_MUCH = 1 << 20  # bytes of memory beyond the stacks from which on a dump is no small one


@dataclass(frozen=True, slots=True)
class Told:
    """The story: ``thread`` is the id of the one whose ``stack`` was read for the blame."""

    process: Process
    exception: UserException | None
    hung: bool
    stack: Stack
    blame: UserBlame
    blocked: Blocked
    thread: int | None
    rules: UserRules = NO_RULES


def verdict_of(told: Told) -> Verdict:
    """The report's ``verdict``."""
    module, frame = told.blame.module, told.blame.frame
    return Verdict(
        culprit=_culprit(told, module) if module else None,
        confidence=told.blame.confidence if module else "none",
        summary=_hang(told) if told.hung else _crash(told),
        stack_culprit=frame.module if frame else None,
        impact=_impact(told),
        reasons=tuple(_reasons(told)),
        suspects=tuple(Suspect(name, why) for name, why in told.blame.passed),
        next_steps=tuple(_next_steps(told)),
        cannot_tell=tuple(_cannot_tell(told)),
        team=told.rules.team(module.name if module else None),
    )


def _known_bad(told: Told) -> list[tuple[UserModule, str]]:
    # The culprit first: what is known of others may be chance.
    found = [(one, text) for one in told.process.dump.modules for text in told.rules.bad(one.name, one.version)]
    return sorted(found, key=lambda pair: pair[0] != told.blame.module)[:MAX_KNOWN_BAD]


def _culprit(told: Told, module: UserModule) -> Culprit:
    frame = told.blame.frame
    return Culprit(
        module=module.name,
        function=frame.symbol if frame else None,
        kind="process",
        version=module.version,
        timestamp=hexa(module.timestamp) if module.timestamp else None,
    )


def _program(told: Told) -> str:
    program = told.process.application
    return program.name if program else "The process"


def _crash(told: Told) -> str:
    exception, module, program = told.exception, told.blame.module, _program(told)
    did = in_words(exception, told.process.dump) if exception else "failed"
    if module is None:
        return f"{program} {did}, in code that no loaded module holds."
    frame = told.blame.frame
    if module.name == program or frame is None:
        return f"{program} {did}."
    if frame == told.stack.frames[0]:
        return f"{module.name} in {program} {did}."
    return f"{program} {did}, in a call that {module.name} made."


def _hang(told: Told) -> str:
    program, blocked = _program(told), told.blocked
    if blocked.cycles:
        threads = ", ".join(str(tid) for tid in blocked.cycles[0])
        return (
            f"{program} is in a deadlock: threads {threads} wait for critical sections that they hold from each other."
        )
    if blocked.root is not None:
        return f"{program} is held up by its thread {blocked.root}, which owns a critical section that others wait for."
    if told.thread is None:
        return f"{program} was captured without a failure, and without its threads."
    wait = wait_function(told.stack)
    where = (
        f"waits in {wait}" if wait else f"is at {told.stack.frames[0].symbol}" if told.stack.frames else "is unreadable"
    )
    frame = told.blame.frame
    via = f", called from {frame.symbol}" if frame and frame != told.stack.frames[0] else ""
    return f"{program} was captured without a failure: its main thread {where}{via}."


def _impact(told: Told) -> str | None:
    waits = len(told.blocked.waits)
    if waits:
        return f"{waits} thread{'s' if waits > 1 else ''} of {_program(told)} cannot go on."
    return None if told.hung else f"{_program(told)} stopped working."


def _reasons(told: Told) -> Iterator[str]:
    exception, frame = told.exception, told.blame.frame
    if exception is not None:
        name = exception_name(exception, told.process.dump)
        at = told.process.symbol(exception.address)
        yield f"exception {exception.code:#x}{f' ({name})' if name else ''} at {at} in thread {exception.thread}"
    if frame is not None:
        index = told.stack.frames.index(frame)
        how = {Trust.SCAN: "scanning", Trust.FRAME_POINTER: "frame pointers", Trust.UNWIND: "unwind data"}.get(
            frame.trust
        )
        yield f"frame {index} of thread {told.thread} is {frame.symbol}" + (f", found by {how}" if how else "")
    if told.process.dump.assertion:
        yield f"the program noted a failed assertion: {told.process.dump.assertion}"
    for wait in told.blocked.waits[:8]:
        section = wait.section
        yield (
            f"thread {wait.tid} waits for the critical section at {section.address:#x}, which thread {section.owner} "
            f"owns and which counts {section.waiters_counted} waiting"
        )
        if section.name == LOADER_LOCK:
            yield (
                f"the section at {section.address:#x} is the loader lock, as the process' own block says: libraries "
                "are loaded and unloaded, and threads begin and end, under it"
            )
    for module, text in _known_bad(told):
        if module == told.blame.module:
            yield f"known of {module.name} {module.version}: {text}"
    yield from told.blame.caps


def _next_steps(told: Told) -> Iterator[str]:
    for bad, text in _known_bad(told):
        yield f"{bad.name} {bad.version} is known to be bad: {text}"
    module, code = told.blame.module, told.exception.code if told.exception else None
    if any(wait.section.name == LOADER_LOCK for wait in told.blocked.waits):
        yield "Look at what the owner's DllMain or global objects do: nothing there may wait for another thread."
    if code == HEAP_CORRUPTION:
        yield (
            f"Turn page heap on (gflags /p /enable {_program(told)} /full) and catch the next crash: "
            "it then stops at the write that does the damage."
        )
    if code in (CPP, CLR):
        yield "Look into the program's own log for the exception's message: it is not in the dump's stack."
    if code == STACK_OVERFLOW and module:
        yield f"Look for a recursion without an end in {module.name}."
    if module is not None and module.pdb is not None:
        yield f"Open the dump with {module.pdb.name} ({module.pdb.guid}{module.pdb.age:X}) to see functions and lines."
    elif module is not None:
        yield f"Update {module.name}, or ask its maker with this report."
    if not _saves_memory(told) and told.process.dump.system.platform is Platform.WINDOWS:
        yield (
            "Let the next dump hold the process' memory: procdump -ma, or DumpType 2 under "
            r"HKLM\SOFTWARE\Microsoft\Windows\Windows Error Reporting\LocalDumps."
        )


def _cannot_tell(told: Told) -> Iterator[str]:
    dump = told.process.dump
    if not dump.threads and told.exception is None:
        yield "Which thread failed: the dump holds no threads."
    if told.hung and not told.blocked.waits:
        yield (
            "Whether threads wait for each other: no critical section in this dump is owned and waited for."
            if _saves_memory(told)
            else "Which critical sections are held: the dump does not hold the process' memory."
        )
    if told.stack.frames and not any("!" in frame.symbol for frame in told.stack.frames):
        yield (
            "Names of functions: no image in the dump has an export table that names them, and no PDB of these modules "
            "is at hand (--symbols)."
        )
    if dump.system.platform is not Platform.WINDOWS:
        yield f"More than a summary: this process ran on {dump.system.platform.value}, not on Windows."


def _saves_memory(told: Told) -> bool:
    dump = told.process.dump
    stacks = sum(thread.stack.size for thread in dump.threads if thread.stack)
    return sum(block.size for block in dump.memory) > stacks + SAVES_MUCH
