"""The check of everything that tests send: what it finds, and by which of its three opinions."""

import json
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.outbound import Message, View, checked, checked_view
from bot.sandbox import StandIn
from bot.sandbox.server import BOT_TOKEN
from tests import sent
from tests.slack_types import HERE, SCHEMA, block_problem, kinds

WORDS = {"type": "plain_text", "text": "words"}
MARKUP = {"type": "mrkdwn", "text": "words", "verbatim": True}
GO = {"type": "button", "action_id": "go", "text": WORDS, "accessibility_label": "Go"}
OPTION = {"text": WORDS, "value": "v"}


def section(**more: Any) -> dict[str, Any]:
    return {"type": "section", "text": MARKUP, **more}


def actions(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements)}


def select(**more: Any) -> dict[str, Any]:
    return actions({"type": "static_select", "action_id": "a", "placeholder": WORDS, "options": [OPTION], **more})


def post(*blocks: Any, **more: Any) -> tuple[str, dict[str, Any]]:
    given = checked(Message("words"), "key") | {"unfurl_links": False, "unfurl_media": False, "channel": "C1"}
    return "chat.postMessage", given | ({"blocks": list(blocks)} if blocks else {}) | more


def long(size: int) -> dict[str, str]:
    return {"type": "plain_text", "text": "y" * size}


WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "no text": post(text=""),
    "text over 40,000": post(text="y" * 40_001),
    "51 blocks": post(*[{"type": "divider"}] * 51),
    "an unknown type": post({"type": "sectoin", "text": WORDS}),
    "an unknown key": post(section(colour="red")),
    "a section without text": post({"type": "section"}),
    "section text over 3,000": post({"type": "section", "text": long(3001)}),
    "a field over 2,000": post({"type": "section", "fields": [long(2001)]}),
    "11 fields": post({"type": "section", "fields": [WORDS] * 11}),
    "a header in markup": post({"type": "header", "text": MARKUP}),
    "a header over 150": post({"type": "header", "text": long(151)}),
    "11 elements of a context": post({"type": "context", "elements": [WORDS] * 11}),
    "a button in a context": post({"type": "context", "elements": [GO]}),
    "26 buttons": post(actions(*[GO | {"action_id": str(n)} for n in range(26)])),
    "no buttons": post(actions()),
    "the same action twice": post(actions(GO, GO)),
    "a button's words over 75": post(actions(GO | {"text": long(76)})),
    "a button's value over 2,000": post(actions(GO | {"value": "y" * 2001})),
    "a button's address over 3,000": post(actions(GO | {"url": "https://x.example/" + "y" * 3000})),
    "a style that is none": post(actions(GO | {"style": "loud"})),
    "a button in markup": post(actions(GO | {"text": MARKUP})),
    "an image without words": post({"type": "image", "image_url": "https://x.example/y.png"}),
    "an option over 75": post(select(options=[OPTION | {"text": long(76)}])),
    "101 options": post(select(options=[OPTION | {"value": str(n)} for n in range(101)])),
    "a field for text in a message": post({"type": "input", "label": WORDS, "element": {"type": "plain_text_input"}}),
    "rich text that is none": post({"type": "rich_text", "elements": [{"type": "rich_text_song", "elements": []}]}),
    "everybody": post(text="<!everyone> look"),
    "a bare link": post(text="<https://x.example>"),
    "an ampersand": post(text="a & b"),
    "Slack may read names": post(parse="full"),
    "Slack may unfold": post(unfurl_links=True),
    "nothing to find it by": post(metadata={}),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_message_is_found(name: str) -> None:
    assert sent.problems([WRONG[name]])


def test_a_right_one_is_not() -> None:
    blocks = (section(), actions(GO), {"type": "context", "elements": [MARKUP]})
    assert sent.problems([post(*blocks), post(*blocks), ("reactions.add", {"name": "x"})]) == []


def test_each_opinion_finds_what_the_others_do_not() -> None:
    assert block_problem({"type": "header", "text": MARKUP}) is not None  # the types
    assert sent.message_problems([{"type": "section", "text": long(3001)}])  # the models
    _, given = WRONG["everybody"]
    assert sent.message_problems(given.get("blocks", [])) == []  # the gate alone


def test_a_wrong_window_is_found() -> None:
    right = checked_view(View("kind", "Title", (section(),)))
    assert list(sent.view_problems(right)) == []
    for wrong in (
        right | {"title": MARKUP},
        right | {"colour": "red"},
        right | {"title": long(25)},
        right | {"blocks": [{"type": "input", "block_id": "b", "label": WORDS, "element": GO}], "submit": WORDS},
        right | {"type": "home"},
    ):
        assert list(sent.view_problems(wrong)), wrong


def test_the_types_know_the_kinds_of_blocks_that_we_send() -> None:
    assert set(kinds()) >= {"actions", "context", "divider", "header", "image", "input", "rich_text", "section"}


def test_the_schema_is_made_of_the_versions_of_the_lock_file() -> None:
    locked = json.loads((HERE / "package-lock.json").read_text("utf-8"))["packages"]
    comment = json.loads(SCHEMA.read_text("utf-8"))["$comment"]
    for name in ("@slack/types", "ts-json-schema-generator"):
        assert f"{name} {locked[f'node_modules/{name}']['version']}" in comment


async def send(given: dict[str, Any]) -> None:
    """Send a stand-in something, until it ends."""
    async with StandIn() as slack:
        client = AsyncWebClient(BOT_TOKEN, base_url=slack.api_url)
        await client.api_call("chat.postMessage", json=given | {"channel": "C0CRASHES1"})


async def test_a_stand_in_that_was_sent_a_wrong_message_ends_with_an_error() -> None:
    await send(post()[1])
    with pytest.raises(AssertionError, match="may unfold its links"):
        await send(post(unfurl_links=True)[1])
