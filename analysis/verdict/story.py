"""What happened, as one set of facts: the stack that counts, the pile-up in front of it, and who is blamed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from analysis.address import VirtAddr
from analysis.bugchecks.explained import Cap, Explained, FocusKind, Stop
from analysis.kernel.facts import Lock, LockKind, Stack
from analysis.kernel.running import running_on
from analysis.kernel.scene import Scene
from analysis.trust import Trust
from analysis.verdict.blame import Blame, Case, DeviceEvidence, conclude
from analysis.verdict.focus import crashing_thread, focus_stack, stuck_thread
from analysis.verdict.modules import Strength
from analysis.verdict.surroundings import Surroundings
from analysis.verdict.user_rules import NO_RULES, UserRules
from analysis.verdict.walk import Walk, walk_stack
from analysis.waits.deadlock import Cycle
from analysis.waits.find import ChainLock, WaitAnalysis
from analysis.waits.processors import STUCK_PROCESSOR

MAX_DOINGS = 64
PNP_LOCK = "Plug and Play lock"


@dataclass(frozen=True, slots=True)
class Story:
    """Everything the report tells.

    ``thread`` is the one whose stack was read for the blame, ``root`` the one at the front of the pile-up,
    ``cycle_drivers`` the walk of each thread's stack in a deadlock.
    """

    explained: Explained
    waits: WaitAnalysis
    stop: Stop
    blame: Blame
    stack: Stack = field(default_factory=Stack)
    thread: VirtAddr | None = None
    crashing: VirtAddr | None = None
    root: VirtAddr | None = None
    lock: Lock | None = None
    device: DeviceEvidence | None = None
    doing: str | None = None
    cycle: Cycle | None = None
    cycle_drivers: Mapping[VirtAddr, Walk] = field(default_factory=dict)
    caps: tuple[Cap, ...] = ()
    rules: UserRules = NO_RULES


def tell(around: Surroundings, explained: Explained, waits: WaitAnalysis, rules: UserRules = NO_RULES) -> Story:
    """The story of a dump whose kernel could be read at all."""
    scene = around.scene
    waits = _with_pnp_lock(_with_doings(around, waits), explained)
    crashing = crashing_thread(scene)
    caps = explained.caps + _symbol_caps(scene)
    cycle = _cycle(scene, explained, waits)
    if cycle is not None:
        return replace(_deadlock(scene, explained, waits, cycle, rules), crashing=crashing)
    root = _root(scene, explained, waits)
    lock = _lock_of(root, waits)
    stop = _stop(explained, root)
    thread = root if root is not None else _focus_thread(scene, explained, crashing)
    stack = scene.stack(root) if root is not None else focus_stack(scene, explained, crashing)
    device = _device(around, explained, thread, stop) or _awaited(around, explained, stack, rules)
    known = scene.thread(root) if root is not None else None
    request = around.pending_request(known) if known else None
    hints = (*explained.hints, *((request,) if request else ()))
    caps += (*_chain_caps(waits, root, explained.code), *_parameter_caps(scene, explained, root))
    case = Case(explained.code, stop, stack.frames, hints, device, explained.blamed, caps, rules.strength)
    return Story(
        explained,
        waits,
        stop,
        conclude(case),
        stack,
        thread,
        crashing,
        root,
        lock,
        device,
        around.doing(root) if root is not None else None,
        caps=caps,
        rules=rules,
    )


def _with_doings(around: Surroundings, waits: WaitAnalysis) -> WaitAnalysis:
    # Only the threads that matter most are looked at: a pile-up may have hundreds.
    told = tuple(
        replace(one, doing=one.doing or around.doing(one.thread)) if index < MAX_DOINGS else one
        for index, one in enumerate(waits.blocked)
    )
    return replace(waits, blocked=told)


def _with_pnp_lock(waits: WaitAnalysis, explained: Explained) -> WaitAnalysis:
    # Without symbols no name stands at the lock's address; but 0x9F/4 itself says what the named thread holds.
    if explained.timeout_seconds is None or explained.focus.kind is not FocusKind.THREAD:
        return waits
    held = chain_of(VirtAddr(explained.focus.address), waits)
    if len(held) != 1 or held[0].lock.name is not None:
        return waits
    lock = held[0].lock
    described = replace(lock, description=f"{PNP_LOCK}, as the thread in parameter 3 holds it: {lock.description}")
    links = (ChainLock(described, link.trust) if link is held[0] else link for link in waits.chains)
    return replace(waits, chains=tuple(links))


def chain_of(thread: VirtAddr, waits: WaitAnalysis) -> tuple[ChainLock, ...]:
    """The locks that a thread owns and somebody waits for now."""
    return tuple(link for link in waits.chains if any(held.thread == thread for held in link.lock.owners))


def _cycle(scene: Scene, explained: Explained, waits: WaitAnalysis) -> Cycle | None:
    # A deadlock is the story when it is the most important pile-up and, where the bugcheck names a thread, holds that
    # thread. A fault with a deadlock elsewhere on the machine stays a fault.
    first = waits.pileups[0] if waits.pileups else None
    if first is None or first.cycle is None:
        return None
    if _locks_alone(scene, explained):
        return first.cycle
    stuck = _stuck_thread(scene, explained)
    return first.cycle if stuck is not None and stuck in (*first.cycle.threads, *first.blocked) else None


def _named_thread(explained: Explained) -> VirtAddr | None:
    if explained.stop is Stop.HANG and explained.focus.kind is FocusKind.THREAD:
        return VirtAddr(explained.focus.address)
    return None


def _stuck_thread(scene: Scene, explained: Explained) -> VirtAddr | None:
    return stuck_thread(scene, explained) if explained.stop is Stop.HANG else None


def names_no_thread(scene: Scene, explained: Explained) -> bool:
    """Whether the thread that the bugcheck names cannot be one: damaged parameters, or memory used again since."""
    named = _named_thread(explained)
    if named is None or scene.thread(named) is not None:
        return False
    # A small dump need not hold the thread: what cannot be read may well be one.
    return not scene.memory.is_kernel(named) or bool(scene.memory.read_available(named, 1))


def _locks_alone(scene: Scene, explained: Explained) -> bool:
    return explained.stop is Stop.DELIBERATE or explained.locks_first or names_no_thread(scene, explained)


def _root(scene: Scene, explained: Explained, waits: WaitAnalysis) -> VirtAddr | None:
    if _locks_alone(scene, explained):
        return waits.root
    named = _named_thread(explained)
    first = waits.pileups[0] if waits.pileups else None
    stuck = _stuck_thread(scene, explained)
    if stuck is None or first is None or first.root is None:
        return named
    # Behind the named thread, or the one whose processor a watchdog missed, may stand another one: the end of the
    # chain is the one that does not come back.
    return first.root if stuck == first.root or stuck in first.blocked else named


def _lock_of(root: VirtAddr | None, waits: WaitAnalysis) -> Lock | None:
    owned = chain_of(root, waits) if root is not None else ()
    return owned[0].lock if owned else None


def _stop(explained: Explained, root: VirtAddr | None) -> Stop:
    return Stop.HANG if explained.stop is Stop.DELIBERATE and root is not None else explained.stop


def _focus_thread(scene: Scene, explained: Explained, crashing: VirtAddr | None) -> VirtAddr | None:
    if explained.focus.kind is FocusKind.NONE:
        return None
    if explained.focus.kind is FocusKind.PROCESSOR:
        return running_on(scene.memory, scene.symbols, explained.focus.address)
    return VirtAddr(explained.focus.address) if explained.focus.kind is FocusKind.THREAD else crashing


def _device(around: Surroundings, explained: Explained, thread: VirtAddr | None, stop: Stop) -> DeviceEvidence | None:
    if explained.device is not None:
        found = around.device(explained.device, f"a parameter names its device object {explained.device:#x}")
        if found is not None:
            return found
    return around.worked_on(thread) if thread is not None and stop is Stop.HANG else None


def _symbol_caps(scene: Scene) -> tuple[Cap, ...]:
    if scene.symbols.layout_source == "neighbour":
        return (Cap("low", "structures were read with the layout of a neighbouring build, checked but not certain"),)
    if scene.symbols.layout_source == "none" and scene.image.triage is None:
        return (Cap("medium", "no layout of this kernel is known, so who waits for whom could not be read"),)
    return ()


def _awaited(around: Surroundings, explained: Explained, stack: Stack, rules: UserRules) -> DeviceEvidence | None:
    # Where a driver's own code is on the stack, that is the better witness: the queue may hold others' requests.
    chosen = walk_stack(stack.frames, Stop.HANG, rules.strength).chosen
    if explained.timeout_seconds is None or (chosen is not None and chosen.strength is Strength.CANDIDATE):
        return None
    return around.awaited(explained.parameters[3].value)


def _parameter_caps(scene: Scene, explained: Explained, root: VirtAddr | None) -> tuple[Cap, ...]:
    if root is not None and names_no_thread(scene, explained):
        return (Cap("medium", "the bugcheck names no thread that can be read, so the longest queue was followed"),)
    return ()


def _chain_caps(waits: WaitAnalysis, root: VirtAddr | None, code: int) -> tuple[Cap, ...]:
    links = chain_of(root, waits) if root is not None else ()
    if links and code not in STUCK_PROCESSOR and all(link.lock.kind is LockKind.SPIN_LOCK for link in links):
        return (Cap("low", "a processor may spin for a moment only, and nothing tells for how long this one did"),)
    if links and min(link.trust for link in links) <= Trust.SCAN:
        return (Cap("medium", "who waits for the lock was found by scanning stacks"),)
    return ()


def _deadlock(scene: Scene, explained: Explained, waits: WaitAnalysis, cycle: Cycle, rules: UserRules) -> Story:
    walks = {thread: walk_stack(scene.stack(thread).frames, Stop.HANG, rules.strength) for thread in cycle.threads}
    drivers = list(dict.fromkeys(walk.chosen.module for walk in walks.values() if walk.chosen))
    blame = Blame(None, None, None, "none", reasons=_cycle_reasons(scene, waits, cycle, walks))
    certain = all(walk.chosen is None or walk.chosen.trust > Trust.SCAN for walk in walks.values())
    if len(drivers) == 1 and certain:
        # No other driver's code is in the cycle: then it is that driver's own order of locks.
        one = next(walk.chosen for walk in walks.values() if walk.chosen)
        blame = replace(blame, module=one.module, function=one.function, kind="driver", confidence="medium")
        blame = replace(blame, frame=one.frame, stack_culprit=one.module)
    return Story(
        explained,
        waits,
        Stop.HANG,
        blame,
        thread=None,
        cycle=cycle,
        cycle_drivers=walks,
        caps=_symbol_caps(scene),
        rules=rules,
    )


def _cycle_reasons(scene: Scene, waits: WaitAnalysis, cycle: Cycle, walks: Mapping[VirtAddr, Walk]) -> tuple[str, ...]:
    locks = {link.lock.address: link.lock for link in waits.chains}
    told: list[str] = []
    for thread in cycle.threads:
        held = [one for one in locks.values() if any(owner.thread == thread for owner in one.owners)]
        wanted = [locks[lock] for lock in waits.graph.blocking_locks(thread) if lock in locks]
        chosen = walks[thread].chosen
        where = f", in {chosen.function}" if chosen else ""
        told.append(f"{thread_name(scene, thread)}{where} holds {_names(held)} and waits for {_names(wanted)}")
    return tuple(told)


def _names(locks: Sequence[Lock]) -> str:
    return " and ".join(lock_text(lock) for lock in locks) or "nothing that is known"


def lock_text(lock: Lock) -> str:
    """A lock as a sentence calls it: its name, or what it is and where."""
    return lock.name or f"the {lock.description.split(',')[0] or lock.kind.value}"


def held(lock: Lock) -> str:
    """What whoever owned a lock did with it: "held nt!CmpRegistryLock exclusively", "did not reply to the …"."""
    if lock.kind is LockKind.ALPC:
        return f"did not reply to {lock_text(lock)}"
    if lock.kind in (LockKind.THREAD, LockKind.PROCESS):
        return f"kept {lock_text(lock)} from ending"
    if lock.kind is LockKind.QUEUE:
        return f"kept {lock_text(lock)} without a free worker"
    return f"held {lock_text(lock)}{ownership(lock)}"


def holds(lock: Lock) -> str:
    """The same of one who still does: "holds …", "owes the reply to …"."""
    if lock.kind is LockKind.ALPC:
        return f"owes the reply to {lock_text(lock)}"
    if lock.kind in (LockKind.THREAD, LockKind.PROCESS):
        return f"keeps {lock_text(lock)} from ending"
    if lock.kind is LockKind.QUEUE:
        return f"keeps {lock_text(lock)} without a free worker"
    return f"holds {lock_text(lock)}{ownership(lock)}"


def ownership(lock: Lock) -> str:
    """How a lock is held, as an adverb; empty where that is not known."""
    return "" if lock.exclusive is None else " exclusively" if lock.exclusive else " shared"


def thread_name(scene: Scene, thread: VirtAddr) -> str:
    """A thread as a sentence calls it."""
    known = scene.thread(thread)
    # A thread read by the few offsets that a kernel publishes has neither process nor number.
    if known is None or not (known.tid or known.process_name):
        return f"thread {thread:#x}"
    return f"thread {thread:#x} ({known.process_name}, {known.pid}/{known.tid})"
