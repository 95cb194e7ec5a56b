"""What happened to a process: the parts of a report."""

from dataclasses import dataclass, replace

from analysis.formats.minidump import Platform, UserDump, UserThread
from analysis.kernel.facts import Frame, Stack
from analysis.symbols.search import SymbolFiles
from analysis.trust import Trust
from analysis.usermode.blame import blame
from analysis.usermode.blocking import Blocked, describe_blocking
from analysis.usermode.exceptions import BREAKPOINT, ON_REQUEST, access_of, exception_name
from analysis.usermode.machine import describe_machine
from analysis.usermode.names import name_failure
from analysis.usermode.process import Process
from analysis.usermode.sections import find_waits
from analysis.usermode.wording import Told, verdict_of
from analysis.verdict import report
from analysis.verdict.assemble import module_facts
from analysis.verdict.report import hexa
from analysis.verdict.user_rules import NO_RULES, UserRules

MAX_STACKS = 64
OTHER_STACK_BYTES = 0x8000  # of the threads beside the one that the dump is about
MAX_THREADS_TOLD = 32


@dataclass(frozen=True, slots=True)
class UserParts:
    """The parts of a report that a minidump gives."""

    system: report.System
    exception: report.ExceptionFacts | None
    verdict: report.Verdict
    bucket: report.Bucket
    blocking: report.Blocking
    threads: tuple[report.ThreadFacts, ...]
    modules: tuple[report.ModuleFacts, ...]
    live: bool
    notes: tuple[str, ...]


def tell_user_story(dump: UserDump, files: SymbolFiles | None = None, rules: UserRules = NO_RULES) -> UserParts:
    """The parts of the report of a minidump. ``files`` are where PDBs and images may be had."""
    process = Process(dump, files)
    thread, context = _thread(dump)
    stack = process.stack(thread, context)
    hung = _is_hung(process, thread, stack)
    exception = None if hung else dump.exception
    if hung:
        thread = dump.threads[0] if dump.threads else None
        stack = process.stack(thread)
    stacks = _stacks(process, thread, stack) if hung else {}
    blocked = describe_blocking(process, find_waits(process, stacks), stacks)
    told_by = blocked.root if blocked.root is not None else thread.tid if thread else None
    blamed = stacks.get(blocked.root, stack) if blocked.root is not None else stack
    found = blame(process, blamed, hung=hung, rules=rules)
    if blocked.cycles:
        found = replace(found, confidence="low" if found.module else "none")
    told = Told(process, exception, hung, blamed, found, blocked, told_by, rules)
    return UserParts(
        system=describe_machine(dump),
        exception=_exception(dump),
        verdict=verdict_of(told),
        bucket=name_failure(process, blamed, found, exception),
        blocking=blocked.blocking,
        threads=_threads(process, thread, stack, stacks, blocked),
        modules=module_facts((*process.modules, *process.unloaded)),
        live=hung,
        notes=(*dump.notes, *process.pdbs.notes, *process.image_files.notes, *_notes(process)),
    )


def _thread(dump: UserDump) -> tuple[UserThread | None, bytes]:
    """The thread that the dump is about, and the registers it failed with."""
    exception = dump.exception
    if exception is None:
        return next(iter(dump.threads), None), b""
    found = next((one for one in dump.threads if one.tid == exception.thread), None)
    return found, exception.context


def _is_hung(process: Process, thread: UserThread | None, stack: Stack) -> bool:
    """Whether nothing failed: the dump was taken of a process that still ran, or no longer answered."""
    exception = process.dump.exception
    if exception is None or (process.dump.system.platform is Platform.WINDOWS and exception.code in ON_REQUEST):
        return True
    if exception.code != BREAKPOINT or thread is None or process.dump.threads[:1] == (thread,):
        return False
    # A debugger breaks into a process with a thread of its own, in which only Windows' code runs.
    first = stack.frames[0].module if stack.frames else None
    return first == "ntdll.dll" and blame(process, stack).frame is None


def _stacks(process: Process, thread: UserThread | None, stack: Stack) -> dict[int, Stack]:
    stacks = {one.tid: process.stack(one, limit=OTHER_STACK_BYTES) for one in process.dump.threads[:MAX_STACKS]}
    if thread is not None:
        stacks[thread.tid] = stack
    return stacks


def _exception(dump: UserDump) -> report.ExceptionFacts | None:
    exception = dump.exception
    if exception is None:
        return None
    access = access_of(exception, dump)
    return report.ExceptionFacts(
        code=hexa(exception.code),
        name=exception_name(exception, dump),
        address=hexa(exception.address),
        thread=hexa(exception.thread),
        access=access.kind if access else None,
        access_address=hexa(access.address) if access else None,
    )


def _threads(
    process: Process, thread: UserThread | None, stack: Stack, stacks: dict[int, Stack], blocked: Blocked
) -> tuple[report.ThreadFacts, ...]:
    program = process.application
    wanted = [thread.tid if thread else None, blocked.root, *blocked.threads]
    crashed = process.dump.exception
    if crashed is not None and crashed.thread not in wanted:
        wanted.append(crashed.thread)
    found = []
    for tid in [tid for tid in dict.fromkeys(wanted) if tid is not None][:MAX_THREADS_TOLD]:
        one = next((known for known in process.dump.threads if known.tid == tid), None)
        walked = (
            stack if thread and tid == thread.tid else stacks.get(tid) or process.stack(one, limit=OTHER_STACK_BYTES)
        )
        found.append(
            report.ThreadFacts(
                address=hexa(tid),
                process=program.name if program else None,
                pid=process.dump.process_id,
                tid=tid,
                start=process.names.name(one.start) if one and one.start else None,
                stack=tuple(_frame(frame) for frame in walked.frames),
                stack_end=walked.end,
            )
        )
    if thread is None and stack.frames:
        tid = crashed.thread if crashed else 0
        frames = tuple(_frame(frame) for frame in stack.frames)
        found = [one for one in found if one.tid != tid]
        found.insert(0, report.ThreadFacts(address=hexa(tid), tid=tid, stack=frames, stack_end=stack.end))
    return tuple(found)


def _frame(frame: Frame) -> report.StackFrame:
    return report.StackFrame(hexa(frame.address), frame.symbol, frame.module, min(frame.trust, Trust.CONTEXT).label)


def _notes(process: Process) -> tuple[str, ...]:
    if not process.wow64:
        return ()
    return (
        "a 32-bit process that a 64-bit tool captured: its 32-bit stacks are told where their registers were saved",
    )
