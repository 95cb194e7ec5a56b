"""The events that an app hears of, and the envelope in which each comes.

Source: docs.slack.dev/apis/events-api.
"""

import time
from typing import Any

from bot.sandbox.workspace import Channel, Message, Workspace

TYPES = {"public_channel": "channel", "private_channel": "group", "im": "im", "mpim": "mpim"}


def envelope(workspace: Workspace, event: dict[str, Any], event_id: str) -> dict[str, Any]:
    """An event as it is delivered."""
    return {
        "token": "sandbox",
        "team_id": workspace.team_id,
        "api_app_id": workspace.app_id,
        "event": event,
        "type": "event_callback",
        "event_id": event_id,
        "event_time": int(time.time()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": workspace.team_id,
                "user_id": workspace.bot.id,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
    }


def home_opened(workspace: Workspace, channel: Channel, user: str) -> dict[str, Any]:
    """The event of a person who looks at the app's home tab, with what stands there, if anything does.

    Source: docs.slack.dev/reference/events/app_home_opened.
    """
    shown = workspace.homes.get(user)
    event = {"type": "app_home_opened", "user": user, "channel": channel.id, "tab": "home"}
    event |= {"event_ts": workspace.new_ts()}
    return event if shown is None else event | {"view": shown.to_json()}


def events_of(workspace: Workspace, what: str, channel: Channel, message: Message) -> list[dict[str, Any]]:
    """The events that an app in this channel gets for a change. A mention is two: app_mention and message."""
    if workspace.bot.id not in channel.members or what == "reacted":
        return []
    place = {"channel": channel.id, "channel_type": TYPES[channel.kind]}
    now = workspace.new_ts()
    if what == "edited":
        inner = {"message": message.to_json(), "previous_message": {"ts": message.ts}, "hidden": True}
        return [{"type": "message", "subtype": "message_changed", **inner, **place, "ts": now, "event_ts": now}]
    if what == "deleted":
        gone = {"deleted_ts": message.ts, "hidden": True, "previous_message": message.to_json()}
        return [{"type": "message", "subtype": "message_deleted", **gone, **place, "ts": now, "event_ts": now}]
    body = message.to_json() | {"team": workspace.team_id, "event_ts": message.ts}
    if message.files:
        body["subtype"] = "file_share"
    if message.thread_ts is None:
        body.pop("thread_ts", None)
    events = [body | place]
    if f"<@{workspace.bot.id}" in message.text and not channel.is_im and message.user != workspace.bot.id:
        events.insert(0, body | {"type": "app_mention", "channel": channel.id})
    return events
