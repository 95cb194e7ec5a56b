"""Timers that are set: due so many seconds after the stop, or before it where nobody got round to them."""

from tests.forge.kernel.objects import TIMER, dispatcher
from tests.forge.kernel.state import TICK_100NS, UPTIME_TICKS, Kernel, Thread

INSERTED = 0x40  # of the fourth byte of a timer's header


def set_timer(kernel: Kernel, address: int, seconds: float) -> int:
    """A KTIMER that fires ``seconds`` after the stop."""
    dispatcher(kernel, address, TIMER, 0x40)
    kernel.machine.u8(address + 3, INSERTED)
    due = UPTIME_TICKS * TICK_100NS + round(seconds * 10_000_000)
    kernel.machine.u64(kernel.machine.at("_KTIMER", address, "DueTime"), due)
    return address


def timer(kernel: Kernel, seconds: float) -> int:
    """A timer in pool."""
    return set_timer(kernel, kernel.machine.pool(0x40, "Time", "large"), seconds)


def time_out(kernel: Kernel, thread: Thread, seconds: float) -> None:
    """The thread's wait, or its sleep, ends by itself ``seconds`` after the stop."""
    set_timer(kernel, kernel.machine.at("_KTHREAD", thread.address, "Timer"), seconds)
