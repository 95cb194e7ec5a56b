"""What ``pileup doctor`` asks Slack: whether it takes the tokens, their scopes, channels of the settings, the time."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.clients import bare_client, sending_client
from bot.doctor import Finding
from bot.install.scopes import FEATURES, bot_scopes
from bot.install.wanted import wanted_features
from bot.settings import Settings
from bot.slack_calls import Refused, Unreachable, word
from bot.starting import CannotServe, open_workspaces
from bot.workspaces import Workspace
from storage.errors import StorageError
from storage.store import Store

MAX_CHANNELS, MAX_WORKSPACES = 50, 50
FOR_COMFORT = ("unfurl",)  # features without which nothing goes unanswered
SKEW_SECONDS = 30.0  # Slack's signed requests count for five minutes
_FAULTS = (SlackApiError, SlackClientError, aiohttp.ClientError, OSError, TimeoutError, Refused, Unreachable)
_GONE = ("channel_not_found", "not_in_channel")


async def ask_slack(settings: Settings) -> AsyncIterator[Finding]:
    """Everything worth asking, where there are tokens to ask with."""
    if settings.transport == "socket" and settings.slack_app_token is not None:
        yield await _app_token(settings, settings.slack_app_token.get_secret_value())
    if settings.slack_bot_token is None and settings.installs is None:
        return
    async with AsyncExitStack() as stack:
        try:
            store = await asyncio.to_thread(Store.open, settings.database)
        except (OSError, StorageError):  # which was found before this
            return
        stack.callback(store.close)
        try:
            workspaces = await open_workspaces(settings, store)
        except CannotServe as problem:
            yield Finding("missing", f"{problem}: install the app again, and set the token that “Install App” shows")
            return
        every = await workspaces.every()
        if settings.installs is not None and not every:
            address = f"{settings.http_url or 'https://…'}/slack/install"
            yield Finding("note", f"no workspace has installed the bot yet: an admin of each opens {address}")
        for workspace in every[:MAX_WORKSPACES]:
            async for finding in _workspace(settings, workspace):
                yield finding


async def _app_token(settings: Settings, token: str) -> Finding:
    client = bare_client(settings.slack_api_url)
    client.token = token
    try:
        await client.apps_connections_open(app_token=token)
    except SlackApiError as error:
        return Finding(
            "missing",
            f"Slack refuses the app token: {word(error)}. Make one with the scope connections:write (“Basic "
            "Information”, “App-Level Tokens”) and set PILEUP_SLACK_APP_TOKEN",
        )
    except _FAULTS as error:
        return _unreachable(settings, error)
    return Finding("ok", "Slack takes the app token: events come over Socket Mode")


async def _workspace(settings: Settings, workspace: Workspace) -> AsyncIterator[Finding]:
    client = sending_client(workspace.token, settings.slack_api_url)
    asked = time.time()
    try:
        me = await client.auth_test()
    except SlackApiError as error:
        again = "install the app again" if settings.installs is None else "its admin installs the app again"
        yield Finding("missing", f"Slack refuses the token of {_name(workspace)}: {word(error)}; {again}")
        return
    except _FAULTS as error:
        yield _unreachable(settings, error)
        return
    yield Finding("ok", f"Slack knows the bot: @{me.get('user')} in {me.get('team')} ({me.get('team_id')})")
    headers = {str(name).lower(): str(value) for name, value in me.headers.items()}
    yield clock_finding(settings, headers, (asked + time.time()) / 2)
    for finding in _scopes(settings, headers):
        yield finding
    async for finding in _channels(settings, client):
        yield finding


def clock_finding(settings: Settings, headers: Mapping[str, str], now: float) -> Finding:
    """Whether our clock and Slack's agree; its time comes with each answer, in whole seconds."""
    try:
        theirs = parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError):
        return Finding("note", "Slack's answer has no time: the clock was not compared")
    ahead = now - theirs
    if abs(ahead) <= SKEW_SECONDS:
        return Finding("ok", "the clock agrees with Slack's")
    said = f"the clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} Slack's: set it by NTP"
    if settings.transport == "http" and abs(ahead) > 200:
        return Finding("missing", f"{said}. Requests that seem older than five minutes are refused")
    return Finding("note", said)


def _scopes(settings: Settings, headers: Mapping[str, str]) -> Iterator[Finding]:
    if "x-oauth-scopes" not in headers:
        yield Finding("note", "Slack does not say which scopes the token has")
        return
    given = {scope.strip() for scope in headers["x-oauth-scopes"].split(",") if scope.strip()}
    wanted = wanted_features(settings)
    lacking = set(bot_scopes(wanted)) - given
    for name in wanted:
        missing = sorted(lacking & set(FEATURES[name].scopes))
        if missing:
            yield Finding(
                "note" if name in FOR_COMFORT else "missing",
                f"the scope{'s' * (len(missing) > 1)} {', '.join(missing)} for “{FEATURES[name].help}”: put the "
                f"manifest in anew (pileup manifest --features {','.join(wanted)}) and install the app again",
            )
    if not lacking:
        yield Finding("ok", f"the token has every scope for {', '.join(wanted)}")
    more = sorted(given - set(bot_scopes(FEATURES)))
    if more:
        yield Finding("note", f"the token has scopes that nothing here uses: {', '.join(more)}")


async def _channels(settings: Settings, client: AsyncWebClient) -> AsyncIterator[Finding]:
    named = sorted(_named(settings))
    if not named:
        yield await _invited(client)
    for channel in named[:MAX_CHANNELS]:
        try:
            answer = await client.conversations_info(channel=channel)
        except SlackApiError as error:
            if word(error) in _GONE:
                yield Finding(
                    "missing",
                    f"the settings name channel {channel}, which is not there for the bot: if it is private, invite it "
                    "with /invite @pileup",
                )
            else:
                yield Finding("note", f"Slack does not tell of channel {channel}: {word(error)}")
            continue
        except _FAULTS as error:
            yield _unreachable(settings, error)
            return
        yield _channel(channel, answer.get("channel") or {})


def _channel(channel: str, about: Mapping[str, Any]) -> Finding:
    name = f"#{about.get('name')} ({channel})"
    if about.get("is_archived"):
        return Finding("note", f"{name} is archived: nothing can be said there. Take it out of the settings")
    if not about.get("is_member"):
        return Finding("missing", f"the bot is not in {name}: invite it with /invite @pileup")
    return Finding("ok", f"the bot is in {name}")


async def _invited(client: AsyncWebClient) -> Finding:
    try:
        answer = await client.users_conversations(types="public_channel", limit=200)
    except _FAULTS:
        return Finding("note", "Slack does not tell in which channels the bot is")
    count = len(answer.get("channels") or [])
    if not count:
        return Finding("note", "the bot is in no public channel yet: invite it to one with /invite @pileup")
    return Finding("ok", f"the bot is in {count} public channel{'s' * (count > 1)}")


def _named(settings: Settings) -> set[str]:
    # Direct messages (D…) are nobody's to invite to.
    given: Iterable[str] = (*settings.channels, *settings.broadcast_channels, *settings.keep_channels_days)
    return {channel for channel in given if channel.startswith(("C", "G"))}


def _name(workspace: Workspace) -> str:
    return f"workspace {workspace.team}" if workspace.team else "the workspace"


def _unreachable(settings: Settings, error: Exception) -> Finding:
    return Finding(
        "missing",
        f"Slack cannot be reached at {settings.slack_api_url} ({type(error).__name__}): the firewall and, if there is "
        "one, the proxy (HTTPS_PROXY) must let it through",
    )
