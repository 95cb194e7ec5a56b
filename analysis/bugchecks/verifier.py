"""Driver Verifier and the driver framework: 0xC4, 0xC9, 0xE6, 0x1C4 and 0x10D.

Starts at the crashing stack, where the checks stand between the driver and the kernel and are never blamed. Blames the
driver that a parameter names or points into, else the caller on the stack; for 0x10D never the framework itself.
After the public pages of these bugchecks.
"""

from dataclasses import replace

from analysis.bugchecks.building import (
    Family,
    explained,
    kernel_named_hint,
    meaning_hints,
    named_hint,
    with_caps,
    with_hints,
)
from analysis.bugchecks.explained import Cap, Explained, Hint, Stop
from analysis.bugchecks.faulting import fault
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
FIRST_DEADLOCK, LAST_DEADLOCK = 0x1000, 0x100F
LEFT_BEHIND = range(0x60, 0x63)  # 0xC4: pool still allocated when the driver was unloaded


def explain_verifier(view: View) -> Explained:
    """DRIVER_VERIFIER_DETECTED_VIOLATION: which check failed, and who is named by it."""
    first = view.parameters[0]
    one = fault(view, "Driver Verifier found that a driver broke a rule, at this very place.")
    one = replace(one, deed=f"broke a rule that Driver Verifier checks ({first:#x})")
    hints: list[Hint | None] = [kernel_named_hint(view)]
    if first >= FIRST_RULE:
        rule = view.text(view.parameters[1])
        if rule:
            one = replace(one, deed=f"broke Driver Verifier's rule: {rule}", facts=(f"parameter 2 says: {rule}",))
    elif FIRST_DEADLOCK <= first <= LAST_DEADLOCK:
        one = replace(one, deed=f"takes locks in an order that can deadlock (check {first:#x})")
    elif first in LEFT_BEHIND:
        named = view.text(view.parameters[1])
        hints.append(named_hint(named, f"parameter 2 names {named}, which left pool allocated"))
    one = replace(one, next_steps=(ON_PURPOSE,), driver_steps=DRIVER_STEPS)
    return with_hints(one, hints)


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
