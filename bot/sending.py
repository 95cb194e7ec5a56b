"""How messages leave: in order within a channel, at Slack's pace, and never twice.

One lane a channel, one message a second. A 429 holds its lane for as long as Slack asks. What must arrive waits
and is tried again; an intermediate progress edit gives way whenever anything is in its path. A post whose answer
was lost is looked for in the thread before it is sent again.
"""

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.mrkdwn import cut, escape, plain
from bot.outbound import EVENT_TYPE, BadMessage, Message, checked, checked_comment

log = logging.getLogger(__name__)

PACE_SECONDS = 1.0  # chat.postMessage: one a second and channel
EDITS_A_MINUTE = 40  # chat.update and reactions.add are Tier 3, 50 and more a minute
PATIENCE_SECONDS = 900.0  # after so long without getting through the job goes back to the queue
LONGEST_WAIT = 120.0
CALL_SECONDS = 30

# Blocks and metadata need a JSON body; the file methods know forms and addresses only.
_AS_JSON = frozenset({"chat.postMessage", "chat.update"})
_PASSING = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout", "ratelimited"})
_AUTH = frozenset({"invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive"})
_TOO_RICH = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long"})
_DONE_ALREADY = frozenset({"already_reacted", "no_reaction"})

Answer = dict[str, Any]


class Refused(Exception):
    """Slack will not do this, however often it is asked; ``word`` is its error."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


class Unreachable(Exception):
    """Slack could not be reached, or did not accept our token, for longer than our patience."""


class _AnswerLost(Exception):
    # The connection broke while Slack had the request: it may have been done.
    pass


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
        self._client = client
        self._pace = pace_seconds
        self._budget = edits_a_minute
        self._patience = patience_seconds
        self._clock = clock
        self._lanes: dict[str, _Lane] = {}
        self._edits: deque[float] = deque()
        self._held_until = 0.0  # a 429 on edits holds intermediate edits of every channel

    async def post(
        self, channel: str, thread_ts: str | None, message: Message, key: str, *, broadcast: bool = False
    ) -> str:
        """Post a message; its time stamp.

        Raises:
            Refused, Unreachable.
        """
        arguments: dict[str, Any] = {"channel": channel, "unfurl_links": False, "unfurl_media": False}
        if thread_ts is not None:
            arguments |= {"thread_ts": thread_ts}
            if broadcast:
                arguments["reply_broadcast"] = True

        async def send(content: dict[str, Any]) -> Answer:
            return await self._once("chat.postMessage", arguments | content)

        async def sent_already() -> Answer | None:
            found = None if thread_ts is None else await self._find(channel, thread_ts, key)
            return None if found is None else {"ts": found}

        async with self._lane(channel):
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
            return await self._once("chat.update", {"channel": channel, "ts": ts} | content)

        if not final:
            async with lane.lock:
                return await self._try_edit(send(checked(message, key)))
        async with self._lane(channel):
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
            return await self._once(method, {"channel": channel, "timestamp": ts, "name": name})

        try:
            await self._persist(send, None)
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
            ticket = await self._once("files.getUploadURLExternal", asked | _given(alt_txt=upload.alt_text))
            await self._put(ticket["upload_url"], upload.content)
            await self._once(
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
            found = await self._find_file(channel, thread_ts, upload.name)
            return None if found is None else {"id": found}

        async with self._lane(channel):
            return str((await self._persist(send, sent_already))["id"])

    async def find(self, channel: str, thread_ts: str, key: str) -> str | None:
        """The time stamp of our message with this key in a thread, None when it is not there.

        Raises:
            Unreachable.
        """
        found = await self._persist(lambda: self._found(self._find(channel, thread_ts, key)), None)
        return _text(found["found"])

    async def find_file(self, channel: str, thread_ts: str, name: str) -> str | None:
        """The id of a file of this name that we shared in a thread. Raises: Unreachable."""
        found = await self._persist(lambda: self._found(self._find_file(channel, thread_ts, name)), None)
        return _text(found["found"])

    async def _found(self, search: Awaitable[str | None]) -> Answer:
        return {"found": await search}

    def _lane(self, channel: str) -> "_InLane":
        return _InLane(self._lanes.setdefault(channel, _Lane(asyncio.Lock())), self._pace, self._clock)

    def _affordable(self) -> bool:
        now = self._clock()
        while self._edits and self._edits[0] <= now - 60:
            self._edits.popleft()
        return len(self._edits) < self._budget and now >= self._held_until

    async def _try_edit(self, call: Awaitable[Answer]) -> bool:
        try:
            await call
        except SlackApiError as error:
            wait = _retry_after(error)
            if wait is not None:
                self._held_until = self._clock() + wait
            return False
        except _AnswerLost:
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
            return await self._persist(lambda: send(content), sent_already)
        except (BadMessage, Refused) as error:
            if isinstance(error, Refused) and error.word not in _TOO_RICH:
                raise
            log.warning("message %s sent as text alone: %s", key, error)
        bare = Message(cut(escape(plain(message.text)), 3_000) or "(an empty message)")
        return await self._persist(lambda: send(checked(bare, key) | {"blocks": []}), sent_already)

    async def _persist(
        self,
        send: Callable[[], Awaitable[Answer]],
        sent_already: Callable[[], Awaitable[Answer | None]] | None,
    ) -> Answer:
        # Tries until done, refused, or out of patience.
        until = self._clock() + self._patience
        wait, unsure = 0.5, False
        while True:
            try:
                if unsure and sent_already is not None and (done := await sent_already()) is not None:
                    return done
                return await send()
            except SlackApiError as error:
                asked = _retry_after(error)
                if asked is None and not _is_passing(error):
                    raise _final(error) from error
                pause = wait if asked is None else asked
                reason = _word(error)
            except _AnswerLost as error:
                unsure, pause, reason = True, wait, str(error)
            if self._clock() + pause > until:
                raise Unreachable(reason)
            log.warning("Slack: %s; trying again in %.1f s", reason, pause)
            await asyncio.sleep(min(pause, LONGEST_WAIT))
            wait = min(wait * 2, 30.0)

    async def _once(self, method: str, arguments: dict[str, Any]) -> Answer:
        try:
            if method in _AS_JSON:
                answer = await self._client.api_call(method, json=arguments)
            else:
                answer = await self._client.api_call(method, params=arguments)
        except SlackApiError:
            raise
        except (aiohttp.ClientError, SlackClientError, TimeoutError, OSError) as error:
            raise _AnswerLost(f"{method}: {type(error).__name__}") from error
        return answer.data if isinstance(answer.data, dict) else {}

    async def _put(self, url: str, content: bytes) -> None:
        # The upload address is a ticket of its own: no token goes there.
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS * 4)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(url, data=content, proxy=self._client.proxy) as answer,
            ):
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _AnswerLost(f"upload: {type(error).__name__}") from error
        if status == 429 or status >= 500:
            raise _AnswerLost(f"upload: status {status}")
        if status != 200:
            raise Refused(f"upload status {status}")

    async def _find(self, channel: str, thread_ts: str, key: str) -> str | None:
        async for message in self._replies(channel, thread_ts):
            metadata = message.get("metadata") or {}
            if metadata.get("event_type") == EVENT_TYPE and metadata.get("event_payload", {}).get("key") == key:
                return str(message["ts"])
        return None

    async def _find_file(self, channel: str, thread_ts: str, name: str) -> str | None:
        async for message in self._replies(channel, thread_ts):
            for file in message.get("files") or []:
                if file.get("name") == name and message.get("bot_id"):
                    return str(file["id"])
        return None

    async def _replies(self, channel: str, thread_ts: str) -> Any:
        cursor = ""
        while True:
            # A reading method: Slack takes its arguments in the address only.
            asked = {"channel": channel, "ts": thread_ts, "limit": 200, "include_all_metadata": True}
            try:
                page = await self._client.api_call(
                    "conversations.replies", http_verb="GET", params=asked | _given(cursor=cursor)
                )
            except SlackApiError as error:
                if _word(error) in ("thread_not_found", "missing_scope", "unknown_method"):
                    return
                raise
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise _AnswerLost(f"conversations.replies: {type(error).__name__}") from error
            for message in page.get("messages") or []:
                yield message
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return


class _InLane:
    # Holds a channel's lane, and leaves it free only after the pace.
    def __init__(self, lane: _Lane, pace: float, clock: Callable[[], float]) -> None:
        self._lane, self._pace, self._clock = lane, pace, clock

    async def __aenter__(self) -> None:
        await self._lane.lock.acquire()
        try:
            await asyncio.sleep(max(0.0, self._lane.free_at - self._clock()))
        except BaseException:
            self._lane.lock.release()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._lane.free_at = self._clock() + self._pace
        self._lane.lock.release()


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _given(**arguments: str) -> dict[str, str]:
    return {name: value for name, value in arguments.items() if value}


def _status(error: SlackApiError) -> int:
    return int(getattr(error.response, "status_code", 0) or 0)


def _word(error: SlackApiError) -> str:
    try:
        return str(error.response["error"])
    except (KeyError, TypeError):
        return f"status {_status(error)}"


def _retry_after(error: SlackApiError) -> float | None:
    if _status(error) != 429 and _word(error) != "ratelimited":
        return None
    headers = getattr(error.response, "headers", {}) or {}
    given = next((value for name, value in headers.items() if name.lower() == "retry-after"), "1")
    try:
        return max(0.0, float(given))
    except ValueError:
        return 1.0


def _is_passing(error: SlackApiError) -> bool:
    return _word(error) in _PASSING or _status(error) >= 500


def _final(error: SlackApiError) -> Exception:
    word = _word(error)
    return Unreachable(word) if word in _AUTH else Refused(word)
