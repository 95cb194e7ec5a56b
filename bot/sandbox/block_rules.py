"""Slack's limits on messages, as its documentation states them; a broken one is ``invalid_blocks``.

Written on its own, not shared with the bot's gate. Source: docs.slack.dev/reference/block-kit.
"""

from collections.abc import Iterator
from typing import Any

from bot.sandbox.elements import ACCESSORY, ACTIONS, INPUT, element_problems
from bot.sandbox.errors import SlackError
from bot.sandbox.text_rules import text_problems

TEXT_LIMIT = 40_000
METADATA_LIMIT = 8_000

# type of block: required keys, allowed keys
Shapes = dict[str, tuple[set[str], set[str]]]
SHAPES: Shapes = {
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
_RICH = {"rich_text_section", "rich_text_list", "rich_text_preformatted", "rich_text_quote"}


def check_message(text: str, blocks: Any, attachments: Any = None) -> None:
    """Hold a message against the limits. Raises: SlackError with Slack's own word."""
    if not isinstance(blocks, list):
        raise SlackError("invalid_blocks_format")
    if not text.strip() and not blocks and not attachments:
        raise SlackError("no_text")
    if len(text) > TEXT_LIMIT:
        raise SlackError("msg_too_long")
    problems = list(block_problems(blocks))
    if problems:
        raise SlackError("invalid_blocks", tuple(f"[ERROR] {problem}" for problem in problems))


def block_problems(blocks: list[Any], most: int = 50, shapes: Shapes | None = None) -> Iterator[str]:
    """What is wrong with blocks, of the kinds that messages may have unless told otherwise."""
    shapes = shapes or SHAPES
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
        yield from text_problems(block["text"], place, 150, ("plain_text",))
    elif kind == "section":
        yield from _section(block, place)
    elif kind == "context":
        yield from _count(block["elements"], 10, place)
        for item in block["elements"]:
            if item.get("type") != "image":
                yield from text_problems(item, place, 3000)
    elif kind == "actions":
        yield from _actions(block, place)
    elif kind == "input":
        yield from text_problems(block["label"], place, 2000, ("plain_text",))
        yield from element_problems(block["element"], f"{place}/element", INPUT)
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
        yield from text_problems(block["text"], place, 3000)
    fields = block.get("fields", [])
    if "fields" in block:
        yield from _count(fields, 10, place)
    for item in fields:
        yield from text_problems(item, place, 2000)
    accessory = block.get("accessory")
    if accessory is not None and accessory.get("type") != "image":
        yield from element_problems(accessory, f"{place}/accessory", ACCESSORY)


def _actions(block: dict[str, Any], place: str) -> Iterator[str]:
    yield from _count(block["elements"], 25, place)
    ids = [item.get("action_id") for item in block["elements"]]
    if len(ids) != len(set(ids)):
        yield f"action_id must be unique [json-pointer:{place}]"
    for item in block["elements"]:
        yield from element_problems(item, f"{place}/elements", ACTIONS)


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
