"""Accesses at too high an IRQL, and drivers that went away or freed memory too early: 0xA, 0xD1, 0xD3 to 0xD8, 0xCE.

Starts under the page fault on the crashing stack. Blames the driver that the kernel named, then the module around the
instruction, loaded or unloaded, then the stack. After the public pages of these bugchecks.
"""

from dataclasses import replace

from analysis.bugchecks.building import Family, code_hint, named_hint, with_caps, with_hints
from analysis.bugchecks.explained import Cap, Explained
from analysis.bugchecks.faulting import NULL_AREA, fault, is_gone
from analysis.bugchecks.tables import normalise
from analysis.bugchecks.view import View

FORCE_IRQL = (
    "To catch it at the mistake itself, on a test machine: verifier /flags 0x3 /driver {driver} (special pool, forced "
    "IRQL checks; undo: verifier /reset)."
)
UNLOAD = (
    "To catch what {driver} leaves behind when it is unloaded, on a test machine: verifier /standard /driver {driver} "
    "(undo: verifier /reset)."
)
TRACK_PTES = (
    "Let Windows remember who maps memory: registry value TrackPtes = 3 under Session Manager\\Memory Management, then "
    "wait for a stop 0xDA, whose stack names the driver."
)


def explain_irql(view: View) -> Explained:
    """Memory that was not resident was touched where no page fault can be served: 0xA, 0xD1, 0xD3, 0xDB."""
    address, level = view.parameters[0], view.parameters[1]
    near = " (close to zero: a null pointer)" if address < NULL_AREA else ""
    deed = f"accessed the address {address:#x}{near} at IRQL {level}, too high for a page fault to be served"
    text = f"Kernel code {deed}; that address was not valid for it."
    code = normalise(view.raw_code)
    if code == 0xD3:
        text += " A driver marked code or data as pageable that it uses at that level."
    one = replace(fault(view, text), deed=deed, driver_steps=(FORCE_IRQL,))
    if not one.hints and is_gone(view, address):
        one = with_hints(one, [code_hint(view, 1, "the address that was referenced")])
    if code == 0xDB:
        one = replace(one, next_steps=(TRACK_PTES,))
        return with_caps(one, Cap("low", "such accesses mostly follow damage that another driver did to the mappings"))
    return one


def explain_unloaded(view: View) -> Explained:
    """A driver was unloaded with work outstanding: 0xCE and 0xD4."""
    one = fault(view, "A driver was unloaded, or freed memory, while something still used it.")
    index = 4 if normalise(view.raw_code) == 0xD4 else 3
    hints = [code_hint(view, 1, "the address that was referenced"), code_hint(view, index, "the instruction")]
    one = replace(one, deed="left work or memory in use behind", driver_steps=(UNLOAD,))
    # Who stumbled over the hole is alive and loaded; only one that is gone can have dug it.
    gone = [hint for hint in hints if hint is not None and hint.decisive]
    named = [hint for hint in one.hints if hint.decisive]
    return replace(one, hints=tuple(named + gone) or tuple(hint for hint in hints if hint is not None))


def explain_freed(view: View) -> Explained:
    """Freed or foreign special pool was used: 0xD5, 0xD6, 0xCC, 0xCD."""
    beyond = normalise(view.raw_code) in (0xD6, 0xCD)
    what = "beyond the end of its allocation" if beyond else "that had been freed"
    one = fault(view, f"Code used memory {what}; Driver Verifier's special pool caught it in the act.")
    return replace(one, deed=f"used memory {what}, at {view.parameters[0]:#x}", driver_steps=(FORCE_IRQL,))


def explain_view(view: View) -> Explained:
    """DRIVER_UNMAPPING_INVALID_VIEW: an address was unmapped that was not mapped; the stack tells who did."""
    how = "commit" if view.parameters[1] == 2 else "unmap"
    deed = f"asked to {how} the view at {view.parameters[0]:#x}, which is not mapped"
    return replace(fault(view, f"A driver {deed}."), deed=deed)


def explain_ptes(view: View) -> Explained:
    """DRIVER_USED_EXCESSIVE_PTES: parameter 1 names the driver that used most of the system's mappings."""
    named, used = view.text(view.parameters[0]), view.parameters[1]
    one = fault(view, "The system ran out of page table entries for mappings of its own.")
    one = replace(one, deed="used up the system's mappings", next_steps=(TRACK_PTES,))
    return with_hints(one, [named_hint(named, f"parameter 1 names {named}, which used {used} of these entries")])


FAMILY = Family(
    "irql",
    {
        **dict.fromkeys((0xA, 0xD1, 0xD3, 0xDB), explain_irql),
        **dict.fromkeys((0xCE, 0xD4), explain_unloaded),
        **dict.fromkeys((0xD5, 0xD6, 0xCC, 0xCD), explain_freed),
        0xD7: explain_view,
        0xD8: explain_ptes,
    },
)
