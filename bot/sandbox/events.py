"""The events that an app hears of, and the envelope in which each comes.

Source: docs.slack.dev/apis/events-api.
"""

import re
import time
from html import unescape
from typing import Any
from urllib.parse import urlsplit

from bot.sandbox.workspace import Channel, Message, Workspace

_LINK = re.compile(r"https?://[^\s<>|]+")
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
        "is_ext_shared_channel": is_shared(workspace, event),
    }


def is_shared(workspace: Workspace, event: dict[str, Any]) -> bool:
    """Whether the channel of an event is shared with another workspace."""
    channel = workspace.channels.get(str(event.get("channel")))
    return channel is not None and channel.is_shared


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
    links = link_shared(workspace, channel, message) if what == "posted" else []
    if workspace.bot.id not in channel.members or what == "reacted":
        return links
    place = {"channel": channel.id, "channel_type": TYPES[channel.kind]}
    now = workspace.new_ts()
    if what == "edited":
        inner = {"message": message.to_json(), "previous_message": {"ts": message.ts}, "hidden": True}
        return [{"type": "message", "subtype": "message_changed", **inner, **place, "ts": now, "event_ts": now}]
    if what == "unfurled":
        before = {name: value for name, value in message.to_json().items() if name != "attachments"}
        inner = {"message": message.to_json(), "previous_message": before, "hidden": True}
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
    return [*events, *links]


def link_shared(workspace: Workspace, channel: Channel, message: Message) -> list[dict[str, Any]]:
    """The event for links to the app's own domains, wherever they are posted, in channels without the app, too; none
    for the app's own messages. Source: docs.slack.dev/reference/events/link_shared.
    """
    links = [{"url": url, "domain": domain} for url in links_in(message) if (domain := domain_of(workspace, url))]
    if not links or message.bot_id:
        return []
    event = {
        "type": "link_shared",
        "channel": channel.id,
        "is_bot_user_member": workspace.bot.id in channel.members,
        "user": message.user,
        "message_ts": message.ts,
        "unfurl_id": f"{channel.id}.{message.ts}.sandbox",
        "source": "conversations_history",
        "links": links,
        "event_ts": workspace.new_ts(),
    }
    return [event | ({"thread_ts": message.thread_ts} if message.thread_ts else {})]


def link_composed(workspace: Workspace, user: str, url: str) -> dict[str, Any]:
    """The same for a link that somebody types and has not sent: nobody knows where it will go."""
    draft = f"{user}-draft"
    return {
        "type": "link_shared",
        "channel": "COMPOSER",
        "is_bot_user_member": True,
        "user": user,
        "message_ts": draft,
        "unfurl_id": draft,
        "source": "composer",
        "links": [{"url": url, "domain": domain_of(workspace, url)}],
        "event_ts": workspace.new_ts(),
    }


def links_in(message: Message) -> list[str]:
    """The links of a message, each once."""
    return list(dict.fromkeys(unescape(url) for url in _LINK.findall(message.text)))


def domain_of(workspace: Workspace, url: str) -> str | None:
    """The registered domain that a link is of: it, or one above it."""
    host = urlsplit(url).hostname or ""
    return next((one for one in workspace.unfurl_domains if host == one or host.endswith(f".{one}")), None)
