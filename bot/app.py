"""The Bolt app: a factory, no state of its own.

``process_before_response`` makes Bolt acknowledge after the listener has returned, so an event is stored before
Slack forgets it. The listener is one SQLite transaction in a thread: far below the three seconds Slack grants.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from urllib.request import proxy_bypass

from slack_bolt.app.async_app import AsyncApp
from slack_bolt.async_app import AsyncAck, AsyncRespond
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.http_retry.async_handler import AsyncRetryHandler
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncRateLimitErrorRetryHandler,
)
from slack_sdk.web.async_client import AsyncWebClient

from bot import modals
from bot.listeners import buttons, commands, intake, rooms
from bot.outbound import Message, checked
from bot.stopping import stop_jobs

log = logging.getLogger(__name__)

RATE_LIMIT_RETRIES = 20


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


def reading_client(token: str, api_url: str) -> AsyncWebClient:
    """A client for calls that change nothing: it may try again by itself."""
    handlers = [AsyncConnectionErrorRetryHandler(2), AsyncRateLimitErrorRetryHandler(RATE_LIMIT_RETRIES)]
    return _client(token, api_url, handlers)


def sending_client(token: str, api_url: str) -> AsyncWebClient:
    """A client for calls that post: trying again blindly could post twice, so that is left to the sender."""
    return _client(token, api_url, [])


def _client(token: str | None, api_url: str, handlers: list[AsyncRetryHandler]) -> AsyncWebClient:
    client = AsyncWebClient(token, base_url=api_url, retry_handlers=handlers)
    if goes_direct(api_url):
        client.proxy = None
    return client


def goes_direct(url: str) -> bool:
    """Whether a proxy of the environment must not be asked for this address: slack_sdk knows no NO_PROXY."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "127.0.0.1", "::1") or bool(proxy_bypass(host))


def create_app(
    identity: Identity,
    api_url: str,
    rules: intake.Rules,
    desk: buttons.Desk,
    signing_secret: str | None = None,
) -> AsyncApp:
    """The app with its listeners, which work with what ``desk`` has. With a signing secret it takes events over HTTP,
    and none that is not signed with it.
    """
    store = desk.store

    async def authorize(**_: Any) -> AuthorizeResult:
        # Who we are was asked once, at the start: taking an event must not wait for Slack's answer.
        return AuthorizeResult(
            enterprise_id=None, team_id=identity.team, bot_user_id=identity.user, bot_id=identity.bot
        )

    app = AsyncApp(
        client=_client(None, api_url, []),
        authorize=authorize,
        process_before_response=True,
        signing_secret=signing_secret,
        request_verification_enabled=signing_secret is not None,
    )

    async def hear(body: dict[str, Any]) -> None:
        if rooms.is_about_room(body["event"]):
            await heed(body)
            return
        gone = intake.deleted(body)
        if gone is not None:
            jobs = await asyncio.to_thread(store.jobs.of_message, *gone)
            await stop_jobs(store, desk.stops, jobs, "deleted")
            return
        wanted = intake.requests(body, rules)
        if not wanted:
            return
        await rooms.hear_kind(store, body, body["event"].get("user"))
        made = await asyncio.to_thread(store.events.accept, body["event_id"], wanted)
        log.info("event %s: %d of %d requests are new", body["event_id"], len(made), len(wanted))
        if made:
            desk.announce(made)

    async def heed(body: dict[str, Any]) -> None:
        await rooms.heed(store, desk.membership, body)

    async def acknowledge(ack: AsyncAck) -> None:
        await ack()

    async def press(body: dict[str, Any]) -> None:
        await buttons.press(desk, rules, body)

    async def check(ack: AsyncAck, body: dict[str, Any]) -> None:
        view = body["view"]
        mistakes = modals.mistakes(view["callback_id"], modals.filled_in(view))
        if mistakes:
            await ack(response_action="errors", errors=mistakes)
        else:
            await ack()

    async def submit(body: dict[str, Any]) -> None:
        await buttons.submit(desk, rules, body)

    def teller(respond: AsyncRespond) -> commands.Tell:
        async def tell(message: Message) -> None:
            await respond(text=checked(message, "tell")["text"], response_type="ephemeral")

        return tell

    async def command(body: dict[str, Any], respond: AsyncRespond) -> None:
        await commands.command(desk, rules, body, teller(respond))

    async def shortcut(body: dict[str, Any], respond: AsyncRespond) -> None:
        await commands.shortcut(desk, rules, body, teller(respond))

    app.command(commands.COMMAND)(ack=acknowledge, lazy=[command])
    app.shortcut(commands.SHORTCUT)(ack=acknowledge, lazy=[shortcut])
    app.event("app_mention")(hear)
    app.event("message")(hear)
    for name in rooms.EVENTS:
        app.event(name)(ack=acknowledge, lazy=[heed])
    # What a person did with a button is acknowledged before it is done: history may be slow, three seconds are not.
    for action in buttons.ACTIONS:
        app.action(action)(ack=acknowledge, lazy=[press])
    for form in buttons.FORMS:
        app.view(form)(ack=check, lazy=[submit])
    return app
