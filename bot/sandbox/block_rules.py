"""Slack's limits on messages, as its documentation states them; a broken one is ``invalid_blocks``.

Written on its own, not shared with the bot's gate. Source: docs.slack.dev/reference/block-kit.
"""

from collections.abc import Iterator
from typing import Any

from bot.sandbox.errors import SlackError

TEXT_LIMIT = 40_000
METADATA_LIMIT = 8_000

# type of block: required keys, allowed keys
Shapes = dict[str, tuple[set[str], set[str]]]
_SHAPES: Shapes = {
    "actions": ({"elements"}, set()),
    "context": ({"elements"}, set()),
    "divider": (set(), set()),
    "header": ({"text"}, set()),
    "image": ({"alt_text"}, {"image_url", "slack_file", "title"}),
    "markdown": ({"text"}, set()),
    "rich_text": ({"elements"}, set()),
    "section": (set(), {"text", "fields", "accessory", "expand"}),
    "table": ({"rows"}, {"column_settings"}),
}
_VIEW = {"type", "callback_id", "title", "submit", "close", "blocks", "private_metadata", "clear_on_close"}
_RICH = {"rich_text_section", "rich_text_list", "rich_text_preformatted", "rich_text_quote"}


def check_message(text: str, blocks: Any, attachments: Any = None) -> None:
    """Hold a message against the limits. Raises: SlackError with Slack's own word."""
    if not isinstance(blocks, list):
        raise SlackError("invalid_blocks_format")
    if not text.strip() and not blocks and not attachments:
        raise SlackError("no_text")
    if len(text) > TEXT_LIMIT:
        raise SlackError("msg_too_long")
    problems = list(_problems(blocks))
    if problems:
        raise SlackError("invalid_blocks", tuple(f"[ERROR] {problem}" for problem in problems))


def check_view(view: Any) -> None:
    """Hold a modal window against the limits. Source: docs.slack.dev/reference/views. Raises: SlackError."""
    if not isinstance(view, dict) or not isinstance(view.get("blocks"), list):
        raise SlackError("invalid_arguments", ("[ERROR] missing required field: blocks [json-pointer:/view]",))
    problems = [f"unknown field: {name}" for name in sorted(set(view) - _VIEW)]
    if view.get("type") != "modal":
        problems.append("only a modal is opened [json-pointer:/view/type]")
    for name in ("title", "submit", "close"):
        if name == "title" or name in view:
            problems += _text(view.get(name), f"/view/{name}", 24, ("plain_text",))
    if len(str(view.get("private_metadata", ""))) > 3000 or len(str(view.get("callback_id", ""))) > 255:
        problems.append("private_metadata or callback_id is too long [json-pointer:/view]")
    if any(isinstance(b, dict) and b.get("type") == "input" for b in view["blocks"]) and "submit" not in view:
        problems.append("submit is required when an input block is within blocks array [json-pointer:/view]")
    problems += _problems(view["blocks"], 100, _SHAPES | {"input": ({"label", "element"}, {"optional", "hint"})})
    if problems:
        raise SlackError("invalid_arguments", tuple(f"[ERROR] {problem}" for problem in problems))


def _problems(blocks: list[Any], most: int = 50, shapes: Shapes | None = None) -> Iterator[str]:
    shapes = shapes or _SHAPES
    if len(blocks) > most:
        yield f"no more than {most} items allowed [json-pointer:/blocks]"
    ids = [block.get("block_id") for block in blocks if isinstance(block, dict) and block.get("block_id")]
    if len(ids) != len(set(ids)):
        yield "block_id must be unique [json-pointer:/blocks]"
    if sum(isinstance(block, dict) and block.get("type") == "table" for block in blocks) > 1:
        yield "only one table allowed [json-pointer:/blocks]"
    for index, block in enumerate(blocks):
        place = f"/blocks/{index}"
        if not isinstance(block, dict) or block.get("type") not in shapes:
            yield f"unsupported type [json-pointer:{place}/type]"
            continue
        required, optional = shapes[block["type"]]
        keys = set(block) - {"type", "block_id"}
        for missing in sorted(required - keys):
            yield f"missing required field: {missing} [json-pointer:{place}]"
        for extra in sorted(keys - required - optional):
            yield f"unknown field: {extra} [json-pointer:{place}]"
        if required <= keys:
            yield from _content(block, place)


def _content(block: dict[str, Any], place: str) -> Iterator[str]:
    kind = block["type"]
    if kind == "header":
        yield from _text(block["text"], place, 150, ("plain_text",))
    elif kind == "section":
        yield from _section(block, place)
    elif kind == "context":
        yield from _count(block["elements"], 10, place)
        for item in block["elements"]:
            if item.get("type") != "image":
                yield from _text(item, place, 3000)
    elif kind == "actions":
        yield from _actions(block, place)
    elif kind == "input":
        yield from _text(block["label"], place, 2000, ("plain_text",))
        element = block["element"]
        if element.get("type") != "plain_text_input" or not 0 < element.get("max_length", 3000) <= 3000:
            yield f"invalid element [json-pointer:{place}/element]"
    elif kind == "image":
        if not 0 < len(str(block["alt_text"])) <= 2000 or not (block.get("image_url") or block.get("slack_file")):
            yield f"image needs alt_text and a source [json-pointer:{place}]"
    elif kind == "markdown" and len(str(block["text"])) > 12_000:
        yield f"must be less than 12001 characters [json-pointer:{place}/text]"
    elif kind == "rich_text":
        yield from _rich(block["elements"], place)
    elif kind == "table" and (len(block["rows"]) > 100 or any(len(row) > 20 for row in block["rows"])):
        yield f"table larger than 100 rows or 20 columns [json-pointer:{place}/rows]"


def _section(block: dict[str, Any], place: str) -> Iterator[str]:
    if "text" not in block and "fields" not in block:
        yield f"missing required field: text [json-pointer:{place}]"
    if "text" in block:
        yield from _text(block["text"], place, 3000)
    fields = block.get("fields", [])
    if "fields" in block:
        yield from _count(fields, 10, place)
    for item in fields:
        yield from _text(item, place, 2000)


def _actions(block: dict[str, Any], place: str) -> Iterator[str]:
    yield from _count(block["elements"], 25, place)
    ids = [item.get("action_id") for item in block["elements"]]
    if len(ids) != len(set(ids)):
        yield f"action_id must be unique [json-pointer:{place}]"
    for item in block["elements"]:
        if item.get("type") == "button":
            yield from _text(item.get("text"), place, 75, ("plain_text",))
        elif item.get("type") == "users_select":
            yield from _text(item.get("placeholder"), place, 150, ("plain_text",))
        else:
            yield f"unsupported element [json-pointer:{place}/elements]"


def _text(value: Any, place: str, limit: int, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")) -> Iterator[str]:
    if not isinstance(value, dict) or value.get("type") not in kinds or not isinstance(value.get("text"), str):
        yield f"invalid text object [json-pointer:{place}/text]"
    elif not value["text"]:
        yield f"must be more than 0 characters [json-pointer:{place}/text/text]"
    elif len(value["text"]) > limit:
        yield f"must be less than {limit + 1} characters [json-pointer:{place}/text/text]"


def _count(items: Any, most: int, place: str) -> Iterator[str]:
    if not isinstance(items, list) or not 0 < len(items) <= most:
        yield f"must have 1 to {most} items [json-pointer:{place}]"


def _rich(elements: Any, place: str) -> Iterator[str]:
    if not isinstance(elements, list) or not elements:
        yield f"must have at least 1 item [json-pointer:{place}/elements]"
        return
    for element in elements:
        if not isinstance(element, dict) or element.get("type") not in _RICH:
            yield f"unsupported type [json-pointer:{place}/elements]"
            continue
        for leaf in element.get("elements", []):
            if leaf.get("type") == "text" and not leaf.get("text"):
                yield f"must be more than 0 characters [json-pointer:{place}/elements]"
