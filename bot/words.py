"""Words of windows, forms and buttons, from ``templates/slack``; messages have templates of their own."""

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.slack_text import TEMPLATES

Option = tuple[str, str]  # its value, its words


@dataclass(frozen=True, slots=True)
class FieldWords:
    """What stands beside a field: its label, a hint below it, and what can be chosen in it."""

    name: str
    label: str
    hint: str = ""
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class WindowWords:
    """What stands in a window: its title, the button that sends a form, its fields, what is said of mistakes."""

    title: str
    send: str | None
    fields: Mapping[str, FieldWords]
    mistakes: Mapping[str, str]

    def __getitem__(self, field: str) -> FieldWords:
        return self.fields[field]


@dataclass(frozen=True, slots=True)
class ButtonWords:
    """What stands on a button, and what it is read out as."""

    text: str
    label: str


def window_words(kind: str) -> WindowWords:
    """The words of a kind of window. Raises: KeyError."""
    said = _table("windows")[kind]
    fields = {name: _field(name, **given) for name, given in said.get("fields", {}).items()}
    return WindowWords(said["title"], said.get("send"), fields, said.get("mistakes", {}))


def button_words(name: str) -> ButtonWords:
    """The words of a button. Raises: KeyError."""
    said = _table("buttons")[name]
    return ButtonWords(said["text"], said.get("label", ""))


def _field(name: str, label: str, hint: str = "", options: list[list[str]] | None = None) -> FieldWords:
    return FieldWords(name, label, hint, tuple((value, words) for value, words in options or ()))


@functools.cache
def _table(name: str) -> dict[str, Any]:
    return tomllib.loads((TEMPLATES / f"{name}.toml").read_text("utf-8"))
