"""What processors had queued as deferred procedure calls, in sentences: for watchdogs and for machines that hang."""

from collections import Counter

from analysis.bugchecks.explained import Cap, Hint
from analysis.bugchecks.view import View
from analysis.kernel.dpcs import DpcState
from analysis.trust import Trust

MAX_PROCESSORS_TOLD = 8
MAX_ROUTINES_TOLD = 6
UNRECORDED = "a deferred procedure call whose routine this Windows does not record"
ONE_COUNTER = Cap("medium", "the processor's own record alone says so; no stack that was unwound shows that driver")
STUCK_TICKS = 64  # about a second of clock ticks (15.6 ms): no deferred call may take a hundredth of that


def dpc_facts(view: View) -> tuple[str, ...]:
    """A sentence for each processor with deferred calls, the longest queue first."""
    states = sorted(view.dpcs(), key=lambda one: (-one.expected, one.processor))
    return tuple(_told(one, view) for one in states[:MAX_PROCESSORS_TOLD])


def stuck_call(view: View) -> DpcState | None:
    """The processor that has been longest in one deferred call, by its own count; None where none is stuck."""
    states = [one for one in view.dpcs() if one.inside and (one.ticks or 0) >= STUCK_TICKS]
    return max(states, key=lambda one: one.ticks or 0, default=None)


def dpc_hint(state: DpcState, view: View) -> Hint | None:
    """The module of the call that a processor was in; None where it is in no module."""
    module = view.module_at(state.active) if state.active is not None else None
    if module is None or state.active is None:
        return None
    name = view.symbol(state.active)
    because = f"processor {state.processor} was in the deferred procedure call {name}, as its own record says"
    return Hint(module.name, because, name, trust=Trust.STRUCTURE, address=state.active, alone=ONE_COUNTER)


def _told(state: DpcState, view: View) -> str:
    ticks = f" for {state.ticks} clock ticks" if state.ticks else ""
    call = f"the deferred procedure call {view.symbol(state.active)}" if state.active is not None else UNRECORDED
    where = f"was in {call}{ticks}" if state.inside else ""
    if not state.queued and not state.expected:
        return f"processor {state.processor} {where}"
    counts = Counter(view.symbol(routine) for routine in state.queued)
    names = [name + (f" ({count} times)" if count > 1 else "") for name, count in counts.most_common(MAX_ROUTINES_TOLD)]
    more = ", …" if len(counts) > MAX_ROUTINES_TOLD else ""
    found = f" ({len(state.queued)} found)" if len(state.queued) != state.expected else ""
    waiting = f"{max(state.expected, len(state.queued))}{found} {'waited behind it' if where else 'were queued'}"
    listed = f": {', '.join(names)}{more}" if names else ""
    return f"processor {state.processor} {where or 'was in no deferred procedure call'}; {waiting}{listed}"
