"""Single calls to Slack, and how often each is tried.

A 429 is waited out for as long as Slack asks; a passing fault is tried again; a refusal is final; a refused token is
an outage. When an answer is lost, or says that something went wrong within Slack, the call may have been done all the
same: the caller says how to look before trying again.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.outbound import EVENT_TYPE

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 900.0  # after so long without getting through the job goes back to the queue
LONGEST_WAIT = 120.0
UPLOAD_SECONDS = 120.0
LATEST = 200  # messages of a channel that are looked through for one of ours whose answer was lost

# Blocks and metadata need a JSON body; the file methods know forms and addresses only.
_AS_JSON = frozenset(
    {
        "chat.postMessage",
        "chat.update",
        "chat.postEphemeral",
        "views.open",
        "views.update",
        "views.publish",
        "chat.unfurl",
    }
)
_PASSING = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout", "ratelimited"})
_AUTH = frozenset({"invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive"})

Answer = dict[str, Any]
T = TypeVar("T")


class Refused(Exception):
    """Slack will not do this, however often it is asked; ``word`` is its error."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


class Unreachable(Exception):
    """Slack could not be reached, or did not accept our token, for longer than our patience."""


class AnswerLost(Exception):
    """The connection broke while Slack had the request: it may have been done."""


class Calls:
    """Calls through one client, which must not retry by itself."""

    def __init__(self, client: AsyncWebClient, patience_seconds: float, clock: Callable[[], float]) -> None:
        self._client = client
        self._patience = patience_seconds
        self._clock = clock

    async def persist(
        self, send: Callable[[], Awaitable[T]], sent_already: Callable[[], Awaitable[T | None]] | None = None
    ) -> T:
        """Try until it is done; ``sent_already`` looks whether a call that did not succeed was done.

        Raises:
            Refused: for good.
            Unreachable: our patience ended, or the token was refused.
        """
        until = self._clock() + self._patience
        wait, unsure = 0.5, False
        while True:
            try:
                if unsure and sent_already is not None and (done := await sent_already()) is not None:
                    return done
                return await send()
            except SlackApiError as error:
                asked = retry_after(error)
                if asked is None and not is_passing(error):
                    raise _final(error) from error
                # Of its own faults Slack says that "some aspect of the operation" may have "succeeded before the error
                # was raised"; a gateway's 502 or 504 says no more. A 429 was not done.
                unsure = unsure or asked is None
                pause = wait if asked is None else asked
                reason = word(error)
            except AnswerLost as error:
                unsure, pause, reason = True, wait, str(error)
            if self._clock() + pause > until:
                raise Unreachable(reason)
            log.warning("Slack: %s; trying again in %.1f s", reason, pause)
            await asyncio.sleep(min(pause, LONGEST_WAIT))
            wait = min(wait * 2, 30.0)

    async def once(self, method: str, arguments: dict[str, Any]) -> Answer:
        """One call. Raises: SlackApiError, AnswerLost."""
        try:
            if method in _AS_JSON:
                answer = await self._client.api_call(method, json=arguments)
            else:
                answer = await self._client.api_call(method, params=arguments)
        except SlackApiError:
            raise
        except (aiohttp.ClientError, SlackClientError, TimeoutError, OSError) as error:
            raise AnswerLost(f"{method}: {type(error).__name__}") from error
        return answer.data if isinstance(answer.data, dict) else {}

    async def put(self, url: str, content: bytes) -> None:
        """Upload bytes. The address is a ticket of its own: no token goes there. Raises: Refused, AnswerLost."""
        timeout = aiohttp.ClientTimeout(total=UPLOAD_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(url, data=content, proxy=self._client.proxy) as answer,
            ):
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise AnswerLost(f"upload: {type(error).__name__}") from error
        if status == 429 or status >= 500:
            raise AnswerLost(f"upload: status {status}")
        if status != 200:
            raise Refused(f"upload status {status}")

    async def message(self, channel: str, thread_ts: str, ts: str) -> dict[str, Any] | None:
        """A message in a thread, anybody's; None where it is gone. Raises: SlackApiError, AnswerLost."""
        async for message in self._replies(channel, thread_ts):
            if message.get("ts") == ts:
                return message
        return None

    async def find(self, channel: str, thread_ts: str | None, key: str) -> str | None:
        """The time stamp of our message with this key in a thread; without one, among the latest of the channel.

        Raises:
            SlackApiError, AnswerLost.
        """
        async for message in self._latest(channel) if thread_ts is None else self._replies(channel, thread_ts):
            metadata = message.get("metadata") or {}
            if metadata.get("event_type") == EVENT_TYPE and metadata.get("event_payload", {}).get("key") == key:
                return str(message["ts"])
        return None

    async def find_file(self, channel: str, thread_ts: str, name: str) -> str | None:
        """The id of a file of this name that a bot shared in a thread. Raises: SlackApiError, AnswerLost."""
        async for message in self._replies(channel, thread_ts):
            for file in message.get("files") or []:
                if file.get("name") == name and message.get("bot_id"):
                    return str(file["id"])
        return None

    async def _latest(self, channel: str) -> AsyncIterator[dict[str, Any]]:
        asked = {"channel": channel, "limit": LATEST, "include_all_metadata": True}
        for message in (await self._read("conversations.history", asked)).get("messages") or []:
            yield message

    async def _replies(self, channel: str, thread_ts: str) -> AsyncIterator[dict[str, Any]]:
        cursor = ""
        while True:
            # A reading method: Slack takes its arguments in the address only.
            asked = {"channel": channel, "ts": thread_ts, "limit": 200, "include_all_metadata": True}
            page = await self._read("conversations.replies", asked | given(cursor=cursor))
            for message in page.get("messages") or []:
                yield message
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return

    async def _read(self, method: str, asked: dict[str, Any]) -> dict[str, Any]:
        # A page of messages; none where Slack will not show any.
        try:
            answer = await self._client.api_call(method, http_verb="GET", params=asked)
        except SlackApiError as error:
            if word(error) in ("thread_not_found", "missing_scope", "unknown_method"):
                return {}
            raise
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise AnswerLost(f"{method}: {type(error).__name__}") from error
        return answer.data if isinstance(answer.data, dict) else {}


def _status(error: SlackApiError) -> int:
    return int(getattr(error.response, "status_code", 0) or 0)


def word(error: SlackApiError) -> str:
    """Slack's own word for what went wrong."""
    try:
        said = error.response["error"]
    except (KeyError, TypeError):
        said = None
    return f"status {_status(error)}" if said is None else str(said)


def retry_after(error: SlackApiError) -> float | None:
    """How many seconds Slack asks to wait; None where that is not what it said."""
    if _status(error) != 429 and word(error) != "ratelimited":
        return None
    headers = getattr(error.response, "headers", {}) or {}
    given = next((value for name, value in headers.items() if name.lower() == "retry-after"), "1")
    try:
        return max(0.0, float(given))
    except ValueError:
        return 1.0


def is_passing(error: SlackApiError) -> bool:
    """Whether the fault is Slack's own and will pass."""
    return word(error) in _PASSING or _status(error) >= 500


def _final(error: SlackApiError) -> Exception:
    said = word(error)
    return Unreachable(said) if said in _AUTH else Refused(said)


def given(**arguments: str) -> dict[str, str]:
    """The arguments that are not empty."""
    return {name: value for name, value in arguments.items() if value}
