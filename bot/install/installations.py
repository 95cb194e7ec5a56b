"""Installations for slack_sdk: its stores of installations and states, over our own database, in threads."""

import asyncio
import logging
import secrets
from datetime import UTC, datetime
from typing import Any

from slack_sdk.oauth.installation_store import Bot, Installation
from slack_sdk.oauth.installation_store.async_installation_store import AsyncInstallationStore
from slack_sdk.oauth.state_store.async_state_store import AsyncOAuthStateStore

from bot.install.vault import Vault
from storage.installations import Installation as Kept
from storage.store import Store

STATE_SECONDS = 600.0
log = logging.getLogger(__name__)


# The arguments are slack_sdk's: an organisation is never ours, and there are no tokens of persons.
# ruff: noqa: ARG002


class InstallationStore(AsyncInstallationStore):
    """One installation a workspace, with its bot token; there are no tokens of users."""

    def __init__(self, store: Store, vault: Vault) -> None:
        self._store = store
        self._vault = vault

    @property
    def logger(self) -> logging.Logger:
        """Ours."""
        return log

    async def async_save(self, installation: Installation) -> None:
        """Keep an installation. Raises: ValueError, for one without a workspace or a bot token."""
        team, token = installation.team_id, installation.bot_token
        if not team or not token or installation.is_enterprise_install:
            raise ValueError("an installation needs a workspace and a bot token")
        refresh, expires = installation.bot_refresh_token, installation.bot_token_expires_at
        kept = Kept(
            team=team,
            name=installation.team_name or team,
            url=str(installation.get_custom_value("url") or "https://slack.com/"),
            app=installation.app_id or "",
            bot_user=installation.bot_user_id or "",
            bot=installation.bot_id or "",
            scopes=",".join(installation.bot_scopes or ()),
            token=self._vault.seal(team, token),
            refresh=self._vault.seal(team, refresh) if refresh else None,
            expires_at=None if expires is None else datetime.fromtimestamp(expires, UTC),
            by=installation.user_id,
            installed_at=datetime.fromtimestamp(installation.installed_at, UTC),
        )
        await asyncio.to_thread(self._store.installations.save, kept)

    async def async_save_bot(self, bot: Bot) -> None:
        """As ``async_save``, of what is known of the bot alone."""
        about = bot.to_dict_for_copying()
        about.pop("bot_token_expires_in", None)
        await self.async_save(Installation(user_id="", **about))

    async def async_find_installation(
        self,
        *,
        enterprise_id: str | None,
        team_id: str | None,
        user_id: str | None = None,
        is_enterprise_install: bool | None = False,
    ) -> Installation | None:
        """The installation of a workspace. Raises: Unopened, where another secret sealed its tokens."""
        found = await asyncio.to_thread(self._store.installations.get, team_id or "")
        if found is None or is_enterprise_install or user_id not in (None, found.by):
            return None
        expires = found.expires_at
        return Installation(
            app_id=found.app,
            team_id=found.team,
            team_name=found.name,
            bot_token=self._vault.open(found.team, found.token),
            bot_id=found.bot,
            bot_user_id=found.bot_user,
            bot_scopes=found.scopes,
            bot_refresh_token=self._vault.open(found.team, found.refresh) if found.refresh else None,
            bot_token_expires_at=None if expires is None else int(expires.timestamp()),
            user_id=found.by,
            installed_at=found.installed_at.timestamp(),
            custom_values={"url": found.url},
        )

    async def async_find_bot(
        self, *, enterprise_id: str | None, team_id: str | None, is_enterprise_install: bool | None = False
    ) -> Bot | None:
        """The bot of a workspace. Raises: as ``async_find_installation``."""
        found = await self.async_find_installation(
            enterprise_id=enterprise_id, team_id=team_id, is_enterprise_install=is_enterprise_install
        )
        return None if found is None else found.to_bot()

    async def async_delete_bot(self, *, enterprise_id: str | None, team_id: str | None) -> None:
        """Forget the tokens of a workspace."""
        await asyncio.to_thread(self._store.installations.delete, team_id or "")

    async def async_delete_installation(
        self, *, enterprise_id: str | None, team_id: str | None, user_id: str | None = None
    ) -> None:
        """The same: whoever installed it, it is one installation."""
        await self.async_delete_bot(enterprise_id=enterprise_id, team_id=team_id)


class StateStore(AsyncOAuthStateStore):
    """Words that go out with a browser and come back with it: each once, within ten minutes."""

    def __init__(self, store: Store, seconds: float = STATE_SECONDS) -> None:
        self._store = store
        self._seconds = seconds

    @property
    def logger(self) -> logging.Logger:
        """Ours."""
        return log

    async def async_issue(self, *args: Any, **kwargs: Any) -> str:
        """A new word."""
        state = secrets.token_urlsafe(32)
        await asyncio.to_thread(self._store.installations.begin, state, self._seconds)
        return state

    async def async_consume(self, state: str) -> bool:
        """Whether a word is one of ours that was not used yet."""
        return await asyncio.to_thread(self._store.installations.end, state)
