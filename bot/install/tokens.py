"""The token of a workspace that installed the bot: opened from the database, renewed before it ends.

Several processes may want to renew it at the same time: one claims it there, the others wait for what it gets. A token
that is renewed holds until its own end, so that calls on their way do not fail.
Source: docs.slack.dev/authentication/using-token-rotation.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.clients import oauth_access
from bot.install.vault import Unopened, Vault
from bot.slack_calls import Refused, Unreachable
from storage.installations import Installation
from storage.store import Store

log = logging.getLogger(__name__)

EARLY = timedelta(minutes=30)  # before its end a token is renewed; Slack gives them for twelve hours
CLAIM_SECONDS = 30.0
POLL_SECONDS = 0.1
BELIEVED = timedelta(seconds=10)  # how long what the database said is believed
NOT_INSTALLED = "not_installed"


class InstalledToken:
    """The token of one workspace. ``client`` has no token and does not try again by itself."""

    def __init__(
        self,
        team: str,
        store: Store,
        vault: Vault,
        client: AsyncWebClient,
        *,
        keys: tuple[str, str],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._team = team
        self._store = store
        self._vault = vault
        self._client = client
        self._keys = keys
        self._clock = clock
        self._renewing = asyncio.Lock()
        self._opened: tuple[str, datetime] | None = None  # and until when it is believed

    async def current(self) -> str:
        """The token for a call, renewed where its end is near.

        Raises:
            Refused: the workspace has not installed the bot, or its token cannot be opened.
            Unreachable: it has ended and cannot be renewed now.
        """
        now = self._clock()
        if self._opened is not None and now < self._opened[1]:
            return self._opened[0]
        one = await self._kept()
        if one.expires_at is not None and one.expires_at - EARLY <= now:
            one = await self._renewed(one)
        return self._open(one, now)

    async def after(self, refused: str) -> str | None:
        """Another token, since Slack calls this one ended; None where there is none to be had."""
        self._opened = None
        one = await self._kept()
        now = self._clock()
        if self._open(one, now) == refused:
            one = await self._renewed(one)
        other = self._open(one, now)
        return None if other == refused else other

    def _open(self, one: Installation, now: datetime) -> str:
        try:
            token = self._vault.open(self._team, one.token)
        except Unopened:
            log.warning("the token of workspace %s cannot be opened: it was sealed with another secret", self._team)
            raise Refused(NOT_INSTALLED) from None
        self._opened = token, now + BELIEVED
        return token

    async def _kept(self) -> Installation:
        found = await asyncio.to_thread(self._store.installations.get, self._team)
        if found is None:
            raise Refused(NOT_INSTALLED)
        return found

    async def _renewed(self, one: Installation) -> Installation:
        async with self._renewing:
            now = await self._kept()
            if now.version != one.version:
                return now
            if now.refresh is None:
                return now
            if not await asyncio.to_thread(self._store.installations.claim, now, CLAIM_SECONDS):
                return await self._renewed_by_another(now)
            return await self._renew(now)

    async def _renew(self, one: Installation) -> Installation:
        try:
            refresh = self._vault.open(self._team, one.refresh or "")
            answer = await oauth_access(self._client, self._keys, grant_type="refresh_token", refresh_token=refresh)
        except (SlackApiError, SlackClientError, aiohttp.ClientError, OSError, TimeoutError, Unopened) as error:
            await asyncio.to_thread(self._store.installations.give_up, one)
            return self._not_renewed(one, error)
        token, refresh = str(answer["access_token"]), str(answer["refresh_token"])
        expires = self._clock() + timedelta(seconds=int(answer["expires_in"]))
        sealed = (self._vault.seal(self._team, token), self._vault.seal(self._team, refresh))
        await asyncio.to_thread(self._store.installations.renew, one, *sealed, expires)
        log.info("the token of workspace %s was renewed", self._team)
        return await self._kept()

    async def _renewed_by_another(self, one: Installation) -> Installation:
        for _ in range(int(CLAIM_SECONDS / POLL_SECONDS)):
            await asyncio.sleep(POLL_SECONDS)
            now = await self._kept()
            if now.version != one.version:
                return now
            if await asyncio.to_thread(self._store.installations.claim, now, CLAIM_SECONDS):  # the other gave up
                return await self._renew(now)
        return self._not_renewed(one, TimeoutError())

    def _not_renewed(self, one: Installation, error: Exception) -> Installation:
        said = str(error.response["error"]) if isinstance(error, SlackApiError) else type(error).__name__
        log.warning("the token of workspace %s was not renewed: %s", self._team, said)
        if one.expires_at is not None and one.expires_at > self._clock():
            return one  # it still holds
        raise Unreachable(f"the token has ended and was not renewed: {said}")
