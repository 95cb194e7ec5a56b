"""What a Slack workspace is: people, channels, messages, reactions, files. No HTTP here.

Time stamps are Slack's: seconds and a six-digit counter, unique in a channel, and they name the message.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox.errors import SlackError

TRIGGER_SECONDS = 3.0
Change = Callable[[str, "Channel", "Message"], None]
ViewChange = Callable[["View | None"], None]


@dataclass(slots=True)
class User:
    """A person or a bot. ``bot_id`` is set for bots. A guest sees only the channels that he is in."""

    id: str
    name: str
    bot_id: str | None = None
    is_guest: bool = False
    is_admin: bool = False
    is_deleted: bool = False


@dataclass(slots=True)
class File:
    """An uploaded file. ``uploaded`` turns true with its bytes, ``completed`` when it is shared."""

    id: str
    name: str
    size: int
    alt_text: str = ""
    title: str = ""
    content: bytes = b""
    uploaded: bool = False
    completed: bool = False
    url: str = ""

    def to_json(self) -> dict[str, Any]:
        """The file as Slack's API shows it. Source: docs.slack.dev/reference/objects/file-object."""
        shown = {"id": self.id, "name": self.name, "title": self.title, "size": self.size, "mode": "hosted"}
        return shown | ({"url_private": self.url, "url_private_download": f"{self.url}/download"} if self.url else {})


@dataclass(slots=True)
class Message:
    """One message. ``thread_ts`` is the parent's ``ts``, None at the top level."""

    ts: str
    user: str
    text: str
    thread_ts: str | None = None
    blocks: list[dict[str, Any]] = field(default_factory=list)
    metadata: dict[str, Any] | None = None
    bot_id: str | None = None
    edited: str | None = None
    files: list[File] = field(default_factory=list)
    reactions: dict[str, list[str]] = field(default_factory=dict)
    unfurl: tuple[bool, bool] = (True, True)
    unfurled: dict[str, dict[str, Any]] = field(default_factory=dict)  # what the app shows of links, by link

    def to_json(self, *, metadata: bool = False) -> dict[str, Any]:
        """The message as Slack's API shows it; metadata only where it was asked for."""
        shown: dict[str, Any] = {"type": "message", "user": self.user, "text": self.text, "ts": self.ts}
        if self.thread_ts:
            shown["thread_ts"] = self.thread_ts
        if self.bot_id:
            shown["bot_id"] = self.bot_id
        if self.blocks:
            shown["blocks"] = self.blocks
        if self.edited:
            shown["edited"] = {"user": self.user, "ts": self.edited}
        if self.unfurled:
            shown["attachments"] = [{"from_url": url, **said} for url, said in self.unfurled.items()]
        if self.files:
            shown["files"] = [file.to_json() for file in self.files]
        if self.reactions:
            shown["reactions"] = [
                {"name": name, "users": users, "count": len(users)} for name, users in self.reactions.items()
            ]
        if metadata and self.metadata:
            shown["metadata"] = self.metadata
        return shown


@dataclass(slots=True)
class Channel:
    """A channel (``C…``) or a direct message (``D…``) with its messages in order."""

    id: str
    name: str
    members: set[str]
    is_im: bool = False
    is_archived: bool = False
    is_private: bool = False
    is_mpim: bool = False
    is_shared: bool = False  # with another workspace
    messages: dict[str, Message] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What Slack calls its type, in lists of channels."""
        if self.is_im or self.is_mpim:
            return "im" if self.is_im else "mpim"
        return "private_channel" if self.is_private else "public_channel"

    def thread(self, ts: str) -> list[Message]:
        """The parent and its replies, in order."""
        return [m for m in self.messages.values() if ts in (m.ts, m.thread_ts)]

    def top(self) -> Iterator[Message]:
        """Messages outside threads."""
        return (message for message in self.messages.values() if message.thread_ts in (None, message.ts))


@dataclass(slots=True)
class View:
    """A window or the home tab of one person. ``hash`` changes with each change; ``errors`` are those of the last
    attempt to send."""

    id: str
    user: str
    content: dict[str, Any]
    hash: str
    errors: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The window as Slack's API shows it. Source: docs.slack.dev/reference/views."""
        return self.content | {"id": self.id, "hash": self.hash, "state": {"values": {}}, "root_view_id": self.id}


@dataclass(slots=True)
class Whisper:
    """A message that one person saw, and nobody can find again."""

    channel: str
    user: str
    text: str
    thread_ts: str | None


class Workspace:
    """One workspace with a bot, a few people and channels. Listeners hear of every change."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.team_id = "T0SANDBOX1"
        self.team_name = "Sandbox"
        self.app_id = "A0PILEUP01"
        self.base = ""  # where the stand-in listens, with a slash at the end
        self.bot = User("U0PILEUP01", "pileup", "B0PILEUP01")
        self.people = [User("U0ANNA0001", "anna"), User("U0BEN00001", "ben")]
        self.users = {user.id: user for user in (self.bot, *self.people)}
        everyone = set(self.users)
        self.channels = {
            channel.id: channel
            for channel in (
                Channel("C0CRASHES1", "crashes", set(everyone)),
                Channel("C0GENERAL1", "general", set(everyone)),
                Channel("C0NOBOT001", "no-bot-here", everyone - {self.bot.id}),
                Channel("C0ARCHIVE1", "old", set(everyone), is_archived=True),
                Channel("D0ANNA0001", "pileup", {self.bot.id, self.people[0].id}, is_im=True),
                Channel("D0BEN00001", "pileup", {self.bot.id, self.people[1].id}, is_im=True),
            )
        }
        self.groups: dict[str, set[str]] = {}  # user groups
        self.unfurl_domains: set[str] = set()  # of whose links the app wants to hear
        self.files: dict[str, File] = {}
        self.views: dict[str, View] = {}  # open windows
        self.homes: dict[str, View] = {}  # the app's home tab, by person
        self.whispers: list[Whisper] = []
        self._triggers: dict[str, tuple[str, float, bool]] = {}  # whose, since when, used
        self.listeners: list[Change] = []
        self.view_listeners: list[ViewChange] = []  # called for windows, home tabs, and whispers
        self._clock = clock
        self._counter = 0
        self._last = 0.0

    @classmethod
    def second(cls) -> "Workspace":
        """Another workspace with the same app, whose ids are its own."""
        other = cls()
        other.team_id, other.team_name = "T0SECOND01", "Second"
        other.bot = User("U0PILEUP02", "pileup", "B0PILEUP02")
        other.people = [User("U0CARL0001", "carl")]
        other.users = {user.id: user for user in (other.bot, *other.people)}
        other.channels = {"C0SECOND01": Channel("C0SECOND01", "crashes", set(other.users))}
        other._counter = 1_000_000
        return other

    def new_ts(self) -> str:
        """A time stamp that no message has."""
        self._last = max(self._last + 0.000001, self._clock())
        return f"{self._last:.6f}"

    def new_id(self, letter: str) -> str:
        """An identifier of Slack's looks: a letter and ten characters."""
        self._counter += 1
        return f"{letter}0{self._counter:09X}"

    def new_trigger(self, user: str) -> str:
        """What a press brings: it opens one window for that person, within three seconds."""
        self._counter += 1
        trigger = f"{self._counter}.sandbox.{user.lower()}"
        self._triggers[trigger] = (user, self._clock(), False)
        return trigger

    def open_view(self, trigger: str, content: dict[str, Any]) -> View:
        """Open a window for who has the trigger, in exchange for it. Raises: SlackError."""
        if trigger not in self._triggers:
            raise SlackError("invalid_trigger_id")
        user, since, is_used = self._triggers[trigger]
        if is_used:
            raise SlackError("exchanged_trigger_id")
        if self._clock() - since > TRIGGER_SECONDS:
            raise SlackError("expired_trigger_id")
        self._triggers[trigger] = (user, since, True)
        view = View(self.new_id("V"), user, content, self.new_ts())
        self.views[view.id] = view
        self._tell_view(view)
        return view

    def change_view(self, view: View, content: dict[str, Any]) -> None:
        """Change what a window shows."""
        view.content, view.hash, view.errors = content, self.new_ts(), {}
        self._tell_view(view)

    def refuse_form(self, view: View, errors: dict[str, str]) -> None:
        """Show what must be mended before a form can be sent."""
        view.errors = errors
        self._tell_view(view)

    def close_view(self, view: View) -> None:
        """Close a window, if it is still open."""
        if self.views.pop(view.id, None) is not None:
            self._tell_view(view)

    def publish(self, user: str, content: dict[str, Any]) -> View:
        """Show a person's home tab, in place of the one before."""
        shown = self.homes.setdefault(user, View(self.new_id("V"), user, content, ""))
        self.change_view(shown, content)
        return shown

    def whisper(self, whisper: Whisper) -> None:
        """Tell one person something."""
        self.whispers.append(whisper)
        for listener in list(self.view_listeners):
            listener(None)

    def find(self, channel: str, ts: str) -> Message | None:
        """A message by its place."""
        found = self.channels.get(channel)
        return None if found is None else found.messages.get(ts)

    def post(self, channel: Channel, message: Message) -> Message:
        """Put a message into a channel and tell the listeners."""
        parent = channel.messages.get(message.thread_ts or "")
        if parent is not None and parent.thread_ts is None:
            parent.thread_ts = parent.ts
        channel.messages[message.ts] = message
        self._tell("posted", channel, message)
        return message

    def say(self, channel: str, user: str, text: str, thread_ts: str | None = None) -> Message:
        """A person posts. Raises: KeyError for an unknown channel or user."""
        return self.post(self.channels[channel], Message(self.new_ts(), self.users[user].id, text, thread_ts))

    def upload(self, channel: str, user: str, name: str, content: bytes, text: str = "") -> Message:
        """A person posts a file. Raises: KeyError for an unknown channel or user."""
        file = File(self.new_id("F"), name, len(content), title=name, content=content, uploaded=True, completed=True)
        file.url = f"{self.base}files-pri/{file.id}"
        self.files[file.id] = file
        message = Message(self.new_ts(), self.users[user].id, text, files=[file])
        return self.post(self.channels[channel], message)

    def edit(self, channel: Channel, message: Message, text: str, blocks: list[dict[str, Any]]) -> None:
        """Change a message in place."""
        message.text, message.blocks, message.edited = text, blocks, self.new_ts()
        self._tell("edited", channel, message)

    def unfurl(self, channel: Channel, message: Message, shown: dict[str, dict[str, Any]]) -> None:
        """Show what links of a message lead to."""
        message.unfurled |= shown
        self._tell("unfurled", channel, message)

    def delete(self, channel: Channel, message: Message) -> None:
        """Remove a message."""
        del channel.messages[message.ts]
        self._tell("deleted", channel, message)

    def react(self, channel: Channel, message: Message, user: str, name: str, *, add: bool) -> bool:
        """Add or remove a reaction; false when there is nothing to change."""
        users = message.reactions.setdefault(name, [])
        if (user in users) == add:
            if not users:
                del message.reactions[name]
            return False
        if add:
            users.append(user)
        else:
            users.remove(user)
            if not users:
                del message.reactions[name]
        self._tell("reacted", channel, message)
        return True

    def _tell_view(self, view: View) -> None:
        for listener in list(self.view_listeners):
            listener(view)

    def _tell(self, what: str, channel: Channel, message: Message) -> None:
        for listener in list(self.listeners):
            listener(what, channel, message)
