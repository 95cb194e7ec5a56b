"""Codes without a family of their own: the name, the parameters, and the thread a parameter may name."""

from analysis.bugchecks.building import Family, explained, meaning_hints, with_hints
from analysis.bugchecks.explained import Explained, Stop
from analysis.bugchecks.tables import find_code, is_live_only, is_named, name_of, normalise
from analysis.bugchecks.view import View

STOPS = {
    "driver_bug": Stop.FAULT,
    "memory_corruption": Stop.CORRUPTION,
    "integrity": Stop.CORRUPTION,
    "hang": Stop.HANG,
    "hardware": Stop.HARDWARE,
    "process": Stop.PROCESS,
    "storage": Stop.STORAGE,
    "manual": Stop.DELIBERATE,
}


def explain_default(view: View) -> Explained:
    """What the tables alone know: name, meanings, and hints from parameters that are code."""
    code = normalise(view.raw_code)
    known = find_code(code)
    stop = STOPS.get(known.family, Stop.OTHER) if known else Stop.OTHER
    what = name_of(code).replace("_", " ").lower()
    if is_live_only(code):
        text = f"Windows took a live dump ({what}); the machine went on running."
    elif is_named(code):
        text = f"Windows stopped the machine: {what}."
    else:
        text = f"The machine was stopped with a code that is not documented ({code:#x})."
    return with_hints(explained(view, stop, text), meaning_hints(view))


FAMILY = Family("default", {})
