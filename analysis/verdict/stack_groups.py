"""Threads that stand at the same place: all stacks of a dump, grouped where they are identical.

What many threads have in common is often the story: thirty workers that wait for one lock are one line, not thirty
stacks. Stacks are the same where every frame has the same address; how far a group is trusted is what its weakest frame
is worth.
"""

from collections.abc import Iterable, Iterator
from itertools import dropwhile

from analysis.address import VirtAddr
from analysis.kernel.facts import Frame, Stack
from analysis.kernel.scene import Scene
from analysis.limits import MAX_GROUPED_THREADS
from analysis.trust import Trust
from analysis.verdict import report
from analysis.verdict.functions import is_wait_function, is_waiting, split_symbol
from analysis.verdict.modules import is_kernel_name
from analysis.verdict.report import hexa

MAX_GROUPS = 24
MAX_LISTED = 64  # threads by address; the count is of all
TELLING = 3


def stack_groups(scene: Scene, blocked: Iterable[VirtAddr] = ()) -> tuple[report.StackGroup, ...]:
    """Groups of two threads and more with the same stack: those with a ``blocked`` thread first, then the largest."""
    stuck = set(blocked)
    members: dict[tuple[int, ...], list[VirtAddr]] = {}
    for address in list(scene.facts.threads)[:MAX_GROUPED_THREADS]:
        frames = scene.stack(address).frames
        if frames:
            members.setdefault(tuple(frame.address for frame in frames), []).append(address)
    groups = [threads for threads in members.values() if len(threads) > 1]
    groups.sort(key=lambda threads: (not stuck.intersection(threads), -len(threads)))
    return tuple(_group(scene, threads, stuck) for threads in groups[:MAX_GROUPS])


def _group(scene: Scene, threads: list[VirtAddr], stuck: set[VirtAddr]) -> report.StackGroup:
    stack: Stack = min((scene.stack(address) for address in threads), key=_trust)
    names = [scene.facts.threads[address].process_name for address in threads]
    return report.StackGroup(
        count=len(threads),
        blocked=len(stuck.intersection(threads)),
        threads=tuple(hexa(address) for address in threads[:MAX_LISTED]),
        processes=tuple(dict.fromkeys(name for name in names if name)),
        summary=" ← ".join(_telling(stack.frames)),
        trust=min(_trust(stack), Trust.CONTEXT).label,
        stack=tuple(
            report.StackFrame(hexa(one.address), one.symbol, one.module, min(one.trust, Trust.CONTEXT).label)
            for one in stack.frames
        ),
    )


def _trust(stack: Stack) -> Trust:
    return min(frame.trust for frame in stack.frames)


def _telling(frames: Iterable[Frame]) -> Iterator[str]:
    """The first frames behind those that every waiting thread has; the innermost ones where there are no others."""
    symbols = [frame.symbol for frame in frames]
    yield from (list(dropwhile(_is_everywhere, symbols)) or symbols)[:TELLING]


def _is_everywhere(symbol: str) -> bool:
    place = split_symbol(symbol)
    nameless = place.function is None and is_kernel_name(place.module)
    return nameless or is_waiting(symbol) or is_wait_function(symbol)
