"""Fields of forms, and choices beside buttons, as blocks."""

from collections.abc import Sequence

from bot.elements import MAX_OPTION
from bot.mrkdwn import cut, visible
from bot.outbound import Block
from bot.words import FieldWords, Option, button_words
from storage.knowledge import MAX_TEXT

MAX_SHORT = 300
CHANNELS = {"include": ["public", "private"], "exclude_bot_users": True}


def text_field(words: FieldWords, initial: str = "", *, lines: bool = False, optional: bool = False) -> Block:
    """A field for text, of one line or more."""
    element: Block = {
        "type": "plain_text_input",
        "action_id": words.name,
        "multiline": lines,
        "max_length": MAX_TEXT if lines else MAX_SHORT,
    }
    if initial:
        element["initial_value"] = initial[: element["max_length"]]
    return _field(words, element, optional=optional)


def choice_field(words: FieldWords, chosen: str = "") -> Block:
    """A field in which one of some is chosen."""
    return _field(words, {"type": "static_select", "action_id": words.name} | _options(words.options, chosen))


def person_field(words: FieldWords, chosen: str = "") -> Block:
    """A field in which a person may be chosen."""
    element = {"type": "users_select", "action_id": words.name} | ({"initial_user": chosen} if chosen else {})
    return _field(words, element, optional=True)


def channel_field(words: FieldWords, chosen: str = "") -> Block:
    """A field in which a channel may be chosen."""
    element: Block = {"type": "conversations_select", "action_id": words.name, "filter": CHANNELS}
    if chosen:
        element["initial_conversation"] = chosen
    return _field(words, element, optional=True)


def tick_field(words: FieldWords) -> Block:
    """A box to tick."""
    return _field(words, {"type": "checkboxes", "action_id": words.name} | _options(words.options, ""), optional=True)


def choice(action: str, options: Sequence[Option], chosen: str = "") -> Block:
    """A choice that acts at once."""
    shown = _plain(button_words(action).text)
    return {"type": "static_select", "action_id": action, "placeholder": shown} | _options(options, chosen)


def channel_choice(action: str) -> Block:
    """A choice of a channel that acts at once."""
    shown = _plain(button_words(action).text)
    return {"type": "conversations_select", "action_id": action, "placeholder": shown, "filter": CHANNELS}


def _field(words: FieldWords, element: Block, *, optional: bool = False) -> Block:
    name, label = words.name, _plain(words.label)
    block = {"type": "input", "block_id": name, "label": label, "optional": optional, "element": element}
    return block | ({"hint": _plain(words.hint)} if words.hint else {})


def _options(options: Sequence[Option], chosen: str) -> Block:
    made = [{"text": _plain(cut(visible(words), MAX_OPTION) or value), "value": value} for value, words in options]
    first = next((one for one in made if one["value"] == chosen), None)
    return {"options": made} | ({"initial_option": first} if first and chosen else {})


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text}
