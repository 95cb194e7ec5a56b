"""USB: 0x144 and 0xFE.

Blames the client driver of the device object or request in the parameters; for errors of the controller or hub the
crashing stack. After the public pages of these bugchecks.
"""

from dataclasses import replace

from analysis.bugchecks.building import Family, explained, meaning_hints, with_caps, with_hints
from analysis.bugchecks.explained import Cap, Explained, Hint, Stop
from analysis.bugchecks.tables import meanings, normalise
from analysis.bugchecks.view import View

STEPS = (
    "Unplug USB devices one by one, and try another port, cable or hub: the stop goes with the device or the port.",
    "Update the chipset's USB controller driver and firmware; turn off USB selective suspend for a test.",
)
CONTROLLER_ERRORS = 0x1000  # 0x144: errors of controller and hub from here on
MINIPORT_ASKED = 3  # 0xFE


def explain_usb(view: View) -> Explained:
    """BUGCODE_USB3_DRIVER and BUGCODE_USB_DRIVER: who broke a rule of the USB stack."""
    one = explained(view, Stop.FAULT, "A driver broke a rule of the USB stack, or the USB hardware failed.")
    one = replace(one, deed="broke a rule of the USB stack", next_steps=STEPS)
    one = with_hints(one, [*_client(view), *meaning_hints(view)])
    requests = [value for value, kind in _kinds(view) if kind == "irp" and view.irp(value) is not None]
    one = replace(one, irps=tuple(dict.fromkeys(requests)))
    code, first = normalise(view.raw_code), view.parameters[0]
    if (code == 0x144 and first >= CONTROLLER_ERRORS) or (code == 0xFE and first == MINIPORT_ASKED):
        return with_caps(one, Cap("low", "the controller or hub reported it: the device or the port may be broken"))
    return with_caps(one, Cap("medium", "a device that misbehaves can lead its driver here"))


def _client(view: View) -> list[Hint | None]:
    found: list[Hint | None] = []
    for value, kind in _kinds(view):
        irp = view.irp(value) if kind == "irp" else None
        if irp is not None and irp.stack and irp.stack[0].driver is not None:
            sender = irp.stack[0].driver
            found.append(Hint(sender, f"the request {value:#x} was sent down by {sender}"))
    return found


def _kinds(view: View) -> list[tuple[int, str]]:
    known = meanings(normalise(view.raw_code), view.parameters)
    return [(value, meaning.kind) for value, meaning in zip(view.parameters, known, strict=True) if meaning and value]


FAMILY = Family("usb", dict.fromkeys((0x144, 0xFE), explain_usb))
