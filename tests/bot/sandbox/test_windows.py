"""Windows and home tabs of the stand-in: what it takes, what it refuses, and what Slack would send of them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import StandIn
from bot.sandbox.elements import ELEMENTS
from bot.sandbox.server import BOT_TOKEN

ANNA = "U0ANNA0001"
WORDS = {"type": "plain_text", "text": "words"}
OPTIONS = [{"text": WORDS | {"text": name}, "value": name} for name in ("one", "two")]


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        yield stand_in


def client(slack: StandIn) -> AsyncWebClient:
    return AsyncWebClient(BOT_TOKEN, base_url=slack.api_url, retry_handlers=[])


def modal(*blocks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "modal", "title": WORDS, "submit": WORDS, "blocks": list(blocks), **more}


def field(kind: str, **more: Any) -> dict[str, Any]:
    element = {"type": kind, "action_id": "a", **more}
    return {"type": "input", "block_id": kind, "label": WORDS, "element": element}


FIELDS: list[tuple[dict[str, Any], list[str] | str | None, dict[str, Any]]] = [
    (field("plain_text_input"), "x", {"value": "x"}),
    (field("plain_text_input"), "", {"value": None}),
    (field("plain_text_input", initial_value="i"), None, {"value": "i"}),
    (field("number_input", is_decimal_allowed=False), "7", {"value": "7"}),
    (field("users_select"), ANNA, {"selected_user": ANNA}),
    (field("conversations_select"), "C1", {"selected_conversation": "C1"}),
    (field("multi_channels_select"), ["C1", "C2"], {"selected_channels": ["C1", "C2"]}),
    (field("multi_users_select", initial_users=[ANNA]), None, {"selected_users": [ANNA]}),
    (field("static_select", options=OPTIONS), "two", {"selected_option": OPTIONS[1]}),
    (field("static_select", options=OPTIONS, initial_option=OPTIONS[0]), None, {"selected_option": OPTIONS[0]}),
    (field("checkboxes", options=OPTIONS), ["one", "two"], {"selected_options": OPTIONS}),
    (field("checkboxes", options=OPTIONS), None, {"selected_options": []}),
    (field("radio_buttons", options=OPTIONS), "one", {"selected_option": OPTIONS[0]}),
    (field("timepicker"), "22:00", {"selected_time": "22:00"}),
]


@pytest.mark.parametrize(("block", "given", "sent"), FIELDS)
async def test_a_form_sends_each_kind_of_field_as_slack_does(
    slack: StandIn, block: dict[str, Any], given: Any, sent: dict[str, Any]
) -> None:
    trigger = slack.workspace.new_trigger(ANNA)
    view_id = (await client(slack).views_open(trigger_id=trigger, view=modal(block)))["view"]["id"]
    view = slack.workspace.views[view_id]
    kind = block["element"]["type"]
    delivery = slack.press_view(view, "a", given={} if given is None else {kind: given})
    state = delivery.payload["view"]["state"]["values"]
    assert state == {kind: {"a": {"type": kind, **sent}}}
    assert delivery.payload["container"] == {"type": "view", "view_id": view_id}


def test_each_kind_of_element_is_sent_by_a_key_of_its_own_kind() -> None:
    assert all(kind.value.startswith(("selected_", "value")) for kind in ELEMENTS.values())


@pytest.mark.parametrize(
    "block",
    [
        field("button", text=WORDS),
        field("unheard_of"),
        field("static_select"),
        field("static_select", options=OPTIONS * 51),
        field("static_select", options=OPTIONS, initial_option=OPTIONS[0] | {"value": "three"}),
        field("static_select", options=[{"text": WORDS | {"text": "y" * 76}, "value": "v"}]),
        field("number_input"),
        field("plain_text_input", max_length=3001),
        field("plain_text_input", colour="red"),
        field("users_select", placeholder=WORDS | {"text": "y" * 151}),
        {"type": "actions", "elements": [{"type": "multi_users_select", "action_id": "a"}]},
        {"type": "section", "text": WORDS, "accessory": {"type": "plain_text_input", "action_id": "a"}},
    ],
)  # fmt: skip
async def test_an_element_that_breaks_a_rule_is_refused(slack: StandIn, block: dict[str, Any]) -> None:
    trigger = slack.workspace.new_trigger(ANNA)
    with pytest.raises(SlackApiError, match="invalid_arguments"):
        await client(slack).views_open(trigger_id=trigger, view=modal(block))


async def test_a_home_tab_is_published_shown_and_pressed(slack: StandIn) -> None:
    web = client(slack)
    opened = slack.open_home(ANNA)
    assert (opened.payload["event"]["tab"], "view" in opened.payload["event"]) == ("home", False)
    button = {"type": "button", "action_id": "go", "value": "7", "text": WORDS}
    home = {"type": "home", "blocks": [{"type": "actions", "block_id": "row", "elements": [button]}]}
    first = (await web.views_publish(user_id=ANNA, view=home))["view"]
    assert slack.open_home(ANNA).payload["event"]["view"]["id"] == first["id"]
    second = (await web.views_publish(user_id=ANNA, view=home, hash=first["hash"]))["view"]
    assert second["id"] == first["id"]
    with pytest.raises(SlackApiError, match="hash_conflict"):
        await web.views_publish(user_id=ANNA, view=home, hash=first["hash"])
    with pytest.raises(SlackApiError, match="user_not_found"):
        await web.views_publish(user_id="U404", view=home)
    for wrong in (modal(), home | {"title": WORDS}, home | {"blocks": [{"type": "divider"}] * 101}):
        with pytest.raises(SlackApiError, match="invalid_arguments"):
            await web.views_publish(user_id=ANNA, view=wrong)
    sent = slack.press_view(slack.workspace.homes[ANNA], "go").payload
    assert [(a["action_id"], a["block_id"], a["value"]) for a in sent["actions"]] == [("go", "row", "7")]
    assert sent["user"]["id"] == ANNA
