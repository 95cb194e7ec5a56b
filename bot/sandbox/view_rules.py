"""Slack's limits on windows and home tabs. Source: docs.slack.dev/reference/views."""

from collections.abc import Iterator
from typing import Any

from bot.sandbox.block_rules import SHAPES, block_problems
from bot.sandbox.errors import SlackError
from bot.sandbox.text_rules import text_problems

MOST_BLOCKS = 100
_SHAPES = SHAPES | {"input": ({"label", "element"}, {"optional", "hint", "dispatch_action"})}
_HOME = {"type", "callback_id", "blocks", "private_metadata", "external_id"}
_MODAL = _HOME | {"title", "submit", "close", "clear_on_close", "notify_on_close", "submit_disabled"}


def check_modal(view: Any) -> None:
    """Hold a window against the limits. Raises: SlackError."""
    _refuse([*_problems(view, "modal", _MODAL), *_modal_problems(view)])


def check_home(view: Any) -> None:
    """Hold a home tab against the limits. Raises: SlackError."""
    _refuse([*_problems(view, "home", _HOME)])


def _refuse(problems: list[str]) -> None:
    if problems:
        raise SlackError("invalid_arguments", tuple(f"[ERROR] {problem}" for problem in problems))


def _problems(view: Any, kind: str, keys: set[str]) -> Iterator[str]:
    if not isinstance(view, dict) or not isinstance(view.get("blocks"), list):
        raise SlackError("invalid_arguments", ("[ERROR] missing required field: blocks [json-pointer:/view]",))
    for name in sorted(set(view) - keys):
        yield f"unknown field: {name}"
    if view.get("type") != kind:
        yield f"only a {kind} is expected here [json-pointer:/view/type]"
    if len(str(view.get("private_metadata", ""))) > 3000 or len(str(view.get("callback_id", ""))) > 255:
        yield "private_metadata or callback_id is too long [json-pointer:/view]"
    yield from block_problems(view["blocks"], MOST_BLOCKS, _SHAPES)


def _modal_problems(view: dict[str, Any]) -> Iterator[str]:
    for name in ("title", "submit", "close"):
        if name == "title" or name in view:
            yield from text_problems(view.get(name), f"/view/{name}", 24, ("plain_text",))
    if any(isinstance(b, dict) and b.get("type") == "input" for b in view["blocks"]) and "submit" not in view:
        yield "submit is required when an input block is within blocks array [json-pointer:/view]"
