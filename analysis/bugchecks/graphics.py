"""Graphics: the display driver that did not answer (0x116, 0x117, 0x141), the scheduler and video memory (0x119, 0x10E,
0x113), and the thread that is stuck in a display driver (0xEA).

The first group blames the module around parameter 2: their stack is only that of the attempt to reset the driver.
0xEA starts at the thread in parameter 1 and believes the name in parameter 3. The others read the crashing stack.
"""

from dataclasses import replace

from analysis.bugchecks.building import (
    Family,
    code_hint,
    explained,
    meaning_hints,
    named_hint,
    thread_focus,
    with_caps,
    with_hints,
)
from analysis.bugchecks.explained import Cap, Explained, Focus, FocusKind, Stop
from analysis.bugchecks.view import View

RESET_STACK = Focus(FocusKind.NONE, why="the stack of the stop is only that of the attempt to reset the driver")
DRIVER_STEPS = (
    "Install {driver} anew without remains of the old one (the maker's clean installation), or the version before it.",
    "Watch temperature and power of the graphics card under load; take back overclocking of card and memory.",
)


def explain_display(view: View) -> Explained:
    """The display driver did not answer or could not be reset: P2 lies in the responsible driver."""
    text = "The graphics driver did not answer in time and could not be recovered."
    if one_is_live(view):
        text = "The graphics driver did not answer in time; Windows reset it and went on."
    one = explained(view, Stop.OTHER, text, RESET_STACK)
    deed = "did not answer in time" + ("" if one_is_live(view) else " and could not be recovered")
    one = replace(one, deed=deed, driver_steps=DRIVER_STEPS)
    return with_hints(one, [code_hint(view, 2, "a pointer into the responsible display driver")])


def one_is_live(view: View) -> bool:
    """Whether the code is that of a live dump: the driver was reset, and the machine went on."""
    return view.raw_code in (0x117, 0x141, 0x142)


def explain_scheduler(view: View) -> Explained:
    """The graphics kernel met a state it cannot go on from: the display miniport on the stack, if there is one."""
    one = explained(view, Stop.FAULT, "Windows' graphics kernel met a state that it cannot go on from.")
    one = replace(one, deed="led the graphics kernel into a state it cannot go on from", driver_steps=DRIVER_STEPS)
    one = with_hints(one, meaning_hints(view))
    return with_caps(one, Cap("medium", "graphics work is queued: who led there may not be on this stack any more"))


def explain_stuck(view: View) -> Explained:
    """THREAD_STUCK_IN_DEVICE_DRIVER: the thread in P1 spins in the driver that P3 names."""
    text = "A thread is stuck in a display driver: it spins, as a rule waiting for the hardware."
    one = explained(view, Stop.HANG, text, thread_focus(view, 1, "it does not come back"))
    one = replace(one, deed="kept a thread spinning without an end", driver_steps=DRIVER_STEPS)
    named = view.text(view.parameters[2])
    return with_hints(one, [named_hint(named, f"parameter 3 names the driver: {named}")])


FAMILY = Family(
    "graphics",
    {
        **dict.fromkeys((0x116, 0x117, 0x141), explain_display),
        **dict.fromkeys((0x119, 0x10E, 0x113, 0x164), explain_scheduler),
        0xEA: explain_stuck,
    },
)
