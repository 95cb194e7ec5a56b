"""Stops and dumps that a person or a program asked for. What raised them is never evidence: somebody wanted a dump,
mostly of a machine that hung, so the locks and waits tell the story if there is one."""

from dataclasses import replace

from analysis.bugchecks.building import Family, explained, with_hints
from analysis.bugchecks.deferred import dpc_facts, dpc_hint, stuck_call
from analysis.bugchecks.explained import Explained, Focus, FocusKind, Stop
from analysis.bugchecks.resolve import letters
from analysis.bugchecks.view import View

ASKED_FOR = Focus(FocusKind.NONE, why="the stack of the stop is that of whoever asked for it")


def explain_forced(view: View) -> Explained:
    """0xE2 and its relatives: the keyboard, a tool or a hypervisor forced the stop."""
    text = (
        "Somebody stopped this machine on purpose to get a dump (keyboard, debugger, tool, hypervisor or management "
        "controller). That is usually done because the machine hung: whoever raised the stop did not cause it."
    )
    return _on_processors(explained(view, Stop.DELIBERATE, text, ASKED_FOR), view)


def explain_live(view: View) -> Explained:
    """0x161: a dump of the running system that somebody asked for."""
    who = letters(view.parameters[0])
    text = "This is a dump of a running machine that somebody asked for"
    text += f" with {who}" if who and len(who) >= 4 else ""
    one = explained(view, Stop.DELIBERATE, f"{text}. It is not a crash.", ASKED_FOR)
    return _on_processors(replace(one, live=True), view)


def explain_power_button(view: View) -> Explained:
    """0x1C8: the power button was held until Windows gave up."""
    held = view.parameters[0]
    # The value is milliseconds; anything beyond an hour is not the length of a press.
    seconds = f" for {held / 1000:g} s" if 0 < held < 3_600_000 else ""
    text = (
        f"Somebody held the power button{seconds} and Windows stopped the machine deliberately to write this dump. "
        f"People do that when a machine no longer responds: this is a power-button stop, not a driver's crash."
    )
    return _on_processors(explained(view, Stop.DELIBERATE, text, ASKED_FOR), view)


def explain_hotkey(view: View) -> Explained:
    """0x21C8: somebody pressed the keys for a black screen."""
    text = "Somebody pressed the keys that report a black screen; Windows took a dump and went on. It is not a crash."
    return replace(explained(view, Stop.DELIBERATE, text, ASKED_FOR), live=True)


HEADER_FILLER = "EGAP"  # the word 'PAGE' with which a header is filled first, read as a number


def explain_capture(view: View, tool: str) -> Explained:
    """A memory-capture tool wrote letters where the code belongs, or left the header's filler there."""
    text = f'A memory-capture tool wrote this file (it left the letters "{tool}" where a code belongs). No crash.'
    if tool == HEADER_FILLER:
        text = "No bugcheck code was ever written into this file: it is a capture of a running machine. No crash."
    return replace(explained(view, Stop.DELIBERATE, text, ASKED_FOR), live=True, name="memory capture")


def _on_processors(one: Explained, view: View) -> Explained:
    # Locks come first. But a processor that does not leave a deferred call hangs a machine without any lock; the one
    # that wrote the dump is in its call only since then.
    state = stuck_call(view)
    one = replace(one, facts=dpc_facts(view))
    if state is None:
        return one
    why = f"processor {state.processor} has been in one deferred procedure call for {state.ticks} clock ticks"
    focus = Focus(FocusKind.PROCESSOR, state.processor, why)
    one = replace(one, stop=Stop.HANG, focus=focus, locks_first=True)
    one = replace(one, deed="kept a processor in one deferred procedure call")
    return with_hints(one, [dpc_hint(state, view)])


FAMILY = Family(
    "manual",
    {
        0xE2: explain_forced,
        0xDEADDEAD: explain_forced,
        0x161: explain_live,
        0x1C8: explain_power_button,
        0x21C8: explain_hotkey,
    },
)
