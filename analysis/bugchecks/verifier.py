"""Driver Verifier and the driver framework: 0xC4, 0xC9, 0xE6, 0x1C4 and 0x10D.

Starts at the crashing stack, where the checks stand between the driver and the kernel and are never blamed. Blames the
driver that a parameter names or points into, else the caller on the stack; for 0x10D never the framework itself.
After the public pages of these bugchecks.
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
    named_hint,
    thread_focus,
    with_caps,
    with_hints,
)
from analysis.bugchecks.explained import Blamed, Cap, Explained, Hint, ParameterFact, Stop
from analysis.bugchecks.faulting import fault
from analysis.bugchecks.resolve import resolve
from analysis.bugchecks.verifier_checks import Check, find_check
from analysis.bugchecks.verifier_parameters import meanings_of
from analysis.bugchecks.view import View

ON_PURPOSE = (
    "Driver Verifier is on and stopped the machine at the mistake. If nobody is looking for one: verifier /reset, then "
    "restart."
)
DRIVER_STEPS = ("Give the maker of {driver} this report: the check that failed and the stack show the mistake itself.",)
FRAMEWORK_STEPS = (
    (
        "Let the framework keep a log for {driver}, on a test machine: WdfVerifier.exe, or VerifierOn = 1 under the "
        "service's Parameters\\Wdf key; !wdfkd.wdflogdump shows it in the next dump."
    ),
)
IOMMU_CAUGHT = 0x26  # 0xE6
FIRST_RULE = 0x20000  # 0xC4: from here on the checks of DDI compliance, whose text parameter 2 holds
DISK = "the disk or the path to it"
# What else finds the mistake, by what the check is about.
AREA_STEPS = {
    "pool": "In the source of {driver}: each block is freed once, by its own size, before the driver unloads.",
    "irql": "In the source of {driver}: the IRQL that the documentation of the function at that place asks for.",
    "lock": "!deadlock in a kernel debugger shows the order in which {driver} took its locks, where the check kept it.",
    "call": "The documentation of the function at that place says what {driver} may pass to it, and when.",
}


def explain_verifier(view: View) -> Explained:
    """DRIVER_VERIFIER_DETECTED_VIOLATION: which check failed, and who is named by it."""
    first = view.parameters[0]
    check = find_check(first)
    one = fault(view, f"Driver Verifier found that a driver broke a rule, at this very place (check {first:#x}).")
    one = replace(one, parameters=(one.parameters[0], *_details(one, view)))
    if check is None:
        one = replace(one, deed=f"broke a rule that Driver Verifier checks ({first:#x})")
    else:
        named = replace(one.parameters[0], resolved=f"the driver {check.deed}")
        parameters = (named, *one.parameters[1:])
        one = replace(one, deed=f"{check.deed} (check {first:#x})", stop=check.stop, parameters=parameters)
    rule = view.text(view.parameters[1]) if first >= FIRST_RULE else None
    if rule is not None:
        if check is None:
            one = replace(one, deed=f"broke Driver Verifier's rule: {rule}")
        one = replace(one, facts=(f"parameter 2 says: {rule}",))
    if check is not None and check.area == "disk":
        return _disk(one, view, check)
    step = AREA_STEPS[check.area if check is not None else "call"]
    one = replace(one, next_steps=(ON_PURPOSE,), driver_steps=(*DRIVER_STEPS, step))
    one = with_hints(one, [kernel_named_hint(view)])
    return _pointed_at(one, view, check) if check is not None else one


def _details(one: Explained, view: View) -> tuple[ParameterFact, ...]:
    # The page tells what the other three are for each check; what it leaves out is told as such.
    found = meanings_of(view.parameters[0])
    if found is None:
        return one.parameters[1:]
    return tuple(
        ParameterFact(value, meaning.text if meaning else "not used by this check", resolve(meaning, value, view))
        for meaning, value in zip(found, view.parameters[1:], strict=True)
    )


def _pointed_at(one: Explained, view: View, check: Check) -> Explained:
    # What the check hands out beside its number: code, name, object, request or thread.
    hints: list[Hint | None] = [code_hint(view, index, "code of the driver that was checked") for index in check.code]
    if check.text is not None and (named := view.text(view.parameters[check.text - 1])) is not None:
        hints.append(named_hint(named, f"parameter {check.text} names {named}"))
    if check.driver is not None:
        hints.append(driver_hint(view, check.driver))
    if check.device is not None:
        hints.append(device_hint(view, check.device, decisive=True))
    if check.irp is not None:
        address = view.parameters[check.irp - 1]
        request = view.irp(address)
        if request is not None and request.current is not None and request.current.driver is not None:
            because = f"the request {address:#x} (parameter {check.irp}) is at {request.current.driver}"
            hints.append(Hint(request.current.driver, because))
        one = replace(one, irps=(address,) if request is not None else ())
    if check.thread is not None and view.parameters[check.thread - 1]:
        one = replace(one, focus=thread_focus(view, check.thread, "the shutdown waits for it"))
    return with_hints(one, hints)


def _disk(one: Explained, view: View, check: Check) -> Explained:
    # Nobody's code is at fault: what came back from the disk is not what went there.
    why = f"{check.deed}: check {view.parameters[0]:#x}, sector {view.parameters[3]:#x} (parameter 4)"
    steps = ("Look at the disk's SMART values; check cables, controller firmware and memory.", ON_PURPOSE)
    text = "Driver Verifier's check of disks found that data read back are not what had been written."
    return replace(one, explanation=text, blamed=Blamed("hardware", DISK, None, "medium", (why,)), next_steps=steps)


def explain_io_verifier(view: View) -> Explained:
    """DRIVER_VERIFIER_IOMANAGER_VIOLATION: the driver around parameter 2, else that of the device object."""
    one = fault(view, "Driver Verifier found a mistake in how a driver handles I/O requests.")
    one = replace(one, deed=f"broke a rule of I/O that Driver Verifier checks ({view.parameters[0]:#x})")
    one = replace(one, next_steps=(ON_PURPOSE,), driver_steps=DRIVER_STEPS)
    return with_hints(one, meaning_hints(view))


def explain_dma(view: View) -> Explained:
    """DRIVER_VERIFIER_DMA_VIOLATION: a driver misuses DMA; subcase 0x26 is what the IOMMU caught a device doing."""
    if view.parameters[0] != IOMMU_CAUGHT:
        one = fault(view, "Driver Verifier found a mistake in how a driver uses DMA.")
        one = replace(one, deed="broke a rule of DMA that Driver Verifier checks")
        return with_hints(replace(one, next_steps=(ON_PURPOSE,), driver_steps=DRIVER_STEPS), meaning_hints(view))
    device = view.parameters[1]
    text = "A device reached for memory that it had not been given; the IOMMU stopped it."
    one = replace(explained(view, Stop.FAULT, text), deed="let its device reach for memory it had not been given")
    function = view.function_driver(device) if device else None
    hint = Hint(function, f"it drives the device {device:#x} (parameter 2) that did it") if function else None
    one = with_hints(replace(one, device=device or None), [hint, *meaning_hints(view)])
    return with_caps(one, Cap("medium", "a device's firmware can do this on its own"))


def explain_framework(view: View) -> Explained:
    """WDF_VIOLATION: the framework found a mistake of a client driver, and is never blamed itself."""
    one = explained(view, Stop.FAULT, "The driver framework found that one of its client drivers broke a rule.")
    if view.parameters[0] == 1:
        one = replace(one, stop=Stop.HANG, deed="did not return from a power or Plug and Play callback in time")
    else:
        one = replace(one, deed="broke a rule of the driver framework")
    one = replace(one, driver_steps=FRAMEWORK_STEPS)
    requests = tuple(value for value in view.parameters[1:3] if value and view.irp(value) is not None)
    return with_hints(replace(one, irps=requests), [kernel_named_hint(view), *meaning_hints(view)])


FAMILY = Family(
    "verifier",
    {
        **dict.fromkeys((0xC4, 0x1C4), explain_verifier),
        0xC9: explain_io_verifier,
        0xE6: explain_dma,
        0x10D: explain_framework,
    },
)
