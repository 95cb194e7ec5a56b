"""What the demo prints: a channel as it grows, in the words a person would read there."""

import sys
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.text import Text

from bot.mrkdwn import plain
from bot.sandbox import Channel, Message, Workspace
from bot.wording import size

WIDTH = 110
PROGRESS_LENGTH = 60  # our progress lines are short; anything longer is a message worth a paragraph


class Screen:
    """Prints a workspace's messages as they come and change. Plain lines when not on a terminal."""

    def __init__(self, workspace: Workspace, clock: Callable[[], float] = time.monotonic) -> None:
        self._workspace = workspace
        self._clock = clock
        self._started = clock()
        terminal = sys.stdout.isatty()
        self._console = Console(
            highlight=False, soft_wrap=not terminal, width=None if terminal else WIDTH, legacy_windows=False
        )

    def changed(self, what: str, channel: Channel, message: Message) -> None:
        """A listener for the workspace."""
        if what == "reacted":
            names = " ".join(f":{name}:" for name in message.reactions)
            self._print(f"      reactions of #{channel.name}: {names or 'none'}", "dim")
        elif what in ("posted", "edited"):
            self._message(channel, message, what)

    def say(self, text: str, style: str = "bold") -> None:
        """A line of the demo's own."""
        self._print(text, style)

    def _message(self, channel: Channel, message: Message, what: str) -> None:
        name = self._workspace.users[message.user].name
        where = "in the thread" if message.thread_ts not in (None, message.ts) else f"in #{channel.name}"
        heading = f"{self._clock() - self._started:5.1f} s  {name} {where}" + (", edited" if what == "edited" else "")
        text = self._named(plain(message.text))
        if what == "edited" and len(text) < PROGRESS_LENGTH:
            self._print(f"{heading}: {text}", "dim")
            return
        self._print(heading, "bold cyan" if message.bot_id else "bold green")
        body = [line for block in message.blocks for line in lines(block)] or text.splitlines()
        body += [f"[{file.name}, {size(file.size)}] {file.alt_text}".rstrip() for file in message.files]
        for line in body:
            self._print(f"         {line}")
        self._print("")

    def _named(self, text: str) -> str:
        # A mention is stored by id.
        for user in self._workspace.users.values():
            text = text.replace(f"@{user.id}", f"@{user.name}")
        return text

    def _print(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style))


def lines(block: dict[str, Any]) -> list[str]:
    """A block as lines of text, markup read as words."""
    found: list[str] = []
    for key in ("text", "fields", "elements"):
        value = block.get(key)
        if isinstance(value, str):
            found += (plain(value) if block.get("type") == "mrkdwn" else value).splitlines()
        elif isinstance(value, dict):
            found += lines(value)
        elif isinstance(value, list):
            found += [line for item in value for line in lines(item)]
    return found
