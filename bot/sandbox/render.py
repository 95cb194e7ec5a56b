"""Slack's markup and blocks as HTML, for the chat page. Everything that is not markup of ours is escaped."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from html import unescape
from types import MappingProxyType
from typing import Any

from markupsafe import Markup, escape

from bot.sandbox.controls import NOWHERE, Uses, control, field_name, used
from bot.sandbox.elements import ELEMENTS
from bot.sandbox.workspace import Workspace

# Longest first: a fence before a code span, code before anything inside it.
_MARKUP = re.compile(
    r"```(?P<fence>.+?)```|`(?P<code>[^`\n]+)`|<(?P<sequence>[^<>\n]+)>"
    r"|(?<![\w*])\*(?=\S)(?P<bold>[^*\n]+?)(?<=\S)\*(?![\w*])"
    r"|(?<![\w_])_(?=\S)(?P<italic>[^_\n]+?)(?<=\S)_(?![\w_])"
    r"|(?<![\w~])~(?=\S)(?P<strike>[^~\n]+?)(?<=\S)~(?![\w~])",
    re.DOTALL,
)
_TAGS = {"bold": "b", "italic": "i", "strike": "s"}
_EMOJI = {"white_check_mark": "✔ done", "x": "✘ failed"}  # drawn by every font, told by words too
NO_ERRORS: Mapping[str, str] = MappingProxyType({})
_URL = re.compile(r"https?://[^\s<>]+")


def mrkdwn(text: str, workspace: Workspace) -> Markup:
    """Markup text as HTML."""
    out: list[Markup] = []
    end = 0
    for match in _MARKUP.finditer(text):
        out.append(_words(text[end : match.start()]))
        end = match.end()
        kind = str(match.lastgroup)
        inner = match[kind]
        if kind == "fence":
            out.append(Markup("<pre>{}</pre>").format(_words(inner, breaks=False)))
        elif kind == "code":
            out.append(Markup("<code>{}</code>").format(_words(inner)))
        elif kind == "sequence":
            out.append(_sequence(inner, workspace))
        else:
            out.append(Markup("<{0}>{1}</{0}>").format(Markup(_TAGS[kind]), mrkdwn(inner, workspace)))  # noqa: S704
    out.append(_words(text[end:]))
    return Markup("").join(out)


def blocks(
    items: list[dict[str, Any]], workspace: Workspace, uses: Uses = NOWHERE, errors: Mapping[str, str] = NO_ERRORS
) -> Markup:
    """Blocks as HTML. ``uses`` is where what a person does goes, ``errors`` what must be mended, by block."""
    return Markup("\n").join(
        _block(item, workspace, uses, str(item.get("block_id") or f"b{number}"), errors)
        for number, item in enumerate(items)
    )


def typed(text: str, workspace: Workspace) -> str:
    """What a person typed, as Slack stores it: escaped, links marked, ``@name`` of a member as a mention."""
    out: list[str] = []
    end = 0
    for match in _URL.finditer(text):
        out += [_stored(text[end : match.start()], workspace), f"<{_escaped(match[0])}>"]
        end = match.end()
    out.append(_stored(text[end:], workspace))
    return "".join(out)


def _stored(text: str, workspace: Workspace) -> str:
    shown = _escaped(text)
    for user in workspace.users.values():
        shown = re.sub(rf"@{re.escape(user.name)}\b", f"<@{user.id}>", shown)
    return shown


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _words(text: str, *, breaks: bool = True) -> Markup:
    shown = escape(unescape(text))
    return shown.replace("\n", Markup("<br>\n")) if breaks else shown


def _sequence(inner: str, workspace: Workspace) -> Markup:
    target, _, label = inner.partition("|")
    if target.startswith(("http://", "https://")):
        shown = unescape(label or target)
        return Markup('<a href="{}" rel="noreferrer">{}</a>').format(unescape(target), shown)
    if target.startswith("@"):
        user = workspace.users.get(target[1:])
        return Markup('<span class="mention">@{}</span>').format(user.name if user else target[1:])
    if target.startswith("#"):
        channel = workspace.channels.get(target[1:])
        return Markup('<span class="mention">#{}</span>').format(channel.name if channel else target[1:])
    if target.startswith("!date^"):
        seconds, _, form = target.removeprefix("!date^").partition("^")
        return moment(seconds, unescape(label), unescape(form.partition("^")[0]))
    if target.startswith("!"):
        return Markup('<span class="mention alarm">@{}</span>').format(target[1:])
    return _words(f"<{inner}>")


def emoji(name: str) -> str:
    """A reaction in a sign and a word, or by its name between colons where we know none."""
    return _EMOJI.get(name, f":{name}:")


def moment(seconds: str, fallback: str = "", form: str = "{time}") -> Markup:
    """A moment (seconds since 1970) that the page's script shows in the reader's zone, in the form that is asked for.

    Source: docs.slack.dev/messaging/formatting-message-text, "Date formatting".
    """
    try:
        when = datetime.fromtimestamp(float(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return escape(fallback)
    shown = fallback or f"{when:%H:%M:%S} UTC"
    return Markup('<time datetime="{}" data-form="{}">{}</time>').format(when.isoformat(), form, shown)


def _text(item: dict[str, Any], workspace: Workspace) -> Markup:
    text = str(item.get("text", ""))
    return mrkdwn(text, workspace) if item.get("type") == "mrkdwn" else escape(text)


def _block(item: dict[str, Any], workspace: Workspace, uses: Uses, name: str, errors: Mapping[str, str]) -> Markup:
    match item.get("type"):
        case "header":
            return Markup("<h4>{}</h4>").format(_text(item["text"], workspace))
        case "section":
            texts = [item["text"]] if "text" in item else []
            texts += item.get("fields", [])
            words = Markup("").join(Markup("<p>{}</p>").format(_text(text, workspace)) for text in texts)
            beside = item.get("accessory", {})
            return words + used(beside, name, workspace, uses) if beside.get("type") in ELEMENTS else words
        case "context":
            words = Markup(" ").join(_text(text, workspace) for text in item["elements"])
            return Markup('<p class="context">{}</p>').format(words)
        case "divider":
            return Markup("<hr>")
        case "image":
            return Markup('<p class="context">[image] {}</p>').format(item.get("alt_text", ""))
        case "rich_text":
            return Markup("").join(_rich(element, workspace) for element in item["elements"])
        case "actions":
            return Markup('<div class="row">{}</div>').format(
                Markup("").join(used(element, name, workspace, uses) for element in item["elements"])
            )
        case "input":
            return _field(item, name, workspace, errors.get(name, ""))
        case "table":
            return _table(item["rows"])
    return Markup('<p class="context">[a block of type {}]</p>').format(str(item.get("type")))


def _field(item: dict[str, Any], name: str, workspace: Workspace, wrong: str) -> Markup:
    label = item["label"]["text"]
    shown = label + (" (optional)" if item.get("optional") else "")
    field = control(item["element"], field_name(name, item["element"]), label, workspace)
    below = Markup('<p class="wrong" role="alert">{}</p>').format(wrong) if wrong else Markup("")
    if "hint" in item:
        below += Markup('<p class="context">{}</p>').format(item["hint"]["text"])
    return Markup('<div class="field"><p>{}</p>{}{}</div>').format(shown, field, below)


def _rich(element: dict[str, Any], workspace: Workspace) -> Markup:
    inner = Markup("").join(
        _rich(leaf, workspace) if "elements" in leaf else _leaf(leaf, workspace) for leaf in element.get("elements", [])
    )
    match element.get("type"):
        case "rich_text_preformatted":
            return Markup("<pre>{}</pre>").format(inner)
        case "rich_text_quote":
            return Markup("<blockquote>{}</blockquote>").format(inner)
        case "rich_text_list":
            return Markup("<ul>{}</ul>").format(inner)
    return Markup("<p>{}</p>").format(inner)


def _leaf(leaf: dict[str, Any], workspace: Workspace) -> Markup:
    if leaf.get("type") == "link":
        return _sequence(f"{leaf.get('url')}|{leaf.get('text') or leaf.get('url')}", workspace)
    return escape(str(leaf.get("text", "")))


def _table(rows: list[list[dict[str, Any]]]) -> Markup:
    lines = (Markup("").join(Markup("<td>{}</td>").format(cell.get("text", "")) for cell in row) for row in rows)
    return Markup("<table>{}</table>").format(Markup("").join(Markup("<tr>{}</tr>").format(line) for line in lines))
