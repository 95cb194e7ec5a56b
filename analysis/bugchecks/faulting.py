"""What all codes share that stop at the very instruction that failed: where its address and its registers are kept.

Which parameter holds the context, the trap frame or the instruction follows the public page of each bugcheck.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from analysis.bugchecks.building import code_hint, explained, kernel_named_hint, with_hints
from analysis.bugchecks.explained import Explained, Focus, FocusKind, Stop
from analysis.bugchecks.tables import normalise
from analysis.bugchecks.view import View

CONTEXT_PARAMETER: Mapping[int, int] = MappingProxyType({0x7E: 4, 0x3B: 3, 0x24: 3, 0x178: 3})
TRAP_PARAMETER: Mapping[int, int] = MappingProxyType({0x8E: 3, 0x139: 2})
INSTRUCTION_PARAMETER: Mapping[int, int] = MappingProxyType(
    {0x7E: 2, 0x3B: 2, 0x8E: 2, 0x1E: 2, 0xA: 4, 0xD1: 4, 0xD3: 4, 0xD4: 4, 0xDB: 4, 0x50: 3, 0xC5: 4, 0xD0: 4}
    | {0xD5: 3, 0xD6: 3}
)
# The doc pages of these codes say that the driver's name is printed on the stop screen when the kernel knows it.
KERNEL_NAMES_DRIVER = frozenset({0x50, 0xBE, 0xCC, 0xCD, 0xCE, 0xD3, 0xD4, 0xD5, 0xD6, 0xD8, 0xCB})
NULL_AREA = 0x1_0000  # no process has pages below it


def fault(view: View, text: str, stop: Stop = Stop.FAULT) -> Explained:
    """An explanation that starts at the fault itself: saved context or trap frame, and the instruction's module."""
    code = normalise(view.raw_code)
    one = explained(view, stop, text, saved_state(view, code))
    hints = [kernel_named_hint(view)] if code in KERNEL_NAMES_DRIVER else []
    index = INSTRUCTION_PARAMETER.get(code)
    if index is not None and view.parameters[index - 1]:
        one = replace(one, instruction=view.parameters[index - 1])
        hints.append(code_hint(view, index, "the instruction that failed"))
    return with_hints(one, hints)


def saved_state(view: View, code: int) -> Focus | None:
    """The stack that begins at the saved registers which a parameter points to; None where none does."""
    for table, kind, what in (
        (CONTEXT_PARAMETER, FocusKind.CONTEXT, "the saved context of the exception"),
        (TRAP_PARAMETER, FocusKind.TRAP, "the trap frame of the exception"),
    ):
        index = table.get(code)
        if index is not None and view.parameters[index - 1]:
            return Focus(kind, view.parameters[index - 1], f"parameter {index} is {what}")
    return None


def is_gone(view: View, address: int) -> bool:
    """Whether an address lies where a driver used to be that was unloaded."""
    return view.module_at(address) is None and view.unloaded_at(address) is not None
