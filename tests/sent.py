"""Whether what the bot sends is what Slack takes: by slack_sdk's models, by Slack's own types, by our own gate.

Each of the three knows what the others do not: the models know lengths and drop what they do not know, the types know
structure and words, the gate knows who may be mentioned and that the text stands alone. ``tests/conftest.py`` asks
this of every message, window and home tab that any test has sent to the stand-in.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View as ViewModel

from bot.outbound import BadMessage, Message, View, checked, checked_comment, checked_home, checked_view
from tests.slack_types import block_problem, view_problem

POSTS = ("chat.postMessage", "chat.update", "chat.postEphemeral")
VIEWS = ("views.open", "views.update", "views.publish", "views.push")
_NAMED = re.compile(r"<(?:@|!subteam\^)([A-Z0-9]+)>")
_ROOM = re.compile(r"<!(here|channel)>")

Json = Mapping[str, Any]


def problems(calls: Iterable[tuple[str, Json]], *, by_bot: bool = True) -> list[str]:
    """What is wrong with calls of methods, each once; ``by_bot``, our own gate must have let them through."""
    found: dict[str, None] = {}
    for method, given in calls:
        read = {name: _read(value) if name in ("blocks", "view", "unfurls") else value for name, value in given.items()}
        found |= dict.fromkeys(f"{method}: {problem}" for problem in _call(method, read, by_bot=by_bot))
    return list(found)


def _call(method: str, given: Json, *, by_bot: bool) -> Iterator[str]:
    if method in POSTS:
        yield from message_problems(given.get("blocks") or [])
        if by_bot:
            yield from _passed(given)
            yield from _terms(method, given)
    elif method in VIEWS:
        yield from view_problems(given["view"], by_bot=by_bot)
    elif method == "chat.unfurl":
        for shown in given["unfurls"].values():
            yield from message_problems(shown.get("blocks") or [])
    elif method == "files.completeUploadExternal" and by_bot and given.get("initial_comment"):
        yield from _refused(lambda: checked_comment(given["initial_comment"]))


def _read(value: Any) -> Any:
    # Clients may send structures as text.
    return json.loads(value) if isinstance(value, str) else value


def message_problems(blocks: list[Any]) -> list[str]:
    """What is wrong with blocks, by the models and by the types."""
    return list(_blocks(json.dumps(blocks)))


@lru_cache(4096)
def _blocks(text: str) -> tuple[str, ...]:
    # The same blocks are sent again and again: when a message is edited, by tests alike.
    blocks = json.loads(text)
    found = [problem for block in blocks if (problem := block_problem(block)) is not None]
    return (*found, *_models(blocks))


def _models(blocks: list[Any]) -> Iterator[str]:
    for block in blocks:
        try:
            parsed = Block.parse(dict(block))
            lost = block if parsed is None else _lost(block, parsed.to_dict())
        except (SlackObjectFormationError, TypeError) as error:
            yield f"the model of {block.get('type')}: {error}"
        else:
            if lost:
                yield f"the model of {block.get('type')} drops {sorted(lost)}"


def _lost(given: Any, kept: Any) -> set[str]:
    # The keys that a model does not know.
    if isinstance(given, dict) and isinstance(kept, dict):
        inner = (_lost(value, kept[key]) for key, value in given.items() if key in kept)
        return {key for key in given if key not in kept}.union(*inner)
    if isinstance(given, list) and isinstance(kept, list):
        return set().union(*(_lost(one, other) for one, other in zip(given, kept, strict=False)))
    return set()


def view_problems(view: Json, *, by_bot: bool = True) -> Iterator[str]:
    """What is wrong with a window or a home tab."""
    problem = view_problem(view)
    if problem is not None:
        yield problem
    yield from _models(view["blocks"])
    try:
        ViewModel(**view).to_dict()
    except SlackObjectFormationError as error:
        yield f"the model of {view.get('type')}: {error}"
    if by_bot:
        blocks, named = tuple(view["blocks"]), _mentions(json.dumps(view, ensure_ascii=False))
        if view.get("type") == "home":
            yield from _refused(lambda: checked_home(blocks, named))
        else:
            submit = view.get("submit", {}).get("text")
            carries = view.get("private_metadata", "")
            made = View(view.get("callback_id", ""), view["title"]["text"], blocks, submit, carries, named)
            yield from _refused(lambda: checked_view(made))


def _passed(given: Json) -> Iterator[str]:
    # Whom a message may name is known to its maker; that it names only what it may, is asked of the gate itself.
    blocks = tuple(given.get("blocks") or ())
    whole = json.dumps([given.get("text"), blocks], ensure_ascii=False)
    message = Message(given.get("text") or "", blocks, _mentions(whole))
    yield from _refused(lambda: checked(message, "key"))


def _terms(method: str, given: Json) -> Iterator[str]:
    if method != "chat.postEphemeral" and "event_type" not in (given.get("metadata") or {}):
        yield "no metadata by which to find it again"
    if (given.get("parse"), given.get("link_names")) != ("none", False):
        yield "Slack may read names and links into it"
    if method == "chat.postMessage" and (given.get("unfurl_links"), given.get("unfurl_media")) != (False, False):
        yield "Slack may unfold its links"


def _mentions(text: str) -> frozenset[str]:
    return frozenset(_NAMED.findall(text)) | {f"@{room}" for room in _ROOM.findall(text)}


def _refused(ask: Any) -> Iterator[str]:
    try:
        ask()
    except BadMessage as error:
        yield from error.problems
