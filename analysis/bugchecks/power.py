"""Power transitions that did not end: 0x9F in all its subcases, 0xA0, and watchdogs and live dumps of the same kind.

0x9F/4 and 0xA0/0xF start at the thread a parameter names, 0x9F/3 at the request: at the driver that has it now, else
at the drivers it went through, the bus driver last. The stack of the stop is only the watchdog's timer. After the
public pages of these bugchecks; for 0x9F/3 and /4 also after public analyses of stuck machines.
"""

from dataclasses import replace

from analysis.bugchecks.building import (
    Family,
    code_hint,
    device_hint,
    driver_hint,
    explained,
    kernel_named_hint,
    meaning_hints,
    thread_focus,
    with_caps,
    with_hints,
)
from analysis.bugchecks.explained import Cap, Explained, Focus, FocusKind, Hint, Stop
from analysis.bugchecks.resolve import describe_irp
from analysis.bugchecks.view import View

WATCHDOG = Focus(FocusKind.NONE, why="the stack of the stop is only the watchdog's timer")
MAX_OTHERS = 6
KEEP_AWAKE = (
    "Until there is a fixed driver: clear 'Allow the computer to turn off this device' for the device in Device "
    "Manager."
)
CATCH_REQUEST = (
    "To catch the lost request, on a test machine: verifier /flags 0x10 /driver {driver} (I/O verification; undo: "
    "verifier /reset)."
)
HIBERNATION = (
    "Make the hibernation file anew: powercfg /hibernate off, restart, powercfg /hibernate on; then check the disk and "
    "the memory."
)


def explain_9f(view: View) -> Explained:
    """DRIVER_POWER_STATE_FAILURE: by subcase, because each names something else."""
    by_subcase = {1: _device_freed, 2: _not_restarted, 0x500: _not_restarted, 3: _request_held, 4: _lock_held}
    by_subcase |= {5: _directed, 6: _directed}
    known = by_subcase.get(view.parameters[0])
    one = known(view) if known else explained(view, Stop.OTHER, "A driver broke the rules of a power transition.")
    return with_hints(one, [kernel_named_hint(view)])


def explain_a0(view: View) -> Explained:
    """INTERNAL_POWER_ERROR: subcases 0xF, 0xF0 and 0xF1 name the thread that did not finish."""
    first = view.parameters[0]
    one = explained(view, Stop.OTHER, "The power manager met an error it could not recover from.")
    if first in (0xF, 0xF0, 0xF1) and view.parameters[3]:
        focus = thread_focus(view, 4, "it did not finish the transition in time")
        return replace(one, stop=Stop.HANG, focus=focus)
    if first == 0xD:
        return replace(one, stop=Stop.HANG, focus=WATCHDOG, locks_first=True)
    if first in (3, 4, 0xB, 0x10E):
        one = replace(one, stop=Stop.STORAGE, focus=WATCHDOG, next_steps=(HIBERNATION,))
        return with_caps(one, Cap("low", "the image on disk was found damaged; that says nothing of a driver"))
    return with_hints(one, meaning_hints(view))


def explain_transition_watchdog(view: View) -> Explained:
    """A power transition watchdog or its live dump: something did not finish in time; locks may say what."""
    one = explained(view, Stop.HANG, "A power transition did not finish in time.")
    if one.focus.kind is FocusKind.THREAD:
        return one
    one = replace(one, focus=WATCHDOG, locks_first=True)
    for index, value in enumerate(view.parameters, 1):
        device = view.device_behind(value) if value > 0xFFFF else None
        if device is not None:
            return _on_device(one, view, device, f"the device of the block in parameter {index}")
    return one


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
    pdo, block, request = view.parameters[1:]
    hints: list[Hint | None] = []
    irp = view.irp(request)
    missing: tuple[str, ...] = ()
    if irp is not None and irp.current is not None and irp.current.driver is not None:
        seconds = view.held_seconds(request, block)
        since = f" for {seconds:.0f} s" if seconds is not None else ""
        because = (
            f"the power request {request:#x} (parameter 4) is at {irp.current.driver} and was not completed{since}"
        )
        hints.append(Hint(irp.current.driver, because))
        passed = dict.fromkeys(at.driver for at in reversed(irp.stack) if at.driver and at.driver != irp.current.driver)
        hints += [Hint(driver, f"the power request {request:#x} went through {driver}") for driver in passed]
    else:
        missing = (f"The request at {request:#x} (parameter 4) is not in this dump: which driver holds it is open.",)
    function = view.function_driver(pdo) if pdo else None
    if function is not None:
        hints.append(Hint(function, f"it is the function driver on the physical device {pdo:#x} (parameter 2)"))
    bus = view.device_driver(pdo)
    if bus is not None:
        because = f"it owns the physical device {pdo:#x} (parameter 2), from where the request was sent"
        hints.append(Hint(bus, because))
    requests = view.power_requests(block)
    one = replace(
        one,
        deed="kept a power request without completing it",
        device=pdo or None,
        irps=tuple(dict.fromkeys((request, *requests))),
        facts=tuple(_others(view, block, [one for one in requests if one != request])),
        cannot_tell=one.cannot_tell + missing,
        next_steps=(KEEP_AWAKE,),
        driver_steps=(CATCH_REQUEST,),
    )
    return with_hints(one, hints)


def _others(view: View, block: int, requests: list[int]) -> list[str]:
    told = []
    for address in requests[:MAX_OTHERS]:
        irp, seconds = view.irp(address), view.held_seconds(address, block)
        what = describe_irp(irp) if irp is not None else None
        since = f", for {seconds:.0f} s" if seconds is not None else ""
        told.append(f"another power request is outstanding{since}: {address:#x}" + (f", {what}" if what else ""))
    return told


def _device_freed(view: View) -> Explained:
    text = "A device object was freed while a power request for it was still outstanding."
    one = explained(view, Stop.OTHER, text, name_subcase=False)
    one = replace(one, device=view.parameters[1] or None, deed="freed a device with a power request outstanding")
    return with_hints(replace(one, driver_steps=(CATCH_REQUEST,)), [_owner(view, 2)])


def _not_restarted(view: View) -> Explained:
    text = "A driver completed a system power request without asking for the next one (PoStartNextPowerIrp)."
    late = view.parameters[0] == 0x500
    one = explained(view, Stop.REQUEST, text, WATCHDOG, name_subcase=False)
    hints = [_owner(view, 4 if late else 3), _owner(view, 3 if late else 2)]
    if not late:
        hints.insert(0, driver_hint(view, 4))
    deed = "completed a power request without asking for the next one"
    one = replace(one, device=view.parameters[2 if late else 1] or None, deed=deed, driver_steps=(CATCH_REQUEST,))
    return with_hints(one, hints)


def _directed(view: View) -> Explained:
    text = "A driver's callback for a directed power transition failed or did not finish in time."
    one = explained(view, Stop.REQUEST, text, WATCHDOG, name_subcase=False)
    how = "did not finish" if view.parameters[0] == 5 else "failed in"
    one = replace(one, deed=f"{how} a directed power transition", next_steps=(KEEP_AWAKE,))
    if view.parameters[0] == 5:
        return _on_device(one, view, view.parameters[1], "the physical device in parameter 2")
    device = view.device_behind(view.parameters[1])
    if device is None:
        text = f"Which device it was: the power framework's block at {view.parameters[1]:#x} (parameter 2) has none."
        return replace(one, cannot_tell=(*one.cannot_tell, text))
    return _on_device(one, view, device, "the device of the power framework's block in parameter 2")


def _on_device(one: Explained, view: View, device: int, which: str) -> Explained:
    function, bus = view.function_driver(device), view.device_driver(device)
    hints = [
        Hint(function, f"it is the function driver on {which}, {device:#x}") if function else None,
        Hint(bus, f"it owns {which}, {device:#x}: the bus driver") if bus else None,
    ]
    return with_hints(replace(one, device=device or None), hints)


def _owner(view: View, index: int) -> Hint | None:
    return device_hint(view, index) or code_hint(view, index, "a device object")


FAMILY = Family(
    "power",
    {
        0x9F: explain_9f,
        0xA0: explain_a0,
        **dict.fromkeys((0x14F, 0x15C, 0x15F, 0x17C, 0x1A9, 0x1A4, 0x1EB), explain_transition_watchdog),
    },
)
