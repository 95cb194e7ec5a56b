"""The time of a database that several machines share, whatever their own clocks say.

A lease that one machine's clock grants and another's judges is worth as much as the worse of them. So the server is
asked for the time, now and then, and in between the machine's steady counter goes on from there: no change of the
machine's date moves that.
"""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from storage.errors import StorageError

ASK_SECONDS = 30.0
AGAIN_SECONDS = 2.0  # where the server did not answer


class ServerClock:
    """The server's time, from ``ask``; ``steady`` counts seconds."""

    def __init__(self, ask: Callable[[], datetime], steady: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._steady = steady
        self._lock = threading.Lock()
        self._known: tuple[datetime, float] | None = None  # a moment of the server's, and of the counter
        self._next = 0.0

    def __call__(self) -> datetime:
        """The present.

        Raises:
            StorageError: the server has not been asked yet, and does not answer.
        """
        with self._lock:
            known, is_due = self._known, self._steady() >= self._next
            if is_due:
                self._next = self._steady() + ASK_SECONDS  # one thread asks, the others go on with what is known
        if known is None or is_due:
            known = self._asked(known)
        moment, at = known
        return moment + timedelta(seconds=self._steady() - at)

    def _asked(self, known: tuple[datetime, float] | None) -> tuple[datetime, float]:
        before = self._steady()
        try:
            moment = self._ask()
        except StorageError:
            self._next = self._steady() + AGAIN_SECONDS
            if known is None:
                raise
            return known
        self._known = (moment, (before + self._steady()) / 2)
        return self._known
