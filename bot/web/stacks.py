"""All stacks of a report: each once, with the threads that have it; and which of them have some words in them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from analysis.verdict.report import BlockedThread, Report, StackFrame, StackGroup, ThreadFacts

MAX_WORDS, MAX_WORD = 6, 80


@dataclass(frozen=True, slots=True)
class UserPart:
    """The part of a stack that lies in a program: its frames, why it ends there, and the threads that have it."""

    threads: tuple[ThreadFacts, ...]
    frames: tuple[StackFrame, ...]
    end: str


@dataclass(frozen=True, slots=True)
class Stack:
    """One stack of the page: its ``place`` there, the threads that have it as far as they are listed, and how many have
    it in all, ``blocked`` of them blocked. ``given`` is what functions were given, by frame."""

    place: str
    threads: tuple[ThreadFacts, ...]
    frames: tuple[StackFrame, ...]
    end: str
    count: int
    blocked: int
    processes: tuple[str, ...]
    given: dict[int, str]
    user: tuple[UserPart, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What a search among stacks came to. ``frames`` are the frames that have one of the words, by place and number."""

    words: str = ""
    stacks: tuple[Stack, ...] = ()
    others: tuple[Stack, ...] = ()
    frames: frozenset[tuple[str, int]] = frozenset()

    @property
    def threads(self) -> int:
        """How many threads have the stacks that were found."""
        return sum(stack.count for stack in self.stacks)


def stacks_of(report: Report) -> tuple[Stack, ...]:
    """The threads of the story in its order, those with one stack together where the first of them stands; then the
    other groups of threads."""
    found = list(_gathered(report))
    return tuple(_stack(f"s{number}", one) for number, one in enumerate(found, 1))


def search(stacks: tuple[Stack, ...], text: str) -> Found:
    """The stacks that have every word of a text: in a frame, in the name of a process, or as the number of a thread or
    a process. Upper and lower case are the same."""
    words = [word[:MAX_WORD] for word in text.lower().split()[:MAX_WORDS]]
    if not words:
        return Found(stacks=stacks)
    hits = [stack for stack in stacks if all(_has(stack, word) for word in words)]
    frames = {
        (stack.place, number)
        for stack in hits
        for number, frame in enumerate(stack.frames)
        if any(_in_frame(frame, word) for word in words)
    }
    others = tuple(stack for stack in stacks if stack not in hits)
    return Found(" ".join(text.split()), tuple(hits), others, frozenset(frames))


@dataclass(slots=True)
class _Gathered:
    # Threads with one and the same stack.
    frames: tuple[StackFrame, ...]
    threads: list[ThreadFacts]
    group: StackGroup | None = None
    blocked: dict[str, BlockedThread] = field(default_factory=dict)


def _gathered(report: Report) -> Iterator[_Gathered]:
    blocked = {item.thread: item for item in report.blocking.blocked_threads}
    known = {item.thread: ThreadFacts(item.thread, item.process, item.pid, item.tid) for item in blocked.values()}
    known |= {thread.address: thread for thread in report.threads}
    group_of = {address: number for number, group in enumerate(report.stack_groups) for address in group.threads}
    told: dict[object, _Gathered] = {}
    for thread in report.threads:
        number = group_of.get(thread.address)
        if number is not None:
            told.setdefault(number, _of_group(report.stack_groups[number], known, blocked))
        elif not thread.stack:  # of which nothing is known, nothing is the same
            told[thread.address] = _Gathered((), [thread], None, blocked)
        else:
            told.setdefault(("stack", thread.stack), _Gathered(thread.stack, [], None, blocked)).threads.append(thread)
    for number, group in enumerate(report.stack_groups):
        told.setdefault(number, _of_group(group, known, blocked))
    yield from told.values()


def _of_group(group: StackGroup, known: dict[str, ThreadFacts], blocked: dict[str, BlockedThread]) -> _Gathered:
    members = [known.get(address, ThreadFacts(address)) for address in group.threads]
    return _Gathered(group.stack, members, group, blocked)


def _stack(place: str, one: _Gathered) -> Stack:
    group, threads = one.group, tuple(one.threads)
    user: dict[tuple[tuple[StackFrame, ...], str], list[ThreadFacts]] = {}
    for thread in threads:
        if thread.user_stack or thread.user_stack_end:
            user.setdefault((thread.user_stack, thread.user_stack_end), []).append(thread)
    own = tuple(dict.fromkeys(thread.process for thread in threads if thread.process))
    return Stack(
        place=place,
        threads=threads,
        frames=one.frames,
        end=next((thread.stack_end for thread in threads if thread.stack_end), ""),
        count=len(threads) if group is None else group.count,
        blocked=sum(thread.address in one.blocked for thread in threads) if group is None else group.blocked,
        processes=own if group is None else group.processes,
        given=next(({item.frame: item.what for item in thread.given} for thread in threads if thread.given), {}),
        user=tuple(UserPart(tuple(members), frames, end) for (frames, end), members in user.items()),
    )


def _has(stack: Stack, word: str) -> bool:
    texts = [*stack.processes, *(thread.address for thread in stack.threads)]
    texts += [thread.process or "" for thread in stack.threads]
    numbers = {str(number) for thread in stack.threads for number in (thread.pid, thread.tid) if number is not None}
    frames = [*stack.frames, *(frame for part in stack.user for frame in part.frames)]
    return (
        word in numbers
        or any(word in text.lower() for text in texts)
        or any(_in_frame(frame, word) for frame in frames)
    )


def _in_frame(frame: StackFrame, word: str) -> bool:
    return any(word in text.lower() for text in (frame.symbol, frame.module or "", frame.address))
