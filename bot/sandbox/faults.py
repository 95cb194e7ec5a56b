"""What can go wrong with Slack, switchable: each fault is one that real workspaces show."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Planned:
    """An answer prepared for the next ``times`` calls of a method: an error word, a page with an HTTP ``status``, or no
    answer at all; ``after_doing`` what was asked, or instead of it. ``retry_after`` comes with 429."""

    error: str
    times: int
    after_doing: bool = False
    status: int | None = None
    retry_after: int | None = None
    is_used: bool = False


@dataclass(slots=True)
class Faults:
    """Switches. Times are in seconds of the clock given.

    ``redeliver``: what part of all events comes twice, as after a late ack; True is every one. ``invalid_auth``: both
    tokens are refused. ``slow_seconds``: every method takes that long. ``deaf``: acks are ignored, as if lost;
    ``unheard`` counts them.
    """

    redeliver: float = 0.0
    invalid_auth: bool = False
    slow_seconds: float = 0.0
    deaf: bool = False
    unheard: int = 0
    clock_ahead: float = 0.0  # of Slack's clock before ours
    clock: Callable[[], float] = time.monotonic
    chance: random.Random = field(default_factory=lambda: random.Random(6))
    _limited: dict[str, tuple[float, int]] = field(default_factory=dict)
    _planned: dict[str, list[Planned]] = field(default_factory=dict)

    def is_redelivered(self) -> bool:
        """Whether this event comes twice."""
        return self.chance.random() < self.redeliver

    def rate_limit(self, seconds: float, retry_after: int = 1, method: str = "*") -> None:
        """Answer 429 with ``Retry-After`` for that long, to one method or to all."""
        self._limited[method] = (self.clock() + seconds, retry_after)

    def fail(self, method: str, error: str, times: int = 1) -> None:
        """Answer the next calls of a method with an error word, doing nothing."""
        self._planned.setdefault(method, []).append(Planned(error, times))

    def lose_answer(self, method: str, times: int = 1) -> None:
        """Do what the next calls ask, then close the connection without an answer."""
        self._planned.setdefault(method, []).append(Planned("", times, after_doing=True))

    def break_down(self, method: str, status: int, times: int = 1, *, after_doing: bool = False) -> None:
        """Answer the next calls with the page of a gateway that broke, having done what they ask or not."""
        self._planned.setdefault(method, []).append(Planned(f"status {status}", times, after_doing, status))

    def limit_calls(self, method: str, retry_after: int, times: int = 1) -> None:
        """Answer 429 to the next calls of a method, whenever they come."""
        self._planned.setdefault(method, []).append(Planned("ratelimited", times, status=429, retry_after=retry_after))

    @property
    def unused(self) -> list[str]:
        """The methods for which an answer is prepared that nobody asked for yet."""
        return [method for method, waiting in self._planned.items() if any(not planned.is_used for planned in waiting)]

    def retry_after(self, method: str) -> int | None:
        """The ``Retry-After`` of a method that is limited right now."""
        for name in (method, "*"):
            until, seconds = self._limited.get(name, (0.0, 0))
            if self.clock() < until:
                return seconds
        return None

    def planned(self, method: str) -> Planned | None:
        """The answer prepared for this call, used up by asking."""
        waiting = self._planned.get(method, [])
        if not waiting:
            return None
        waiting[0].times -= 1
        waiting[0].is_used = True
        return waiting.pop(0) if waiting[0].times <= 0 else waiting[0]
