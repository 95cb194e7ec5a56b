"""Data that could not be read back, and file systems that gave up: 0x7A, 0x77, 0x154, 0x24 and their relatives.

Blames the disk or the path to it where a status says so; else the file-system stops read the saved context and the
crashing stack, where file systems themselves are weak suspects. After the public pages of these bugchecks.
"""

from dataclasses import replace

from analysis.bugchecks.building import Family, explained, with_caps
from analysis.bugchecks.explained import Blamed, Cap, Explained, Stop
from analysis.bugchecks.faulting import saved_state
from analysis.bugchecks.status import STORAGE_ERRORS, describe_status, status_code
from analysis.bugchecks.tables import meanings, normalise
from analysis.bugchecks.view import View

DISK = "the disk or the path to it"
CHECK_DISK = (
    "Look at the disk's SMART values and at disk and controller errors in the System event log.",
    "Run chkdsk /scan on the volume; then check cables, controller firmware and the storage driver.",
)
FILTERS = "List the file-system filters (fltmc) and remove those that are not needed: they run inside every file call."
NOT_ENOUGH_MEMORY = frozenset({0xC000009A, 0xC0000017})


def explain_lost_data(view: View) -> Explained:
    """Data could not be read back: 0x7A, 0x77. A status, where given, tells what the storage path met."""
    one = explained(view, Stop.STORAGE, "Windows could not read back data that it had put on disk.")
    for index, (value, meaning) in enumerate(
        zip(view.parameters, meanings(normalise(view.raw_code), view.parameters), strict=True), 1
    ):
        status = status_code(value)
        if meaning is None or meaning.kind != "ntstatus":
            continue
        if status in STORAGE_ERRORS:
            why = f"parameter {index} is {status:#x}, {describe_status(status)}"
            return replace(one, blamed=Blamed("hardware", DISK, None, "medium", (why,)))
        if status in NOT_ENOUGH_MEMORY:
            fact = f"parameter {index} is {status:#x}, {describe_status(status)}: the disk itself may be sound"
            one = replace(one, facts=(fact,))
    one = replace(one, deed="needed a page that could not be read back", next_steps=CHECK_DISK)
    return with_caps(one, Cap("low", "who reads a lost page did not lose it"))


def explain_store(view: View) -> Explained:
    """UNEXPECTED_STORE_EXCEPTION: the memory store met an exception it did not expect, mostly a failing disk."""
    text = "The store that keeps compressed memory met an exception it did not expect, mostly because of the disk."
    one = explained(view, Stop.STORAGE, text)
    record = view.exception(view.parameters[1])
    status = status_code(record.code) if record is not None else None
    if status is not None and status in STORAGE_ERRORS:
        why = f"the exception that the store met is {status:#x}, {describe_status(status)}"
        return replace(one, blamed=Blamed("hardware", DISK, None, "medium", (why,)))
    return with_caps(replace(one, next_steps=CHECK_DISK), Cap("low", "the store runs on behalf of everybody"))


def explain_file_system(view: View) -> Explained:
    """A file system gave up: 0x24 and its like. Disk first, then filter drivers on the stack, then the file system."""
    one = explained(view, Stop.STORAGE, "A file system met a state that it cannot go on from.")
    focus = saved_state(view, normalise(view.raw_code))
    one = replace(one, focus=focus or one.focus, next_steps=(*CHECK_DISK, FILTERS))
    one = replace(one, deed="led a file system into a state that it cannot go on from")
    index = 2 if normalise(view.raw_code) == 0x24 else 0
    record = view.exception(view.parameters[index - 1]) if index and view.parameters[index - 1] else None
    status = status_code(record.code) if record is not None else None
    if status is not None and status in STORAGE_ERRORS:
        why = f"the exception that the file system met is {status:#x}, {describe_status(status)}"
        return replace(one, blamed=Blamed("hardware", DISK, None, "medium", (why,)))
    return with_caps(one, Cap("medium", "damage on the disk stops a file system just the same"))


def explain_boot_device(view: View) -> Explained:
    """The boot volume cannot be reached or mounted: driver, configuration or disk; the stack says nothing."""
    one = explained(view, Stop.STORAGE, "Windows cannot reach or mount the volume it starts from.")
    for value in view.parameters[:2]:
        status = status_code(value)
        if status in STORAGE_ERRORS:
            why = f"a parameter is {status:#x}, {describe_status(status)}"
            return replace(one, blamed=Blamed("hardware", DISK, None, "medium", (why,)))
    return with_caps(replace(one, next_steps=CHECK_DISK), Cap("low", "boot configuration fails the same way"))


FAMILY = Family(
    "storage",
    {
        **dict.fromkeys((0x7A, 0x77), explain_lost_data),
        0x154: explain_store,
        **dict.fromkeys((0x22, 0x23, 0x24, 0x26, 0x27, 0x12C, 0x149, 0xF5, 0x1C7), explain_file_system),
        **dict.fromkeys((0x7B, 0xED), explain_boot_device),
    },
)
