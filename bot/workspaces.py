"""The workspaces that a process works for, and what it works with in each: the one of the settings, or every one that
installed the bot. Whatever goes out goes with the token of the workspace that it is for.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from slack_sdk.web.async_client import AsyncWebClient

from bot.clients import Identity, Token, bare_client, reading_client, sending_client
from bot.install.tokens import NOT_INSTALLED, InstalledToken
from bot.install.vault import Vault
from bot.membership import Membership
from bot.sending import Sender
from bot.slack_calls import Refused
from storage.installations import Installation
from storage.sight import Sight
from storage.store import Store

MakeSender = Callable[[AsyncWebClient], Sender]


@dataclass(frozen=True, slots=True)
class Workspace:
    """One workspace: who we are there, and its part of history."""

    team: str
    identity: Identity
    token: Token
    sender: Sender
    membership: Membership
    store: Store

    async def sight_of(self, person: str) -> Sight:
        """What a person may see of history here, and nothing of another workspace's."""
        sight = await self.membership.sight_of(person)
        return replace(sight, tenant=self.store.tenant)


class Workspaces(Protocol):
    """The workspaces of a process."""

    @property
    def nobody(self) -> Workspace:
        """What to work with where no workspace is meant; nothing gets out through it, unless there is but one."""

    async def of(self, team: str, /) -> Workspace | None:
        """A workspace by its id; None for one that has not installed the bot."""

    async def every(self) -> list[Workspace]:
        """All of them."""


@dataclass(frozen=True, slots=True)
class OneWorkspace:
    """The workspace of the settings' token, whatever id an event names: a shared channel may bring that of another."""

    one: Workspace

    @property
    def nobody(self) -> Workspace:
        """The one."""
        return self.one

    async def of(self, _team: str) -> Workspace | None:
        """The one."""
        return self.one

    async def every(self) -> list[Workspace]:
        """The one."""
        return [self.one]


class NoToken:
    """What stands where there is no workspace."""

    async def current(self) -> str:
        """Raises: Refused."""
        raise Refused(NOT_INSTALLED)

    async def after(self, _refused: str) -> str | None:
        """None."""
        return None


class ManyWorkspaces:
    """Those that installed the bot, as the database has them at the moment. ``keys`` are the app's id and secret."""

    def __init__(
        self, store: Store, api_url: str, keys: tuple[str, str], vault: Vault, make_sender: MakeSender | None = None
    ) -> None:
        self._store = store
        self._api_url = api_url
        self._keys = keys
        self._vault = vault
        self._make_sender = make_sender or Sender
        self._known: dict[str, Workspace] = {}
        self._nobody = self._made(Identity("", None, None, "https://slack.com/"), NoToken(), store)

    @property
    def nobody(self) -> Workspace:
        """What has no token."""
        return self._nobody

    async def of(self, team: str) -> Workspace | None:
        """A workspace, as it is installed now."""
        found = await asyncio.to_thread(self._store.installations.get, team)
        if found is None:
            self._known.pop(team, None)
            return None
        return self._of(found)

    async def every(self) -> list[Workspace]:
        """Those installed now."""
        return [self._of(found) for found in await asyncio.to_thread(self._store.installations.all)]

    def _of(self, found: Installation) -> Workspace:
        identity = Identity(found.bot_user, found.bot, found.team, found.url)
        known = self._known.get(found.team)
        if known is None or known.identity != identity:  # it was installed again, by another app say
            token = InstalledToken(found.team, self._store, self._vault, bare_client(self._api_url), keys=self._keys)
            known = self._made(identity, token, self._store.of_tenant(found.team))
            self._known[found.team] = known
        return known

    def _made(self, identity: Identity, token: Token, store: Store) -> Workspace:
        return workspace_of(identity, token, store, self._api_url, make_sender=self._make_sender)


def workspace_of(identity: Identity, token: Token, store: Store, api_url: str, *, make_sender: MakeSender) -> Workspace:
    """A workspace with clients of its own."""
    team, sender = identity.team or "", make_sender(sending_client(token, api_url))
    return Workspace(team, identity, token, sender, Membership(reading_client(token, api_url), store, team), store)
