"""What a Web API method is: a row of a table with its function, its scope and its arguments; and what most need.

A method that the bot comes to call is a function and a row in the table of a file of its own here; ``methods`` joins
these tables.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox.arguments import Arguments
from bot.sandbox.errors import SlackError
from bot.sandbox.workspace import Channel, Message, Workspace

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls and where the stand-in listens. ``base`` is its address with a slash at the end; ``scopes`` None is
    all of them, ``used`` is filled with those that were needed."""

    workspace: Workspace
    base: str
    scopes: frozenset[str] | None = None
    used: set[str] = field(default_factory=set)

    def need(self, scope: str) -> None:
        """Note that a scope is needed. Raises: SlackError, where the app lacks it."""
        self.used.add(scope)
        if self.scopes is not None and scope not in self.scopes:
            raise SlackError("missing_scope", (f"needed: {scope}",))


@dataclass(frozen=True, slots=True)
class Method:
    """A method: its function, the scope it needs, its arguments ("name:kind", required ones with "!")."""

    run: Callable[[Caller, Arguments], Answer]
    scope: str | None
    arguments: str
    kinds: dict[str, str] = field(init=False)
    required: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        kinds = {"token": "str"}
        required = set()
        for item in self.arguments.split():
            name, _, kind = item.rstrip("!").partition(":")
            kinds[name] = kind or "str"
            if item.endswith("!"):
                required.add(name)
        object.__setattr__(self, "kinds", kinds)
        object.__setattr__(self, "required", frozenset(required))


def channel_of(caller: Caller, arguments: Arguments, *, member: bool = True, name: str = "channel") -> Channel:
    """The channel that an argument names; one with the bot in it unless told otherwise. Raises: SlackError."""
    channel = caller.workspace.channels.get(arguments[name])
    if channel is None:
        raise SlackError("channel_not_found")
    if member and caller.workspace.bot.id not in channel.members:
        raise SlackError("not_in_channel")
    return channel


FAMILIES = {"public_channel": "channels", "private_channel": "groups", "im": "im", "mpim": "mpim"}


def scope_of(channel: Channel, verb: str) -> str:
    """The scope for reading a channel: of its kind, ``read`` for what it is, ``history`` for what is said there."""
    return f"{FAMILIES[channel.kind]}:{verb}"


def writable(caller: Caller, arguments: Arguments, name: str = "channel") -> Channel:
    """The channel that an argument names, where the bot may write. Raises: SlackError."""
    channel = channel_of(caller, arguments, name=name)
    if channel.is_archived:
        raise SlackError("is_archived")
    return channel


def message_of(channel: Channel, ts: str, error: str = "message_not_found") -> Message:
    """The message with this time stamp. Raises: SlackError."""
    message = channel.messages.get(ts)
    if message is None:
        raise SlackError(error)
    return message
