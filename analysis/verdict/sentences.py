"""The sentences a person on call reads first: what happened, whom it hit."""

from collections.abc import Iterable, Sequence

from analysis.bugchecks.explained import Stop
from analysis.kernel.facts import Frame, Lock, LockKind, Thread
from analysis.kernel.printed import PrintedScene
from analysis.kernel.scene import Scene
from analysis.trust import Trust
from analysis.verdict.blame import VERIFIER
from analysis.verdict.functions import is_plumbing, split_symbol
from analysis.verdict.modules import stem
from analysis.verdict.story import Story, chain_of, held, holds, lock_text, thread_name
from analysis.verdict.walk import Walk
from analysis.waits.deadlock import Cycle
from analysis.waits.importance import importance

MAX_NAMED_PROCESSES = 6
MAX_RIVALS = 2


def summary(scene: Scene, story: Story) -> str:
    """One sentence: the culprit and what it did, or why nobody is named."""
    if story.cycle is not None:
        return _deadlock(scene, story, story.cycle)
    if story.blame.kind is None:
        return _nobody(scene, story)
    if story.blame.kind in ("hardware", "memory", "process") and story.explained.blamed is not None:
        return _capital(f"{story.explained.blamed.what}: {story.explained.explanation}")
    if story.stop is Stop.HANG:
        return _holder(scene, story)
    return _fault(story)


def impact(scene: Scene, story: Story) -> str | None:
    """One sentence: who was stuck and what the person saw; None where nobody was."""
    threads = [known for one in story.waits.blocked if (known := scene.thread(one.thread)) is not None]
    if not threads or (story.root is None and story.cycle is None):
        return None
    threads.sort(key=lambda thread: (-importance(thread), -(thread.wait_seconds or 0)))
    first, doing = threads[0], {one.thread: one.doing for one in story.waits.blocked}
    waited = f" for {seconds(first.wait_seconds)}" if first.wait_seconds else ""
    what = "a lock of the deadlock" if story.cycle is not None else "it"
    busy = f" ({told})" if (told := doing.get(first.address)) else ""
    text = f"{first.process_name}{busy} was waiting for {what}{waited}"
    if len(threads) > 1:
        others = _processes(threads[1:])
        more = f"{len(threads) - 1} more {_plural(len(threads) - 1, 'thread')} ({others})"
        text += f", and {more} {'hung in it or behind it' if story.cycle is not None else 'stood behind it too'}"
    stuck = "".join(f"; {queue}" for link in story.waits.chains if (queue := _stuck_queue(link.lock)))
    return f"{text}{stuck}; {_seen(story, first, doing.values())}."


def _stuck_queue(lock: Lock) -> str | None:
    if lock.kind is not LockKind.QUEUE:
        return None
    count = len(lock.owners)
    who = f"all {count} workers" if count > 1 else "the only worker"
    return f"{who} of {lock_text(lock)} {'are' if count > 1 else 'is'} stuck, so queued work waits"


def held_seconds(scene: Scene, story: Story) -> float | None:
    """How long the lock has been held at least: as long as the longest wait for it."""
    links = chain_of(story.root, story.waits) if story.root is not None else ()
    waits = [
        thread.wait_seconds
        for link in links
        for held in link.lock.waiters
        if (thread := scene.thread(held.thread)) is not None and thread.wait_seconds is not None
    ]
    return max(waits, default=None)


def seconds(value: float | None) -> str:
    """A length of time: "300 s", "4.5 s", "27 min"."""
    if value is None:
        return "an unknown time"
    if value >= 3600:
        return f"{value / 3600:.1f} h"
    return f"{value:.0f} s" if value >= 10 else f"{value:.1f} s"


def _holder(scene: Scene, story: Story) -> str:
    text = f"{story.blame.module} {_did(story)}"
    if story.lock is None:
        return f"{text}."
    time = held_seconds(scene, story)
    return f"{text} and {held(story.lock)}" + (f" for {seconds(time)}." if time is not None else ".")


def _did(story: Story) -> str:
    if story.root is None and story.explained.deed:
        return story.explained.deed
    device = _device_name(story)
    doing = story.doing
    if doing and "removal" in doing and device:
        how = "surprise removal" if "surprise" in doing else "removal"
        return f"did not return from the {how} of {device}"
    if doing:
        return f"did not return from {with_article(doing)}" + (f" ({device})" if device else "")
    return f"did not return from its work on {device}" if device else "did not return from its work"


def with_article(doing: str) -> str:
    """A purpose as a sentence needs it: "device request" → "a device request"."""
    if doing.startswith("system "):
        return f"the {doing}"
    return doing if doing.split(maxsplit=1)[0] in ("paging", "waiting") else f"a {doing}"


def _device_name(story: Story) -> str | None:
    device = story.device
    return (device.name or device.instance_path or device.service) if device else None


def _fault(story: Story) -> str:
    blame, deed = story.blame, story.explained.deed or f"is blamed for {story.explained.name}"
    where = f" at {blame.function}" if blame.function else ""
    if blame.kind == "windows":
        return f"Windows' own kernel {deed}{where}, with no driver on the stack: memory damage or a fault of Windows."
    # Whoever is named by something else than the stack did not lead to what is on it, and Driver Verifier's code stands
    # between the mistake and the stop.
    led = blame.frame is not None and story.explained.code not in VERIFIER
    inner = _innermost(story) if led else None
    if inner is None or inner.module is None or stem(inner.module) == stem(blame.module or "") or not blame.function:
        return f"{blame.module} {deed}{f', at {blame.function}' if blame.function else ''}."
    place = split_symbol(inner.symbol)
    called = f"{place.module}!{place.function}" if place.function else inner.module
    return f"{blame.module}{where} is the driver behind it: code it led to ({called}) {deed}."


def _innermost(story: Story) -> Frame | None:
    # The frame that did it: below what only delivers the stop, and the very instruction where a parameter names it.
    named = {hint.address for hint in story.explained.hints if hint.address is not None}
    frames = story.stack.frames
    exact = next((frame for frame in frames if frame.address in named), None)
    return exact or next(
        (frame for frame in frames if frame.module is not None and not is_plumbing(frame.symbol)), None
    )


def _nobody(scene: Scene, story: Story) -> str:
    explained = story.explained
    if story.root is not None:
        who = _capital(thread_name(scene, story.root))
        lock = f" and {holds(story.lock)}" if story.lock else ""
        thread = scene.thread(story.root)
        if thread is not None and thread.terminated:
            still = lock.replace("holds", "still owns")
            return f"{who} has ended{still}: it was never released, and no driver can be named."
        front = "is at the front of the pile-up" if story.waits.blocked else "is the thread that did not come back"
        why = "no driver's code is on its stack" if story.stack.frames else story.stack.end or "its stack is not there"
        device = _device_name(story)
        about = f"; Plug and Play was busy with {device}" if device else ""
        return f"{who} {front}{lock}, but no driver can be named: {why}{about}."
    cut = not isinstance(scene, PrintedScene) and scene.image.truncated
    if story.stop is Stop.DELIBERATE:
        looked = "locks are not in this dump" if scene.image.triage else "no lock or wait explains a hang"
        if cut:
            looked = "the file is cut short: what could explain a hang may be missing"
        return f"Nobody is blamed: this stop was deliberate ({explained.name}), and {looked}."
    what = "text" if isinstance(scene, PrintedScene) else "dump"
    held = "the file is cut short, and what is left of it holds" if cut else f"this {what} holds"
    return f"No culprit can be named for {explained.name}: {held} no evidence against any driver."


def _deadlock(scene: Scene, story: Story, cycle: Cycle) -> str:
    parts = [f"{_drivers(story.cycle_drivers[thread])} in {thread_name(scene, thread)}" for thread in cycle.threads]
    locks = [link.lock for link in story.waits.chains if link.lock.address in cycle.locks]
    names = " and ".join(lock_text(lock) for lock in locks)
    if len(parts) == 1:
        return f"Deadlock: {parts[0]} waits for {names}, which it holds itself; it can never go on."
    other = "the other" if len(parts) == 2 else "the next one"
    return f"Deadlock: {_series(parts)} each hold a lock that {other} waits for ({names}); none can go on."


def _drivers(walk: Walk) -> str:
    # On a scanned stack another module of the same strength may be the one: both are named.
    chosen = walk.chosen
    if chosen is None:
        return "no driver's code"
    rivals = [one.module for one in walk.candidates if one.strength is chosen.strength and one.module != chosen.module]
    if chosen.trust > Trust.SCAN or not rivals:
        return chosen.module
    return " or ".join(dict.fromkeys((chosen.module, *rivals[:MAX_RIVALS])))


def _seen(story: Story, first: Thread, doings: Iterable[str | None]) -> str:
    shutdown = next((one for one in doings if one and ("shutdown" in one or "sleep" in one)), None)
    timeout = story.explained.timeout_seconds
    if timeout is not None:
        what = f"the {shutdown or 'shutdown, sleep or restart'} did not finish"
        return f"{what}, and Windows stopped the machine after {timeout} s"
    if shutdown:
        return f"the {shutdown} hung"
    if importance(first) >= 10:
        return "the machine did not respond to the person in front of it"
    return "what these threads do stood still"


def _processes(threads: Sequence[Thread]) -> str:
    names = list(dict.fromkeys(thread.process_name for thread in threads))
    more = len(names) - MAX_NAMED_PROCESSES
    return ", ".join(names[:MAX_NAMED_PROCESSES]) + (f" and {more} more" if more > 0 else "")


def _series(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _plural(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
