"""Faults in kernel code: exceptions, bad accesses, wrong IRQL, and drivers that went away too early.

Which parameter holds the context, the trap frame or the instruction follows the public page of each bugcheck.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from analysis.bugchecks.building import Family, code_hint, explained, kernel_named_hint, with_hints
from analysis.bugchecks.explained import Explained, Focus, FocusKind, Stop
from analysis.bugchecks.status import STORAGE_ERRORS, describe_status, status_code
from analysis.bugchecks.tables import normalise
from analysis.bugchecks.view import View

CONTEXT_PARAMETER: Mapping[int, int] = MappingProxyType({0x7E: 4, 0x3B: 3, 0x24: 3, 0x178: 3})
TRAP_PARAMETER: Mapping[int, int] = MappingProxyType({0x8E: 3, 0x139: 2})
INSTRUCTION_PARAMETER: Mapping[int, int] = MappingProxyType(
    {0x7E: 2, 0x3B: 2, 0x8E: 2, 0x1E: 2, 0xA: 4, 0xD1: 4, 0x50: 3, 0xC5: 4, 0xBE: 3, 0xD5: 3, 0xD6: 3}
)
# The exception record itself, where a parameter points at one.
RECORD_PARAMETER: Mapping[int, int] = MappingProxyType({0x7E: 3, 0x139: 3})
WITH_ADDRESS = frozenset({0xC0000005, 0xC0000006})
NO_ADDRESS = 0xFFFF_FFFF_FFFF_FFFF
NULL_AREA = 0x1_0000  # no process has pages below it
# The doc pages of these codes say that the driver's name is printed on the stop screen when the kernel knows it.
KERNEL_NAMES_DRIVER = frozenset({0x50, 0xBE, 0xCC, 0xCD, 0xCE, 0xD4, 0xD5, 0xD6, 0xD8})


def explain_exception(view: View) -> Explained:
    """An exception that nobody handled: 0x7E, 0x8E, 0x3B, 0x1E."""
    status = status_code(view.parameters[0])
    what = describe_status(status)
    where = {0x3B: "while a program's system call was served", 0x7E: "in a system thread"}.get(normalise(view.raw_code))
    text = f"Kernel code raised an exception that nobody handled{f' {where}' if where else ''}: {status:#x}"
    one = _fault(view, f"{text} ({what})." if what else f"{text}.")
    deed = f"raised {what.partition(':')[0] if what else f'the exception {status:#x}'}" + _access(view, status)
    return replace(one, deed=deed, stop=Stop.STORAGE if status in STORAGE_ERRORS else Stop.FAULT)


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


def explain_bad_access(view: View) -> Explained:
    """An access to memory that is not there or not allowed: 0xA, 0xD1, 0x50, 0xBE, 0xFC."""
    address, code = view.parameters[0], normalise(view.raw_code)
    near = " (close to zero: a null pointer)" if address < NULL_AREA else ""
    deed = f"accessed the address {address:#x}{near}"
    if code in (0xA, 0xD1):
        deed += f" at IRQL {view.parameters[1]}, too high for a page fault to be served"
    return replace(_fault(view, f"Kernel code {deed}; that address was not valid for it."), deed=deed)


def explain_unloaded(view: View) -> Explained:
    """A driver was unloaded with work outstanding, or its freed memory was used: 0xCE, 0xD4, 0xD8, 0xD5, 0xD6."""
    one = _fault(view, "A driver was unloaded, or freed memory, while something still used it.")
    return replace(one, deed="left work or memory in use behind")


def explain_security_check(view: View) -> Explained:
    """KERNEL_SECURITY_CHECK_FAILURE: a check in kernel code found damaged data and failed fast."""
    one = _fault(view, "A safety check in kernel code found damaged data and stopped the machine at once.")
    return replace(one, deed="was running when a safety check found damaged data")


def explain_fault(view: View) -> Explained:
    """Any other code that stops where the mistake was made."""
    one = _fault(view, "A driver or the kernel broke a rule that the kernel checks, at this very place.")
    return replace(one, deed=f"broke a rule that the kernel checks ({one.name})")


def _fault(view: View, text: str) -> Explained:
    code = normalise(view.raw_code)
    one = explained(view, Stop.FAULT, text, _focus(view, code))
    hints = [kernel_named_hint(view)] if code in KERNEL_NAMES_DRIVER else []
    index = INSTRUCTION_PARAMETER.get(code)
    if index is not None and view.parameters[index - 1]:
        one = replace(one, instruction=view.parameters[index - 1])
        hints.append(code_hint(view, index, "the instruction that failed"))
    if code == 0xCE:
        hints += [code_hint(view, 1, "the address that was referenced"), code_hint(view, 3, "the instruction")]
    if code in (0xFC, 0xD1, 0x50, 0xA) and not any(hints):
        # Execution went on in a driver that was unloaded: the address itself tells.
        hints.append(code_hint(view, 1, "the address that was referenced") if _is_unloaded(view) else None)
    return with_hints(one, hints)


def _is_unloaded(view: View) -> bool:
    address = view.parameters[0]
    return view.module_at(address) is None and view.unloaded_at(address) is not None


def _focus(view: View, code: int) -> Focus | None:
    for table, kind, what in (
        (CONTEXT_PARAMETER, FocusKind.CONTEXT, "the saved context of the exception"),
        (TRAP_PARAMETER, FocusKind.TRAP, "the trap frame of the exception"),
    ):
        index = table.get(code)
        if index is not None and view.parameters[index - 1]:
            return Focus(kind, view.parameters[index - 1], f"parameter {index} is {what}")
    return None


FAMILY = Family(
    "exceptions",
    {
        **dict.fromkeys((0x1E, 0x3B, 0x7E, 0x8E, 0x135), explain_exception),
        **dict.fromkeys((0xA, 0x50, 0xBE, 0xD1, 0xFC), explain_bad_access),
        **dict.fromkeys((0xCE, 0xD4, 0xD5, 0xD6, 0xD8, 0xCC, 0xCD), explain_unloaded),
        0x139: explain_security_check,
        **dict.fromkeys((0x1, 0x18, 0x20, 0x7C, 0x7F, 0xC2, 0xC4, 0xC9, 0xDA, 0xE3, 0xE4, 0xE6, 0xF7), explain_fault),
        **dict.fromkeys((0x153, 0x162, 0x192, 0x1C6, 0xD0, 0xD3, 0xB8, 0xC7, 0xC8, 0x1C4), explain_fault),
    },
)
