"""How messages leave: in order within a channel, at Slack's pace, and never twice.

One lane a channel, one message a second; a verdict overtakes the details of earlier ones. A 429 holds its lane for as
long as Slack asks. What must arrive waits and is tried again; an intermediate progress edit gives way whenever anything
is in its path. A post whose answer was lost is looked for in the thread before it is sent again.
"""

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.mrkdwn import cut, escape, plain
from bot.outbound import BadMessage, Message, checked, checked_comment
from bot.slack_calls import PATIENCE_SECONDS, Answer, AnswerLost, Calls, Refused, Unreachable, given, retry_after

log = logging.getLogger(__name__)

PACE_SECONDS = 1.0  # chat.postMessage: one a second and channel
EDITS_A_MINUTE = 40  # chat.update and reactions.add are Tier 3, 50 and more a minute

_TOO_RICH = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long"})
_DONE_ALREADY = frozenset({"already_reacted", "no_reaction"})

__all__ = ["Refused", "Sender", "Unreachable", "Upload"]


@dataclass(frozen=True, slots=True)
class Upload:
    """A file for a thread. ``alt_text`` says what a picture shows, ``comment`` is markup beside it."""

    name: str
    content: bytes
    title: str
    comment: str
    alt_text: str = ""


@dataclass(slots=True)
class _Lane:
    lock: asyncio.Lock
    free_at: float = 0.0
    urgent: int = 0  # how many wait that go first


class Sender:
    """Every call that changes something in Slack. ``client`` must not retry by itself."""

    def __init__(
        self,
        client: AsyncWebClient,
        *,
        pace_seconds: float = PACE_SECONDS,
        edits_a_minute: int = EDITS_A_MINUTE,
        patience_seconds: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._calls = Calls(client, patience_seconds, clock)
        self._pace = pace_seconds
        self._budget = edits_a_minute
        self._clock = clock
        self._lanes: dict[str, _Lane] = {}
        self._edits: deque[float] = deque()
        self._held_until = 0.0  # a 429 on edits holds intermediate edits of every channel

    async def post(
        self,
        channel: str,
        thread_ts: str | None,
        message: Message,
        key: str,
        *,
        broadcast: bool = False,
        urgent: bool = True,
    ) -> str:
        """Post a message; its time stamp. One that is not ``urgent`` lets those that are go first.

        Raises:
            Refused, Unreachable.
        """
        arguments: dict[str, Any] = {"channel": channel, "unfurl_links": False, "unfurl_media": False}
        if thread_ts is not None:
            arguments |= {"thread_ts": thread_ts}
            if broadcast:
                arguments["reply_broadcast"] = True

        async def send(content: dict[str, Any]) -> Answer:
            return await self._calls.once("chat.postMessage", arguments | content)

        async def sent_already() -> Answer | None:
            found = None if thread_ts is None else await self._calls.find(channel, thread_ts, key)
            return None if found is None else {"ts": found}

        async with self._lane(channel, urgent=urgent):
            return str((await self._richest(send, message, key, sent_already))["ts"])

    async def edit(self, channel: str, ts: str, message: Message, key: str, *, final: bool) -> bool:
        """Change a message of ours. An edit that is not ``final`` may be dropped: false says it was.

        Raises:
            Refused, Unreachable: final edits only.
        """
        lane = self._lanes.setdefault(channel, _Lane(asyncio.Lock()))
        if not final and (lane.lock.locked() or not self._affordable()):
            return False

        async def send(content: dict[str, Any]) -> Answer:
            self._edits.append(self._clock())
            return await self._calls.once("chat.update", {"channel": channel, "ts": ts} | content)

        if not final:
            async with lane.lock:
                return await self._try_edit(send(checked(message, key)))
        async with self._lane(channel, urgent=True, paced=False):  # the pace is that of new messages
            await self._richest(send, message, key, None)
        return True

    async def react(self, channel: str, ts: str, name: str, *, add: bool = True) -> bool:
        """Add or take away our reaction; one that is there already, or gone, is fine. False: Slack refused.

        Raises:
            Unreachable.
        """
        method = "reactions.add" if add else "reactions.remove"

        async def send() -> Answer:
            self._edits.append(self._clock())
            return await self._calls.once(method, {"channel": channel, "timestamp": ts, "name": name})

        try:
            await self._calls.persist(send)
        except Refused as refused:
            if refused.word not in _DONE_ALREADY:
                log.warning("%s %s: %s", method, name, refused.word)
                return False
        return True

    async def share(self, channel: str, thread_ts: str, upload: Upload) -> str:
        """Upload a file into a thread; its id.

        Raises:
            Refused, Unreachable.
        """
        comment = checked_comment(upload.comment)

        async def send() -> Answer:
            asked = {"filename": upload.name, "length": len(upload.content)}
            ticket = await self._calls.once("files.getUploadURLExternal", asked | given(alt_txt=upload.alt_text))
            await self._calls.put(ticket["upload_url"], upload.content)
            await self._calls.once(
                "files.completeUploadExternal",
                {
                    "files": json.dumps([{"id": ticket["file_id"], "title": upload.title}]),
                    "channel_id": channel,
                    "thread_ts": thread_ts,
                    "initial_comment": comment,
                },
            )
            return {"id": ticket["file_id"]}

        async def sent_already() -> Answer | None:
            found = await self._calls.find_file(channel, thread_ts, upload.name)
            return None if found is None else {"id": found}

        async with self._lane(channel, urgent=False):
            return str((await self._calls.persist(send, sent_already))["id"])

    async def find(self, channel: str, thread_ts: str, key: str) -> str | None:
        """The time stamp of our message with this key in a thread, None when it is not there.

        Raises:
            Unreachable.
        """
        return await self._calls.persist(lambda: self._calls.find(channel, thread_ts, key))

    async def find_file(self, channel: str, thread_ts: str, name: str) -> str | None:
        """The id of a file of this name that we shared in a thread. Raises: Unreachable."""
        return await self._calls.persist(lambda: self._calls.find_file(channel, thread_ts, name))

    def _lane(self, channel: str, *, urgent: bool, paced: bool = True) -> "_InLane":
        lane = self._lanes.setdefault(channel, _Lane(asyncio.Lock()))
        return _InLane(lane, self._pace if paced else None, self._clock, urgent=urgent)

    def _affordable(self) -> bool:
        now = self._clock()
        while self._edits and self._edits[0] <= now - 60:
            self._edits.popleft()
        return len(self._edits) < self._budget and now >= self._held_until

    async def _try_edit(self, call: Awaitable[Answer]) -> bool:
        try:
            await call
        except SlackApiError as error:
            wait = retry_after(error)
            if wait is not None:
                self._held_until = self._clock() + wait
            return False
        except AnswerLost:
            return False
        return True

    async def _richest(
        self,
        send: Callable[[dict[str, Any]], Awaitable[Answer]],
        message: Message,
        key: str,
        sent_already: Callable[[], Awaitable[Answer | None]] | None,
    ) -> Answer:
        # As designed; where Slack dislikes the blocks, as text alone. A verdict in plain words beats none.
        try:
            content = checked(message, key)
            return await self._calls.persist(lambda: send(content), sent_already)
        except (BadMessage, Refused) as error:
            if isinstance(error, Refused) and error.word not in _TOO_RICH:
                raise
            log.warning("message %s sent as text alone: %s", key, error)
        bare = Message(cut(escape(plain(message.text)), 3_000) or "(an empty message)")
        return await self._calls.persist(lambda: send(checked(bare, key) | {"blocks": []}), sent_already)


class _InLane:
    # Holds a channel's lane, and leaves it free only after the pace, if there is one.
    def __init__(self, lane: _Lane, pace: float | None, clock: Callable[[], float], *, urgent: bool) -> None:
        self._lane, self._pace, self._clock, self._urgent = lane, pace, clock, urgent

    async def __aenter__(self) -> None:
        self._lane.urgent += self._urgent
        try:
            await self._wait()
            while self._lane.urgent and not self._urgent:
                self._lane.lock.release()  # whoever waits is served in turn, so this one is the last now
                await self._wait()
        finally:
            self._lane.urgent -= self._urgent

    async def _wait(self) -> None:
        await self._lane.lock.acquire()
        try:
            if self._pace is not None:
                await asyncio.sleep(max(0.0, self._lane.free_at - self._clock()))
        except BaseException:
            self._lane.lock.release()
            raise

    async def __aexit__(self, *_: object) -> None:
        if self._pace is not None:
            self._lane.free_at = self._clock() + self._pace
        self._lane.lock.release()
