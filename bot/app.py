"""The Bolt app: a factory, no state of its own.

``process_before_response`` makes Bolt acknowledge after the listener has returned, so an event is stored before
Slack forgets it. The listener is one SQLite transaction in a thread: far below the three seconds Slack grants.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from slack_bolt.app.async_app import AsyncApp
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncRateLimitErrorRetryHandler,
)
from slack_sdk.web.async_client import AsyncWebClient

from bot.listeners import intake
from storage.store import Store

log = logging.getLogger(__name__)

RATE_LIMIT_RETRIES = 20


def reading_client(token: str, api_url: str) -> AsyncWebClient:
    """A client for calls that change nothing: it may try again by itself."""
    handlers = [AsyncConnectionErrorRetryHandler(2), AsyncRateLimitErrorRetryHandler(RATE_LIMIT_RETRIES)]
    return AsyncWebClient(token, base_url=api_url, retry_handlers=handlers)


def sending_client(token: str, api_url: str) -> AsyncWebClient:
    """A client for calls that post: trying again blindly could post twice, so that is left to the sender."""
    return AsyncWebClient(token, base_url=api_url, retry_handlers=[])


def create_app(client: AsyncWebClient, store: Store, rules: intake.Rules, announce: Callable[[], None]) -> AsyncApp:
    """The app with its listeners. ``announce`` is called when new jobs are stored."""
    app = AsyncApp(client=client, process_before_response=True, request_verification_enabled=False)

    async def hear(body: dict[str, Any]) -> None:
        wanted = intake.requests(body, rules)
        if not wanted:
            return
        made = await asyncio.to_thread(store.events.accept, body["event_id"], wanted)
        log.info("event %s: %d of %d requests are new", body["event_id"], len(made), len(wanted))
        if made:
            announce()

    app.event("app_mention")(hear)
    app.event("message")(hear)
    return app
