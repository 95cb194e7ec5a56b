"""Which events an app hears: those that it subscribed to, where it has the scope for them.

Source: docs.slack.dev/reference/events, where each event names its scopes.
"""

from collections.abc import Callable
from typing import Any

from bot.sandbox.workspace import Workspace

KINDS = {"channel": "channels", "group": "groups", "im": "im", "mpim": "mpim"}
_SCOPES = {
    "app_mention": "app_mentions:read",
    "link_shared": "links:read",
    "message.channels": "channels:history",
    "message.groups": "groups:history",
    "message.im": "im:history",
    "message.mpim": "mpim:history",
}


def subscription(event: dict[str, Any]) -> str:
    """The name under which an app subscribes to such an event."""
    kind = str(event["type"])
    return f"message.{KINDS[event['channel_type']]}" if kind == "message" else kind


def scope_of_event(event: dict[str, Any], workspace: Workspace) -> str | None:
    """The scope that it takes; None for what every app may hear."""
    name = subscription(event)
    if name.startswith(("channel_", "group_")):
        return "channels:read" if name.startswith("channel_") else "groups:read"
    if name.startswith("member_"):
        channel = workspace.channels.get(str(event.get("channel")))
        return "groups:read" if channel is not None and channel.is_private else "channels:read"
    return _SCOPES.get(name)


def hears(
    workspace: Workspace, scopes: frozenset[str] | None, events: frozenset[str] | None, used: set[str]
) -> Callable[[dict[str, Any]], bool]:
    """Whether the app hears of an event; None is all of them. What it takes to hear one is put into ``used``."""

    def heard(event: dict[str, Any]) -> bool:
        if events is not None and subscription(event) not in events:
            return False
        scope = scope_of_event(event, workspace)
        if scope is not None and scopes is not None and scope not in scopes:
            return False
        if scope is not None:
            used.add(scope)
        return True

    return heard
