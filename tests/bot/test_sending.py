"""The pace and the budget of what goes out, with a client that only counts."""

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError

from bot.outbound import Message
from bot.sending import Refused, Sender, Unreachable, Upload


@dataclass
class Answer:
    data: dict[str, Any]
    status_code: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Any:
        return self.data[key]

    def get(self, key: str) -> Any:
        return self.data.get(key)


def refusal(error: str, status: int = 200, **headers: str) -> SlackApiError:
    shown = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = Answer({"ok": False, "error": error}, status, shown)
    return SlackApiError(error, answer)  # type: ignore[no-untyped-call]  # slack_sdk leaves it untyped


@dataclass
class Client:
    """Answers every call, after the errors that were put in line for its method."""

    errors: dict[str, list[Exception]] = field(default_factory=dict)
    calls: list[tuple[str, float, dict[str, Any]]] = field(default_factory=list)
    replies: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    proxy: None = None

    async def api_call(self, method: str, *, http_verb: str = "POST", json: Any = None, params: Any = None) -> Answer:
        self.calls.append((method, asyncio.get_running_loop().time(), json or params))
        await asyncio.sleep(self.seconds)
        waiting = self.errors.get(method, [])
        if waiting:
            raise waiting.pop(0)
        return Answer({"ok": True, "ts": f"1.{len(self.calls):06}", "messages": self.replies})

    def of(self, method: str) -> list[dict[str, Any]]:
        return [arguments for name, _, arguments in self.calls if name == method]


def sender(client: Client, **more: Any) -> Sender:
    given: dict[str, Any] = {"pace_seconds": 0.0} | more
    return Sender(client, **given)  # type: ignore[arg-type]  # as much of a client as the sender uses


async def test_messages_of_a_channel_keep_their_order_and_a_distance() -> None:
    client = Client()
    out = sender(client, pace_seconds=0.1)
    await asyncio.gather(*(out.post("C1", "1.0", Message(str(number)), str(number)) for number in range(4)))
    assert [call["text"] for call in client.of("chat.postMessage")] == ["0", "1", "2", "3"]
    times = [moment for _, moment, _ in client.calls]
    assert min(later - earlier for earlier, later in itertools.pairwise(times)) >= 0.095


async def test_before_each_message_to_a_channel_other_processes_have_their_turn() -> None:
    turns: list[tuple[str, float]] = []

    async def turn(channel: str, pace: float) -> None:
        if len(turns) == 1:
            turns.append(("broken", 0))
            raise ConnectionError
        turns.append((channel, pace))

    client = Client()
    out = sender(client, turn=turn)
    await out.post("C1", None, Message("one", ()), "k1")
    with pytest.raises(ConnectionError):
        await out.post("C1", None, Message("two", ()), "k2")
    async with asyncio.timeout(5):  # the lane is free again
        await out.post("C1", None, Message("three", ()), "k3")
    await out.edit("C1", "1.1", Message("four", ()), "k4", final=True)
    assert turns == [("C1", 0.0), ("broken", 0), ("C1", 0.0)]
    assert [arguments["text"] for arguments in client.of("chat.postMessage")] == ["one", "three"]


async def test_a_verdict_overtakes_the_details_of_earlier_ones_and_its_edit_keeps_no_distance() -> None:
    client = Client()
    out = sender(client, pace_seconds=0.1)
    details = [asyncio.create_task(out.post("C1", "1.0", Message(f"d{n}"), f"d{n}", urgent=False)) for n in range(4)]
    await asyncio.sleep(0.05)
    await out.post("C1", "2.0", Message("verdict"), "v")
    assert [call["text"] for call in client.of("chat.postMessage")] == ["d0", "verdict"]
    before = len(client.of("chat.postMessage"))
    await out.edit("C1", "2.0", Message("final"), "v", final=True)
    assert len(client.of("chat.postMessage")) == before
    await asyncio.gather(*details)
    assert [call["text"] for call in client.of("chat.postMessage")] == ["d0", "verdict", "d1", "d2", "d3"]


async def test_channels_do_not_wait_for_each_other() -> None:
    client = Client()
    client.errors["chat.postMessage"] = [refusal("ratelimited", 429, Retry_After="1")]
    out = sender(client)
    held = asyncio.create_task(out.post("C1", "1.0", Message("held"), "a"))
    await asyncio.sleep(0.05)
    async with asyncio.timeout(0.5):
        await out.post("C2", "1.0", Message("free"), "b")
    assert not held.done()
    await held


async def test_progress_stays_under_the_budget_of_a_minute_and_finals_always_go() -> None:
    now = [1000.0]
    client = Client()
    out = sender(client, clock=lambda: now[0])
    sent = 0
    for step in range(300):  # thirty channels, each with a new figure every second for ten seconds
        now[0] += 0.1
        sent += await out.edit(f"C{step % 30}", "1.0", Message(f"{step} %"), "k", final=False)
    assert sent == 40
    assert await out.edit("C1", "1.0", Message("verdict"), "k", final=True)
    now[0] += 61
    assert await out.edit("C1", "1.0", Message("50 %"), "k", final=False)


async def test_a_final_edit_that_came_too_fast_holds_what_may_be_left_out() -> None:
    now = [1000.0]
    client = Client({"chat.update": [refusal("ratelimited", 429, Retry_After="5")]})
    out = sender(client, clock=lambda: now[0])
    assert out.has_edits
    editing = asyncio.create_task(out.edit("C1", "1.0", Message("verdict"), "k", final=True))
    while out.has_edits:  # noqa: ASYNC110  # until the refusal has come
        await asyncio.sleep(0.01)
    assert not await out.edit("C2", "1.0", Message("50 %"), "k", final=False)
    editing.cancel()


async def test_reactions_spend_the_same_budget() -> None:
    client = Client()
    out = sender(client, clock=lambda: 1000.0)
    for number in range(40):
        await out.react("C1", f"{number}.0", "eyes")
    assert not await out.edit("C1", "1.0", Message("50 %"), "k", final=False)


async def test_a_first_reaction_is_left_out_where_messages_wait_and_a_final_one_never() -> None:
    client = Client()
    out = sender(client, pace_seconds=0.1)
    await out.post("C1", "1.0", Message("before"), "a")
    assert out.is_busy("C1")
    assert not await out.react("C1", "1.0", "eyes", final=False)
    assert await out.react("C2", "1.0", "eyes", final=False)  # nothing waits there
    assert await out.react("C1", "1.0", "white_check_mark")
    assert [call["name"] for call in client.of("reactions.add")] == ["eyes", "white_check_mark"]


async def test_final_reactions_wait_for_their_minute_instead_of_being_refused() -> None:
    now = [1000.0]
    client = Client()
    out = sender(client, clock=lambda: now[0])
    for number in range(50):
        now[0] += 0.5
        await out.react("C1", f"{number}.0", "x")
    now[0] += 35 - 0.05  # the first of the fifty was made 59.45 s ago
    late = asyncio.create_task(out.react("C1", "51.0", "x"))
    await asyncio.sleep(0.1)
    assert len(client.of("reactions.add")) == 50
    assert await late
    assert len(client.of("reactions.add")) == 51


async def test_a_final_edit_does_not_wait_for_messages() -> None:
    client = Client()
    out = sender(client, pace_seconds=1.0)
    await out.post("C1", "1.0", Message("verdict"), "v")
    detail = asyncio.create_task(out.post("C1", "1.0", Message("detail"), "d", urgent=False))
    await asyncio.sleep(0.01)
    async with asyncio.timeout(0.5):
        await out.edit("C1", "1.0", Message("final"), "v", final=True)
    detail.cancel()


async def test_a_progress_edit_gives_way_to_a_message_that_is_on_its_way() -> None:
    client = Client(seconds=0.1)
    out = sender(client)
    posting = asyncio.create_task(out.post("C1", "1.0", Message("details"), "k"))
    await asyncio.sleep(0.02)
    assert not await out.edit("C1", "1.0", Message("50 %"), "k", final=False)
    await posting


async def test_after_a_429_progress_pauses_for_as_long_as_slack_asks() -> None:
    now = [1000.0]
    client = Client()
    client.errors["chat.update"] = [refusal("ratelimited", 429, Retry_After="30")]
    out = sender(client, clock=lambda: now[0])
    assert not await out.edit("C1", "1.0", Message("1 %"), "k", final=False)
    now[0] += 29
    assert not await out.edit("C2", "1.0", Message("2 %"), "k", final=False)
    assert len(client.calls) == 1
    now[0] += 2
    assert await out.edit("C2", "1.0", Message("3 %"), "k", final=False)


async def test_a_lost_answer_is_looked_up_before_anything_is_sent_again() -> None:
    client = Client()
    client.errors["chat.postMessage"] = [aiohttp.ServerDisconnectedError()]
    client.replies = [{"ts": "7.7", "metadata": {"event_type": "pileup_reply", "event_payload": {"key": "k"}}}]
    assert await sender(client).post("C1", "1.0", Message("x"), "k") == "7.7"
    assert len(client.of("chat.postMessage")) == 1


async def test_a_lost_answer_to_a_message_that_is_not_there_is_sent_again() -> None:
    client = Client()
    client.errors["chat.postMessage"] = [TimeoutError()]
    client.replies = [{"ts": "7.7", "metadata": {"event_type": "pileup_reply", "event_payload": {"key": "other"}}}]
    assert await sender(client).post("C1", "1.0", Message("x"), "k") != "7.7"
    assert len(client.of("chat.postMessage")) == 2


@pytest.mark.parametrize("word", ["channel_not_found", "not_in_channel", "is_archived", "missing_scope"])
async def test_a_refusal_is_not_argued_with(word: str) -> None:
    client = Client()
    client.errors["chat.postMessage"] = [refusal(word)]
    with pytest.raises(Refused, match=word):
        await sender(client).post("C1", "1.0", Message("x"), "k")
    assert len(client.calls) == 1


@pytest.mark.parametrize("word", ["invalid_auth", "token_revoked", "account_inactive"])
async def test_a_token_that_is_not_accepted_is_an_outage_not_a_refusal(word: str) -> None:
    client = Client()
    client.errors["chat.postMessage"] = [refusal(word)]
    with pytest.raises(Unreachable, match=word):
        await sender(client).post("C1", "1.0", Message("x"), "k")


async def test_patience_ends() -> None:
    client = Client()
    client.errors["chat.postMessage"] = [refusal("ratelimited", 429, Retry_After="3600")]
    with pytest.raises(Unreachable, match="ratelimited"):
        await sender(client, patience_seconds=10).post("C1", "1.0", Message("x"), "k")


async def test_a_message_of_ours_that_breaks_a_rule_still_says_its_words_harmlessly() -> None:
    client = Client()
    bad = Message("verdict <!channel>", ({"type": "section"},))
    await sender(client).post("C1", "1.0", bad, "k")
    (sent,) = client.of("chat.postMessage")
    assert sent["text"] == "verdict !channel"
    assert sent["blocks"] == []


async def test_an_upload_that_is_refused_says_so() -> None:
    client = Client()
    client.errors["files.getUploadURLExternal"] = [refusal("missing_scope")]
    with pytest.raises(Refused, match="missing_scope"):
        await sender(client).share("C1", "1.0", Upload("a.json", b"{}", "A", "here"))


async def test_a_reaction_that_is_refused_costs_nothing_else() -> None:
    client = Client()
    client.errors["reactions.add"] = [refusal("too_many_reactions"), refusal("already_reacted")]
    out = sender(client)
    assert not await out.react("C1", "1.0", "eyes")
    assert await out.react("C1", "1.0", "eyes")
