"""What is done to the bot meanwhile: sockets cut, calls refused as too many, answers lost, the process killed."""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from bot.sandbox import Faults, StandIn
from tests.bot_process import BotProcess

# Calls and the seconds in which so many of them pass (docs.slack.dev/apis/web-api/rate-limits).
TIER_3 = (50, 60.0)
RATES = {"chat.update": TIER_3, "reactions.add": TIER_3, "reactions.remove": TIER_3}
DROP_SECONDS = 30.0
LIMIT_SECONDS = 45.0
LOSE_SECONDS = 20.0
AWAY_SECONDS = 2.0  # until somebody starts a killed bot again
LIMITED = ("*", "chat.postMessage", "chat.update", "files.getUploadURLExternal")
LOST = ("chat.postMessage", "chat.update", "files.completeUploadExternal", "reactions.add")


@dataclass(slots=True)
class Rates(Faults):
    """Slack's own limits for ``rates``, always on, besides those switched on. ``refused`` counts the calls that came
    too fast."""

    rates: dict[str, tuple[int, float]] = field(default_factory=lambda: dict(RATES))
    refused: int = 0
    _calls: dict[str, deque[float]] = field(default_factory=dict)

    def retry_after(self, method: str) -> int | None:
        """The seconds to wait where a method was called too often."""
        wait = Faults.retry_after(self, method)
        if wait is None and method in self.rates:
            most, seconds = self.rates[method]
            calls, now = self._calls.setdefault(method, deque()), self.clock()
            while calls and calls[0] <= now - seconds:
                calls.popleft()
            if len(calls) < most:
                calls.append(now)
            else:
                wait = max(1, round(calls[0] + seconds - now))
        self.refused += wait is not None
        return wait


@dataclass
class Trouble:
    """Makes it, and counts what it made."""

    slack: StandIn
    bot: BotProcess
    chance: random.Random
    drops: int = 0
    lost: int = 0
    kills: int = 0
    back_after: list[float] = field(default_factory=list)

    async def drop_sockets(self) -> None:
        """Cut every connection, again and again."""
        while True:
            await asyncio.sleep(DROP_SECONDS)
            self.drops += len(self.slack.socket_mode.connections)
            await self.slack.socket_mode.drop_all()

    async def limit(self) -> None:
        """Refuse calls for some seconds, of one method or of all, again and again."""
        while True:
            await asyncio.sleep(self.chance.uniform(0.5, 1.5) * LIMIT_SECONDS)
            seconds = self.chance.uniform(2, 6)
            self.slack.faults.rate_limit(seconds, self.chance.randint(1, 3), self.chance.choice(LIMITED))

    async def lose_answers(self) -> None:
        """Do what a call asks and cut its connection, again and again."""
        while True:
            await asyncio.sleep(self.chance.uniform(0.5, 1.5) * LOSE_SECONDS)
            self.slack.faults.lose_answer(self.chance.choice(LOST))
            self.lost += 1

    async def kill(self, answered: Callable[[], int], numbers: list[int]) -> None:
        """Kill the bot each time that so many dumps are answered, and start it again."""
        for number in numbers:
            while answered() < number:  # noqa: ASYNC110  # counted elsewhere, many times a second
                await asyncio.sleep(0.1)
            await self.bot.kill()
            self.kills += 1
            await asyncio.sleep(AWAY_SECONDS)
            self.back_after.append(AWAY_SECONDS + await self.bot.start())
