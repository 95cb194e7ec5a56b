"""How a process is asked to end.

With ``stop`` nothing more is taken; what is in hand goes on. With ``give_back`` it goes back to the queue. A bot sets
both at once; a worker that drains leaves time between them.
"""

import asyncio
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field


@dataclass(slots=True)
class Ending:
    """The two events."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    give_back: asyncio.Event = field(default_factory=asyncio.Event)

    def on_signal(self) -> None:
        """Drain; asked again, do not wait any longer."""
        if self.stop.is_set():
            self.give_back.set()
        self.stop.set()


def on_signals(act: Callable[[], None], stack: AsyncExitStack) -> None:
    """Do this on SIGINT and SIGTERM, as long as the stack is open."""
    loop = asyncio.get_running_loop()
    for name in ("SIGINT", "SIGTERM"):
        number = getattr(signal, name)
        with suppress(NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread
            loop.add_signal_handler(number, act)
            stack.callback(loop.remove_signal_handler, number)
