"""Everything that goes out to Slack passes ``checked``: limits, escaping, and a text that stands alone.

Slack answers a broken message with a bare ``invalid_blocks`` at best; at worst it lets ``<!channel>`` from a
driver's name wake five hundred people. So the rules are applied here, once, before anything is sent.
Limits: docs.slack.dev/reference/block-kit/blocks and the method pages.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.elements import MAX_URL, action_problems, field_problems, text_problems
from bot.mrkdwn import plain

Block = dict[str, Any]
Check = Callable[[Block, str], Iterator[str]]

EVENT_TYPE = "pileup_reply"  # metadata on every message of ours; the payload's key names job and part

MAX_TEXT = 40_000
MAX_BLOCKS = 50
MAX_HEADER = 150
MAX_SECTION = 3_000
MAX_FIELDS = 10
MAX_FIELD = 2_000
MAX_CONTEXT_ELEMENTS = 10
MAX_ACTIONS = 25
MAX_ID = 255
MAX_ALT = 2_000
MAX_VIEW_BLOCKS = 100
MAX_TITLE = 24
MAX_CARRIED = 3_000
MAX_LABEL = 2_000
MAX_RICH_TEXT = 12_000  # not documented; above this Slack was seen to answer msg_blocks_too_long

_SEQUENCE = re.compile(r"<([^<>]*)>")
_ALLOWED = re.compile(r"https?://[^\s<>|]+\|[^<>|]+\Z|!date\^\d+\^[^<>|^]+\|[^<>|]+\Z|#[CGD][A-Z0-9]{7,}\Z")
_MENTION = re.compile(r"(?:@|!subteam\^)([A-Z0-9]+)\Z")
_ROOM = re.compile(r"!(here|channel)\Z")
_ENTITY = re.compile(r"&(?!amp;|lt;|gt;)")


class BadMessage(ValueError):
    """A message of ours breaks Slack's rules; ``problems`` lists how. A fault of ours, never of the dump."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Message:
    """One message: ``text`` is markup that alone tells the matter, ``blocks`` show it better.

    ``mentions`` are the ids of the people and groups that it may name, each for a reason that its maker knows;
    ``@here`` and ``@channel`` among them let it name everybody in the channel.
    """

    text: str
    blocks: tuple[Block, ...] = field(default=())
    mentions: frozenset[str] = frozenset()


def checked(message: Message, key: str) -> dict[str, Any]:
    """The arguments of chat.postMessage or chat.update for a message, ``key`` in its metadata.

    Raises:
        BadMessage: it breaks a limit, lacks its text, or carries a sequence that none of our templates writes.
    """
    problems = [*_text_problems(message.text, message.mentions), *_block_problems(message, MAX_BLOCKS, _BLOCKS)]
    if not key or len(key) > MAX_ID:
        problems.append(f"a message key of {len(key)} characters")
    if problems:
        raise BadMessage(problems)
    arguments: dict[str, Any] = {
        "text": message.text,
        "parse": "none",
        "link_names": False,
        "metadata": {"event_type": EVENT_TYPE, "event_payload": {"key": key}},
    }
    if message.blocks:
        arguments["blocks"] = list(message.blocks)
    return arguments


@dataclass(frozen=True, slots=True)
class View:
    """A window: ``kind`` names it when it comes back, ``submit`` is the word on its button where it is a form, and
    ``carries`` comes back with it. ``mentions`` are the ids that it may name; nobody is notified of that."""

    kind: str
    title: str
    blocks: tuple[Block, ...]
    submit: str | None = None
    carries: str = ""
    mentions: frozenset[str] = frozenset()


def checked_view(view: View) -> dict[str, Any]:
    """A window as views.open takes it.

    Raises:
        BadMessage: it breaks a limit.
    """
    shown_blocks = Message(view.title, view.blocks, view.mentions)
    problems = list(_block_problems(shown_blocks, MAX_VIEW_BLOCKS, _BLOCKS | {"input": _input}))
    words = [view.title, *([view.submit] if view.submit else [])]
    problems += [f"{word!r} is longer than {MAX_TITLE}" for word in words if not 0 < len(word) <= MAX_TITLE]
    if len(view.carries) > MAX_CARRIED:
        problems.append(f"it carries {len(view.carries)} characters, {MAX_CARRIED} allowed")
    if (view.submit is None) == any(block.get("type") == "input" for block in view.blocks):
        problems.append("a form needs a button to send it, and only a form does")
    if problems:
        raise BadMessage(problems)
    shown: dict[str, Any] = {
        "type": "modal",
        "callback_id": view.kind,
        "title": {"type": "plain_text", "text": view.title},
        "close": {"type": "plain_text", "text": "Close"},
        "blocks": list(view.blocks),
        "private_metadata": view.carries,
    }
    return shown | ({"submit": {"type": "plain_text", "text": view.submit}} if view.submit else {})


def checked_home(blocks: tuple[Block, ...], mentions: frozenset[str]) -> dict[str, Any]:
    """A home tab as views.publish takes it. Raises: BadMessage: it breaks a limit."""
    problems = list(_block_problems(Message("home", blocks, mentions), MAX_VIEW_BLOCKS, _BLOCKS))
    if problems:
        raise BadMessage(problems)
    return {"type": "home", "blocks": list(blocks)}


def checked_unfurl(message: Message) -> dict[str, Any]:
    """What stands below somebody's message with a link, as chat.unfurl takes it for that link. Raises: BadMessage."""
    problems = [*_text_problems(message.text, message.mentions), *_block_problems(message, MAX_BLOCKS, _BLOCKS)]
    if not message.blocks:
        problems.append("nothing to show")
    if problems:
        raise BadMessage(problems)
    return {"blocks": list(message.blocks), "fallback": plain(message.text)}


def checked_comment(text: str) -> str:
    """The comment beside an uploaded file, held to the same rules. Raises: BadMessage."""
    problems = list(_text_problems(text))
    if problems:
        raise BadMessage(problems)
    return text


def _text_problems(text: str, mentions: frozenset[str] = frozenset()) -> Iterator[str]:
    if not text.strip():
        yield "no text: screen readers and notifications would read nothing"
    if len(text) > MAX_TEXT:
        yield f"text of {len(text)} characters, {MAX_TEXT} allowed"
    yield from _markup_problems(text, "text", mentions)


def _markup_problems(text: str, where: str, mentions: frozenset[str]) -> Iterator[str]:
    for sequence in _SEQUENCE.findall(text):
        named, room = _MENTION.match(sequence), _ROOM.match(sequence)
        is_meant = f"@{room[1]}" in mentions if room else named is not None and named[1] in mentions
        if not (is_meant if named or room else _ALLOWED.match(sequence)):
            yield f"{where} holds the sequence <{sequence[:60]}>"
    bare = _SEQUENCE.sub("", text)
    if "<" in bare or ">" in bare:
        yield f"{where} holds an unescaped angle bracket"
    if _ENTITY.search(text):
        yield f"{where} holds an unescaped ampersand"


def _block_problems(message: Message, most: int, kinds: Mapping[str, Check]) -> Iterator[str]:
    blocks = message.blocks
    if len(blocks) > most:
        yield f"{len(blocks)} blocks, {most} allowed"
    seen: set[str] = set()
    for index, block in enumerate(blocks):
        where = f"block {index + 1} ({block.get('type')})"
        check = kinds.get(str(block.get("type")))
        if check is None:
            yield f"{where} is of a type we do not send"
            continue
        block_id = block.get("block_id")
        if block_id is not None and (block_id in seen or not 0 < len(block_id) <= MAX_ID):
            yield f"{where}: block_id is used twice or of a wrong length"
        seen.add(block_id or "")
        yield from check(block, where)
        for text in _mrkdwn_texts(block):
            yield from _markup_problems(text, where, message.mentions)


def _mrkdwn_texts(value: Any) -> Iterator[str]:
    # Every text of a block that Slack reads as markup, wherever it stands.
    if isinstance(value, dict):
        if value.get("type") == "mrkdwn":
            yield str(value.get("text"))
        for item in value.values():
            yield from _mrkdwn_texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _mrkdwn_texts(item)


def _header(block: Block, where: str) -> Iterator[str]:
    yield from text_problems(block.get("text"), MAX_HEADER, where, ("plain_text",))


def _section(block: Block, where: str) -> Iterator[str]:
    fields = block.get("fields", [])
    if "text" not in block and not fields:
        yield f"{where}: neither text nor fields"
    if "text" in block:
        yield from text_problems(block["text"], MAX_SECTION, where)
    if len(fields) > MAX_FIELDS:
        yield f"{where}: {len(fields)} fields, {MAX_FIELDS} allowed"
    for item in fields:
        yield from text_problems(item, MAX_FIELD, f"{where} field")


def _context(block: Block, where: str) -> Iterator[str]:
    elements = block.get("elements", [])
    if not 0 < len(elements) <= MAX_CONTEXT_ELEMENTS:
        yield f"{where}: {len(elements)} elements, 1 to {MAX_CONTEXT_ELEMENTS} allowed"
    for item in elements:
        yield from text_problems(item, MAX_SECTION, where)


def _actions(block: Block, where: str) -> Iterator[str]:
    elements = block.get("elements", [])
    if not 0 < len(elements) <= MAX_ACTIONS:
        yield f"{where}: {len(elements)} elements, 1 to {MAX_ACTIONS} allowed"
    actions = [item.get("action_id", "") for item in elements]
    if len(set(actions)) != len(actions) or any(not 0 < len(action) <= MAX_ID for action in actions):
        yield f"{where}: action_ids must differ and have 1 to {MAX_ID} characters"
    for item in elements:
        yield from action_problems(item, where)


def _image(block: Block, where: str) -> Iterator[str]:
    if not 0 < len(block.get("alt_text", "")) <= MAX_ALT:
        yield f"{where}: alt_text must have 1 to {MAX_ALT} characters"
    if not 0 < len(block.get("image_url", "")) <= MAX_URL:
        yield f"{where}: image_url must have 1 to {MAX_URL} characters"


def _divider(_block: Block, _where: str) -> Iterator[str]:
    yield from ()


def _rich_text(block: Block, where: str) -> Iterator[str]:
    elements = block.get("elements", [])
    if not elements:
        yield f"{where}: no elements"
    total = 0
    for leaf in _leaves(elements):
        if leaf.get("type") != "text":
            yield f"{where}: only literal text, not {leaf.get('type')}"
        elif not leaf.get("text"):
            yield f"{where}: an empty text"
        total += len(leaf.get("text", ""))
    if total > MAX_RICH_TEXT:
        yield f"{where}: {total} characters, {MAX_RICH_TEXT} allowed"


def _input(block: Block, where: str) -> Iterator[str]:
    yield from text_problems(block.get("label"), MAX_LABEL, where, ("plain_text",))
    if not block.get("block_id"):
        yield f"{where}: a field without a name"
    if "hint" in block:
        yield from text_problems(block["hint"], MAX_LABEL, where, ("plain_text",))
    yield from field_problems(block.get("element") or {}, where)


def _leaves(elements: list[Block]) -> Iterator[Block]:
    for element in elements:
        inner = element.get("elements")
        if inner is None:
            yield element
        else:
            yield from _leaves(inner)


_BLOCKS: dict[str, Check] = {
    "header": _header,
    "section": _section,
    "context": _context,
    "actions": _actions,
    "image": _image,
    "divider": _divider,
    "rich_text": _rich_text,
}
