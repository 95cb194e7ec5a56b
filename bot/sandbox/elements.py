"""What a person can press, choose or fill in: each kind of element, its limits, and what Slack sends of it.

Source: docs.slack.dev/reference/block-kit/block-elements.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bot.sandbox.text_rules import text_problems

MAX_OPTIONS, MAX_OPTION, MAX_OPTION_VALUE = 100, 75, 150
MAX_PLACEHOLDER = 150
MAX_WRITTEN = 3000

ACTIONS, INPUT, ACCESSORY = "actions", "input", "accessory"  # where an element may stand
_ANYWHERE = frozenset({ACTIONS, INPUT, ACCESSORY})
_COMMON = "type action_id confirm focus_on_load placeholder"


@dataclass(frozen=True, slots=True)
class Element:
    """A kind of element. ``value`` is the key of what was chosen, ``initial`` that of what is chosen at first;
    ``options``: how many it may have, where it has any; ``many``: whether several can be chosen."""

    value: str
    initial: str
    where: frozenset[str] = _ANYWHERE
    options: int = 0
    many: bool = False
    more: str = ""

    @property
    def allowed(self) -> set[str]:
        """The keys that such an element may have."""
        return set(f"{_COMMON} {self.more}".split()) | {self.initial} | ({"options"} if self.options else set())


_NOT_IN_ACTIONS = frozenset({INPUT, ACCESSORY})
_WRITTEN = frozenset({INPUT})
ELEMENTS: dict[str, Element] = {
    "button": Element("value", "value", frozenset({ACTIONS, ACCESSORY}), more="text url style accessibility_label"),
    "users_select": Element("selected_user", "initial_user"),
    "conversations_select": Element(
        "selected_conversation",
        "initial_conversation",
        more="filter default_to_current_conversation response_url_enabled",
    ),
    "channels_select": Element("selected_channel", "initial_channel", more="response_url_enabled"),
    "static_select": Element("selected_option", "initial_option", options=MAX_OPTIONS),
    "multi_users_select": Element(
        "selected_users", "initial_users", _NOT_IN_ACTIONS, many=True, more="max_selected_items"
    ),
    "multi_conversations_select": Element(
        "selected_conversations",
        "initial_conversations",
        _NOT_IN_ACTIONS,
        many=True,
        more="filter max_selected_items default_to_current_conversation",
    ),
    "multi_channels_select": Element(
        "selected_channels", "initial_channels", _NOT_IN_ACTIONS, many=True, more="max_selected_items"
    ),
    "multi_static_select": Element(
        "selected_options", "initial_options", _NOT_IN_ACTIONS, MAX_OPTIONS, many=True, more="max_selected_items"
    ),
    "overflow": Element("selected_option", "initial_option", frozenset({ACTIONS, ACCESSORY}), options=5),
    "checkboxes": Element("selected_options", "initial_options", options=10, many=True),
    "radio_buttons": Element("selected_option", "initial_option", options=10),
    "datepicker": Element("selected_date", "initial_date"),
    "timepicker": Element("selected_time", "initial_time", more="timezone"),
    "plain_text_input": Element("value", "initial_value", _WRITTEN, more="multiline min_length max_length"),
    "number_input": Element("value", "initial_value", _WRITTEN, more="is_decimal_allowed min_value max_value"),
    "url_text_input": Element("value", "initial_value", _WRITTEN),
    "email_text_input": Element("value", "initial_value", _WRITTEN),
}


def element_problems(item: Any, place: str, where: str) -> Iterator[str]:
    """What is wrong with an element that stands there."""
    kind = ELEMENTS.get(str(item.get("type"))) if isinstance(item, dict) else None
    if kind is None or where not in kind.where:
        yield f"unsupported element [json-pointer:{place}]"
        return
    for extra in sorted(set(item) - kind.allowed):
        yield f"unknown field: {extra} [json-pointer:{place}]"
    if not 0 < len(str(item.get("action_id", "-"))) <= 255:
        yield f"action_id must have 1 to 255 characters [json-pointer:{place}]"
    if item["type"] == "button":
        yield from _button(item, place)
    if "placeholder" in item:
        yield from text_problems(item["placeholder"], place, MAX_PLACEHOLDER, ("plain_text",))
    if kind.options:
        yield from _options(item, place, kind.options)
    if not 0 < item.get("max_length", MAX_WRITTEN) <= MAX_WRITTEN:
        yield f"max_length must be 1 to {MAX_WRITTEN} [json-pointer:{place}]"
    if item["type"] == "number_input" and "is_decimal_allowed" not in item:
        yield f"missing required field: is_decimal_allowed [json-pointer:{place}]"


def chosen(item: dict[str, Any], words: list[str]) -> dict[str, Any]:
    """What Slack sends of an element in which a person chose or wrote this.

    Raises:
        KeyError: it has no such option.
    """
    kind = ELEMENTS[item["type"]]
    values: list[Any] = list(words)
    if kind.options:
        options = {option["value"]: option for option in item["options"]}
        values = [options[word] for word in words]
    value = values if kind.many else (values[0] if values and values[0] else None)
    return {"type": item["type"], kind.value: value}


def at_first(item: dict[str, Any]) -> list[str]:
    """What is chosen or written in an element before anybody touched it."""
    kind = ELEMENTS[item["type"]]
    given = item.get(kind.initial)
    if given is None or item["type"] == "button":
        return []
    values = given if kind.many else [given]
    return [value["value"] if kind.options else str(value) for value in values]


def _button(item: dict[str, Any], place: str) -> Iterator[str]:
    yield from text_problems(item.get("text"), place, 75, ("plain_text",))
    if item.get("style") not in (None, "primary", "danger"):
        yield f"unknown style [json-pointer:{place}/style]"
    for name, most in (("value", 2000), ("url", 3000), ("accessibility_label", 75)):
        if len(str(item.get(name, ""))) > most:
            yield f"must be less than {most + 1} characters [json-pointer:{place}/{name}]"


def _options(item: dict[str, Any], place: str, most: int) -> Iterator[str]:
    options = item.get("options")
    if not isinstance(options, list) or not 0 < len(options) <= most:
        yield f"must have 1 to {most} items [json-pointer:{place}/options]"
        return
    for option in options:
        yield from text_problems(option.get("text"), f"{place}/options", MAX_OPTION)
        if not 0 < len(str(option.get("value", ""))) <= MAX_OPTION_VALUE:
            yield f"an option needs a value [json-pointer:{place}/options]"
    kind = ELEMENTS[item["type"]]
    first = item.get(kind.initial, [])
    if any(option not in options for option in (first if kind.many else [first] if first else [])):
        yield f"{kind.initial} must match an option [json-pointer:{place}/{kind.initial}]"
