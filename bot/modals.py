"""What the bot asks in a window of its own: first a view that says that it is looking, then the form or the list.

A press opens a window within three seconds or never, so nothing is looked up before it is open. What a form carries
(which message it is about) comes back with it and is checked against history again.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.elements import chosen
from bot.fields import choice_field, text_field
from bot.outbound import View
from bot.slack_text import render
from bot.words import window_words
from storage.duplicates import Similar
from storage.knowledge import MAX_TEXT, KnownIssue, numbers
from storage.threads import Thread

KNOWN_FORM, WRONG_FORM, MERGE_FORM, LIST = "known-form", "wrong-form", "merge-form", "list"
MAX_LISTED = 40
NOTE, TICKET, FIXED_IN, REASON, CRASH, WHAT = "note", "ticket", "fixed_in", "reason", "crash", "what"
MAX_ALIKE = 5


@dataclass(frozen=True, slots=True)
class About:
    """The message that a window is about; ``at_home``: it was opened from the home tab, which shows it, too."""

    team: str
    channel: str
    message: str
    at_home: bool = False

    def pack(self) -> str:
        """As it travels with the window."""
        return json.dumps([self.team, self.channel, self.message, *(["home"] if self.at_home else [])])


def unpack(text: object) -> About | None:
    """What came back with a window; None where it is nothing of ours."""
    try:
        team, channel, message, *more = json.loads(str(text))
    except (ValueError, TypeError):
        return None
    return About(str(team), str(channel), str(message), at_home=more == ["home"])


def loading(kind: str) -> View:
    """The window while its content is looked up."""
    return View(kind, window_words(kind).title, render("window_loading").blocks)


def sorry(kind: str) -> View:
    """The window about a message that history no longer knows."""
    return View(kind, window_words(kind).title, render("window_gone").blocks)


def known_form(about: About, issue: KnownIssue | None) -> View:
    """What is known of a failure; filled in with what is known so far."""
    words = window_words(KNOWN_FORM)
    blocks = (
        text_field(words[NOTE], issue.note if issue else "", lines=True),
        text_field(words[TICKET], (issue.ticket if issue else "") or "", optional=True),
        text_field(words[FIXED_IN], (issue.fixed_in if issue else "") or "", optional=True),
    )
    return View(KNOWN_FORM, words.title, blocks, words.send, about.pack())


def wrong_form(about: About) -> View:
    """Why a verdict is wrong."""
    words = window_words(WRONG_FORM)
    fields = (choice_field(words[WHAT], "other"), text_field(words[REASON], lines=True))
    return View(WRONG_FORM, words.title, fields, words.send, about.pack())


def merge_form(about: About, alike: Sequence[Similar]) -> View:
    """Which failure this one is, too; ``alike`` are crashes of others that may be meant."""
    words = window_words(MERGE_FORM)
    shown = render("window_merge", alike=alike[:MAX_ALIKE]).blocks
    return View(MERGE_FORM, words.title, (text_field(words[CRASH]), *shown), words.send, about.pack())


def crash_meant(text: str) -> int | tuple[str, str] | None:
    """The number of a crash, or channel and time stamp of a message; None where a text is neither."""
    if match := re.fullmatch(r"(?:crash\s*)?#?\s*(\d{1,9})", text.strip(), re.IGNORECASE):
        return int(match[1])
    link = re.search(r"/archives/([A-Z0-9]{3,})/p(\d{10})(\d{6})", text)
    return None if link is None else (link[1], f"{link[2]}.{link[3]}")


def thread_list(places: list[Thread]) -> View:
    """Every thread about a failure, the latest first."""
    latest = places[::-1]
    shown = render("window_threads", places=latest[:MAX_LISTED], more=max(0, len(latest) - MAX_LISTED))
    return View(LIST, window_words(LIST).title, shown.blocks)


def filled_in(view: Mapping[str, Any]) -> dict[str, str]:
    """What a person wrote into a form, by field; white space around it is taken away."""
    values = (view.get("state") or {}).get("values") or {}
    found = {}
    for block, elements in values.items():
        for element in elements.values():
            found[str(block)] = chosen(element)[:MAX_TEXT]
    return found


def mistakes(kind: str, given: Mapping[str, str]) -> dict[str, str]:
    """What must be mended before a form can be taken, by field."""
    wrong = set()
    if kind == KNOWN_FORM:
        if not given.get(NOTE):
            wrong.add(NOTE)
        if given.get(FIXED_IN) and numbers(given[FIXED_IN]) is None:
            wrong.add(FIXED_IN)
    elif kind == MERGE_FORM:
        if crash_meant(given.get(CRASH, "")) is None:
            wrong.add(CRASH)
    elif not given.get(REASON):
        wrong.add(REASON)
    said = window_words(kind).mistakes
    return {field: said[field] for field in wrong}
