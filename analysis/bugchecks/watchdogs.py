"""Watchdogs: something did not come back in time. A thread that a parameter names is the story."""

from dataclasses import replace

from analysis.bugchecks.building import Family, code_hint, explained, with_caps, with_hints
from analysis.bugchecks.explained import Cap, Explained, Focus, FocusKind, Stop
from analysis.bugchecks.view import View


def explain_dpc(view: View) -> Explained:
    """DPC_WATCHDOG_VIOLATION: P1 0 is one long DPC on this very stack, 1 the sum of many."""
    if view.parameters[0] == 0:
        one = explained(view, Stop.HANG, "One deferred procedure call of a driver ran far longer than it may.")
        return replace(one, deed="ran a deferred procedure call far longer than it may")
    one = explained(view, Stop.HANG, "This processor spent too long in interrupts and deferred procedure calls.")
    return with_caps(one, Cap("medium", "the time was used up in sum; the stack shows only the moment of the stop"))


def explain_clock(view: View) -> Explained:
    """CLOCK_WATCHDOG_TIMEOUT and relatives: a processor did not answer. Its own stack is elsewhere in the dump."""
    one = explained(view, Stop.HANG, "A processor did not answer the others in time.")
    return with_caps(one, Cap("low", "the stack read here is not that of the processor that did not answer"))


def explain_stuck_thread(view: View) -> Explained:
    """A named thread did not come back: 0xEA, 0x1CC, 0x1D5, 0x17C, 0x1A1 and others whose parameter is a thread."""
    return explained(view, Stop.HANG, "A thread did not come back from its work in time.")


def explain_display(view: View) -> Explained:
    """The display driver did not answer or could not be reset: P2 lies in the responsible driver."""
    text = "The graphics driver did not answer in time and could not be recovered."
    asked = Focus(FocusKind.NONE, why="the stack of the stop is only that of the attempt to reset the driver")
    one = explained(view, Stop.OTHER, text, asked)
    one = replace(one, deed="did not answer in time and could not be recovered")
    return with_hints(one, [code_hint(view, 2, "a pointer into the responsible display driver")])


FAMILY = Family(
    "watchdogs",
    {
        0x133: explain_dpc,
        **dict.fromkeys((0x101, 0x1CA, 0x1DB, 0x1CF), explain_clock),
        **dict.fromkeys((0xEA, 0x1CC, 0x1D5, 0x17C, 0x1A1, 0x1A2, 0x1C5, 0x19C, 0x1A0, 0x1A3), explain_stuck_thread),
        **dict.fromkeys((0x116, 0x117, 0x141), explain_display),
    },
)
