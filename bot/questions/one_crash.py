"""Questions about one crash, answered from its report: who held the lock, who waited and why, stacks, suspects."""

from collections.abc import Callable, Iterator

from analysis.verdict.report import BlockedThread, Chain, Report, ThreadFacts
from bot.questions.grammar import Kind, Question

MAX_FRAMES, MAX_LISTED = 16, 10


def about_crash(report: Report, question: Question) -> tuple[str, ...]:
    """The lines of an answer; they are plain text and may quote names from the dump."""
    return tuple(_TOPICS[question.kind](report, _subject(question)))


def _subject(question: Question) -> str:
    return question.subject[0].lower() if question.subject else ""


def _holder(report: Report, _: str) -> Iterator[str]:
    chains = [chain for chain in report.blocking.chains if chain.owners]
    if not chains:
        yield _nobody_waits(report)
    for chain in chains[:MAX_LISTED]:
        owners = ", ".join(_thread(report, owner) for owner in chain.owners)
        how = f" ({chain.lock.ownership})" if chain.lock.ownership else ""
        yield f"{_lock(chain)} was held by {owners}{how}; {len(chain.waiters)} waited for it directly."
    culprit = report.verdict.culprit
    if chains and culprit is not None and culprit.module:
        at = f" at {culprit.function}" if culprit.function else ""
        yield f"To blame: {culprit.module}{at}, confidence {report.verdict.confidence}."


def _blocked(report: Report, subject: str) -> Iterator[str]:
    blocked = [one for one in report.blocking.blocked_threads if subject in (one.process or "").lower()]
    if not blocked:
        yield _nobody_waits(report) if not subject else f"No thread of {subject} was blocked, as far as the dump tells."
    for one in blocked[:MAX_LISTED]:
        yield _waiting(report, one)
    if len(blocked) > MAX_LISTED:
        yield f"… and {len(blocked) - MAX_LISTED} more."


def _why(report: Report, subject: str) -> Iterator[str]:
    if subject and any(subject in (one.process or "").lower() for one in report.blocking.blocked_threads):
        yield from _blocked(report, subject)
        yield from _holder(report, "")
        return
    yield report.verdict.summary
    yield from report.verdict.reasons[:MAX_LISTED]


def _stack(report: Report, subject: str) -> Iterator[str]:
    found = next((one for one in report.threads if _is_named(one, subject)), None)
    if found is None:
        names = ", ".join(dict.fromkeys(one.process or one.address for one in report.threads)) or "none"
        yield f"The report has no stack of {subject}; it has those of: {names}."
        return
    yield f"{found.process or 'thread'} {found.address}, {found.state or 'state unknown'}:"
    for number, frame in enumerate(found.stack[:MAX_FRAMES]):
        yield f"{number:2} {frame.symbol} ({frame.trust})"
    more = len(found.stack) - MAX_FRAMES
    if more > 0:
        yield f"… and {more} more frames."
    if found.stack_end:
        yield f"It ends here: {found.stack_end}."


def _is_named(thread: ThreadFacts, subject: str) -> bool:
    named = [thread.process, thread.address, str(thread.tid), *(frame.module for frame in thread.stack)]
    return any(subject in name.lower() for name in named if name)


def _sure(report: Report, _: str) -> Iterator[str]:
    yield f"Confidence: {report.verdict.confidence}."
    yield from report.verdict.reasons[:MAX_LISTED]
    yield from (f"Cannot tell: {one}" for one in report.verdict.cannot_tell[:MAX_LISTED])


def _advice(report: Report, _: str) -> Iterator[str]:
    culprit = report.verdict.culprit
    yield f"Next steps{f' ({culprit.module})' if culprit and culprit.module else ''}:"
    yield from report.verdict.next_steps[:MAX_LISTED] or ("The report has none.",)


def _opinion(report: Report, subject: str) -> Iterator[str]:
    stem = subject.partition(".")[0]
    culprit = report.verdict.culprit
    said = False
    if culprit is not None and culprit.module and _stem(culprit.module) == stem:
        said = True
        yield f"{culprit.module} is the culprit: {report.verdict.summary}"
    for suspect in report.verdict.suspects:
        if _stem(suspect.module) == stem:
            said = True
            yield f"{suspect.module} was considered and not blamed: {suspect.why_not}."
    frames = [f for one in report.threads for f in one.stack if f.module and _stem(f.module) == stem]
    if frames:
        said = True
        example = f"{frames[0].symbol} ({frames[0].trust})"
        yield f"It has {len(frames)} frames on the stacks of the report, such as {example}."
    for module in report.modules:
        if _stem(module.name) == stem:
            said = True
            state = "was unloaded before the crash" if module.unloaded else "was loaded"
            yield f"{module.name} {module.version or 'of unknown version'} {state}."
    if not said:
        yield f"{subject or 'That'} is neither on a stack nor among the modules of this crash's report."


def _stem(module: str) -> str:
    return module.lower().partition(".")[0]


def _waiting(report: Report, one: BlockedThread) -> str:
    chain = next((chain for chain in report.blocking.chains if chain.lock.address == one.waits_for), None)
    what = _lock(chain) if chain else one.waits_for or "something unknown"
    time = f" for {one.wait_seconds:.0f} s" if one.wait_seconds is not None else ""
    doing = f" in the middle of: {one.doing}" if one.doing else ""
    return f"{one.process or 'thread'} {one.thread} waited for {what}{time}{doing}."


def _lock(chain: Chain) -> str:
    return chain.lock.name or chain.lock.description.partition(",")[0] or f"{chain.lock.kind} {chain.lock.address}"


def _thread(report: Report, address: str) -> str:
    known = next((one for one in report.threads if one.address == address), None)
    return f"{known.process or 'thread'} {address}" if known else f"thread {address}"


def _nobody_waits(report: Report) -> str:
    missing = next(iter(report.verdict.cannot_tell), None)
    return f"The report knows nobody who waited for a held lock.{f' {missing}' if missing else ''}"


_TOPICS: dict[Kind, Callable[[Report, str], Iterator[str]]] = {
    "holder": _holder,
    "blocked": _blocked,
    "why": _why,
    "stack": _stack,
    "sure": _sure,
    "advice": _advice,
    "opinion": _opinion,
}
