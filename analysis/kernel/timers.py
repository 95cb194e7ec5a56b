"""When a timer fires: KTIMER.DueTime against the interrupt time at which the machine stopped.

Both count 100 ns since the machine started (KUSER_SHARED_DATA.InterruptTime, ntddk.h). A timer that is not set keeps
its last due time, so only one that is on the kernel's timer list counts (DISPATCHER_HEADER.Inserted).
"""

from analysis.errors import MissingLayout, Unreadable
from analysis.kernel.names import KernelNames
from analysis.kernel.pnp import INTERRUPT_TIME
from analysis.memory.reader import Memory

_UNIT = 1e-7  # seconds
_LONGEST = 10 * 366 * 86_400  # seconds: no machine waits that long, so such a value is none


def due_in(memory: Memory, names: KernelNames, address: int) -> float | None:
    """Seconds until the timer at ``address`` fires, below zero where its time has passed; None where it is not set or
    cannot be read."""
    try:
        timer = names.struct(memory, "_KTIMER", address)
        if not timer.has("DueTime") or not timer.has("Header.Inserted") or not timer.bits("Header.Inserted"):
            return None
        due = (timer.u64("DueTime") - memory.u64(INTERRUPT_TIME)) * _UNIT
    except (Unreadable, MissingLayout):
        return None
    return due if abs(due) < _LONGEST else None
