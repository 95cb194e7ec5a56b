"""Who is in which channel, page by page; and what happens to channels, as events that the app hears.

Source: docs.slack.dev/reference/methods/users.conversations, docs.slack.dev/reference/methods/conversations.members.
"""

from typing import Any

from bot.sandbox.arguments import Arguments
from bot.sandbox.calling import FAMILIES, Answer, Caller, Method, channel_of, scope_of
from bot.sandbox.conversations import about
from bot.sandbox.errors import SlackError
from bot.sandbox.workspace import Channel, Workspace

PAGE = 100  # entries of one page, unless the caller asks for fewer; Slack gives fewer than asked, too


def users_conversations(caller: Caller, arguments: Arguments) -> Answer:
    kinds = [kind.strip() for kind in arguments.get("types", "public_channel").split(",")]
    for kind in kinds:
        if kind not in FAMILIES:
            raise SlackError("invalid_types")
        caller.need(f"{FAMILIES[kind]}:read")
    bot = caller.workspace.bot.id
    user = arguments.get("user", bot)
    if user not in caller.workspace.users:
        raise SlackError("user_not_found")
    found = [
        about(channel, bot)
        for channel in caller.workspace.channels.values()
        # Of other people's private channels an app hears only where it is a member, too.
        if channel.kind in kinds
        and user in channel.members
        and (channel.kind == "public_channel" or bot in channel.members)
        and not (channel.is_archived and arguments.get("exclude_archived"))
    ]
    return _page("channels", found, arguments)


def conversations_members(caller: Caller, arguments: Arguments) -> Answer:
    channel = channel_of(caller, arguments)
    caller.need(scope_of(channel, "read"))
    return _page("members", sorted(channel.members), arguments)


def _page(name: str, entries: list[Any], arguments: Arguments) -> Answer:
    start = int(str(arguments.get("cursor") or "next:0").partition(":")[2])
    size = min(PAGE, arguments.get("limit", PAGE))
    if size < 1:
        raise SlackError("invalid_limit")
    more = start + size < len(entries)
    cursor = {"next_cursor": f"next:{start + size}" if more else ""}
    return {name: entries[start : start + size], "response_metadata": cursor}


def room_event(workspace: Workspace, kind: str, channel: Channel, user: str = "") -> dict[str, Any]:
    """The event of something that happened to a channel: ``channel_archive``, ``member_left_channel``, …

    Source: docs.slack.dev/reference/events.
    """
    event: dict[str, Any] = {"type": kind, "channel": channel.id, "event_ts": workspace.new_ts()}
    if user:
        event |= {"user": user, "team": workspace.team_id}
    return event


def made_private(workspace: Workspace, channel: Channel) -> dict[str, Any]:
    """Make a channel private: the message about it, as it is delivered to the app."""
    channel.is_private = True
    now = workspace.new_ts()
    place = {"channel": channel.id, "channel_type": "group", "ts": now, "event_ts": now}
    text = "made this channel private"
    return {"type": "message", "subtype": "channel_convert_to_private", "user": "U0ANNA0001", "text": text} | place


METHODS: dict[str, Method] = {
    "users.conversations": Method(
        users_conversations, None, "user types limit:int cursor exclude_archived:bool team_id"
    ),
    "conversations.members": Method(conversations_members, None, "channel! limit:int cursor"),
}
