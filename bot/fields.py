"""Fields of forms, and choices beside buttons, as blocks."""

from collections.abc import Sequence

from bot.elements import MAX_OPTION
from bot.mrkdwn import cut, visible
from bot.outbound import Block
from storage.knowledge import MAX_TEXT

MAX_SHORT = 300
Option = tuple[str, str]  # its value, its words
CHANNELS = {"include": ["public", "private"], "exclude_bot_users": True}


def text_field(
    field: str, label: str, initial: str = "", *, hint: str = "", lines: bool = False, optional: bool = False
) -> Block:
    """A field for text, of one line or more."""
    element: Block = {
        "type": "plain_text_input",
        "action_id": field,
        "multiline": lines,
        "max_length": MAX_TEXT if lines else MAX_SHORT,
    }
    if initial:
        element["initial_value"] = initial[: element["max_length"]]
    return _field(field, label, element, hint, optional=optional)


def choice_field(
    field: str, label: str, options: Sequence[Option], chosen: str = "", *, optional: bool = False
) -> Block:
    """A field in which one of some is chosen."""
    return _field(
        field, label, {"type": "static_select", "action_id": field} | _options(options, chosen), "", optional=optional
    )


def person_field(field: str, label: str, chosen: str = "") -> Block:
    """A field in which a person may be chosen."""
    element = {"type": "users_select", "action_id": field} | ({"initial_user": chosen} if chosen else {})
    return _field(field, label, element, "", optional=True)


def channel_field(field: str, label: str, chosen: str = "") -> Block:
    """A field in which a channel may be chosen."""
    element: Block = {"type": "conversations_select", "action_id": field, "filter": CHANNELS}
    if chosen:
        element["initial_conversation"] = chosen
    return _field(field, label, element, "", optional=True)


def tick_field(field: str, label: str, words: str) -> Block:
    """A box to tick."""
    return _field(
        field, label, {"type": "checkboxes", "action_id": field} | _options([("yes", words)], ""), "", optional=True
    )


def choice(action: str, words: str, options: Sequence[Option], chosen: str = "") -> Block:
    """A choice that acts at once."""
    return {"type": "static_select", "action_id": action, "placeholder": _plain(words)} | _options(options, chosen)


def channel_choice(action: str, words: str) -> Block:
    """A choice of a channel that acts at once."""
    return {"type": "conversations_select", "action_id": action, "placeholder": _plain(words), "filter": CHANNELS}


def _field(field: str, label: str, element: Block, hint: str, *, optional: bool) -> Block:
    block = {"type": "input", "block_id": field, "label": _plain(label), "optional": optional, "element": element}
    return block | ({"hint": _plain(hint)} if hint else {})


def _options(options: Sequence[Option], chosen: str) -> Block:
    made = [{"text": _plain(cut(visible(words), MAX_OPTION) or value), "value": value} for value, words in options]
    first = next((one for one in made if one["value"] == chosen), None)
    return {"options": made} | ({"initial_option": first} if first and chosen else {})


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text}
