"""Damage that was found long after it was done: memory pool, page tables, page frames.

Starts at the crashing stack. Who is on it found the damage, which is weak evidence of having done it: these codes cap
the confidence, except where the subcase is the caller's own mistake. After the public pages of these bugchecks.
"""

from dataclasses import replace

from analysis.bugchecks.building import (
    Family,
    code_hint,
    device_hint,
    explained,
    kernel_named_hint,
    with_caps,
    with_hints,
)
from analysis.bugchecks.explained import Blamed, Cap, Explained, Stop
from analysis.bugchecks.faulting import fault
from analysis.bugchecks.pool_tags import describe_tag
from analysis.bugchecks.resolve import letters
from analysis.bugchecks.status import STORAGE_ERRORS, describe_status, status_code
from analysis.bugchecks.tables import meanings, normalise
from analysis.bugchecks.view import View

FOUND_LATER = "the damage was found here, but may have been done long before by somebody else"
SPECIAL_POOL = (
    "To catch who does the damage when it is done, on a test machine: verifier /flags 0x9 /driver {driver} (special "
    "pool and pool tracking; undo: verifier /reset)."
)
ALL_SUSPECTS = (
    "Turn on special pool for all drivers that are not Microsoft's, a few at a time: verifier /flags 0x9 /driver NAME… "
    "(undo: verifier /reset); the next stop then comes at the damage itself."
)
MEMORY_TEST = "Test the memory: Windows Memory Diagnostic (mdsched.exe) or MemTest86 overnight."
TRACK_PAGES = (
    "Let Windows remember who locks pages: registry value TrackLockedPages = 1 under Session Manager\\Memory "
    "Management; the next such stop is 0xCB and names the driver."
)
# Subcases in which the caller itself did what is wrong.
CALLERS_OWN = {0x19: frozenset({0x21, 0x22}), 0x13A: frozenset({0x8, 0xC, 0xF, 0x11})}
CALLERS_OWN_CODES = frozenset({0xC1, 0xC2, 0xDA})
# 0x1A: what the public page calls a likely hardware error, and what a driver does wrong itself.
LIKELY_HARDWARE = frozenset({0x31, 0x403, 0x41790, 0x61941})
DRIVERS_OWN = frozenset({0x1233, 0x1234, 0x1235, 0x1236, 0x1240, 0x1010, 0x4477, 0x5305, 0x61948, 0x6194A, 0x15000})


def explain_pool(view: View) -> Explained:
    """Damaged pool: 0x19, 0xC1, 0xC5, 0xD0, 0x13A and others. Some subcases are the caller's own mistake."""
    one = explained(view, Stop.CORRUPTION, "The kernel's memory pool is damaged.")
    code = normalise(view.raw_code)
    if code in (0xC5, 0xD0):
        one = with_hints(one, [code_hint(view, 4, "the instruction that met the damage")])
    own = code in CALLERS_OWN_CODES or view.parameters[0] in CALLERS_OWN.get(code, frozenset())
    if one_bit_in_special_pool(code, view):
        why = "parameter 4 is 0x32: a single bit of a guarded block changed"
        one = replace(one, blamed=Blamed("memory", "a flipped bit in memory", None, "medium", (why,)))
    deed = "misused the memory pool" if own else "was running when damage to the memory pool was found"
    steps = () if own else (ALL_SUSPECTS,)
    one = replace(one, deed=deed, facts=_tags(view), driver_steps=(SPECIAL_POOL,), next_steps=steps)
    return with_caps(one, Cap("medium" if own else "low", FOUND_LATER))


def explain_pool_call(view: View) -> Explained:
    """BAD_POOL_CALLER: the call itself was wrong, so whoever made it is on the stack."""
    one = fault(view, "A driver or the kernel broke a rule that the kernel checks, at this very place.")
    one = replace(one, deed=f"broke a rule that the kernel checks ({one.name})")
    if view.parameters[0] == 0xA:
        tags = [letters(value & 0xFFFF_FFFF) for value in view.parameters[2:]]
        if all(tags):
            owner, used = (describe_tag(tag) for tag in tags if tag)
            fact = f"the block belongs to the pool tag {owner}, and was freed with {used}"
            one = replace(one, facts=(fact,))
    damaged = view.parameters[0] in (1, 2, 4, 0xB)
    one = replace(one, facts=one.facts + _tags(view), driver_steps=(SPECIAL_POOL,))
    return with_caps(one, Cap("medium", FOUND_LATER)) if damaged else one


def explain_mapping(view: View) -> Explained:
    """SYSTEM_PTE_MISUSE: a mapping was freed wrongly by the caller on the stack."""
    one = fault(view, "A driver or the kernel broke a rule that the kernel checks, at this very place.")
    return replace(one, deed=f"broke a rule that the kernel checks ({one.name})")


def explain_memory(view: View) -> Explained:
    """Damaged page tables or page frames: 0x1A, 0x4E. One flipped bit is memory hardware until shown otherwise."""
    one = explained(view, Stop.CORRUPTION, "The tables that manage memory are damaged.")
    which, second, content, _ = view.parameters
    deed = "was running when damage to the tables of memory was found"
    one = replace(one, deed=deed, driver_steps=(SPECIAL_POOL,), next_steps=(MEMORY_TEST,))
    if normalise(view.raw_code) == 0x4E:
        cap = Cap("medium", FOUND_LATER) if which in (0x7, 0x9A) else Cap("low", FOUND_LATER)
        return with_caps(one, cap)
    if which in (0x41792, 0x41793) and content.bit_count() == 1:
        why = f"parameter 3, the content of a page table entry that should be empty, is {content:#x}: one single bit"
        one = replace(one, blamed=Blamed("memory", "a flipped bit in memory", None, "medium", (why,)))
    elif which == 0x3F or (which == 0x6001 and status_code(second) in STORAGE_ERRORS):
        one = _read_back_wrong(one, view)
    elif which in LIKELY_HARDWARE:
        why = f"parameter 1 is {which:#x}: this check mostly fails on damaged memory hardware"
        one = replace(one, blamed=Blamed("memory", "memory, its hardware more likely", None, "low", (why,)))
    return with_caps(one, Cap("medium" if which in DRIVERS_OWN else "low", FOUND_LATER))


def explain_bad_page(view: View) -> Explained:
    """FAULTY_HARDWARE_CORRUPTED_PAGE: a page changed while nobody wrote to it."""
    one = explained(view, Stop.HARDWARE, "A page of memory changed although nobody wrote to it.")
    return replace(one, blamed=Blamed("memory", "memory hardware", None, "medium", (one.explanation,)))


def explain_locked_pages(view: View) -> Explained:
    """A driver left pages of a process locked: 0xCB names who locked them, 0x76 only the process."""
    one = explained(view, Stop.FAULT, "A driver left pages of a process locked after its I/O was done.")
    one = replace(one, deed="left pages of a process locked")
    if normalise(view.raw_code) == 0x76:
        text = "Which driver locked the pages: Windows only keeps that with TrackLockedPages set."
        return replace(one, next_steps=(TRACK_PAGES,), cannot_tell=(*one.cannot_tell, text))
    locker = "the place in the driver that locked the pages, or its dispatch routine"
    return with_hints(one, [kernel_named_hint(view), code_hint(view, 1, locker), device_hint(view, 2)])


def one_bit_in_special_pool(code: int, view: View) -> bool:
    """Whether Driver Verifier's special pool saw exactly one bit change."""
    return code == 0xC1 and view.parameters[3] == 0x32


def _read_back_wrong(one: Explained, view: View) -> Explained:
    which, second = view.parameters[0], view.parameters[1]
    if which == 0x3F:
        why = "parameter 1 is 0x3f: a page that was read back from disk has another checksum than when it was written"
    else:
        why = f"the memory store could not read a page: {second & 0xFFFFFFFF:#x}, {describe_status(second)}"
    what = "memory, the disk, or the path between them"
    return replace(one, blamed=Blamed("hardware", what, None, "medium", (why,)))


def _tags(view: View) -> tuple[str, ...]:
    found = []
    for index, meaning in enumerate(meanings(normalise(view.raw_code), view.parameters), 1):
        value = view.parameters[index - 1]
        if meaning is not None and meaning.kind == "pool_address" and (tag := view.pool_tag(value)) is not None:
            found.append(f"the block at {value:#x} (parameter {index}) has the pool tag {describe_tag(tag)}")
    return tuple(found)


FAMILY = Family(
    "pool",
    {
        **dict.fromkeys((0x19, 0xC1, 0xC5, 0xC6, 0xD0, 0xDE, 0x13A), explain_pool),
        **dict.fromkeys((0x1A, 0x4E), explain_memory),
        0xC2: explain_pool_call,
        0xDA: explain_mapping,
        0x12B: explain_bad_page,
        **dict.fromkeys((0x76, 0xCB), explain_locked_pages),
    },
)
