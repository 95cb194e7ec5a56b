"""Errors that the machine reported itself: 0x124 and 0x9C with what the records say, unexplained traps, firmware.

Never a driver from the stack: the report comes from the processor or the firmware. The error record in parameter 2 of
0x124 is decoded where the dump holds it; else the bank's status from parameters 3 and 4.
"""

from dataclasses import replace

from analysis.bugchecks.building import Family, explained
from analysis.bugchecks.explained import Blamed, Explained, Focus, FocusKind, Stop
from analysis.bugchecks.view import View
from analysis.kernel.machine_checks import BankStatus, read_status
from analysis.kernel.whea import HardwareError

RAISED = "the code is raised by the hardware error architecture, not by a driver"
NO_STACK = Focus(FocusKind.NONE, why="the stack is that of the report, not of what failed")
MACHINE_CHECK_SOURCE = 0
STEPS = {
    "memory": (
        "Reseat and swap the memory modules, and test them one by one (MemTest86); the record names the place.",
    ),
    "pcie": (
        "Reseat the card or cable at that PCI Express address, try another slot, and update its firmware and driver.",
        "Turn off PCI Express link power management (powercfg, ASPM) and see whether the errors stop.",
    ),
    "processor": ("Take back overclocking and undervolting; check cooling and power; update microcode with the BIOS.",),
    "firmware": (
        "Update the firmware (BIOS/UEFI, management controller), and ask the maker about the record it names.",
    ),
    "nmi": (
        (
            "Look into the management controller's event log (iLO, iDRAC, BMC): it tells who raised the interrupt; "
            "people press its NMI button to get a dump of a machine that hangs."
        ),
    ),
    "other": (),
}


SOURCES = {0: "processor", 3: "nmi", 4: "pcie"}  # parameter 1 of 0x124 → what the error is about


def explain_whea(view: View) -> Explained:
    """WHEA_UNCORRECTABLE_ERROR: what the error record says; without it, what the parameters say."""
    one = explained(view, Stop.HARDWARE, "The hardware reported an error that could not be corrected.", NO_STACK)
    record = view.hardware_error(view.parameters[1])
    if record is not None and (record.facts or record.unread):
        return _by_record(one, record)
    status = _status(view) if view.parameters[0] == MACHINE_CHECK_SOURCE else None
    return _by_status(one, status) if status is not None else _by_source(one)


def explain_machine_check(view: View) -> Explained:
    """MACHINE_CHECK_EXCEPTION: bank and status are in the parameters."""
    one = explained(view, Stop.HARDWARE, "The hardware reported an error that could not be corrected.", NO_STACK)
    status = _status(view)
    bank = f"bank {view.parameters[0]}" if view.parameters[0] < 64 else None
    return _by_status(one, status, bank) if status is not None else _unknown(one)


def explain_machine(view: View) -> Explained:
    """NMI_HARDWARE_FAILURE, TRAP_CAUSE_UNKNOWN and relatives: raised by hardware or firmware without a record."""
    text = "The hardware or its firmware raised an event that Windows cannot explain."
    return _unknown(explained(view, Stop.HARDWARE, text, NO_STACK))


def explain_firmware(view: View) -> Explained:
    """ACPI and hypervisor stops: firmware, or the host, is at fault before any driver is."""
    text = "The firmware's tables, or the layer below Windows, did not behave as they must."
    one = explained(view, Stop.HARDWARE, text, NO_STACK)
    why = f"the code {one.name} is raised about firmware or the layer below Windows"
    return replace(one, blamed=Blamed("hardware", "the firmware or the layer below Windows", None, "low", (why,)))


def _by_record(one: Explained, record: HardwareError) -> Explained:
    told = (RAISED, *record.facts, *(f"the record also holds a section of {text}" for text in record.unread))
    # An interrupt names nobody; a section that is read names the part.
    level = "high" if record.facts and record.kind != "nmi" else "medium"
    kind = "memory" if record.kind == "memory" else "hardware"
    missing = tuple(
        f"What the section of {text} in the error record says: it is not decoded." for text in record.unread
    )
    return replace(
        one,
        blamed=Blamed("hardware", record.what, None, level, told),
        next_steps=STEPS.get(record.kind, ()),
        cannot_tell=one.cannot_tell + missing,
        facts=("the error lies in memory, not in the processor that met it",) if kind == "memory" else (),
    )


def _by_status(one: Explained, status: BankStatus, bank: str | None = None) -> Explained:
    where = f"{bank} of a processor" if bank else "a processor's machine-check bank"
    why = f"{where} reported {status.what} (MCi_STATUS {status.value:#x})"
    what = "memory or its controller" if status.kind == "memory" else "the processor"
    missing = "Which processor, and which bank: only the error record would say." if bank is None else None
    return replace(
        one,
        blamed=Blamed("hardware", what, None, "medium", (RAISED, why)),
        next_steps=STEPS[status.kind],
        cannot_tell=(*one.cannot_tell, *((missing,) if missing else ())),
    )


def _by_source(one: Explained) -> Explained:
    # Parameter 1 tells at least through whom the error was reported.
    source = one.parameters[0].resolved
    if source is None:
        return _unknown(one)
    why = f"parameter 1 gives the source of the error: {source}"
    steps = STEPS.get(SOURCES.get(one.parameters[0].value, "other"), ())
    blamed = Blamed("hardware", f"the hardware (reported as: {source})", None, "medium", (RAISED, why))
    return replace(one, blamed=blamed, next_steps=steps)


def _unknown(one: Explained) -> Explained:
    return replace(one, blamed=Blamed("hardware", "the hardware", None, "medium", (RAISED,)))


def _status(view: View) -> BankStatus | None:
    # The upper half is parameter 3, the lower one parameter 4; without the valid bit they hold something else.
    high, low = view.parameters[2:]
    if high > 0xFFFF_FFFF or low > 0xFFFF_FFFF:
        return None
    status = read_status(high << 32 | low)
    return status if status.valid else None


FAMILY = Family(
    "hardware",
    {
        0x124: explain_whea,
        0x9C: explain_machine_check,
        **dict.fromkeys((0x12, 0x2E, 0x80, 0x111, 0x122, 0xB9), explain_machine),
        **dict.fromkeys((0xA5, 0xE0, 0x20001, 0x17E), explain_firmware),
    },
)
