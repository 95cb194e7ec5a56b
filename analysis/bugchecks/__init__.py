"""What a code and its parameters mean: one file for each family, one explicit table."""

from analysis.bugchecks import (
    default,
    faults,
    graphics,
    hardware,
    integrity,
    irql,
    manual,
    misuse,
    pnp,
    pool,
    power,
    processes,
    storage,
    usb,
    verifier,
    watchdogs,
)
from analysis.bugchecks.building import Family
from analysis.bugchecks.explained import Explained, Stop
from analysis.bugchecks.manual import explain_capture
from analysis.bugchecks.tables import capture_letters, find_code, normalise, parameter_letters
from analysis.bugchecks.view import View

FAMILIES: tuple[Family, ...] = (
    power.FAMILY,
    pnp.FAMILY,
    manual.FAMILY,
    faults.FAMILY,
    irql.FAMILY,
    misuse.FAMILY,
    pool.FAMILY,
    integrity.FAMILY,
    verifier.FAMILY,
    watchdogs.FAMILY,
    graphics.FAMILY,
    hardware.FAMILY,
    storage.FAMILY,
    usb.FAMILY,
    processes.FAMILY,
    default.FAMILY,
)

# What a whole family is about, for codes that are judged without a dump behind them (text, frames alone).
_STOPS: dict[str, Stop] = {
    "manual": Stop.DELIBERATE,
    "faults": Stop.FAULT,
    "irql": Stop.FAULT,
    "misuse": Stop.FAULT,
    "verifier": Stop.FAULT,
    "usb": Stop.FAULT,
    "pool": Stop.CORRUPTION,
    "integrity": Stop.CORRUPTION,
    "watchdogs": Stop.HANG,
    "power": Stop.HANG,
    "processes": Stop.PROCESS,
    "storage": Stop.STORAGE,
    "hardware": Stop.HARDWARE,
}
# Single codes that are about something else than their family.
_EXCEPTIONS: dict[int, Stop] = {0xC2: Stop.FAULT, 0xDA: Stop.FAULT, 0x139: Stop.FAULT, 0xF7: Stop.FAULT} | {
    0xEA: Stop.HANG,
    0x12B: Stop.HARDWARE,
}


def explain(view: View) -> Explained:
    """The explanation of one stop, by its family; codes of no family get what the tables know."""
    tool = capture_letters(view.raw_code) or parameter_letters(view.raw_code, view.parameters[0])
    if tool is not None:
        return explain_capture(view, tool)
    code = normalise(view.raw_code)
    for family in FAMILIES:
        if code in family.codes:
            return family.codes[code](view)
    return default.explain_default(view)


def stop_of(code: int) -> Stop:
    """What sort of stop a normalised code is when nothing but the code is known."""
    if code in _EXCEPTIONS:
        return _EXCEPTIONS[code]
    for family in FAMILIES:
        if code in family.codes and family.name in _STOPS:
            return _STOPS[family.name]
    known = find_code(code)
    return default.STOPS.get(known.family, Stop.OTHER) if known else Stop.OTHER
