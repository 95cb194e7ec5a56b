"""A report as text for the terminal, in the order of the Slack summary, and how progress is shown there.

Everything from a dump is made printable first: a module named with an escape sequence must not paint the screen.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TextIO

from bot import wording

if TYPE_CHECKING:
    from analysis.verdict.report import BlockedThread, Chain, Given, Report, StackFrame, ThreadFacts
    from storage import SameBucket, Seen

Style = Literal["title", "strong", "plain", "dim"]
Line = tuple[Style, str]

# What the stages of an analysis do, for a person who waits.
STAGES = {
    "open": "opening the dump",
    "memory": "finding its memory",
    "symbols": "recognising the kernel",
    "kernel": "reading threads, locks and drivers",
    "bugcheck": "explaining the bugcheck",
    "process": "reading the process",
    "waits": "who waits for whom",
    "verdict": "weighing the evidence",
    "stacks": "comparing the stacks of all threads",
    "report": "writing the report",
}
MAX_STACKS, MAX_FRAMES, MAX_GROUPS = 4, 40, 5
LABEL = 12


def printable(text: str) -> str:
    """The text on one line, with "?" for everything a terminal might obey."""
    return "".join(char if char.isprintable() else "?" for char in text.replace("\n", " ").replace("\t", " "))


def report_lines(report: "Report", seen: "Seen | None" = None) -> Iterator[Line]:
    """The whole report as styled lines; ``seen`` adds what history knew before."""
    for style, text in _everything(report, seen):
        yield style, printable(text)


def print_lines(lines: Iterator[Line], stream: TextIO) -> None:
    """Write lines, in colour on a terminal, bare into a pipe."""
    if not stream.isatty():
        for _, text in lines:
            print(text, file=stream)
        return
    from rich.console import Console
    from rich.text import Text

    styles = {"title": "bold cyan", "strong": "bold", "plain": "", "dim": "dim"}
    console = Console(file=stream, soft_wrap=True, highlight=False)
    for style, text in lines:
        console.print(Text(text, style=styles[style]))


def when(moment: datetime) -> str:
    """A moment for a table: "2026-05-03 14:05" in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def seen_line(seen: "Seen | None") -> str:
    """Whether this was here before, in one sentence."""
    if seen is None:
        return "not looked up"
    same = seen.same_dump
    if same is not None:
        bucket = f"; {_bucket(seen.same_bucket)}" if seen.same_bucket else ""
        return f"this very dump is in history since {when(same.report.reported_at)}{bucket}"
    if seen.same_bucket is not None:
        return _bucket(seen.same_bucket)
    if seen.similar:
        best = seen.similar[0]
        return f"first time; similar to no. {best.report.id} ({best.reason})"
    return "first time"


def _bucket(bucket: "SameBucket") -> str:
    hosts = f", on {wording.count(len(bucket.hosts), 'host')}" if bucket.hosts else ""
    return f"{wording.ordinal(bucket.count)} time since {bucket.first_seen.day} {bucket.first_seen:%B %Y}{hosts}"


def _everything(report: "Report", seen: "Seen | None") -> Iterator[Line]:
    verdict, system = report.verdict, report.system
    yield "strong", verdict.summary
    if verdict.impact:
        yield "plain", verdict.impact
    yield "plain", ""
    if report.bugcheck is not None:
        yield _fact("Bugcheck", f"{report.bugcheck.code} {report.bugcheck.name}")
        if report.bugcheck.explanation:
            yield _fact("", report.bugcheck.explanation)
        for number, parameter in enumerate(report.bugcheck.parameters, 1):
            said = [parameter.value, parameter.meaning, parameter.resolved and f"= {parameter.resolved}"]
            yield "dim", f"{'':{LABEL}} P{number}: {'  '.join(part for part in said if part)}"
    elif report.exception is not None:
        yield _fact("Exception", " ".join(filter(None, (report.exception.code, report.exception.name))))
    yield _fact("Confidence", verdict.confidence)
    if verdict.team:
        yield _fact("For", verdict.team)
    yield from _culprit(report)
    build = " ".join(filter(None, (system.os, system.build, system.architecture))) or "unknown"
    yield _fact("System", f"{system.computer_name or 'unknown host'}, {build}")
    yield _fact("Time", _times(report))
    yield _fact("Seen", seen_line(seen))
    yield _fact("Dump", f"{report.dump.source}, {report.dump.kind}, {wording.size(report.dump.size_bytes)}")
    yield _fact("Bucket", f"{report.bucket.failure_bucket_id}  {report.bucket.failure_id_hash}")
    yield from _pile_up(report)
    yield from _listed("Evidence", verdict.reasons)
    yield from _listed("Not to blame", [f"{suspect.module}: {suspect.why_not}" for suspect in verdict.suspects])
    yield from _groups(report)
    yield from _stacks(report)
    yield from _listed("Next steps", verdict.next_steps)
    yield from _listed("What this dump cannot tell", verdict.cannot_tell)
    yield from _listed("Notes", report.notes)


def _fact(label: str, text: str) -> Line:
    return "plain", f"{label:{LABEL}} {text}"


def _listed(title: str, items: Any) -> Iterator[Line]:
    if items:
        yield "plain", ""
        yield "title", title
        for item in items:
            yield "plain", f"  - {item}"


def _culprit(report: "Report") -> Iterator[Line]:
    culprit = report.verdict.culprit
    if culprit is None:
        yield _fact("Culprit", "none named")
        return
    words = [
        culprit.module or culprit.kind,
        culprit.function and f"at {culprit.function}",
        culprit.version and f"version {culprit.version}",
        culprit.vendor and f"by {culprit.vendor}",
    ]
    yield _fact("Culprit", " ".join(word for word in words if word))
    if culprit.device or culprit.service:
        said = [culprit.device, culprit.service and f"service {culprit.service}", culprit.instance_path]
        yield _fact("Device", ", ".join(word for word in said if word))


def _times(report: "Report") -> str:
    system = report.system
    crashed = "unknown" if system.crash_time is None else when(datetime.fromisoformat(system.crash_time)) + " UTC"
    up = "" if system.uptime_seconds is None else f", up {wording.duration(system.uptime_seconds)}"
    return crashed + up + (", a live or manual capture" if report.dump.live else "")


def _pile_up(report: "Report") -> Iterator[Line]:
    blocking = report.blocking
    if not (blocking.chains or blocking.deadlocks or blocking.blocked_threads):
        return
    yield "plain", ""
    yield "title", "Pile-up"
    threads = {thread.address: thread for thread in report.threads}
    for cycle in blocking.deadlocks:
        yield "strong", f"  deadlock of {' and '.join(_thread(address, threads) for address in cycle.threads)}"
    if blocking.root is not None:
        yield "plain", f"  root: {_thread(blocking.root.thread, threads)}"
    for chain in blocking.chains:
        yield "plain", f"  {_lock(chain)}"
        yield "plain", f"    {_holder(chain, threads)}"
    for blocked in blocking.blocked_threads:
        yield "plain", f"    {_blocked(blocked)}"


def _holder(chain: "Chain", threads: dict[str, "ThreadFacts"]) -> str:
    lock = chain.lock
    if lock.driver is not None:
        return f"to be completed by {lock.driver}{f', device {lock.device}' if lock.device else ''}"
    owners = " and ".join(_thread(address, threads) for address in chain.owners) or "nobody known"
    return f"held by {owners}{f' ({lock.ownership})' if lock.ownership else ''}"


def _lock(chain: "Chain") -> str:
    lock = chain.lock
    name = lock.name or lock.description or "unnamed"
    waiters = wording.count(len(chain.waiters), "waiter")
    missing = chain.waiters_expected
    expected = f" of {missing} expected" if missing is not None and missing != len(chain.waiters) else ""
    return f"{lock.kind} {name} at {lock.address}: {waiters}{expected} (by {chain.trust})"


def _thread(address: str, threads: "dict[str, ThreadFacts]") -> str:
    thread = threads.get(address)
    if thread is None:
        return f"thread {address}"
    number = "" if thread.pid is None else f" {thread.pid}.{thread.tid}"
    return f"thread {address} ({thread.process or 'unknown process'}{number})"


def _blocked(blocked: "BlockedThread") -> str:
    number = "" if blocked.pid is None else f" {blocked.pid}.{blocked.tid}"
    waits = "" if blocked.wait_seconds is None else f" for {wording.duration(blocked.wait_seconds)}"
    behind = f" on {blocked.waits_for}" if blocked.waits_for else ""
    doing = f", {blocked.doing}" if blocked.doing else ""
    return f"waits{waits}{behind}: thread {blocked.thread} ({blocked.process or 'unknown process'}{number}){doing}"


def _groups(report: "Report") -> Iterator[Line]:
    if report.stack_groups:
        yield "plain", ""
        yield "title", "Threads with the same stack"
    for group in report.stack_groups[:MAX_GROUPS]:
        yield "plain", f"  {wording.same_stack(group)}"


def _stacks(report: "Report") -> Iterator[Line]:
    told = [thread for thread in report.threads if thread.stack][:MAX_STACKS]
    for thread in told:
        yield "plain", ""
        yield "title", f"Stack of {_thread(thread.address, {thread.address: thread})}"
        yield from _frames(thread.stack, thread.stack_end, {one.frame: one for one in thread.given})
        if thread.user_stack:
            yield "plain", "  In its program:"
            yield from _frames(thread.user_stack, thread.user_stack_end)


def _frames(frames: Sequence["StackFrame"], end: str, given: "Mapping[int, Given] | None" = None) -> Iterator[Line]:
    for number, frame in enumerate(frames[:MAX_FRAMES]):
        known = given.get(number) if given else None
        argument = f"  ({known.what}; {known.trust})" if known else ""
        yield "plain", f"  {frame.trust:13} {frame.symbol}{argument}"
    if len(frames) > MAX_FRAMES:
        yield "dim", f"  and {len(frames) - MAX_FRAMES} more"
    if end:
        yield "dim", f"  {end}"


class PlainProgress:
    """Progress into a pipe: one line when a stage begins, and one at each quarter of a long one."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown: tuple[str, int] | None = None

    def __call__(self, stage: str, fraction: float | None, detail: str = "") -> None:
        """Show a stage if something changed worth a line."""
        analysing = stage in STAGES
        stage = STAGES.get(stage, stage)
        quarter = int((fraction or 0.0) * 4)
        if self._shown == (stage, quarter):
            return
        moved = self._shown is not None and self._shown[0] == stage
        self._shown = (stage, quarter)
        done = f" {quarter * 25} %" if moved else ""
        said = f" ({printable(detail)})" if detail and (moved or analysing) else ""
        print(f"{printable(stage)}{done}{said}", file=self._stream, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to clean up."""


class RichProgress:
    """Progress on a terminal: one bar that names the stage, gone when the work is done."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            TimeElapsedColumn(),
            console=Console(file=stream),
            transient=True,
        )
        self._task = self._bars.add_task("starting", total=None, detail="")

    def __call__(self, stage: str, fraction: float | None, detail: str = "") -> None:
        """Show a stage on the bar."""
        self._bars.update(
            self._task,
            description=printable(STAGES.get(stage, stage)),
            total=None if fraction is None else 1.0,
            completed=fraction or 0.0,
            detail=printable(detail),
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()


def progress_on(stream: TextIO | None = None) -> PlainProgress | RichProgress:
    """The progress display that suits the stream, standard error by default."""
    stream = stream or sys.stderr
    return RichProgress(stream) if stream.isatty() else PlainProgress(stream)
