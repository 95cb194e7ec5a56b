"""Exceptions and bad accesses in kernel code: 0x1E, 0x3B, 0x50, 0x7E, 0x8E, 0xBE, 0xFC and their relatives.

Starts at the saved context (0x7E, 0x3B) or trap frame (0x8E), else under the page fault on the crashing stack. Blames
the driver that the kernel named, then the one around the instruction, then the stack. After the public pages of these
bugchecks.
"""

from dataclasses import replace

from analysis.bugchecks.building import Family, code_hint, with_hints
from analysis.bugchecks.explained import Blamed, Explained, Stop
from analysis.bugchecks.faulting import NULL_AREA, fault, is_gone
from analysis.bugchecks.status import STORAGE_ERRORS, describe_status, status_code
from analysis.bugchecks.tables import normalise
from analysis.bugchecks.view import View

# The exception record itself, where a parameter points at one.
RECORD_PARAMETER = {0x7E: 3, 0x139: 3}
WITH_ADDRESS = frozenset({0xC0000005, 0xC0000006})
NO_ADDRESS = 0xFFFF_FFFF_FFFF_FFFF
MEMORY_HARDWARE = 0xC000C001
STACK_EXHAUSTED = 0xC00000FD
DOUBLE_FAULT = 8
STACK_STEP = (
    "Look at the frames that repeat or are large: filter drivers stacked on one another use up a kernel stack together."
)


def explain_exception(view: View) -> Explained:
    """An exception that nobody handled: 0x7E, 0x8E, 0x3B, 0x1E."""
    status = status_code(view.parameters[0])
    what = describe_status(status)
    where = {0x3B: "while a program's system call was served", 0x7E: "in a system thread"}.get(normalise(view.raw_code))
    text = f"Kernel code raised an exception that nobody handled{f' {where}' if where else ''}: {status:#x}"
    one = fault(view, f"{text} ({what})." if what else f"{text}.")
    deed = f"raised {what.partition(':')[0] if what else f'the exception {status:#x}'}" + _access(view, status)
    one = replace(one, deed=deed, stop=Stop.STORAGE if status in STORAGE_ERRORS else Stop.FAULT)
    if status == MEMORY_HARDWARE:
        why = f"parameter 1 is {status:#x}, {what}"
        return replace(one, blamed=Blamed("memory", "memory hardware", None, "medium", (why,)))
    return replace(one, next_steps=(STACK_STEP,)) if status == STACK_EXHAUSTED else one


def explain_bad_access(view: View) -> Explained:
    """An access to memory that is not there or not allowed: 0x50, 0xBE, 0xFC."""
    address, code = view.parameters[0], normalise(view.raw_code)
    near = " (close to zero: a null pointer)" if address < NULL_AREA else ""
    verb = {0xBE: "wrote to read-only memory at", 0xFC: "executed memory that holds no code at"}.get(code)
    deed = f"{verb or 'accessed the address'} {address:#x}{near}"
    one = replace(fault(view, f"Kernel code {deed}; that address was not valid for it."), deed=deed)
    if not one.hints and is_gone(view, address):
        # Execution or an access went on in a driver that was unloaded: the address itself tells.
        return with_hints(one, [code_hint(view, 1, "the address that was referenced")])
    return one


def explain_trap(view: View) -> Explained:
    """UNEXPECTED_KERNEL_MODE_TRAP: a processor trap; number 8 is mostly an exhausted kernel stack."""
    one = fault(view, "The processor raised a trap that the kernel cannot handle, at this very place.")
    one = replace(one, deed="raised a trap that the kernel cannot handle")
    if view.parameters[0] != DOUBLE_FAULT:
        return one
    return replace(one, deed="was running when the kernel stack was exhausted", next_steps=(STACK_STEP,))


def _access(view: View, status: int) -> str:
    # The record's two parameters: 0 read, 1 write, 8 execute, and the address. A non-canonical address reaches no page
    # table: the processor reports no address for it, and Windows writes -1.
    index = RECORD_PARAMETER.get(normalise(view.raw_code))
    record = view.exception(view.parameters[index - 1] if index else 0) or view.exception(0)
    if record is None or record.code != status or status not in WITH_ADDRESS or len(record.parameters) < 2:
        return ""
    how, address = record.parameters[:2]
    verb = {0: "reading from", 1: "writing to", 8: "executing at"}.get(how, "accessing")
    if address == NO_ADDRESS and how == 0:
        return f" {verb} an address that cannot exist (not canonical)"
    return f" {verb} {address:#x}" + (" (close to zero: a null pointer)" if address < NULL_AREA else "")


FAMILY = Family(
    "faults",
    {
        **dict.fromkeys((0x1E, 0x3B, 0x7E, 0x8E, 0x135, 0x178), explain_exception),
        **dict.fromkeys((0x50, 0xBE, 0xFC), explain_bad_access),
        0x7F: explain_trap,
    },
)
