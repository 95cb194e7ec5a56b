"""How long threads have waited: KTHREAD.WaitTime against the tick count of the moment of the crash.

WaitTime is the low half of the tick count at which the wait began; the tick count itself is in the page that the
kernel shares with every process (KUSER_SHARED_DATA, ntddk.h), at the same address in every Windows of one width.
"""

from dataclasses import dataclass

from analysis.errors import Unreadable
from analysis.memory.reader import Memory

TICK_COUNT = {8: 0xFFFF_F780_0000_0320, 4: 0xFFDF_0320}  # KUSER_SHARED_DATA.TickCount, a 64-bit count
_SECONDS_PER_UNIT = 1e-7
_LOW_HALF = 0xFFFF_FFFF
# Clock interrupts come between every half and every 64th of a second or so; anything else is not the increment.
_PLAUSIBLE_INCREMENT = range(1_000, 1_000_000)


@dataclass(frozen=True, slots=True)
class Clock:
    """Ticks since the machine started, and the length of one in units of 100 ns."""

    ticks: int
    increment: int

    def seconds_since(self, wait_time: int) -> float | None:
        """Seconds since the low half of the tick count was ``wait_time``; None where that moment never was.

        The low half wraps after 776 days of uptime: a moment "in the future" lies before the last wrap.
        """
        elapsed = (self.ticks - wait_time) & _LOW_HALF
        if elapsed > self.ticks:
            return None
        return elapsed * self.increment * _SECONDS_PER_UNIT


def read_clock(memory: Memory, increment_address: int | None) -> Clock | None:
    """The clock at the moment of the crash; None where the dump lacks either of its halves.

    ``increment_address`` is nt!KeTimeIncrement's, from a symbol or from the debugger data block.
    """
    if increment_address is None:
        return None
    try:
        increment = memory.u32(increment_address)
        ticks = memory.u64(TICK_COUNT[memory.pointer_size])
    except Unreadable:
        return None
    if increment not in _PLAUSIBLE_INCREMENT:
        return None
    return Clock(ticks, increment)
