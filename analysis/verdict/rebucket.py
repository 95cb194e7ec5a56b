"""The names of a failure from its report alone: what history does with old reports when the rules change.

Only what the report says is used, so a report from a dump that is gone can be named anew. Which module is to blame
stays as it was concluded: that needs the dump.
"""

from dataclasses import replace

from analysis.address import VirtAddr
from analysis.bugchecks.explained import Stop
from analysis.bugchecks.tables import Parameters, subcase
from analysis.kernel.facts import Frame
from analysis.trust import Trust
from analysis.verdict import bucket, report
from analysis.verdict.rules import rules_identity
from analysis.verdict.signature import FORM
from analysis.verdict.walk import in_cycle, walk_stack

TRUSTS = {trust.label: trust for trust in Trust}


def naming_identity() -> str:
    """What the names of failures depend on: with another value, reports are to be named anew."""
    return f"{FORM}:{rules_identity()}"


def rebucket(told: report.Report) -> report.Bucket:
    """The bucket of a report by the rules in force: our signature and its aliases made anew, WinDbg's names kept.

    The report's own signature and aliases stay among the aliases. A report on a process is returned as it is.
    """
    if told.bugcheck is None:
        return told.bucket
    ours = bucket.signature(failure_of(told))
    names = (str(ours), *ours.less_known(), told.bucket.signature, *told.bucket.aliases)
    first, *others = dict.fromkeys(names)
    return replace(told.bucket, signature=first, aliases=tuple(others))


def failure_of(told: report.Report) -> bucket.Failure:
    """What the names of a kernel failure are made of, read from its report.

    Raises:
        ValueError: the report is on a process, not on a kernel.
    """
    if told.bugcheck is None:
        raise ValueError("a report on a process has no bugcheck")
    code = int(told.bugcheck.code, 16)
    first, second, third, fourth = (int(one.value, 16) for one in told.bugcheck.parameters)
    parameters: Parameters = (first, second, third, fourth)
    known = subcase(code, parameters)
    culprit = told.verdict.culprit
    return bucket.Failure(
        code=code,
        parameters=parameters,
        subcase=known[0] if known else None,
        module=culprit.module if culprit else None,
        function=culprit.function if culprit else None,
        frames=_frames(told),
        lock=told.bucket.lock,
        service=told.bucket.service,
        kind=culprit.kind if culprit else None,
        by_chance=told.bucket.by_chance,
    )


def _frames(told: report.Report) -> tuple[Frame, ...]:
    by_address = {thread.address: thread for thread in told.threads}
    if told.bucket.thread is not None:
        story = by_address.get(told.bucket.thread)
        return _stack(story) if story else ()
    cycles = told.blocking.deadlocks if told.blocking.root is None else ()
    cycle = [by_address[one] for one in (cycles[0].threads if cycles else ()) if one in by_address]
    walks = [walk_stack(_stack(thread), Stop.HANG) for thread in cycle]
    return in_cycle(walks)


def _stack(thread: report.ThreadFacts) -> tuple[Frame, ...]:
    return tuple(
        Frame(VirtAddr(int(one.address, 16)), one.symbol, one.module, TRUSTS[one.trust]) for one in thread.stack
    )
