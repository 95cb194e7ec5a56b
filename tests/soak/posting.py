"""Links posted at drawn moments, and when the verdict of each stood in its thread."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from bot.sandbox import Channel, Message, StandIn
from tests.bot.kit import ANNA
from tests.bot.server import Server
from tests.soak.counting import Posted, is_final
from tests.soak.dumps import SAID, Dumps

CHANNELS = ("C0CRASHES1", "C0GENERAL1", "D0ANNA0001")


@dataclass
class Run:
    """One run as it goes: what was posted when, and when its verdict stood there. It listens once it is added to the
    workspace's listeners."""

    slack: StandIn
    chance: random.Random
    channels: Sequence[str] = CHANNELS
    posted: list[Posted] = field(default_factory=list)
    at: dict[str, float] = field(default_factory=dict)
    answered: dict[str, float] = field(default_factory=dict)

    async def post(self, files: Server, dumps: Dumps, events: int, seconds: float) -> None:
        """Post all links, at moments drawn within ``seconds``."""
        gaps = [self.chance.expovariate(1.0) for _ in range(events)]
        scale = seconds / sum(gaps)
        for gap in gaps:
            await asyncio.sleep(gap * scale)
            self.post_one(files, dumps, self.chance.choice(self.channels))

    def post_one(self, files: Server, dumps: Dumps, channel: str) -> Posted:
        """Post one link to a dump of its own."""
        story = self.chance.choice(list(SAID))
        message = self.slack.workspace.say(channel, ANNA, dumps.offer(files, story, len(self.posted)))
        dump = Posted(channel, message, SAID[story])
        self.posted.append(dump)
        self.at[message.ts] = time.monotonic()
        return dump

    def changed(self, what: str, _channel: Channel, message: Message) -> None:
        """Hears of everything in the workspace: notes when a verdict stands in its thread."""
        thread = message.thread_ts or ""
        if what in ("posted", "edited") and thread in self.at and thread not in self.answered and is_final(message):
            self.answered[thread] = time.monotonic()

    @property
    def waits(self) -> list[float]:
        """The seconds from link to verdict, the shortest first."""
        return sorted(self.answered[ts] - at for ts, at in self.at.items() if ts in self.answered)

    @property
    def is_marked(self) -> bool:
        """Every message has its final reaction."""
        return all("white_check_mark" in dump.message.reactions for dump in self.posted)
