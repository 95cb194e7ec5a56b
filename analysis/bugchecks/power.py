"""Power transitions that did not end: 0x9F in all its subcases, 0xA0, and the live dumps of the same kind.

After the public pages of these bugchecks; for 0x9F/3 and /4 also after public analyses of stuck machines.
"""

from dataclasses import replace

from analysis.bugchecks.building import Family, code_hint, explained, kernel_named_hint, thread_focus, with_hints
from analysis.bugchecks.explained import Explained, Focus, FocusKind, Hint, Stop
from analysis.bugchecks.view import View

WATCHDOG = Focus(FocusKind.NONE, why="the stack of the stop is only the watchdog's timer")


def explain_9f(view: View) -> Explained:
    """DRIVER_POWER_STATE_FAILURE: by subcase, because each names something else."""
    by_subcase = {1: _device_freed, 2: _not_restarted, 0x500: _not_restarted, 3: _request_held, 4: _lock_held}
    by_subcase |= {5: _directed, 6: _directed}
    known = by_subcase.get(view.parameters[0])
    one = known(view) if known else explained(view, Stop.OTHER, "A driver broke the rules of a power transition.")
    return with_hints(one, [kernel_named_hint(view)])


def explain_a0(view: View) -> Explained:
    """INTERNAL_POWER_ERROR: subcases 0xF, 0xF0 and 0xF1 name the thread that did not finish."""
    one = explained(view, Stop.OTHER, "The power manager met an error it could not recover from.")
    if view.parameters[0] in (0xF, 0xF0, 0xF1) and view.parameters[3]:
        focus = thread_focus(view, 4, "it did not finish the transition in time")
        return replace(one, stop=Stop.HANG, focus=focus)
    return one


def explain_transition_watchdog(view: View) -> Explained:
    """A power transition watchdog or its live dump: something did not finish in time."""
    return explained(view, Stop.HANG, "A power transition did not finish in time.")


def _lock_held(view: View) -> Explained:
    # The crashing stack is only the watchdog: the story is the thread that holds the PnP lock.
    seconds = view.parameters[1]
    text = (
        f"A power transition (shutdown, restart, sleep or wake) waited {seconds} s for the Plug and Play subsystem. "
        f"The thread in parameter 3 held the Plug and Play lock all that time and did not give it back."
    )
    one = explained(view, Stop.HANG, text, thread_focus(view, 3, "it holds the Plug and Play lock"), name_subcase=False)
    return replace(one, timeout_seconds=seconds)


def _request_held(view: View) -> Explained:
    text = "A driver kept a power request too long without completing it. Parameter 4 is that request."
    one = explained(view, Stop.REQUEST, text, WATCHDOG, name_subcase=False)
    pdo, request = view.parameters[1], view.parameters[3]
    hints: list[Hint | None] = []
    irp = view.irp(request)
    if irp is not None and irp.current is not None and irp.current.driver is not None:
        because = f"the power request {request:#x} (parameter 4) is at {irp.current.driver} and was not completed"
        hints.append(Hint(irp.current.driver, because))
        passed = dict.fromkeys(at.driver for at in reversed(irp.stack) if at.driver and at.driver != irp.current.driver)
        hints += [Hint(driver, f"the power request {request:#x} went through {driver}") for driver in passed]
        missing: tuple[str, ...] = ()
    else:
        missing = (f"The request at {request:#x} (parameter 4) is not in this dump: which driver holds it is open.",)
    bus = view.device_driver(pdo)
    if bus is not None:
        because = f"it owns the physical device {pdo:#x} (parameter 2), from where the request was sent"
        hints.append(Hint(bus, because))
    one = replace(
        one,
        deed="kept a power request without completing it",
        device=pdo or None,
        irps=tuple(dict.fromkeys((request, *view.power_requests(view.parameters[2])))),
        cannot_tell=one.cannot_tell + missing,
    )
    return with_hints(one, hints)


def _device_freed(view: View) -> Explained:
    text = "A device object was freed while a power request for it was still outstanding."
    one = explained(view, Stop.OTHER, text, name_subcase=False)
    return with_hints(replace(one, device=view.parameters[1] or None), [_owner(view, 2)])


def _not_restarted(view: View) -> Explained:
    text = "A driver completed a system power request without asking for the next one (PoStartNextPowerIrp)."
    late = view.parameters[0] == 0x500
    one = explained(view, Stop.REQUEST, text, WATCHDOG, name_subcase=False)
    hints = [_owner(view, 3)]
    if not late and (image := view.driver_image(view.parameters[3])) is not None:
        hints.insert(0, Hint(image, f"parameter 4 is its driver object {view.parameters[3]:#x}", decisive=True))
    return with_hints(replace(one, device=view.parameters[1 if not late else 2] or None), hints)


def _directed(view: View) -> Explained:
    text = "A driver's callback for a directed power transition failed or did not finish in time."
    one = explained(view, Stop.REQUEST, text, WATCHDOG, name_subcase=False)
    if view.parameters[0] != 5:
        return one
    return with_hints(replace(one, device=view.parameters[1] or None), [_owner(view, 2)])


def _owner(view: View, index: int) -> Hint | None:
    address = view.parameters[index - 1]
    driver = view.device_driver(address) if address else None
    if driver is None:
        return code_hint(view, index, "a device object")
    return Hint(driver, f"it owns the device object {address:#x} (parameter {index})")


FAMILY = Family(
    "power",
    {
        0x9F: explain_9f,
        0xA0: explain_a0,
        0x14F: explain_transition_watchdog,
        0x15C: explain_transition_watchdog,
        0x15F: explain_transition_watchdog,
    },
)
