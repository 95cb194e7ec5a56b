"""From a report to Slack messages. Pure: the same report always gives the same messages.

The order is the report contract's: the summary is the first reply; pile-up, evidence, next steps follow in the
thread. Words live in ``templates/slack``; here is what needs more than words.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from analysis.verdict.report import BlockedThread, Chain, ChainLock, Report, StackFrame, ThreadFacts
from bot import wording
from bot.elements import MAX_BUTTON
from bot.mrkdwn import Mrkdwn, visible
from bot.outbound import Block, Message
from bot.slack_text import render
from bot.standing import UNKNOWN, Standing
from bot.words import button_words

MAX_BLOCKED = 25
MAX_PROBLEMS = 20
MAX_FRAMES = 40
MAX_STACKS = 4
MAX_GROUPS = 3
MAX_RELATIVES = 2
MAX_FRAME_TEXT = 120
BAR_WIDTH = 20


@dataclass(frozen=True, slots=True)
class Seen:
    """Crashes of the same bucket: how often with this one, since when, on how many hosts, where first.

    ``is_counter``: others came after this one, so that the number is not its place in the row.
    """

    times: int
    since: datetime
    hosts: int
    first_link: str | None = None
    is_counter: bool = False


@dataclass(frozen=True, slots=True)
class Relative:
    """An earlier crash of another failure that is like this one: what it was, why it is like, and where it is told."""

    text: str
    reason: str
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Button:
    """A button below a message: which action it is, what it is about, its words and what they are read out as."""

    action: str
    value: str
    text: str
    label: str
    is_danger: bool = False


@dataclass(frozen=True, slots=True)
class Picker:
    """A choice of a person below a message: which action it is, its words, who is chosen already."""

    action: str
    text: str
    chosen: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of an archive: its first dump's report, and the names of all its dumps."""

    report: Report
    names: tuple[str, ...]


def summary(
    report: Report,
    seen: Seen | None = None,
    relatives: tuple[Relative, ...] = (),
    line: str = "",
    stands: Standing = UNKNOWN,
) -> Message:
    """The first reply. ``seen`` is None when this bucket is new; then ``relatives`` may tell what it is like.

    ``line`` is a sentence about the message itself: that symbols are on their way, or that it was edited.
    """
    shown = () if seen else relatives[:MAX_RELATIVES]
    mentions = _mentions(report, stands)
    return render("summary", mentions, report=report, seen=seen, relatives=shown, line=line, standing=stands)


def again(report: Report, seen: Seen, line: str = "", stands: Standing = UNKNOWN) -> Message:
    """The short answer to another dump of a failure that was told before."""
    return render("again", _mentions(report, stands), report=report, seen=seen, line=line, standing=stands)


def muted(report: Report, seen: Seen | None, stands: Standing) -> Message:
    """The one line about another dump of a failure that is muted in this channel."""
    return render("muted", _mentions(report, stands), report=report, seen=seen, standing=stands)


def unfurled(report: Report, seen: Seen | None, stands: Standing) -> Message:
    """What stands below a message with a link to the report's page."""
    return render("unfurl", _mentions(report, stands), report=report, seen=seen, standing=stands)


def with_links(message: Message, page: str | None, new_ticket: str | None = None) -> Message:
    """The message with links below it, to the report's page and to what begins a ticket about it; as it was without."""
    below = render("page", address=page, new_ticket=new_ticket).blocks
    return replace(message, blocks=(*message.blocks, *below)) if below else message


def gone() -> Message:
    """What takes the place of a detail that no longer holds."""
    return render("gone")


def pile_up(report: Report) -> Message | None:
    """Root, locks and every blocked thread; None where nobody waits for anybody."""
    blocking = report.blocking
    if not (blocking.chains or blocking.blocked_threads or blocking.deadlocks):
        return None
    threads = _known_threads(report)
    locks = {chain.lock.address: chain.lock for chain in blocking.chains}
    blocked = [_blocked(item, locks) for item in blocking.blocked_threads]
    return render(
        "pile_up",
        root=_thread(threads, blocking.root.thread) if blocking.root else None,
        chains=[_chain(chain) for chain in blocking.chains],
        deadlocks=[{"threads": [_thread(threads, address) for address in d.threads]} for d in blocking.deadlocks],
        blocked=blocked,
        shown=blocked[:MAX_BLOCKED],
        groups=[wording.same_stack(group) for group in report.stack_groups if group.blocked][:MAX_GROUPS],
    )


def evidence(report: Report) -> Message:
    """The reasons, and the stacks that carry them: the root's, the deadlock's, else the crashing thread's."""
    parameters = [
        (number, item)
        for number, item in enumerate(report.bugcheck.parameters if report.bugcheck else (), 1)
        if item.meaning or item.resolved or item.value != "0x0"
    ]
    message = render("evidence", report=report, parameters=parameters)
    stacks: list[Block] = []
    for thread in story_threads(report):
        scanned = any(frame.trust == "scan" for frame in thread.stack)
        stacks += render("stack", thread=thread, scanned=scanned).blocks
        stacks.append(_stack_block(thread))
    return Message(message.text, (*message.blocks, *stacks))


def next_steps(report: Report) -> Message | None:
    """What to do next, what the dump cannot tell, which stages failed; None where there is nothing of it."""
    verdict = report.verdict
    if not (verdict.next_steps or verdict.cannot_tell or report.notes):
        return None
    message = render("next_steps", report=report)
    return message if message.text else Message("Stages of the analysis that failed are listed here.", message.blocks)


def duplicate(report: Report, at: str, first_link: str | None, stands: Standing = UNKNOWN) -> Message:
    """The answer to a dump that was analysed before: verdict and pointer. ``at`` is when, ISO 8601."""
    return render("duplicate", stands.people, report=report, at=at, first_link=first_link, standing=stands)


def progress(
    stage: str, source: str, fraction: float | None, detail: str = "", buttons: tuple[Button, ...] = ()
) -> Message:
    """The reply while work goes on. ``fraction`` is 0 to 1, None where the end is not known; ``detail`` is a figure
    in words, such as "3.1 MB of 8.0 MB, 12 MB/s"."""
    percent = None if fraction is None else max(0, min(100, int(fraction * 100)))
    filled = 0 if percent is None else percent * BAR_WIDTH // 100
    bar = "█" * filled + "░" * (BAR_WIDTH - filled)
    shown = render("progress", stage=stage, source=source, percent=percent, bar=bar, detail=detail)
    return with_buttons(shown, buttons)


def button(action: str, value: str, words: str = "", about: str = "", *, is_danger: bool = False) -> Button:
    """A button with the words of its action, or with others; ``about`` is read out after them."""
    said = button_words(words or action)
    return Button(action, value, said.text, f"{said.label} {about}".strip()[:MAX_BUTTON], is_danger)


def with_buttons(message: Message, buttons: tuple[Button | Picker, ...]) -> Message:
    """The message with buttons below it; without any it is as it was."""
    return replace(message, blocks=(*message.blocks, *button_row(buttons))) if buttons else message


def button_row(buttons: Sequence[Button | Picker]) -> tuple[Block, ...]:
    """Buttons side by side; no block where there are none."""
    return ({"type": "actions", "elements": [_element(button) for button in buttons]},) if buttons else ()


def archive(
    problems: tuple[Problem, ...], failures: tuple[tuple[str, str], ...], damaged: tuple[str, ...], left_out: int
) -> Message:
    """The first reply about several dumps: how many, how many different problems, and which dump has which.

    ``failures`` are dumps that could not be analysed, each with its line.
    """
    return render(
        "archive",
        dumps=sum(len(problem.names) for problem in problems) + len(failures),
        problems=problems,
        failures=failures[:MAX_PROBLEMS],
        damaged=damaged[:MAX_PROBLEMS],
        left_out=left_out,
    )


def of_archive(name: str, message: Message) -> Message:
    """A message about one dump of several, under its name."""
    heading = render("dump_name", dump=name)
    return Message(Mrkdwn(f"{heading.text} {message.text}"), (*heading.blocks, *message.blocks), message.mentions)


def password_wanted(source: str, *, again: bool) -> Message:
    """The request for an archive's password; ``again`` when the one that was given does not open it."""
    return render("password", source=source, again=again)


def _element(button: Button | Picker) -> Block:
    text = {"type": "plain_text", "text": button.text}
    if isinstance(button, Picker):
        chosen = {"initial_user": button.chosen} if button.chosen else {}
        return {"type": "users_select", "action_id": button.action, "placeholder": text, **chosen}
    style = {"style": "danger"} if button.is_danger else {}
    return {
        "type": "button",
        "action_id": button.action,
        "value": button.value,
        "text": text,
        "accessibility_label": button.label,
        **style,
    }


def failure(sentence: str, source: str) -> Message:
    """One clear line instead of a verdict."""
    return render("failure", sentence=sentence, source=source)


def story_threads(report: Report) -> tuple[ThreadFacts, ...]:
    """The threads whose stacks a person needs first, at most ``MAX_STACKS``."""
    threads = {thread.address: thread for thread in report.threads}
    wanted = [report.blocking.root.thread] if report.blocking.root else []
    wanted += [address for cycle in report.blocking.deadlocks for address in cycle.threads]
    chosen = [threads[address] for address in dict.fromkeys(wanted) if address in threads and threads[address].stack]
    if not chosen:
        chosen = [thread for thread in report.threads if thread.stack][:1]
    return tuple(chosen[:MAX_STACKS])


def _mentions(report: Report, stands: Standing) -> frozenset[str]:
    return stands.people | ({report.verdict.team} if report.verdict.team else frozenset())


def _known_threads(report: Report) -> dict[str, ThreadFacts]:
    known = {
        item.thread: ThreadFacts(item.thread, item.process, item.pid, item.tid)
        for item in report.blocking.blocked_threads
    }
    return known | {thread.address: thread for thread in report.threads}


def _thread(threads: dict[str, ThreadFacts], address: str) -> ThreadFacts:
    return threads.get(address, ThreadFacts(address))


def _chain(chain: Chain) -> dict[str, Any]:
    return {
        "lock": chain.lock,
        "owners": chain.owners[:8],
        "found": len(chain.waiters),
        "expected": chain.waiters_expected,
        "trust": chain.trust,
    }


def _blocked(item: BlockedThread, locks: dict[str, ChainLock]) -> dict[str, Any]:
    return {
        "process": item.process,
        "pid": item.pid,
        "tid": item.tid,
        "wait_seconds": item.wait_seconds,
        "wait_reason": item.wait_reason,
        "doing": item.doing,
        "lock": locks.get(item.waits_for or ""),
    }


def _stack_block(thread: ThreadFacts) -> Block:
    # Rich text is literal: a frame named "<!channel>" is shown, not obeyed.
    given = {one.frame: f"  ({visible(one.what)[:MAX_FRAME_TEXT]})" for one in thread.given}
    lines = [
        f"{_frame_line(index, frame)}{given.get(index, '')}" for index, frame in enumerate(thread.stack[:MAX_FRAMES])
    ]
    if len(thread.stack) > MAX_FRAMES:
        lines.append(f"… {len(thread.stack) - MAX_FRAMES} more frames in the full report")
    elif thread.stack_end:
        lines.append(f"   ({visible(thread.stack_end)[:MAX_FRAME_TEXT]})")
    text = "\n".join(lines)
    return {
        "type": "rich_text",
        "elements": [{"type": "rich_text_preformatted", "elements": [{"type": "text", "text": text}]}],
    }


def _frame_line(index: int, frame: StackFrame) -> str:
    mark = "?" if frame.trust == "scan" else " "
    return f"{index:>2}{mark} {visible(frame.symbol)[:MAX_FRAME_TEXT]}"
