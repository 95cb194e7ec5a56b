"""Who waits for whom inside a process, as the report has it."""

from dataclasses import dataclass, field

from analysis.kernel.facts import Stack
from analysis.usermode.process import Process
from analysis.usermode.sections import Section, Wait
from analysis.verdict import report
from analysis.verdict.functions import split_symbol
from analysis.verdict.report import hexa


@dataclass(frozen=True, slots=True)
class Blocked:
    """``root`` is the id of the thread in front of the most waiters, None in a deadlock and where nobody waits;
    ``threads`` all that wait or own; ``cycles`` the deadlocks as thread ids."""

    blocking: report.Blocking = field(default_factory=report.Blocking)
    root: int | None = None
    threads: tuple[int, ...] = ()
    cycles: tuple[tuple[int, ...], ...] = ()
    waits: tuple[Wait, ...] = ()


def describe_blocking(process: Process, waits: tuple[Wait, ...], stacks: dict[int, Stack]) -> Blocked:
    """Roots, chains and cycles of the waits for critical sections."""
    if not waits:
        return Blocked()
    next_of = {wait.tid: wait.section.owner for wait in waits}
    cycles = tuple(dict.fromkeys(cycle for tid in next_of if (cycle := _cycle(tid, next_of))))
    root = None if cycles else _root(next_of)
    sections = {wait.section.address: wait.section for wait in waits}
    in_cycles = {tid for cycle in cycles for tid in cycle}
    blocking = report.Blocking(
        root=report.Root(hexa(root)) if root is not None else None,
        chains=tuple(_chain(one, waits) for one in sorted(sections.values(), key=lambda one: one.owner != root)),
        deadlocks=tuple(
            report.Deadlock(
                tuple(hexa(tid) for tid in cycle),
                tuple(hexa(wait.section.address) for wait in waits if wait.tid in cycle),
            )
            for cycle in cycles
        ),
        blocked_threads=tuple(_blocked(process, wait, stacks) for wait in waits),
    )
    threads = tuple(dict.fromkeys([*in_cycles, *next_of.values(), *next_of]))
    return Blocked(blocking, root, threads, cycles, waits)


def wait_function(stack: Stack | None) -> str | None:
    """The system call in which a thread waits ("NtWaitForSingleObject"), where its name is certain."""
    if stack is None or not stack.frames:
        return None
    place = split_symbol(stack.frames[0].symbol)
    return place.function if place.function and place.function.startswith(("Nt", "Zw")) else None


def _root(next_of: dict[int, int]) -> int | None:
    counts: dict[int, int] = {}
    for start in next_of:
        tid = start
        while tid in next_of:
            tid = next_of[tid]
        counts[tid] = counts.get(tid, 0) + 1
    return max(counts, key=lambda tid: counts[tid], default=None)


def _cycle(start: int, next_of: dict[int, int]) -> tuple[int, ...]:
    """The cycle that ``start`` is in, from its smallest thread id on; empty where it is in none."""
    path = [start]
    while (tid := next_of.get(path[-1])) is not None and tid not in path:
        path.append(tid)
    if tid != start:
        return ()
    first = path.index(min(path))
    return (*path[first:], *path[:first])


def _chain(section: Section, waits: tuple[Wait, ...]) -> report.Chain:
    return report.Chain(
        lock=report.ChainLock(
            hexa(section.address), "critical-section", section.name, "a critical section of the process", "exclusive"
        ),
        owners=(hexa(section.owner),),
        waiters=tuple(hexa(wait.tid) for wait in waits if wait.section == section),
        waiters_expected=section.waiters_counted,
        trust="scan",
    )


def _blocked(process: Process, wait: Wait, stacks: dict[int, Stack]) -> report.BlockedThread:
    program = process.application
    return report.BlockedThread(
        thread=hexa(wait.tid),
        process=program.name if program else None,
        pid=process.dump.process_id,
        tid=wait.tid,
        waits_for=hexa(wait.section.address),
        wait_reason=wait_function(stacks.get(wait.tid)),
    )
