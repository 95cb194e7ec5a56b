"""Slack's own markup: what must be escaped, and the few sequences we write ourselves.

Slack knows three entities (``&amp; &lt; &gt;``) and reads everything between ``<`` and ``>`` as a command:
a link, a mention, a date. Source: docs.slack.dev/messaging/formatting-message-text.
"""

import re
import unicodedata
from datetime import datetime
from urllib.parse import quote

# Names in a dump are whatever a driver author or an attacker put there. These categories draw nothing or
# re-order what follows (a right-to-left override makes "gpj.exe" read as "exe.jpg"), so they never go out.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_ELLIPSIS = "…"


class Mrkdwn(str):
    """Text that is already markup: escaping leaves it alone."""

    __slots__ = ()


def visible(text: str) -> str:
    """One line of printable text: control, format and unassigned characters become a space or go."""
    cleaned = "".join(
        " " if character in "\t\n\r\v\f" else "" if unicodedata.category(character) in _INVISIBLE else character
        for character in text
    )
    return " ".join(cleaned.split())


def escape(text: str) -> Mrkdwn:
    """Foreign text as markup that shows exactly that text. Markup made here passes unchanged."""
    if isinstance(text, Mrkdwn):
        return text
    return Mrkdwn(visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def code(text: str) -> Mrkdwn:
    """Foreign text as an inline code span. A span cannot hold a backtick, so one becomes an apostrophe."""
    shown = escape(text.replace("`", "'"))
    return Mrkdwn(f"`{shown}`") if shown else Mrkdwn("")


def link(url: str, label: str) -> Mrkdwn:
    """A link; characters that would end the sequence are percent-encoded."""
    safe = quote(url, safe=":/?#[]@!$&'()*+,;=%~-._").replace("&", "&amp;")
    return Mrkdwn(f"<{safe}|{escape(label.replace('|', '/'))}>")


def mention(team: str) -> Mrkdwn:
    """Who looks after something: a Slack id of a person (U…, W…) or a user group (S…) notifies them, a name is text."""
    if re.fullmatch(r"[UW][A-Z0-9]{7,}", team):
        return Mrkdwn(f"<@{team}>")
    return Mrkdwn(f"<!subteam^{team}>") if re.fullmatch(r"S[A-Z0-9]{7,}", team) else escape(team)


def call(target: str) -> Mrkdwn:
    """Whom a routing rule mentions: as ``mention``, and ``@here`` or ``@channel`` for everybody in a channel."""
    return Mrkdwn(f"<!{target[1:]}>") if target in ("@here", "@channel") else mention(target)


def channel(name: str) -> Mrkdwn:
    """A channel by its id, as a link to it that shows its name to those who may see it."""
    return Mrkdwn(f"<#{name}>") if re.fullmatch(r"[CGD][A-Z0-9]{7,}", name) else escape(name)


def ticket(text: str) -> Mrkdwn:
    """Where something is tracked: an address becomes a link to itself, anything else is words."""
    return link(text, text) if re.fullmatch(r"https?://[^\s<>|]+", text) else escape(text)


def date(moment: datetime, style: str = "{date_short_pretty} at {time}") -> Mrkdwn:
    """A moment in the reader's own time zone; old clients show the UTC text behind the bar."""
    fallback = f"{moment:%Y-%m-%d %H:%M} UTC" if "{time" in style else f"{moment:%Y-%m-%d}"
    return Mrkdwn(f"<!date^{int(moment.timestamp())}^{style}|{fallback}>")


def plain(text: str) -> str:
    """Markup as the words a person reads: sequences give their label, entities their character."""
    spoken = re.sub(r"<[^<>|]*\|([^<>]*)>", r"\1", text)
    spoken = re.sub(r"<([^<>]*)>", r"\1", spoken)
    return spoken.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def cut(text: str, limit: int) -> str:
    """At most ``limit`` characters, cut at a word or line if one is near and never inside an entity or a sequence."""
    if len(text) <= limit:
        return text
    kept = text[: limit - 1]
    opened = kept.rfind("<")
    if opened > kept.rfind(">"):
        kept = kept[:opened]
    entity = re.search(r"&[a-z]{0,3}\Z", kept)
    if entity:
        kept = kept[: entity.start()]
    edge = max(kept.rfind(" "), kept.rfind("\n"))
    if edge > len(kept) - 80 and edge > 0:
        kept = kept[:edge]
    if kept.count("`") % 2:
        kept = kept[: kept.rfind("`")]
    shortened = kept.rstrip() + _ELLIPSIS
    return Mrkdwn(shortened) if isinstance(text, Mrkdwn) else shortened
