"""What a person can use in a block or fill in: the kinds that we send, their limits, and what came back of one.

Limits: docs.slack.dev/reference/block-kit/block-elements.
"""

from collections.abc import Iterator, Mapping
from typing import Any

MAX_ACTION = 255
MAX_BUTTON = 75
MAX_BUTTON_VALUE = 2_000
MAX_URL = 3_000
MAX_PLACEHOLDER = 150
MAX_INPUT = 3_000
MAX_OPTIONS, MAX_OPTION, MAX_OPTION_VALUE = 100, 75, 150

CHOICES = ("users_select", "conversations_select", "static_select")


def text_problems(
    value: Any, limit: int, where: str, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")
) -> Iterator[str]:
    """What is wrong with a text object."""
    if not isinstance(value, dict) or value.get("type") not in kinds or not isinstance(value.get("text"), str):
        yield f"{where}: no text object of type {' or '.join(kinds)}"
        return
    text = value["text"]
    if not 0 < len(text) <= limit:
        yield f"{where}: text of {len(text)} characters, 1 to {limit} allowed"
    if value["type"] == "mrkdwn" and value.get("verbatim") is not True:
        yield f"{where}: mrkdwn without verbatim would turn plain names into links and mentions"


def action_problems(item: Mapping[str, Any], where: str) -> Iterator[str]:
    """What is wrong with an element that acts at once: a button, or a choice."""
    if item.get("type") in CHOICES:
        yield from text_problems(item.get("placeholder"), MAX_PLACEHOLDER, where, ("plain_text",))
        yield from _option_problems(item, where)
        return
    if item.get("type") != "button" or not item.get("accessibility_label"):
        yield f"{where}: only buttons with an accessibility label, and choices"
    yield from text_problems(item.get("text"), MAX_BUTTON, where, ("plain_text",))
    if len(item.get("value", "")) > MAX_BUTTON_VALUE or len(item.get("url", "")) > MAX_URL:
        yield f"{where}: value or url too long"


def field_problems(item: Mapping[str, Any], where: str) -> Iterator[str]:
    """What is wrong with a field of a form."""
    if not 0 < len(item.get("action_id", "")) <= MAX_ACTION:
        yield f"{where}: a field without a name"
    if item.get("type") == "plain_text_input":
        if not 0 < item.get("max_length", 0) <= MAX_INPUT or len(item.get("initial_value", "")) > MAX_INPUT:
            yield f"{where}: a field takes 1 to {MAX_INPUT} characters"
    elif item.get("type") in (*CHOICES, "checkboxes"):
        yield from _option_problems(item, where)
    else:
        yield f"{where}: only fields for text, choices, and boxes to tick"


def chosen(item: Mapping[str, Any]) -> str:
    """What a person wrote, chose or ticked, as it comes from Slack; empty for nothing."""
    options = item.get("selected_options") or [item.get("selected_option") or {}]
    values = [str(option.get("value") or "") for option in options]
    one = item.get("value") or item.get("selected_user") or item.get("selected_conversation")
    return str(one or " ".join(values)).strip()


def _option_problems(item: Mapping[str, Any], where: str) -> Iterator[str]:
    if item.get("type") not in ("static_select", "checkboxes"):
        return
    options = item.get("options", [])
    values = [str(option.get("value", "")) for option in options]
    if not 0 < len(options) <= MAX_OPTIONS or len(set(values)) != len(values):
        yield f"{where}: {len(options)} options, 1 to {MAX_OPTIONS} allowed, each another"
    for option, value in zip(options, values, strict=True):
        yield from text_problems(option.get("text"), MAX_OPTION, where, ("plain_text",))
        if not 0 < len(value) <= MAX_OPTION_VALUE:
            yield f"{where}: an option of {len(value)} characters"
    if "initial_option" in item and item["initial_option"] not in options:
        yield f"{where}: what is chosen at first is no option"
