"""The one gate: what must not pass, does not."""

import re
from typing import Any

import pytest

from bot.outbound import BadMessage, Message, View, checked, checked_comment, checked_view


def section(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True, **more}}


def plain_section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "plain_text", "text": text}}


def button(action: str, **more: Any) -> dict[str, Any]:
    label = {"type": "plain_text", "text": "Open"}
    return {"type": "button", "action_id": action, "text": label, "accessibility_label": "Open it", **more}


def rich(*leaves: dict[str, Any]) -> dict[str, Any]:
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": list(leaves)}]}


BAD: list[tuple[str, Message]] = [
    ("no text", Message("  ", (section("x"),))),
    ("40000 allowed", Message("x" * 40_001)),
    ("<!channel>", Message("look <!channel>")),
    ("<!here>", Message("x", (section("<!here>"),))),
    ("<@U1>", Message("x", (section("<@U1>"),))),
    ("<#C1>", Message("x", (section("<#C1>"),))),
    ("<https://e.example>", Message("x", (section("<https://e.example>"),))),
    ("<javascript:x|y>", Message("x", (section("<javascript:x|y>"),))),
    ("angle bracket", Message("x", (section("a < b"),))),
    ("ampersand", Message("a & b")),
    ("without verbatim", Message("x", ({"type": "section", "text": {"type": "mrkdwn", "text": "y"}},))),
    ("50 allowed", Message("x", tuple(section("y") for _ in range(51)))),
    ("1 to 3000 allowed", Message("x", (section("y" * 3001),))),
    ("1 to 3000 allowed", Message("x", (section(""),))),
    ("neither text nor fields", Message("x", ({"type": "section"},))),
    ("10 allowed", Message("x", ({"type": "section", "fields": [{"type": "plain_text", "text": "y"}] * 11},))),
    ("1 to 2000 allowed", Message("x", ({"type": "section", "fields": [{"type": "plain_text", "text": "y" * 2001}]},))),
    ("1 to 150 allowed", Message("x", ({"type": "header", "text": {"type": "plain_text", "text": "y" * 151}},))),
    ("no text object", Message("x", ({"type": "header", "text": {"type": "mrkdwn", "text": "y"}},))),
    ("1 to 10 allowed", Message("x", ({"type": "context", "elements": [{"type": "plain_text", "text": "y"}] * 11},))),
    ("1 to 25 allowed", Message("x", ({"type": "actions", "elements": [button(str(n)) for n in range(26)]},))),
    ("action_ids must differ", Message("x", ({"type": "actions", "elements": [button("a"), button("a")]},))),
    ("too long", Message("x", ({"type": "actions", "elements": [button("a", value="v" * 2001)]},))),
    ("too long", Message("x", ({"type": "actions", "elements": [button("a", url="https://x/" + "v" * 3000)]},))),
    ("alt_text", Message("x", ({"type": "image", "image_url": "https://x/y.png"},))),
    ("image_url", Message("x", ({"type": "image", "alt_text": "a picture"},))),
    ("only literal text", Message("x", (rich({"type": "broadcast", "range": "channel"}),))),
    ("an empty text", Message("x", (rich({"type": "text", "text": ""}),))),
    ("12000 allowed", Message("x", (rich({"type": "text", "text": "y" * 12_001}),))),
    ("a type we do not send", Message("x", ({"type": "video"},))),
    ("block_id is used twice", Message("x", ({"type": "divider", "block_id": "b"},) * 2)),
]  # fmt: skip


@pytest.mark.parametrize(("problem", "message"), BAD)
def test_a_message_that_breaks_a_rule_is_refused_and_the_rule_named(problem: str, message: Message) -> None:
    with pytest.raises(BadMessage, match=re.escape(problem)):
        checked(message, "key")


def test_a_message_at_every_limit_passes() -> None:
    message = Message(
        "x" * 40_000,
        (
            {"type": "header", "text": {"type": "plain_text", "text": "y" * 150}},
            section("y" * 3000),
            {"type": "section", "fields": [{"type": "plain_text", "text": "y" * 2000}] * 10},
            {"type": "context", "elements": [{"type": "plain_text", "text": "y"}] * 10},
            {"type": "actions", "elements": [button(str(n)) for n in range(25)]},
            {"type": "image", "image_url": "https://x/y.png", "alt_text": "z" * 2000},
            rich({"type": "text", "text": "<!channel> " * 1000}),
            *[{"type": "divider"} for _ in range(43)],
        ),
    )
    assert len(checked(message, "k" * 255)["blocks"]) == 50


def test_links_with_a_label_and_dates_with_a_fallback_are_ours_and_pass() -> None:
    text = "<https://team.example.com/p1?a=1&amp;b=2|here> <!date^1795157921^{date_short}|2026-11-20> &lt;!channel&gt;"
    assert checked(Message(text), "k")["text"] == text


def test_nothing_is_parsed_or_linked_by_slack_itself_and_the_key_is_in_the_metadata() -> None:
    arguments = checked(Message("x"), "job-7:summary")
    assert arguments["parse"] == "none"
    assert arguments["link_names"] is False
    assert arguments["metadata"] == {"event_type": "pileup_reply", "event_payload": {"key": "job-7:summary"}}
    assert "blocks" not in arguments


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_message_without_a_usable_key_is_refused(key: str) -> None:
    with pytest.raises(BadMessage, match="key"):
        checked(Message("x"), key)


def test_a_file_comment_obeys_the_same_rules() -> None:
    assert checked_comment("the report") == "the report"
    with pytest.raises(BadMessage, match="channel"):
        checked_comment("<!channel>")


def field(**more: Any) -> dict[str, Any]:
    element = {"type": "plain_text_input", "action_id": "a", "max_length": 3000, **more}
    return {"type": "input", "block_id": "a", "label": {"type": "plain_text", "text": "Why?"}, "element": element}


BAD_VIEWS = [
    ("longer than 24", View("k", "t" * 25, (section("x"),))),
    ("longer than 24", View("k", "t", (field(),), "s" * 25)),
    ("3000 allowed", View("k", "t", (section("x"),), carries="c" * 3001)),
    ("100 allowed", View("k", "t", tuple(section("x") for _ in range(101)))),
    ("a form needs a button", View("k", "t", (field(),))),
    ("a form needs a button", View("k", "t", (section("x"),), "Send")),
    ("1 to 3000 characters", View("k", "t", (field(max_length=3001),), "Send")),
    ("only fields for text", View("k", "t", (field(type="file_input"),), "Send")),
    ("<!channel>", View("k", "t", (section("<!channel>"),))),
]


@pytest.mark.parametrize(("problem", "view"), BAD_VIEWS)
def test_a_window_that_breaks_a_rule_is_refused_and_the_rule_named(problem: str, view: View) -> None:
    with pytest.raises(BadMessage, match=re.escape(problem)):
        checked_view(view)


def test_a_field_stands_in_windows_only() -> None:
    assert checked_view(View("k", "t", (field(),), "Send", "c" * 3000))["private_metadata"] == "c" * 3000
    with pytest.raises(BadMessage, match="a type we do not send"):
        checked(Message("x", (field(),)), "k")
