"""The stand-in, used through Slack's own client: what it takes, what it refuses, how it fails on request."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import StandIn
from bot.sandbox.server import APP_TOKEN, BOT_TOKEN
from tests.bot.kit import until

CRASHES = "C0CRASHES1"
ANNA = "U0ANNA0001"
BUTTON = {"type": "button", "action_id": "a", "text": {"type": "plain_text", "text": "y"}}


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        yield stand_in


def client(slack: StandIn, token: str = BOT_TOKEN) -> AsyncWebClient:
    return AsyncWebClient(token, base_url=slack.api_url, retry_handlers=[])


async def test_a_message_can_be_posted_answered_edited_and_deleted(slack: StandIn) -> None:
    web = client(slack)
    parent = slack.workspace.say(CRASHES, ANNA, "look")
    posted = await web.chat_postMessage(channel=CRASHES, text="one", thread_ts=parent.ts, unfurl_links=False)
    await web.chat_update(channel=CRASHES, ts=posted["ts"], text="two")
    replies = await web.conversations_replies(channel=CRASHES, ts=parent.ts)
    assert [message["text"] for message in replies["messages"]] == ["look", "two"]
    assert replies["messages"][1]["edited"]
    await web.chat_delete(channel=CRASHES, ts=posted["ts"])
    assert len(slack.workspace.channels[CRASHES].thread(parent.ts)) == 1


async def test_a_reply_to_a_message_that_is_gone_stands_in_the_channel_unless_its_thread_lives_on(
    slack: StandIn,
) -> None:
    web = client(slack)
    place = slack.workspace.channels[CRASHES]
    lone, talked = (slack.workspace.say(CRASHES, ANNA, text) for text in ("one", "two"))
    await web.chat_postMessage(channel=CRASHES, text="a reply", thread_ts=talked.ts)
    for parent in (lone, talked):
        slack.workspace.delete(place, parent)
    for parent, thread in ((lone, None), (talked, talked.ts)):
        answer = await web.chat_postMessage(channel=CRASHES, text="late", thread_ts=parent.ts)
        assert answer["message"].get("thread_ts") == thread


async def test_arguments_are_taken_from_query_form_and_json_alike(slack: StandIn) -> None:
    headers = {"Authorization": f"Bearer {BOT_TOKEN}"}
    given = {"channel": CRASHES, "text": "hello", "blocks": json.dumps([{"type": "divider"}])}
    async with aiohttp.ClientSession(headers=headers) as session:
        for how in (
            {"params": given},
            {"data": given},
            {"json": given},
            {"json": given | {"blocks": [{"type": "divider"}]}},
        ):
            async with session.post(f"{slack.api_url}chat.postMessage", **how) as answer:
                assert (await answer.json())["ok"], how
    assert len(slack.calls_of("chat.postMessage")) == 4


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("chat.postMessage", {"channel": "C404", "text": "x"}, "channel_not_found"),
    ("chat.postMessage", {"channel": "C0NOBOT001", "text": "x"}, "not_in_channel"),
    ("chat.postMessage", {"channel": "C0ARCHIVE1", "text": "x"}, "is_archived"),
    ("chat.postMessage", {"channel": CRASHES, "text": " "}, "no_text"),
    ("chat.postMessage", {"channel": CRASHES, "text": "x" * 40_001}, "msg_too_long"),
    ("chat.postMessage", {"channel": CRASHES, "text": "x", "txet": "y"}, "invalid_arguments"),
    ("chat.postMessage", {"channel": CRASHES, "text": 7}, "invalid_arguments"),
    ("chat.postMessage", {"text": "x"}, "invalid_arguments"),
    ("chat.postMessage", {"channel": CRASHES, "text": "x", "blocks": {"type": "divider"}}, "invalid_blocks_format"),
    ("chat.postMessage", {"channel": CRASHES, "text": "x", "blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
    ("chat.postMessage", {"channel": CRASHES, "text": "x", "blocks": [{"type": "nonsense"}]}, "invalid_blocks"),
    ("chat.postMessage", {"channel": CRASHES, "text": "x", "blocks": [{"type": "section"}]}, "invalid_blocks"),
    ("chat.postMessage", {"channel": CRASHES, "text": "x", "metadata": {"event_type": "a"}}, "invalid_metadata_schema"),
    ("chat.update", {"channel": CRASHES, "ts": "1.000001", "text": "x"}, "message_not_found"),
    ("reactions.remove", {"channel": CRASHES, "timestamp": "1.000001", "name": "eyes"}, "message_not_found"),
    ("conversations.replies", {"channel": CRASHES, "ts": "1.000001"}, "thread_not_found"),
    ("users.info", {"user": "U404"}, "user_not_found"),
    ("files.completeUploadExternal", {"files": [{"id": "F404"}]}, "file_not_found"),
    ("chat.unheardOf", {}, "unknown_method"),
    ("apps.connections.open", {}, "not_allowed_token_type"),
]


@pytest.mark.parametrize(("method", "arguments", "error"), REFUSED)
async def test_a_wrong_call_is_refused_in_slacks_words(
    slack: StandIn, method: str, arguments: dict[str, Any], error: str
) -> None:
    with pytest.raises(SlackApiError) as caught:
        await client(slack).api_call(method, json=arguments)
    assert caught.value.response["error"] == error
    assert slack.calls_of(method, ok=False)[-1].error == error


@pytest.mark.parametrize(
    "block",
    [
        {"type": "section", "text": {"type": "mrkdwn", "text": "y" * 3001}},
        {"type": "section", "text": {"type": "mrkdwn", "text": ""}},
        {"type": "section", "fields": [{"type": "plain_text", "text": "y"}] * 11},
        {"type": "section", "fields": [{"type": "plain_text", "text": "y" * 2001}]},
        {"type": "header", "text": {"type": "plain_text", "text": "y" * 151}},
        {"type": "header", "text": {"type": "mrkdwn", "text": "y"}},
        {"type": "context", "elements": [{"type": "plain_text", "text": "y"}] * 11},
        {"type": "actions", "elements": [BUTTON] * 2},
        {"type": "image", "image_url": "https://x/y.png"},
        {"type": "rich_text", "elements": []},
        {"type": "table", "rows": [[{"type": "raw_text", "text": "y"}]] * 101},
        {"type": "divider", "colour": "red"},
    ],
)  # fmt: skip
async def test_a_block_over_a_limit_is_refused(slack: StandIn, block: dict[str, Any]) -> None:
    with pytest.raises(SlackApiError, match="invalid_blocks"):
        await client(slack).chat_postMessage(channel=CRASHES, text="x", blocks=[block])


async def test_metadata_is_kept_over_edits_and_shown_only_when_asked_for(slack: StandIn) -> None:
    web = client(slack)
    metadata = {"event_type": "t", "event_payload": {"key": "k"}}
    posted = await web.chat_postMessage(channel=CRASHES, text="one", metadata=metadata)
    await web.chat_update(channel=CRASHES, ts=posted["ts"], text="two")
    without = await web.conversations_replies(channel=CRASHES, ts=posted["ts"])
    with_it = await web.conversations_replies(channel=CRASHES, ts=posted["ts"], include_all_metadata=True)
    assert "metadata" not in without["messages"][0]
    assert with_it["messages"][0]["metadata"] == metadata


async def test_long_threads_come_in_pages(slack: StandIn) -> None:
    parent = slack.workspace.say(CRASHES, ANNA, "0")
    for number in range(1, 8):
        slack.workspace.say(CRASHES, ANNA, str(number), parent.ts)
    texts: list[str] = []
    cursor = ""
    while True:
        page = await client(slack).conversations_replies(channel=CRASHES, ts=parent.ts, limit=3, cursor=cursor)
        texts += [message["text"] for message in page["messages"]]
        cursor = page["response_metadata"]["next_cursor"]
        if not cursor:
            break
    assert texts == [str(number) for number in range(8)]


async def test_reactions_say_when_there_is_nothing_to_do(slack: StandIn) -> None:
    web = client(slack)
    ts = slack.workspace.say(CRASHES, ANNA, "look").ts
    await web.reactions_add(channel=CRASHES, timestamp=ts, name="eyes")
    with pytest.raises(SlackApiError, match="already_reacted"):
        await web.reactions_add(channel=CRASHES, timestamp=ts, name="eyes")
    await web.reactions_remove(channel=CRASHES, timestamp=ts, name="eyes")
    with pytest.raises(SlackApiError, match="no_reaction"):
        await web.reactions_remove(channel=CRASHES, timestamp=ts, name="eyes")


async def test_a_file_goes_up_in_three_steps_and_into_the_thread(slack: StandIn) -> None:
    parent = slack.workspace.say(CRASHES, ANNA, "look")
    await client(slack).files_upload_v2(
        filename="a.json", content='{"a": 1}', title="A", alt_txt="numbers", channel=CRASHES, thread_ts=parent.ts,
        initial_comment="here",
    )  # fmt: skip
    (_, shared) = slack.workspace.channels[CRASHES].thread(parent.ts)
    assert (shared.text, shared.files[0].content, shared.files[0].alt_text) == ("here", b'{"a": 1}', "numbers")


async def test_a_file_of_another_length_than_announced_is_refused(slack: StandIn) -> None:
    web = client(slack)
    ticket = await web.files_getUploadURLExternal(filename="a", length=5)
    async with aiohttp.ClientSession() as session, session.post(ticket["upload_url"], data=b"abc") as answer:
        assert answer.status == 400
    with pytest.raises(SlackApiError, match="file_not_found"):
        await web.files_completeUploadExternal(files=[{"id": ticket["file_id"]}])


async def test_a_scope_that_was_not_granted_is_missed() -> None:
    async with StandIn(scopes=frozenset({"chat:write"})) as slack:
        await client(slack).chat_postMessage(channel=CRASHES, text="x")
        with pytest.raises(SlackApiError, match="missing_scope"):
            await client(slack).users_info(user=ANNA)


@pytest.mark.parametrize(("token", "error"), [("", "not_authed"), ("xoxb-other", "invalid_auth")])
async def test_a_wrong_token_is_refused(slack: StandIn, token: str, error: str) -> None:
    with pytest.raises(SlackApiError, match=error):
        await client(slack, token).auth_test()


async def test_the_faults_fail_as_slack_fails(slack: StandIn) -> None:
    web = client(slack)
    slack.faults.invalid_auth = True
    with pytest.raises(SlackApiError, match="invalid_auth"):
        await web.auth_test()
    slack.faults.invalid_auth = False
    slack.faults.fail("chat.postMessage", "internal_error")
    with pytest.raises(SlackApiError, match="internal_error"):
        await web.chat_postMessage(channel=CRASHES, text="x")
    slack.faults.lose_answer("chat.postMessage")
    with pytest.raises(aiohttp.ClientError):
        await web.chat_postMessage(channel=CRASHES, text="done but unheard")
    assert [m.text for m in slack.workspace.channels[CRASHES].messages.values()] == ["done but unheard"]


async def test_rate_limits_answer_429_with_retry_after_and_end(slack: StandIn) -> None:
    slack.faults.rate_limit(0.5, retry_after=1, method="auth.test")
    web = client(slack)
    with pytest.raises(SlackApiError) as caught:
        await web.auth_test()
    assert (caught.value.response.status_code, caught.value.response.headers["Retry-After"]) == (429, "1")
    web.retry_handlers.append(AsyncRateLimitErrorRetryHandler(max_retry_count=2))
    assert (await web.auth_test())["ok"]


class Listener:
    """A Socket Mode client that notes envelopes and acknowledges unless told otherwise."""

    def __init__(self, slack: StandIn) -> None:
        web = client(slack)
        self.got: list[SocketModeRequest] = []
        self.silent = 0
        self.news = asyncio.Event()
        self.socket = SocketModeClient(APP_TOKEN, web_client=web, ping_interval=0.2)
        self.socket.socket_mode_request_listeners.append(self.heard)  # type: ignore[arg-type]

    async def heard(self, socket: SocketModeClient, request: SocketModeRequest) -> None:
        self.got.append(request)
        self.news.set()
        if self.silent:
            self.silent -= 1
            return
        await socket.send_socket_mode_response(SocketModeResponse(request.envelope_id))

    async def until(self, count: int) -> list[SocketModeRequest]:
        async with asyncio.timeout(10):
            while len(self.got) < count:
                self.news.clear()
                await self.news.wait()
        return self.got


@pytest.fixture
async def listener(slack: StandIn) -> AsyncIterator[Listener]:
    made = Listener(slack)
    await made.socket.connect()  # type: ignore[no-untyped-call]  # slack_sdk leaves it untyped
    yield made
    await made.socket.close()  # type: ignore[no-untyped-call]  # slack_sdk leaves it untyped


async def test_a_mention_arrives_as_two_events_of_different_ids(slack: StandIn, listener: Listener) -> None:
    slack.workspace.say(CRASHES, ANNA, f"<@{slack.workspace.bot.id}> hello")
    got = await listener.until(2)
    assert {request.payload["event"]["type"] for request in got} == {"app_mention", "message"}
    assert len({request.payload["event_id"] for request in got}) == 2
    assert len({request.payload["event"]["ts"] for request in got}) == 1


async def test_a_direct_message_is_one_event_and_other_channels_are_silent(slack: StandIn, listener: Listener) -> None:
    slack.workspace.say("C0NOBOT001", ANNA, "hello")
    slack.workspace.say("D0ANNA0001", ANNA, f"<@{slack.workspace.bot.id}> hello")
    (request,) = await listener.until(1)
    assert request.payload["event"]["channel_type"] == "im"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slack's patience, shortened."""
    monkeypatch.setattr("bot.sandbox.socket_mode.ACK_SECONDS", 0.5)


@pytest.mark.usefixtures("hasty")
async def test_an_event_without_ack_comes_again_with_its_id(slack: StandIn, listener: Listener) -> None:
    listener.silent = 1
    slack.workspace.say(CRASHES, ANNA, "hello")
    first, second = await listener.until(2)
    assert first.payload["event_id"] == second.payload["event_id"]
    assert (first.retry_attempt, second.retry_attempt, second.retry_reason) == (0, 1, "timeout")


async def test_redelivery_on_request(slack: StandIn, listener: Listener) -> None:
    slack.faults.redeliver = True
    slack.workspace.say(CRASHES, ANNA, "hello")
    first, second = await listener.until(2)
    assert first.payload["event_id"] == second.payload["event_id"]


async def test_after_a_cut_or_a_refresh_the_client_is_back_and_nothing_is_lost(
    slack: StandIn, listener: Listener
) -> None:
    await slack.socket_mode.drop_all()
    slack.workspace.say(CRASHES, ANNA, "one")
    await listener.until(1)
    await slack.socket_mode.refresh_all()
    slack.workspace.say(CRASHES, ANNA, "two")
    got = await listener.until(2)
    assert {request.payload["event"]["text"] for request in got} == {"one", "two"}


async def test_a_ticket_is_good_for_one_connection(slack: StandIn) -> None:
    url = (await client(slack).apps_connections_open(app_token=APP_TOKEN))["url"]
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url) as socket:
            assert (await socket.receive_json())["type"] == "hello"
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(url)


async def test_a_permalink_names_message_and_thread(slack: StandIn) -> None:
    parent = slack.workspace.say(CRASHES, ANNA, "look")
    reply = slack.workspace.say(CRASHES, ANNA, "here", parent.ts)
    answer = await client(slack).chat_getPermalink(channel=CRASHES, message_ts=reply.ts)
    digits = reply.ts.replace(".", "")
    assert answer["permalink"] == f"{slack.base}archives/{CRASHES}/p{digits}?thread_ts={parent.ts}&cid={CRASHES}"


async def test_history_is_newest_first_and_without_replies(slack: StandIn) -> None:
    first = slack.workspace.say(CRASHES, ANNA, "one")
    slack.workspace.say(CRASHES, ANNA, "reply", first.ts)
    slack.workspace.say(CRASHES, ANNA, "two")
    history = await client(slack).conversations_history(channel=CRASHES)
    assert [message["text"] for message in history["messages"]] == ["two", "one"]
    later = await client(slack).conversations_history(channel=CRASHES, oldest=first.ts, inclusive=False)
    assert [message["text"] for message in later["messages"]] == ["two"]


async def test_people_and_channels_can_be_looked_up(slack: StandIn) -> None:
    web = client(slack)
    assert (await web.users_info(user=ANNA))["user"]["name"] == "anna"
    assert (await web.conversations_info(channel="C0NOBOT001"))["channel"]["is_member"] is False


async def test_a_file_without_our_token_is_a_login_page_and_with_it_the_file(slack: StandIn) -> None:
    web = client(slack)
    shared = await web.files_upload_v2(filename="a.json", content="{}", channel=CRASHES)
    url = (await web.files_info(file=shared["file"]["id"]))["file"]["url_private_download"]
    async with aiohttp.ClientSession() as session:
        async with session.get(url) as answer:
            assert (answer.status, answer.content_type) == (200, "text/html")
        async with session.get(url, headers={"Authorization": f"Bearer {BOT_TOKEN}"}) as answer:
            assert await answer.read() == b"{}"


@pytest.mark.usefixtures("hasty")
async def test_lost_acknowledgements_make_the_event_come_again(slack: StandIn, listener: Listener) -> None:
    slack.faults.deaf = True
    slack.workspace.say(CRASHES, ANNA, "hello")
    await until(lambda: slack.faults.unheard == 1)
    slack.faults.deaf = False
    again = (await listener.until(2))[1]
    assert (again.retry_attempt, again.retry_reason) == (1, "timeout")


@pytest.mark.parametrize(("body", "error"), [("{", "invalid_json"), ("[]", "json_not_object")])
async def test_a_body_that_is_not_what_it_says_is_refused(slack: StandIn, body: str, error: str) -> None:
    async with (
        aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session,
        session.post(f"{slack.api_url}auth.test", data=body) as answer,
    ):
        assert (await answer.json())["error"] == error
