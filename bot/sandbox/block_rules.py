"""Slack's limits on messages, as its documentation states them; a broken one is ``invalid_blocks``.

Written on its own, not shared with the bot's gate. Source: docs.slack.dev/reference/block-kit.
"""

from collections.abc import Iterator
from typing import Any

from bot.sandbox.errors import SlackError

TEXT_LIMIT = 40_000
METADATA_LIMIT = 8_000

# type of block: required keys, allowed keys
_SHAPES: dict[str, tuple[set[str], set[str]]] = {
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
    problems = list(_problems(blocks))
    if problems:
        raise SlackError("invalid_blocks", tuple(f"[ERROR] {problem}" for problem in problems))


def _problems(blocks: list[Any]) -> Iterator[str]:
    if len(blocks) > 50:
        yield "no more than 50 items allowed [json-pointer:/blocks]"
    ids = [block.get("block_id") for block in blocks if isinstance(block, dict) and block.get("block_id")]
    if len(ids) != len(set(ids)):
        yield "block_id must be unique [json-pointer:/blocks]"
    if sum(isinstance(block, dict) and block.get("type") == "table" for block in blocks) > 1:
        yield "only one table allowed [json-pointer:/blocks]"
    for index, block in enumerate(blocks):
        place = f"/blocks/{index}"
        if not isinstance(block, dict) or block.get("type") not in _SHAPES:
            yield f"unsupported type [json-pointer:{place}/type]"
            continue
        required, optional = _SHAPES[block["type"]]
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
