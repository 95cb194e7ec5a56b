"""Errors that the machine reported itself: processor, memory, buses, firmware, and data lost on the way to disk."""

from dataclasses import replace

from analysis.bugchecks.building import Family, explained
from analysis.bugchecks.explained import Blamed, Explained, Stop
from analysis.bugchecks.status import STORAGE_ERRORS, describe_status, status_code
from analysis.bugchecks.tables import meanings, normalise
from analysis.bugchecks.view import View


def explain_machine_check(view: View) -> Explained:
    """WHEA_UNCORRECTABLE_ERROR and MACHINE_CHECK_EXCEPTION: never a driver from the stack."""
    one = explained(view, Stop.HARDWARE, "The hardware reported an error that could not be corrected.")
    why = "the code is raised by the hardware error architecture, not by a driver"
    return replace(one, blamed=Blamed("hardware", "the hardware", None, "medium", (why,)))


def explain_bad_page(view: View) -> Explained:
    """FAULTY_HARDWARE_CORRUPTED_PAGE: a page changed while nobody wrote to it."""
    one = explained(view, Stop.HARDWARE, "A page of memory changed although nobody wrote to it.")
    return replace(one, blamed=Blamed("memory", "memory hardware", None, "medium", (one.explanation,)))


def explain_lost_data(view: View) -> Explained:
    """Data could not be read back: 0x7A, 0x77, 0x154. A status, where given, tells what the storage path met."""
    one = explained(view, Stop.STORAGE, "Windows could not read back data that it had put on disk.")
    for index, (value, meaning) in enumerate(
        zip(view.parameters, meanings(normalise(view.raw_code), view.parameters), strict=True), 1
    ):
        status = status_code(value)
        if meaning is not None and meaning.kind == "ntstatus" and status in STORAGE_ERRORS:
            why = f"parameter {index} is {status:#x}, {describe_status(status)}"
            return replace(one, blamed=Blamed("hardware", "the disk or the path to it", None, "medium", (why,)))
    return one


FAMILY = Family(
    "hardware",
    {
        **dict.fromkeys((0x124, 0x9C), explain_machine_check),
        0x12B: explain_bad_page,
        **dict.fromkeys((0x7A, 0x77, 0x154), explain_lost_data),
    },
)
