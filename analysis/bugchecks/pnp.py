"""PNP_DETECTED_FATAL_ERROR (0xCA): Plug and Play found a driver's report about a device to be wrong.

Blames the driver that made the physical device object in parameter 2, the bus driver of that device, or the driver
object a parameter names: here the bus itself made the mistake. The crashing stack only found it.
"""

from dataclasses import replace

from analysis.bugchecks.building import Family, device_hint, driver_hint, explained, with_caps, with_hints
from analysis.bugchecks.explained import Cap, Explained, Hint, Stop
from analysis.bugchecks.tables import subcase
from analysis.bugchecks.view import View

DEEDS = {
    1: "reported the same device twice",
    2: "passed a device object that is no physical device",
    3: "reported a device with a bad identifier",
    4: "reported a device that had been deleted",
    5: "freed a device that is still in the device tree",
    8: "reported no device where one belongs",
    9: "reported an interrupt in a way that does not exist",
    0xA: "came back from a callback at another IRQL or with APCs left disabled",
    0xB: "reported relations with a device that had been deleted",
}
DRIVER_OBJECT_PARAMETER = {2: 3, 0xA: 2}
STEPS = ("Update the driver and the firmware of the bus or hub that the device hangs on, before the device's own.",)


def explain_pnp(view: View) -> Explained:
    """The driver that reported the device, by subcase; unknown subcases read the crashing stack alone."""
    first = view.parameters[0]
    if subcase(0xCA, view.parameters) is None:
        return _watchdog(view)
    text = "Plug and Play found that a driver's report about a device is wrong."
    one = replace(explained(view, Stop.OTHER, text), deed=DEEDS.get(first, ""), next_steps=STEPS)
    hints: list[Hint | None] = []
    index = DRIVER_OBJECT_PARAMETER.get(first)
    if index is not None:
        hints.append(driver_hint(view, index))
    if first not in (9, 0xA):
        hints.append(device_hint(view, 2, decisive=True))
        one = replace(one, device=None)
    missing = () if any(hints) else ("Which driver made the device: its object is not in this dump.",)
    one = with_hints(replace(one, cannot_tell=one.cannot_tell + missing), hints)
    return with_caps(one, Cap("medium", "the report was found wrong later than it was made"))


def _watchdog(view: View) -> Explained:
    # Later subcases are not on the public page; some are raised by watchdogs and hand out a block with the requests
    # that Plug and Play still waits for. Such a block is recognised by its signature.
    one = explained(view, Stop.HANG, "Plug and Play met a state that it cannot go on from.")
    for index, value in enumerate(view.parameters[1:], 2):
        waiting = view.pending_devices(value) if value else ()
        if waiting:
            fact = f"the block at {value:#x} (parameter {index}) shows requests outstanding for {', '.join(waiting)}"
            one = replace(one, facts=(*one.facts, fact))
    text = f"What subcase {view.parameters[0]:#x} is about: no public page describes it."
    return replace(one, locks_first=True, cannot_tell=(*one.cannot_tell, text))


FAMILY = Family("pnp", {0xCA: explain_pnp})
