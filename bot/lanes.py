"""Slack's pace: one message at a time in a channel, so many calls of a method a minute."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

Clock = Callable[[], float]
Turn = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Lane:
    """A channel's turn. ``free_at`` is when the next message may go, ``urgent`` how many wait that go first."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    free_at: float = 0.0
    urgent: int = 0


class InLane:
    """Holds a channel's lane, and leaves it free only after the pace. ``turn`` waits for other processes' messages."""

    def __init__(self, lane: Lane, pace: float, clock: Clock, *, urgent: bool, turn: Turn | None = None) -> None:
        self._lane, self._pace, self._clock, self._urgent, self._turn = lane, pace, clock, urgent, turn

    async def __aenter__(self) -> None:
        self._lane.urgent += self._urgent
        try:
            await self._wait()
            while self._lane.urgent and not self._urgent:
                self._lane.lock.release()  # whoever waits is served in turn, so this one is the last now
                await self._wait()
        finally:
            self._lane.urgent -= self._urgent
        if self._turn is not None:
            try:
                await self._turn()
            except BaseException:
                self._lane.lock.release()
                raise

    async def _wait(self) -> None:
        await self._lane.lock.acquire()
        try:
            await asyncio.sleep(max(0.0, self._lane.free_at - self._clock()))
        except BaseException:
            self._lane.lock.release()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._lane.free_at = self._clock() + self._pace
        self._lane.lock.release()


class Window:
    """At most ``most`` calls in any ``seconds``; whoever must call waits for its turn, in order."""

    def __init__(self, most: int, seconds: float, clock: Clock) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._calls: deque[float] = deque()
        self._turn = asyncio.Lock()

    def has_room(self, most: int | None = None) -> bool:
        """Whether fewer than ``most`` calls, all that may be by itself, were made of late."""
        while self._calls and self._calls[0] <= self._clock() - self._seconds:
            self._calls.popleft()
        return len(self._calls) < (self._most if most is None else most)

    def note(self) -> None:
        """A call is made now."""
        self._calls.append(self._clock())

    async def enter(self) -> None:
        """Wait until a call may be made, and note it."""
        async with self._turn:
            if not self.has_room():
                await asyncio.sleep(self._calls[-self._most] + self._seconds - self._clock())
            self.note()
