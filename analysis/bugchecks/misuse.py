"""Rules that the kernel checks where they are broken: locks, reference counts, APCs, timers, work items.

Starts at the crashing stack: who called is who broke the rule. Confidence is that of the stack. After the public
pages of these bugchecks.
"""

from dataclasses import replace

from analysis.bugchecks.building import Family, explained, meaning_hints, with_caps, with_hints
from analysis.bugchecks.explained import Cap, Explained, Focus, FocusKind, Hint, Stop
from analysis.bugchecks.faulting import fault
from analysis.bugchecks.view import View

DEADLOCK_STEP = (
    "To see the lock's history, on a test machine: verifier /flags 0x20 /driver {driver} (deadlock detection; undo: "
    "verifier /reset)."
)
FATAL_ERROR, NOT_IN_TIME = 0x1, 0x25  # reasons of 0x15E
LOCK_RULES = frozenset({0xE3, 0x153, 0x162, 0x192, 0x1C6, 0x16E, 0x132, 0xBF, 0x11, 0x152})


def explain_misuse(view: View) -> Explained:
    """A driver or the kernel broke a rule that is checked at this very place."""
    one = fault(view, "A driver or the kernel broke a rule that the kernel checks, at this very place.")
    one = replace(one, deed=f"broke a rule that the kernel checks ({one.name})")
    if one.code in LOCK_RULES:
        one = replace(one, driver_steps=(DEADLOCK_STEP,))
    return with_hints(one, meaning_hints(view))


def explain_ndis_live(view: View) -> Explained:
    """BUGCODE_NDIS_DRIVER_LIVE_DUMP: the network stack met a driver that misbehaves, took a dump, and went on.

    The stack of the dump is the network stack's own. Reason 1 names the adapter's device; where a driver did not answer
    in time (0x25), who waits for whom tells more.
    """
    text = "Windows' network stack met a network driver that misbehaves, took a live dump and went on. It is no crash."
    one = explained(view, Stop.OTHER, text, Focus(FocusKind.NONE, why="the stack of the dump is the network stack's"))
    one = replace(one, deed="misbehaved towards the network stack")
    reason, _, device, _ = view.parameters
    if reason == FATAL_ERROR:
        function = view.function_driver(device) if device else None
        because = f"it drives the network adapter {device:#x} (parameter 3), which met a fatal error"
        one = replace(one, device=device or None, deed="gave up its network adapter after a fatal error")
        one = with_caps(one, Cap("medium", "the adapter itself may have failed"))
        return with_hints(one, [Hint(function, because) if function else None])
    if reason == NOT_IN_TIME:
        return replace(one, stop=Stop.HANG, locks_first=True)
    if one.subcase is not None:
        return one
    missing = f"What reason {reason:#x} (parameter 1) stands for: the public page does not list it."
    return replace(one, cannot_tell=(*one.cannot_tell, missing))


FAMILY = Family(
    "misuse",
    {
        **dict.fromkeys((0x1, 0x18, 0x20, 0x39, 0x44, 0x7C, 0xC7, 0xC8, 0xB8, 0xE1, 0xE3, 0xE4), explain_misuse),
        0x15E: explain_ndis_live,
        **dict.fromkeys((0x11, 0x121, 0x132, 0x152, 0x153, 0x162, 0x16E, 0x192, 0x1C6, 0xBF), explain_misuse),
    },
)
