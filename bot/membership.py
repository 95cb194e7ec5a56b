"""Which channels a person in Slack may see, and which of them are public: asked of Slack, kept for minutes.

Whatever goes wrong, the answer is fewer channels, never more: a call that fails, a scope that the app lacks, a list
without an end, a guest of the workspace. What was told in a public channel everybody of the workspace may see, guests
what they are members of; what was told in a private one its members; a direct message the person it is with.
Source: docs.slack.dev/reference/methods/users.conversations, …/conversations.info, …/users.info.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.permissions import ADMINS, EVERYBODY
from bot.slack_calls import Refused, Unreachable, word
from storage.channels import Kind, State
from storage.sight import Sight
from storage.store import Store

log = logging.getLogger(__name__)

KEPT_SECONDS = 180.0  # how long what Slack said of a person is believed
FAILED_SECONDS = 10.0  # the same of an answer that did not come
ASK_SECONDS = 8.0  # in all, for one person or one channel: somebody waits
PAGE, MAX_PAGES = 200, 20  # channels a page, pages a kind
MAX_PEOPLE = 10_000
MAX_GROUPS = 1_000
CHECKED_FOR = timedelta(hours=1)  # after which it is looked up again whether a channel is still public

_FAULTS = (SlackApiError, SlackClientError, aiohttp.ClientError, OSError, TimeoutError, Refused, Unreachable)
_GUEST = ("is_restricted", "is_ultra_restricted", "is_stranger")


@dataclass(frozen=True, slots=True)
class _Person:
    # What holds of a person until then (monotonic seconds). ``sees_public``: a full member of the workspace.
    channels: frozenset[str]
    sees_public: bool
    is_admin: bool
    until: float
    zone: str = "UTC"


class Membership:
    """Who may see what in one workspace. ``client`` may try again by itself: nothing here changes anything."""

    def __init__(
        self, client: AsyncWebClient, store: Store, team: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._store = store
        self._team = team
        self._clock = clock
        self._people: OrderedDict[str, _Person] = OrderedDict()
        self._groups: dict[str, tuple[frozenset[str], float]] = {}
        self._asking: dict[str, asyncio.Task[_Person]] = {}
        self._turn = 0  # grows when somebody moves: what was asked before that is not kept

    async def channels_of(self, user: str) -> frozenset[str]:
        """The ids of the channels that a person sees by being in them, and the bot, too: private ones, group and direct
        messages; of a guest of the workspace also the public ones.
        """
        return (await self._person(user)).channels

    async def sight_of(self, user: str) -> Sight:
        """What one person may see: these channels, and all public ones unless a guest."""
        person = await self._person(user)
        return Sight(person.channels, self._team if person.sees_public else None)

    async def zone_of(self, user: str) -> str:
        """A person's time zone as Slack has it; UTC where it does not say."""
        return (await self._person(user)).zone

    async def sight_in(self, channel: str, user: str | None) -> Sight:
        """What an answer in a channel may tell: what all who read it may see. In a direct message that is what its
        person may; elsewhere what was told in that channel and in public ones.
        """
        await self.learn(channel)
        room = await asyncio.to_thread(self._store.channels.get, self._team, channel)
        if room is not None and room.kind == "im" and user is not None and room.person == user:
            return await self.sight_of(user)
        return await asyncio.to_thread(self._store.channels.seen_at, self._team, channel)

    async def is_one_of(self, user: str, names: frozenset[str]) -> bool:
        """Whether a person is among these: ids of people and user groups, the workspace's admins, everybody."""
        if user in names or EVERYBODY in names:
            return True
        if ADMINS in names and (await self._person(user)).is_admin:
            return True
        for name in sorted(names):
            if name.startswith("S") and user in await self._group(name):
                return True
        return False

    async def learn(self, channel: str, *, anew: bool = False) -> None:
        """Find out of what kind a channel is, unless that is known; ``anew``: in any case. One of which Slack tells
        nothing stays unknown, and counts as private.
        """
        if not anew and await asyncio.to_thread(self._store.channels.get, self._team, channel) is not None:
            return
        try:
            async with asyncio.timeout(ASK_SECONDS):
                answer = await self._client.conversations_info(channel=channel)
        except _FAULTS as error:
            await self._not_told(channel, error)
            return
        about: Mapping[str, Any] = answer.get("channel") or {}
        await asyncio.to_thread(
            self._store.channels.note,
            self._team,
            channel,
            _kind(about),
            state=_state(about),
            shared=bool(about.get("is_ext_shared") or about.get("is_pending_ext_shared")),
            person=about.get("user"),
        )

    async def check(self) -> int:
        """Look up again the channels of which nothing was heard for an hour, one after the other; how many."""
        stale = await asyncio.to_thread(self._store.channels.unchecked, CHECKED_FOR)
        mine = [channel for team, channel in stale if team == self._team]
        for channel in mine:
            await self.learn(channel, anew=True)
        return len(mine)

    def forget(self, user: str | None = None) -> None:
        """Somebody came to or left a channel; None: anybody may have."""
        self._turn += 1
        if user is None:
            self._people.clear()
            self._asking.clear()
        else:
            self._people.pop(user, None)
            self._asking.pop(user, None)

    async def _not_told(self, channel: str, error: Exception) -> None:
        said = _said(error)
        log.info("Slack does not tell of channel %s: %s", channel, said)
        if said == "channel_not_found":  # gone, or made private without us: nobody else may see what was told there
            await asyncio.to_thread(self._store.channels.hear, self._team, channel, "private")
            await asyncio.to_thread(self._store.channels.mark, self._team, channel, "left")

    async def _person(self, user: str) -> _Person:
        known = self._people.get(user)
        if known is not None and known.until > self._clock():
            return known
        # Two questions of one person at the same time are asked of Slack once.
        asking = self._asking.get(user)
        if asking is None:
            asking = self._asking[user] = asyncio.create_task(self._found(user))
        return await asyncio.shield(asking)

    async def _found(self, user: str) -> _Person:
        turn = self._turn
        try:
            found = await self._ask(user)
        finally:
            if self._asking.get(user) is asyncio.current_task():
                del self._asking[user]
        if turn == self._turn:
            self._people[user] = found
            self._people.move_to_end(user)
        while len(self._people) > MAX_PEOPLE:
            self._people.popitem(last=False)
        return found

    async def _ask(self, user: str) -> _Person:
        about = await self._about(user)
        is_member = self._is_member(about)
        if about.get("deleted"):
            return _Person(frozenset(), sees_public=False, is_admin=False, until=self._clock() + KEPT_SECONDS)
        kinds = ("private_channel", "mpim") if is_member else ("private_channel", "mpim", "public_channel")
        lists = await asyncio.gather(*(self._joined(user, kind) for kind in kinds))
        direct = await asyncio.to_thread(self._store.channels.direct, self._team, user)
        complete = bool(about) and all(is_whole for _, is_whole in lists)
        is_admin = is_member and bool(about.get("is_admin") or about.get("is_owner"))
        found = direct.union(*(channels for channels, _ in lists))
        until = self._clock() + (KEPT_SECONDS if complete else FAILED_SECONDS)
        return _Person(found, is_member, is_admin, until, str(about.get("tz") or "UTC"))

    async def _about(self, user: str) -> Mapping[str, Any]:
        # What Slack says of a person; nothing where it does not say.
        try:
            async with asyncio.timeout(ASK_SECONDS):
                answer = await self._client.users_info(user=user)
        except _FAULTS as error:
            log.info("Slack does not tell who %s is: %s", user, _said(error))
            return {"deleted": True} if _said(error) == "user_not_found" else {}
        found: Mapping[str, Any] = answer.get("user") or {}
        return found

    def _is_member(self, about: Mapping[str, Any]) -> bool:
        # A full member of the workspace; where Slack does not say, none.
        is_ours = about.get("team_id") in (None, self._team) or self._team in _teams(about)
        return bool(about) and is_ours and not any(about.get(name) for name in _GUEST)

    async def _group(self, group: str) -> frozenset[str]:
        known = self._groups.get(group)
        if known is not None and known[1] > self._clock():
            return known[0]
        found, kept = frozenset[str](), FAILED_SECONDS
        try:
            async with asyncio.timeout(ASK_SECONDS):
                answer = await self._client.usergroups_users_list(usergroup=group)
            found, kept = frozenset(map(str, answer.get("users") or ())), KEPT_SECONDS
        except _FAULTS as error:
            log.warning("Slack does not tell who is in the user group %s: %s", group, _said(error))
        if len(self._groups) >= MAX_GROUPS:
            self._groups.clear()
        self._groups[group] = found, self._clock() + kept
        return found

    async def _joined(self, user: str, kind: str) -> tuple[set[str], bool]:
        # The channels of a kind where both are members; whether that is all of them. Each kind has a scope of its own.
        found: set[str] = set()
        cursor = ""
        try:
            async with asyncio.timeout(ASK_SECONDS):
                for _ in range(MAX_PAGES):
                    page = await self._client.users_conversations(
                        user=user, types=kind, limit=PAGE, cursor=cursor or None
                    )
                    found |= {str(one["id"]) for one in page.get("channels") or []}
                    cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
                    if not cursor:
                        return found, True
        except _FAULTS as error:
            said = _said(error)
            log.info("Slack does not tell the channels (%s) of %s: %s", kind, user, said)
            # Without the scope there is nothing to wait for.
            return found, said == "missing_scope"
        log.warning("%s is in more than %d channels (%s): the others count as unseen", user, PAGE * MAX_PAGES, kind)
        return found, True


def _said(error: Exception) -> str:
    return word(error) if isinstance(error, SlackApiError) else type(error).__name__


def _kind(about: Mapping[str, Any]) -> Kind:
    if about.get("is_im"):
        return "im"
    if about.get("is_mpim"):
        return "mpim"
    # What Slack does not say is taken for private.
    return "public" if about.get("is_channel") and about.get("is_private") is False else "private"


def _state(about: Mapping[str, Any]) -> State:
    if about.get("is_archived"):
        return "archived"
    return "left" if about.get("is_member") is False else "open"


def _teams(about: Mapping[str, Any]) -> list[str]:
    # Of an organisation with several workspaces, those that a person is in.
    return list((about.get("enterprise_user") or {}).get("teams") or [])
