"""What Slack tells about channels by itself: of what kind one is, that it was made private, archived, deleted, and who
came and left. Each makes history visible to fewer at once; to more only after the Web API was asked.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from bot.membership import Membership
from storage.channels import Kind, State
from storage.store import Store

TYPES: dict[str, Kind] = {"channel": "public", "group": "private", "im": "im", "mpim": "mpim"}
STATES: dict[str, State] = {
    "channel_archive": "archived",
    "channel_unarchive": "open",
    "channel_deleted": "deleted",
    "channel_left": "left",
    "group_archive": "archived",
    "group_unarchive": "open",
    "group_deleted": "deleted",
    "group_left": "left",
}
MOVES = ("member_joined_channel", "member_left_channel")
CHANGES = ("channel_convert_to_private", "channel_convert_to_public", "channel_shared", "channel_unshared")
EVENTS = (*STATES, *MOVES, "channel_shared", "channel_unshared")  # those with a name of their own

Json = Mapping[str, Any]


async def heed(store: Store, membership: Membership, body: Json) -> None:
    """Take what an event about a channel says."""
    event = body["event"]
    team, kind = str(body.get("team_id") or event.get("team") or ""), str(event.get("subtype") or event.get("type"))
    channel = event.get("channel")
    if not isinstance(channel, str) or not team:
        return
    if kind in STATES:
        await asyncio.to_thread(store.channels.mark, team, channel, STATES[kind])
        membership.forget()
    elif kind in MOVES:
        membership.forget(str(event.get("user") or "") or None)
    elif kind in CHANGES:
        if kind == "channel_convert_to_private":
            await asyncio.to_thread(store.channels.hear, team, channel, "private")
        membership.forget()
        await membership.learn(channel, anew=True)


def is_about_room(event: Json) -> bool:
    """Whether a message event says something about its channel instead of something of a person's."""
    return event.get("subtype") in CHANGES


def keep_kind(store: Store, body: Json, user: str | None) -> None:
    """Take of what kind a message's channel is: the event says it, and costs no call."""
    event = body["event"]
    kind = TYPES.get(str(event.get("channel_type")))
    team = str(body.get("team_id") or event.get("team") or "")
    if kind is not None and team:
        person = user if kind == "im" else None
        store.channels.hear(team, event["channel"], kind, person)
