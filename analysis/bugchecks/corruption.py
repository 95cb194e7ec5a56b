"""Damage that was found long after it was done: pool, page tables, protected structures.

Who is on the stack found the damage, which is weak evidence of having done it: these codes cap the confidence.
"""

from dataclasses import replace

from analysis.bugchecks.building import Family, code_hint, explained, with_caps, with_hints
from analysis.bugchecks.explained import Blamed, Cap, Explained, Stop
from analysis.bugchecks.tables import normalise
from analysis.bugchecks.view import View

FOUND_LATER = "the damage was found here, but may have been done long before by somebody else"


def explain_pool(view: View) -> Explained:
    """Damaged pool: 0x19, 0xC1, 0xC5, 0x13A. Some subcases are the caller's own mistake."""
    one = explained(view, Stop.CORRUPTION, "The kernel's memory pool is damaged.")
    code, first = normalise(view.raw_code), view.parameters[0]
    if code == 0xC5:
        one = with_hints(one, [code_hint(view, 4, "the instruction that met the damage")])
    callers_own = (code == 0x19 and first in (0x21, 0x22)) or code == 0xC1
    return with_caps(one, Cap("medium" if callers_own else "low", FOUND_LATER))


def explain_memory(view: View) -> Explained:
    """Damaged page tables or page frames: 0x1A, 0x4E. One flipped bit is memory hardware until shown otherwise."""
    one = explained(view, Stop.CORRUPTION, "The tables that manage memory are damaged.")
    _, _, content, _ = view.parameters
    if normalise(view.raw_code) == 0x1A and view.parameters[0] in (0x41792, 0x41793) and content.bit_count() == 1:
        why = f"parameter 3, the content of a page table entry that should be empty, is {content:#x}: one single bit"
        one = replace(one, blamed=Blamed("memory", "a flipped bit in memory", None, "medium", (why,)))
    return with_caps(one, Cap("low", FOUND_LATER))


def explain_integrity(view: View) -> Explained:
    """Protected structures were changed: 0x109, 0x18B. The check runs at random times, its stack means nothing."""
    text = (
        "Windows found that protected kernel code or data had been changed (bad memory, or a driver that patches it)."
    )
    return with_caps(explained(view, Stop.CORRUPTION, text), Cap("low", FOUND_LATER))


FAMILY = Family(
    "corruption",
    {
        **dict.fromkeys((0x19, 0xC1, 0xC5, 0x13A), explain_pool),
        **dict.fromkeys((0x1A, 0x4E), explain_memory),
        **dict.fromkeys((0x109, 0x18B), explain_integrity),
    },
)
