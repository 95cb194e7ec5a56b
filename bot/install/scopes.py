"""What the app asks of Slack, by what it is to do: scopes and events. ``bot/install/manifest.py`` has the rest.

The tests hold each row against what the code really calls: a feature works with these scopes and not with one less.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

# To know which channels are public and who is in the others: without that, fewer people see what is theirs to see.
WHO_SEES_WHAT = ("channels:read", "groups:read", "mpim:read", "users:read")
ROOM_EVENTS = (
    "channel_archive",
    "channel_deleted",
    "channel_left",
    "channel_shared",
    "channel_unarchive",
    "channel_unshared",
    "group_archive",
    "group_deleted",
    "group_left",
    "group_unarchive",
    "member_joined_channel",
    "member_left_channel",
)


@dataclass(frozen=True, slots=True)
class Feature:
    """What something takes. ``help`` says what it is."""

    help: str
    scopes: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    needs: tuple[str, ...] = field(default=())


FEATURES: dict[str, Feature] = {
    "links": Feature(
        "links to dumps in messages are read and answered in the thread, with a picture and the report as files",
        (
            "channels:history",
            "chat:write",
            "files:write",
            "groups:history",
            "im:history",
            "mpim:history",
            "reactions:write",
        ),
        ("message.channels", "message.groups", "message.im", "message.mpim"),
    ),
    "files": Feature("dumps that are posted as files are read, too", ("files:read",), needs=("links",)),
    "questions": Feature(
        "mentions, direct messages, the slash command and the message shortcut",
        ("app_mentions:read", "chat:write", "commands", "im:history", *WHO_SEES_WHAT),
        ("app_mention", "message.im", *ROOM_EVENTS),
    ),
    "buttons": Feature("buttons and windows below verdicts", WHO_SEES_WHAT, ROOM_EVENTS, needs=("links",)),
    "home": Feature(
        "the home tab: open problems, what is assigned, settings", (), ("app_home_opened",), needs=("links", "buttons")
    ),
    "unfurl": Feature(
        "links to pages of crashes show the verdict below the message, where all who read it may see that",
        ("links:read", "links:write"),
        ("link_shared",),
        needs=("links", "buttons"),
    ),
    "groups": Feature(
        "user groups (S…) among those who may do something", ("usergroups:read",), needs=("links", "buttons")
    ),
    "http": Feature("signed requests instead of Socket Mode"),
    "install": Feature(
        "several workspaces, which install the bot themselves; token rotation",
        (),
        ("app_uninstalled", "tokens_revoked"),
    ),
    "signin": Feature("people sign in to the web pages with Slack"),
}
DEFAULT = ("links", "files", "questions", "buttons", "home")


class UnknownFeature(Exception):
    """There is no such feature; ``name`` is what was asked for."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no feature {name}: choose of {', '.join(FEATURES)}")
        self.name = name


def chosen(names: Iterable[str] = DEFAULT) -> tuple[str, ...]:
    """These features and those that they need, in the order of the table. Raises: UnknownFeature."""
    wanted = set(names)
    for name in tuple(wanted):
        if name not in FEATURES:
            raise UnknownFeature(name)
        wanted |= set(FEATURES[name].needs)
    return tuple(name for name in FEATURES if name in wanted)


def bot_scopes(features: Iterable[str] = DEFAULT) -> tuple[str, ...]:
    """The scopes of the bot token, in order. Raises: UnknownFeature."""
    return tuple(sorted({scope for name in chosen(features) for scope in FEATURES[name].scopes}))


def bot_events(features: Iterable[str] = DEFAULT) -> tuple[str, ...]:
    """The events to subscribe to, in order. Raises: UnknownFeature."""
    return tuple(sorted({event for name in chosen(features) for event in FEATURES[name].events}))
