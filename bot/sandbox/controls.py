"""Elements of blocks as controls of a page: buttons, fields and choices that a person can use."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from bot.sandbox.elements import ELEMENTS, at_first
from bot.sandbox.workspace import Workspace

Choice = tuple[str, str]  # what is sent, what is shown

_TYPED = {
    "number_input": "number", "url_text_input": "url", "email_text_input": "email", "datepicker": "date",
    "timepicker": "time",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Uses:
    """Where what a person does goes: ``address`` is posted to; empty, nothing can be used. ``inside``: one form stands
    around all blocks, so that no element has its own."""

    address: str = ""
    inside: bool = False


NOWHERE = Uses()


def used(item: dict[str, Any], block: str, workspace: Workspace, uses: Uses) -> Markup:
    """An element that acts by itself: a button, or a choice with a button beside it."""
    if item.get("type") == "button":
        return _button(item, uses)
    label = item.get("placeholder", {}).get("text", "Choose")
    if not uses.address:
        return Markup('<span class="button">{}</span>').format(label)
    act = Markup('{}<button name="action" value="{}">Choose</button>')
    name = field_name(block, item) if uses.inside else "chosen"
    return _framed(act.format(control(item, name, label, workspace), item.get("action_id", "")), uses)


def control(item: dict[str, Any], name: str, label: str, workspace: Workspace) -> Markup:
    """An element as the field of a form, with its label where it brings one of its own."""
    kind, first = ELEMENTS[item["type"]], at_first(item)
    if item["type"] in ("checkboxes", "radio_buttons"):
        return _boxes(item, name, first)
    if item["type"] in _TYPED:
        wanted = Markup('<input type="{}" name="{}" aria-label="{}" value="{}">')
        return wanted.format(_TYPED[item["type"]], name, label, first[0] if first else "")
    if item["type"] == "plain_text_input":
        return _text(item, name, label, first[0] if first else "")
    options = Markup("").join(
        Markup('<option value="{}"{}>{}</option>').format(value, Markup(" selected") * (value in first), shown)
        for value, shown in ([] if kind.many else [("", label)]) + list(_choices(item, workspace))
    )
    many = Markup(" multiple") if kind.many else Markup("")
    return Markup('<select name="{}" aria-label="{}"{}>{}</select>').format(name, label, many, options)


def field_name(block: str, item: dict[str, Any]) -> str:
    """What an element is called in the form around all blocks."""
    return f"{block}/{item.get('action_id', '')}"


def _text(item: dict[str, Any], name: str, label: str, first: str) -> Markup:
    most = item.get("max_length", 3000)
    if item.get("multiline"):
        return Markup('<textarea name="{}" aria-label="{}" rows="4" maxlength="{}">{}</textarea>').format(
            name, label, most, first
        )
    return Markup('<input name="{}" aria-label="{}" maxlength="{}" value="{}" autocomplete="off">').format(
        name, label, most, first
    )


def _boxes(item: dict[str, Any], name: str, first: list[str]) -> Markup:
    kind = "checkbox" if item["type"] == "checkboxes" else "radio"
    box = Markup('<label class="box"><input type="{}" name="{}" value="{}"{}> {}</label>')
    return Markup("").join(
        box.format(kind, name, o["value"], Markup(" checked") * (o["value"] in first), o["text"]["text"])
        for o in item["options"]
    )


def _choices(item: dict[str, Any], workspace: Workspace) -> Iterable[Choice]:
    kind = item["type"].removeprefix("multi_")
    if kind == "users_select":
        return [(user.id, f"@{user.name}") for user in workspace.people]
    if kind in ("conversations_select", "channels_select"):
        return [(c.id, f"#{c.name}") for c in workspace.channels.values() if not c.is_im]
    return [(option["value"], option["text"]["text"]) for option in item.get("options", [])]


def _button(item: dict[str, Any], uses: Uses) -> Markup:
    label = item.get("text", {}).get("text", "")
    url = str(item.get("url", ""))
    if url.startswith(("http://", "https://")):
        return Markup('<a class="button" href="{}" rel="noreferrer">{}</a>').format(url, label)
    if not uses.address:
        return Markup('<span class="button">{}</span>').format(label)
    told = item.get("accessibility_label")
    title = Markup(' aria-label="{}" title="{}"').format(told, told) if told else Markup("")
    style = Markup(' class="{}"').format(item["style"]) if item.get("style") in ("primary", "danger") else Markup("")
    shown = Markup('<button name="action" value="{}"{}{}>{}</button>')
    return _framed(shown.format(item.get("action_id", ""), title, style, label), uses)


def _framed(inner: Markup, uses: Uses) -> Markup:
    if uses.inside:
        return Markup('<span class="use">{}</span>').format(inner)
    return Markup('<form method="post" action="{}" class="use">{}</form>').format(uses.address, escape(inner))
