"""How messages leave: in order within a channel, at Slack's pace, and never twice.

One lane a channel, one message a second; a verdict overtakes the details of earlier ones. A 429 holds its lane for as
long as Slack asks. What must arrive waits and is tried again; an intermediate progress edit gives way whenever anything
is in its path. A post whose answer was lost is looked for in the thread before it is sent again. One that Slack put
into the channel itself, because the message it was to stand below is gone, is taken back.
"""

import asyncio
import functools
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.lanes import InLane, Lane, Window
from bot.mrkdwn import cut, escape, plain
from bot.outbound import BadMessage, Message, View, checked, checked_comment, checked_home, checked_unfurl, checked_view
from bot.slack_calls import PATIENCE_SECONDS, Answer, AnswerLost, Calls, Refused, Unreachable, given, retry_after, word

log = logging.getLogger(__name__)

PACE_SECONDS = 1.0  # chat.postMessage: one a second and channel
TIER_3 = 50  # calls a minute of chat.update, and as many of reactions.add; Slack grants this many and more
TRIGGER_SECONDS = 2.0  # in which a window may be tried to be opened: what it takes for that lives three
EDITS_A_MINUTE = 40  # of both, from where on what may be dropped is dropped

TOO_RICH = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long"})
_TIER_3_METHODS = ("chat.update", "reactions.add", "reactions.remove")
_DONE_ALREADY = frozenset({"already_reacted", "no_reaction"})

Turn = Callable[[str, float], Awaitable[None]]  # of a channel, with the pace in seconds

__all__ = ["TOO_RICH", "Refused", "Sender", "Unreachable", "Upload"]


@dataclass(frozen=True, slots=True)
class Upload:
    """A file for a thread. ``alt_text`` says what a picture shows, ``comment`` is markup beside it."""

    name: str
    content: bytes
    title: str
    comment: str
    alt_text: str = ""


class Sender:
    """Every call that changes something in Slack. ``client`` must not retry by itself. ``turn`` waits until no other
    process has posted to a channel in the last so many seconds."""

    def __init__(
        self,
        client: AsyncWebClient,
        *,
        pace_seconds: float = PACE_SECONDS,
        edits_a_minute: int = EDITS_A_MINUTE,
        patience_seconds: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        turn: Turn | None = None,
    ) -> None:
        self._turn = turn
        self._calls = Calls(client, patience_seconds, clock)
        self._pace = pace_seconds
        self._budget = edits_a_minute
        self._clock = clock
        self._lanes: dict[str, Lane] = {}
        self._windows = {method: Window(TIER_3, 60.0, clock) for method in _TIER_3_METHODS}
        self._held_until = 0.0  # a 429 on edits holds intermediate edits of every channel

    async def post(
        self,
        channel: str,
        thread_ts: str | None,
        message: Message | Callable[[], Message],
        key: str,
        *,
        broadcast: bool = False,
        urgent: bool = True,
    ) -> str:
        """Post a message; its time stamp. One that is not ``urgent`` lets those that are go first. A function is asked
        for the message when its turn has come.

        Raises:
            Refused, Unreachable.
        """
        arguments: dict[str, Any] = {"channel": channel, "unfurl_links": False, "unfurl_media": False}
        if thread_ts is not None:
            arguments |= {"thread_ts": thread_ts}
            if broadcast:
                arguments["reply_broadcast"] = True

        async def send(content: dict[str, Any]) -> Answer:
            answer = await self._calls.once("chat.postMessage", arguments | content)
            if thread_ts is not None and "thread_ts" not in (answer.get("message") or arguments):
                await self._take_back(channel, str(answer["ts"]), key)
                raise Refused("thread_not_found")
            return answer

        async def sent_already() -> Answer | None:
            found = await self._calls.find(channel, thread_ts, key)
            return None if found is None else {"ts": found}

        async with self._lane(channel, urgent=urgent):
            words = message if isinstance(message, Message) else message()
            return str((await self._richest(send, words, key, sent_already))["ts"])

    async def _take_back(self, channel: str, ts: str, key: str) -> None:
        # It, and the same from an earlier attempt whose answer was lost. Slack's only sign is an answer whose message
        # is in no thread. Source: github.com/slack-go/slack/issues/1571.
        astray: str | None = ts
        while astray is not None:
            gone = {"channel": channel, "ts": astray}
            try:
                await self._calls.persist(lambda gone=gone: self._calls.once("chat.delete", gone))  # type: ignore[misc]  # bound at once
            except Refused as refused:
                if refused.word != "message_not_found":
                    log.warning("a message without its thread stays: %s", refused.word)
                    return
            astray = await self.find(channel, None, key)

    @property
    def has_edits(self) -> bool:
        """Whether a message that is posted now may be edited soon, by what Slack grants in a minute."""
        return self._windows["chat.update"].has_room(self._budget) and self._clock() >= self._held_until

    def is_busy(self, channel: str) -> bool:
        """Whether a message to this channel would have to wait for its turn."""
        lane = self._lanes.get(channel)
        return lane is not None and (lane.lock.locked() or lane.free_at > self._clock())

    async def edit(self, channel: str, ts: str, message: Message, key: str, *, final: bool) -> bool:
        """Change a message of ours. An edit that is not ``final`` may be dropped: false says it was.

        Raises:
            Refused, Unreachable: final edits only.
        """
        lane = self._lanes.setdefault(channel, Lane())
        window = self._windows["chat.update"]
        if not final and (lane.lock.locked() or not self._affordable()):
            return False

        async def send(content: dict[str, Any]) -> Answer:
            return await self._holding(self._calls.once("chat.update", {"channel": channel, "ts": ts} | content))

        if not final:
            window.note()
            async with lane.lock:
                return await self._try_edit(send(checked(message, key)))
        await window.enter()  # not in the lane, where a message may wait for its pace, which is that of new messages
        await self._richest(send, message, key, None)
        return True

    async def react(self, channel: str, ts: str, name: str, *, add: bool = True, final: bool = True) -> bool:
        """Add or take away our reaction; one that is there already, or gone, is fine. One that is not ``final`` may be
        dropped. False: it was, or Slack refused.

        Raises:
            Unreachable: final reactions only.
        """
        method = "reactions.add" if add else "reactions.remove"
        window = self._windows[method]

        async def send() -> Answer:
            return await self._holding(self._calls.once(method, {"channel": channel, "timestamp": ts, "name": name}))

        if not final:
            if self.is_busy(channel) or not self._affordable():
                return False
            window.note()
            return await self._try_edit(send())
        await window.enter()
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

    async def whisper(self, channel: str, thread_ts: str | None, user: str, message: Message) -> None:
        """Tell one person something that nobody else needs to see. It may be lost.

        Raises:
            Refused, Unreachable.
        """
        content = checked(message, "whisper")
        del content["metadata"]  # such a message has none
        place = {"channel": channel, "user": user} | given(thread_ts=thread_ts or "")

        async def send() -> Answer:
            try:
                return await self._calls.once("chat.postEphemeral", place | content)
            except AnswerLost as lost:  # nobody can look whether it is there, and once is enough
                log.info("%s: it may have been told", lost)
                return {}

        await self._calls.persist(send)

    async def open_window(self, trigger: str, view: View) -> str:
        """Open a window for who pressed a button; its id.

        Raises:
            Refused: for good, "exchanged_trigger_id" where it was opened before.
            Unreachable: not in time: a trigger lives three seconds and works once. The window may be open.
        """
        until = self._clock() + TRIGGER_SECONDS
        while True:
            try:
                answer = await self._calls.once("views.open", {"trigger_id": trigger, "view": checked_view(view)})
            except AnswerLost as lost:
                raise Unreachable(str(lost)) from lost
            except SlackApiError as error:
                wait = retry_after(error)
                if wait is None:
                    raise Refused(word(error)) from error
                if self._clock() + wait > until:
                    raise Unreachable(word(error)) from error
                await asyncio.sleep(wait)
            else:
                return str(answer["view"]["id"])

    async def open_view(self, trigger: str, view: View) -> str | None:
        """As ``open_window``; None where that did not succeed."""
        try:
            return await self.open_window(trigger, view)
        except (Refused, Unreachable) as error:
            log.warning("a window did not open: %s", error)
            return None

    async def change_view(self, view_id: str, view: View) -> None:
        """Change what a window shows. Raises: Refused, Unreachable."""
        content = {"view_id": view_id, "view": checked_view(view)}
        await self._calls.persist(lambda: self._calls.once("views.update", content))

    async def publish(self, user: str, view: View) -> None:
        """Show a person's home tab. Raises: Refused, Unreachable."""
        content = {"user_id": user, "view": checked_home(view.blocks, view.mentions)}
        await self._calls.persist(lambda: self._calls.once("views.publish", content))

    async def unfurl(self, channel: str, ts: str, shown: Mapping[str, Message]) -> None:
        """Show below somebody's message what its links lead to, by link; what stands there already is replaced.

        Raises:
            Refused, Unreachable.
        """
        content = {url: checked_unfurl(message) for url, message in shown.items()}
        arguments = {"channel": channel, "ts": ts, "unfurls": content}
        await self._calls.persist(lambda: self._calls.once("chat.unfurl", arguments))

    async def message(self, channel: str, thread_ts: str, ts: str) -> Answer | None:
        """A message in a thread, whoever wrote it; None where it is gone. Raises: Refused, Unreachable."""
        return await self._calls.persist(lambda: self._calls.message(channel, thread_ts, ts))

    async def find(self, channel: str, thread_ts: str | None, key: str) -> str | None:
        """The time stamp of our message with this key in a thread, or of late in the channel itself; None when it is
        not there.

        Raises:
            Unreachable.
        """
        return await self._calls.persist(lambda: self._calls.find(channel, thread_ts, key))

    async def find_file(self, channel: str, thread_ts: str, name: str) -> str | None:
        """The id of a file of this name that we shared in a thread. Raises: Unreachable."""
        return await self._calls.persist(lambda: self._calls.find_file(channel, thread_ts, name))

    def _lane(self, channel: str, *, urgent: bool) -> InLane:
        lane = self._lanes.setdefault(channel, Lane())
        turn = None if self._turn is None else functools.partial(self._turn, channel, self._pace)
        return InLane(lane, self._pace, self._clock, urgent=urgent, turn=turn)

    def _affordable(self) -> bool:
        windows = (self._windows["chat.update"], self._windows["reactions.add"])
        return all(window.has_room(self._budget) for window in windows) and self._clock() >= self._held_until

    async def _holding(self, call: Awaitable[Answer]) -> Answer:
        # A 429, which other processes of ours may have earned, holds whatever may be left out.
        try:
            return await call
        except SlackApiError as error:
            wait = retry_after(error)
            if wait is not None:
                self._held_until = self._clock() + wait
            raise

    async def _try_edit(self, call: Awaitable[Answer]) -> bool:
        try:
            await call
        except SlackApiError as error:
            return word(error) in _DONE_ALREADY
        except AnswerLost as lost:
            log.info("%s: it may have been done", lost)
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
            if isinstance(error, Refused) and error.word not in TOO_RICH:
                raise
            log.warning("message %s sent as text alone: %s", key, error)
        bare = Message(cut(escape(plain(message.text)), 3_000) or "(an empty message)")
        return await self._calls.persist(lambda: send(checked(bare, key) | {"blocks": []}), sent_already)
