"""Rules that the kernel checks where they are broken: locks, reference counts, APCs, timers, work items.

Starts at the crashing stack: who called is who broke the rule. Confidence is that of the stack. After the public
pages of these bugchecks.
"""

from dataclasses import replace

from analysis.bugchecks.building import Family, code_hint, explained, meaning_hints, with_hints
from analysis.bugchecks.explained import Explained, Stop
from analysis.bugchecks.faulting import fault
from analysis.bugchecks.view import View

DEADLOCK_STEP = (
    "To see the lock's history, on a test machine: verifier /flags 0x20 /driver {driver} (deadlock detection; undo: "
    "verifier /reset)."
)
LOCK_RULES = frozenset({0xE3, 0x153, 0x162, 0x192, 0x1C6, 0x16E, 0x132, 0xBF, 0x11, 0x152})


def explain_misuse(view: View) -> Explained:
    """A driver or the kernel broke a rule that is checked at this very place."""
    one = fault(view, "A driver or the kernel broke a rule that the kernel checks, at this very place.")
    one = replace(one, deed=f"broke a rule that the kernel checks ({one.name})")
    if one.code in LOCK_RULES:
        one = replace(one, driver_steps=(DEADLOCK_STEP,))
    return with_hints(one, meaning_hints(view))


def explain_ndis_live(view: View) -> Explained:
    """BUGCODE_NDIS_DRIVER_LIVE_DUMP: the network stack met a driver that misbehaves, took a dump, and went on."""
    text = "Windows' network stack met a network driver that misbehaves, took a live dump and went on. It is no crash."
    one = replace(explained(view, Stop.OTHER, text), deed="misbehaved towards the network stack")
    missing = f"What reason {view.parameters[0]:#x} (parameter 1) stands for: no public page describes it."
    one = replace(one, cannot_tell=(*one.cannot_tell, missing))
    return with_hints(one, [code_hint(view, index, "an address that the dump carries") for index in (2, 3, 4)])


FAMILY = Family(
    "misuse",
    {
        **dict.fromkeys((0x1, 0x18, 0x20, 0x39, 0x44, 0x7C, 0xC7, 0xC8, 0xB8, 0xE1, 0xE3, 0xE4), explain_misuse),
        0x15E: explain_ndis_live,
        **dict.fromkeys((0x11, 0x121, 0x132, 0x152, 0x153, 0x162, 0x16E, 0x192, 0x1C6, 0xBF), explain_misuse),
    },
)
