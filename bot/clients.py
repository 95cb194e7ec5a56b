"""Clients for Slack's Web API, and who each is there. One asks for its token before each call, where tokens end."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit
from urllib.request import proxy_bypass

from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.async_handler import AsyncRetryHandler
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncRateLimitErrorRetryHandler,
    AsyncServerErrorRetryHandler,
)
from slack_sdk.http_retry.request import HttpRequest
from slack_sdk.http_retry.response import HttpResponse
from slack_sdk.http_retry.state import RetryState
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.slack_calls import word

RATE_LIMIT_RETRIES = 20
BROKEN_RETRIES = 3


class BrokenRetryHandler(AsyncServerErrorRetryHandler):
    """Tries again whatever a gateway answers in Slack's place: slack_sdk knows 500 and 503 alone."""

    async def _can_retry_async(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> bool:
        del state, request, error  # of slack_sdk's signature
        return response is not None and response.status_code >= 500


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are in Slack: our user and bot ids, our team, and its address with a slash at the end."""

    user: str
    bot: str | None
    team: str | None
    url: str

    def permalink(self, channel: str, ts: str, thread: str) -> str:
        """The address of a message in a thread."""
        return f"{self.url}archives/{channel}/p{ts.replace('.', '')}?thread_ts={thread}&cid={channel}"


class Token(Protocol):
    """A bot token, whichever holds now."""

    async def current(self) -> str:
        """The token for a call. Raises: Refused, where there is none."""

    async def after(self, refused: str, /) -> str | None:
        """Another token, since Slack calls this one ended; None where there is no other."""


@dataclass(frozen=True, slots=True)
class FixedToken:
    """A token of the settings, that is never renewed here."""

    value: str

    async def current(self) -> str:
        """The token."""
        return self.value

    async def after(self, _refused: str) -> str | None:
        """None: there is no other."""
        return None


class WorkspaceClient(AsyncWebClient):
    """A client for one workspace. A call that is refused because its token has ended was not done, and is made again
    with another."""

    def __init__(self, source: Token, base_url: str, retry_handlers: Sequence[AsyncRetryHandler] = ()) -> None:
        super().__init__(base_url=base_url, retry_handlers=list(retry_handlers))
        self._source = source
        if goes_direct(base_url):
            self.proxy = None

    async def api_call(self, api_method: str, **options: Any) -> AsyncSlackResponse:
        """Call a method. Raises: SlackApiError; Refused, where there is no token."""
        token = await self._source.current()
        try:
            return await self._call(token, api_method, options)
        except SlackApiError as error:
            other = await self._source.after(token) if word(error) == "token_expired" else None
            if other is None:
                raise
        return await self._call(other, api_method, options)

    async def _call(self, token: str, api_method: str, options: dict[str, Any]) -> AsyncSlackResponse:
        self.token = token  # read before anything is awaited, so that calls at the same time do not mix theirs
        return await super().api_call(api_method, **options)


def reading_client(token: str | Token, api_url: str) -> AsyncWebClient:
    """A client for calls that change nothing: it may try again by itself."""
    handlers: list[AsyncRetryHandler] = [
        AsyncConnectionErrorRetryHandler(2),
        AsyncRateLimitErrorRetryHandler(RATE_LIMIT_RETRIES),
        BrokenRetryHandler(BROKEN_RETRIES),
    ]
    return WorkspaceClient(_source(token), api_url, handlers)


def sending_client(token: str | Token, api_url: str) -> AsyncWebClient:
    """A client for calls that post: trying again blindly could post twice, so that is left to the sender."""
    return WorkspaceClient(_source(token), api_url)


def bare_client(api_url: str) -> AsyncWebClient:
    """A client without a token, for calls that bring their own or need none."""
    client = AsyncWebClient(base_url=api_url, retry_handlers=[])
    if goes_direct(api_url):
        client.proxy = None
    return client


async def oauth_access(client: AsyncWebClient, keys: tuple[str, str], **given: str) -> Any:
    """What ``oauth.v2.access`` answers to a code or a refresh token. Secrets go in the body, where no log has them.

    Raises:
        SlackApiError, aiohttp.ClientError, OSError, TimeoutError.
    """
    return await client.api_call("oauth.v2.access", data={"client_id": keys[0], "client_secret": keys[1], **given})


def _source(token: str | Token) -> Token:
    return FixedToken(token) if isinstance(token, str) else token


def goes_direct(url: str) -> bool:
    """Whether a proxy of the environment must not be asked for this address: slack_sdk knows no NO_PROXY."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "127.0.0.1", "::1") or bool(proxy_bypass(host))
