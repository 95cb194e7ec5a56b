"""Watchdogs: something did not come back in time.

0x133 starts at the DPC on the crashing stack; 0x101 and its like at the processor that did not answer; where a
parameter names a thread, that thread is the story, never the crashing one. After the public pages of these bugchecks.
"""

from dataclasses import replace

from analysis.bugchecks.building import (
    Family,
    explained,
    meaning_hints,
    named_hint,
    thread_focus,
    with_caps,
    with_hints,
)
from analysis.bugchecks.deferred import dpc_facts, dpc_hint
from analysis.bugchecks.explained import Cap, Explained, Focus, FocusKind, Hint, Stop
from analysis.bugchecks.resolve import describe_thread, letters
from analysis.bugchecks.tables import normalise
from analysis.bugchecks.view import View
from analysis.trust import Trust

TRACE = (
    "Measure who runs long at raised IRQL: wpr -start GeneralProfile, wait for the stutter, wpr -stop dpc.etl; the "
    "DPC/ISR view of Windows Performance Analyzer names driver and time."
)
HARDWARE_STEPS = (
    "Update firmware (BIOS/UEFI) and microcode; take back overclocking and undervolting.",
    "In a virtual machine: look whether the host was short of processor time at that moment.",
)
LEAST_SERVICE_LETTERS = 3
SYNTHETIC_WATCHDOG = 0x1CA


def explain_dpc(view: View) -> Explained:
    """DPC_WATCHDOG_VIOLATION: P1 0 is one long DPC on this very stack, 1 the sum of many."""
    if view.parameters[0] == 0:
        one = explained(view, Stop.HANG, "One deferred procedure call of a driver ran far longer than it may.")
        one = replace(one, deed="ran a deferred procedure call far longer than it may")
    else:
        one = explained(view, Stop.HANG, "This processor spent too long in interrupts and deferred procedure calls.")
        cap = Cap("medium", "the time was used up in sum; the stack shows only the moment of the stop")
        one = with_caps(replace(one, deed="was running when this processor's time for such work was used up"), cap)
    return with_hints(replace(one, next_steps=(TRACE,), facts=dpc_facts(view)), [_active_dpc(view)])


def explain_clock(view: View) -> Explained:
    """CLOCK_WATCHDOG_TIMEOUT: a processor did not answer. What it runs is the story, if its registers were saved."""
    number = view.parameters[3]
    what = Focus(FocusKind.PROCESSOR, number, f"parameter 4 names processor {number}, which did not answer")
    one = explained(view, Stop.HANG, "A processor did not answer the others in time.", what)
    one = replace(one, deed="kept a processor from answering the others", next_steps=HARDWARE_STEPS)
    missing = f"What processor {number} did if it saved no registers: a processor that hangs in hardware leaves none."
    one = replace(one, cannot_tell=(*one.cannot_tell, missing), facts=dpc_facts(view))
    one = with_hints(one, [dpc_hint(state, view) for state in view.dpcs() if state.processor == number])
    return with_caps(one, Cap("low", "a processor that does not answer may have left old registers, or none"))


def explain_machine_watchdog(view: View) -> Explained:
    """SYNTHETIC_WATCHDOG_TIMEOUT and relatives: no processor, or no firmware, served the watchdog."""
    focus = None
    if normalise(view.raw_code) == SYNTHETIC_WATCHDOG:
        number = view.parameters[3]
        why = f"parameter 4 names processor {number}, whose clock serves the watchdog"
        focus = Focus(FocusKind.PROCESSOR, number, why)
    one = explained(view, Stop.HANG, "A watchdog of the machine was not served in time.", focus)
    one = replace(one, deed="was running when the watchdog of the machine was not served")
    one = replace(one, next_steps=HARDWARE_STEPS, facts=dpc_facts(view))
    return with_caps(one, Cap("low", "the stack read here is not that of the processor that did not answer"))


def explain_stuck_thread(view: View) -> Explained:
    """A named thread did not come back: 0x17C, 0x1A1 and others whose parameter is a thread."""
    one = explained(view, Stop.HANG, "A thread did not come back from its work in time.")
    return with_hints(one, meaning_hints(view))


def explain_resource(view: View) -> Explained:
    """EXRESOURCE_TIMEOUT_LIVEDUMP: who waited only noticed it; the owner of the resource is the story."""
    lock = view.parameters[0]
    one = explained(view, Stop.HANG, "A thread waited too long for a resource that another one holds.")
    owners = view.lock_owners(lock)
    if not owners:
        return one
    facts = tuple(f"the resource {lock:#x} (parameter 1) is owned by {describe_thread(owner)}" for owner in owners)
    first = owners[0].address
    focus = Focus(FocusKind.THREAD, first, f"the owner of the resource in parameter 1 is thread {first:#x}")
    return replace(one, focus=focus, facts=facts)


def explain_pnp_watchdog(view: View) -> Explained:
    """DRIVER_PNP_WATCHDOG: P3 is the thread in the driver, P1 the beginning of its service's name."""
    seconds = view.parameters[3] / 1000
    text = f"A driver did not return from a Plug and Play operation within {seconds:g} s."
    one = explained(view, Stop.HANG, text, thread_focus(view, 3, "it works on the device"))
    named = letters(view.parameters[0])
    if named is None or len(named) < LEAST_SERVICE_LETTERS:
        return one
    driver = view.driver_of_service(named)
    fact = f"parameter 1 holds the beginning of the service's name: {named!r}"
    hint = named_hint(driver, f"parameter 1 names its service, {named!r}…", decisive=False)
    return with_hints(replace(one, facts=(fact,)), [hint])


def explain_workers(view: View) -> Explained:
    """IO_THREADPOOL_DEADLOCK_LIVEDUMP: all workers of a pool wait; the locks say for whom."""
    asked = Focus(FocusKind.NONE, why="the stack of the dump is that of the watchdog")
    one = explained(view, Stop.HANG, "All workers of a pool of the I/O manager are stuck.", asked)
    return replace(one, locks_first=True)


def _active_dpc(view: View) -> Hint | None:
    routine = view.active_dpc()
    module = view.module_at(routine) if routine is not None else None
    if routine is None or module is None:
        return None
    because = f"the processor was in the deferred procedure call {view.symbol(routine)}, as its own record says"
    return Hint(module.name, because, view.symbol(routine), trust=Trust.STRUCTURE, address=routine)


FAMILY = Family(
    "watchdogs",
    {
        0x133: explain_dpc,
        0x101: explain_clock,
        **dict.fromkeys((0x1CA, 0x1DB, 0x1CF, 0x1DF, 0x1D0), explain_machine_watchdog),
        0x1CC: explain_resource,
        0x1D5: explain_pnp_watchdog,
        0x1C5: explain_workers,
        **dict.fromkeys((0x1A1, 0x1A2, 0x19C, 0x1A0, 0x1A3), explain_stuck_thread),
    },
)
