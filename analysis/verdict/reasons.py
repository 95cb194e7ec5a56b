"""The evidence behind a verdict: each reason a fact with its address, symbol or parameter."""

from analysis.bugchecks.explained import FocusKind
from analysis.kernel.facts import Lock, LockKind
from analysis.kernel.printed import PrintedScene
from analysis.kernel.scene import Scene
from analysis.verdict.advice import known_bad
from analysis.verdict.report import hexa
from analysis.verdict.sentences import seconds
from analysis.verdict.story import Story, chain_of, lock_text, names_no_thread, ownership, thread_name
from analysis.waits.processors import SPINS, STUCK_PROCESSOR, about_processors

MAX_CHAIN = 8
BY_UNWIND_DATA, BY_WINDBG = "found by the image's own unwind data", "as WinDbg unwound the stack"


def reasons(scene: Scene, story: Story) -> tuple[str, ...]:
    """Facts in the order in which they lead to the verdict."""
    told = [*_focus(scene, story), *_chain(scene, story), *_root(scene, story), *_spinning(scene, story)]
    if story.blame.module is not None or story.blame.kind is not None or story.cycle is not None:
        told += story.blame.reasons
    told += story.explained.facts
    told += [f"known of {module.name} {module.version}: {text}" for module, text in known_bad(scene, story, alone=True)]
    if story.device is not None and story.device.why:
        told.append(story.device.why)
    if isinstance(scene, PrintedScene):
        told = [line.replace(BY_UNWIND_DATA, BY_WINDBG) for line in told]
    return tuple(dict.fromkeys(told))


def _focus(scene: Scene, story: Story) -> list[str]:
    focus = story.explained.focus
    if names_no_thread(scene, story.explained):
        return [f"there is no thread at {focus.address:#x}, which a parameter names: what is told rests on the locks"]
    if focus.kind is FocusKind.THREAD and story.root is not None and story.root != focus.address:
        at_the_end = thread_name(scene, story.root)
        return [f"{focus.why} ({focus.address:#x}); it waits itself, and at the end of the chain stands {at_the_end}"]
    if focus.kind in (FocusKind.THREAD, FocusKind.CONTEXT, FocusKind.TRAP):
        return [f"{focus.why} ({focus.address:#x})"]
    return [focus.why] if focus.kind in (FocusKind.NONE, FocusKind.PROCESSOR) and focus.why else []


def _chain(scene: Scene, story: Story) -> list[str]:
    told = []
    for link in story.waits.chains[:MAX_CHAIN]:
        lock = link.lock
        owners = " and ".join(thread_name(scene, held.thread) for held in lock.owners) or _no_thread(lock)
        found = len(lock.waiters)
        counted = f", {found} of {lock.waiters_expected} found" if lock.waiters_expected not in (None, found) else ""
        told.append(
            f"{_where(lock)} {_owned(lock)} {owners}; "
            f"{found} {'thread waits' if found == 1 else 'threads wait'} for it now{counted} ({link.trust.label})"
        )
    return told


def _spinning(scene: Scene, story: Story) -> list[str]:
    if story.explained.code not in STUCK_PROCESSOR:
        return []
    locks = [link.lock for link in story.waits.chains if link.lock.kind is LockKind.SPIN_LOCK]
    return [text for text in about_processors(scene, locks) if SPINS in text][:MAX_CHAIN]


def _owned(lock: Lock) -> str:
    words = {
        LockKind.ALPC: "is to be answered by",
        LockKind.THREAD: "must end first, and that is",
        LockKind.PROCESS: "cannot end before",
        LockKind.QUEUE: "is served by",
        LockKind.IRP: "is to be completed by",
        LockKind.SEMAPHORE: "is to be signaled after an answer of",
    }
    return words.get(lock.kind, f"is owned{ownership(lock)} by")


def _no_thread(lock: Lock) -> str:
    if lock.kind in (LockKind.IRP, LockKind.SEMAPHORE):
        return lock.driver or "a driver that cannot be told"
    return "nobody that is recorded"


def _where(lock: Lock) -> str:
    if lock.name:
        return f"{lock.name} at {hexa(lock.address)}"
    return lock.description or lock_text(lock)


def _root(scene: Scene, story: Story) -> list[str]:
    if story.root is None:
        return []
    thread = scene.thread(story.root)
    if thread is None and isinstance(scene, PrintedScene):
        return []
    if thread is None:
        return [f"thread {story.root:#x} is not on the list of any process that could be read"]
    waited = f" for {seconds(thread.wait_seconds)}" if thread.wait_seconds is not None else ""
    held = chain_of(story.root, story.waits)
    what = f"{thread.state}{waited}" + (f" ({thread.wait_reason})" if thread.wait_reason else "")
    ending = "and holds what the others wait for" if held else "and nobody was found waiting for a lock of it"
    return [f"{thread_name(scene, story.root)} is in state {what}, {ending}"]
