"""Security checks: fail-fast (0x139), a damaged stack cookie (0xF7), and Windows' checks of itself (0x109, 0x18B).

0x139 starts at the trap frame in parameter 2 and blames the frame above the fast-fail call; where the check found
damaged data, that frame may be a victim. The checks of 0x109 and its like run at random times: their stack is no
evidence, so nobody is named.
"""

from dataclasses import replace

from analysis.bugchecks.building import Family, explained, with_caps
from analysis.bugchecks.explained import Cap, Explained, Focus, FocusKind, Stop
from analysis.bugchecks.faulting import fault
from analysis.bugchecks.pool import FOUND_LATER, MEMORY_TEST, SPECIAL_POOL
from analysis.bugchecks.tables import normalise
from analysis.bugchecks.view import View

RANDOM_TIME = Focus(
    FocusKind.NONE, why="the check that found the change runs at random times: its stack is no evidence"
)
# Fail-fast codes (winnt.h, FAST_FAIL_…) that report damaged data, wherever it came from.
DAMAGED_DATA = frozenset({3, 10, 11, 12, 13, 14, 19, 21, 29})
PATCHING = (
    "Remove software that patches the kernel (old anti-virus or anti-cheat drivers, tuning tools, kernel debugging "
    "left on) and see whether the stops end."
)
SECURE_KERNEL = "Update firmware and Windows; the secure kernel depends on both, and on virtualization in the firmware."


def explain_security_check(view: View) -> Explained:
    """KERNEL_SECURITY_CHECK_FAILURE: a check in kernel code found damaged data and failed fast."""
    one = fault(view, "A safety check in kernel code found damaged data and stopped the machine at once.")
    one = replace(one, deed="was running when a safety check found damaged data", driver_steps=(SPECIAL_POOL,))
    if view.parameters[0] in DAMAGED_DATA:
        return with_caps(one, Cap("medium", FOUND_LATER))
    return one


def explain_stack_cookie(view: View) -> Explained:
    """DRIVER_OVERRAN_STACK_BUFFER: the function that returned had written past a buffer on its stack."""
    one = fault(view, "A function wrote past the end of a buffer on its own stack, and was stopped when it returned.")
    one = replace(one, deed="overran a buffer on its stack")
    return with_caps(one, Cap("medium", "an overrun stack may show wrong callers")) if _one_bit(view) else one


def explain_integrity(view: View) -> Explained:
    """Protected structures were changed: 0x109, 0x18B. The check runs at random times, its stack means nothing."""
    text = (
        "Windows found that protected kernel code or data had been changed (bad memory, or a driver that patches it)."
    )
    steps = (MEMORY_TEST, PATCHING) if normalise(view.raw_code) == 0x109 else (SECURE_KERNEL, MEMORY_TEST)
    one = replace(explained(view, Stop.CORRUPTION, text, RANDOM_TIME), next_steps=steps)
    missing = "Who made the change, and when: the check that found it runs long after."
    one = replace(one, cannot_tell=(*one.cannot_tell, missing))
    return with_caps(one, Cap("low", FOUND_LATER))


def _one_bit(view: View) -> bool:
    # A cookie that differs in one bit was hit by a stray write or bad memory rather than overrun.
    return (view.parameters[0] ^ view.parameters[1]).bit_count() == 1


FAMILY = Family(
    "integrity",
    {
        0x139: explain_security_check,
        0xF7: explain_stack_cookie,
        **dict.fromkeys((0x109, 0x18B, 0x18C, 0x18D), explain_integrity),
    },
)
