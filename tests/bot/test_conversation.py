"""The reply to a link where many wait: it says what is known when its turn comes, and the verdict at the latest."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.conversation import Conversation, Place
from bot.outbound import Message
from bot.sending import Sender
from storage.store import Store
from tests.bot.kit import until
from tests.bot.test_sending import Client, sender


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "pileup.db")
    yield opened
    opened.close()


def talk(out: Sender, store: Store, key: str = "k", others: tuple[bool, ...] = ()) -> Conversation:
    async def settle(fine: bool) -> list[bool | None]:
        return [*others, fine]

    return Conversation(out, store.posts, Place("T1", "C1", "9.0", "9.0"), key, "h/x.dmp", settle=settle)


async def busy(client: Client) -> Sender:
    out = sender(client, pace_seconds=0.3)
    await out.post("C1", "1.0", Message("somebody else's"), "other")
    client.calls.clear()
    return out


async def test_where_nobody_waits_the_reply_stands_before_the_work_begins(store: Store) -> None:
    client = Client()
    here = talk(sender(client), store)
    assert await here.begin("Downloading") is not None
    assert [name for name, _, _ in client.calls] == ["reactions.add", "chat.postMessage"]
    await here.end(Message("verdict"), fine=True)
    last = [name for name, _, _ in client.calls[2:]]
    assert last == ["chat.update", "reactions.add", "reactions.remove"]


async def test_a_verdict_that_is_there_before_the_reply_is_one_message_and_one_reaction(store: Store) -> None:
    client = Client()
    here = talk(await busy(client), store)
    assert await here.begin("Downloading") is None
    assert client.calls == []
    ts = await here.end(Message("verdict"), fine=True)
    # Who waited may have been greeted by then, so the first reaction is taken away, there or not.
    assert [name for name, _, _ in client.calls] == ["chat.postMessage", "reactions.add", "reactions.remove"]
    assert client.of("chat.postMessage")[0]["text"] == "verdict"
    assert store.posts.known("k", "summary") == ts
    await here.end(Message("verdict with late symbols"), fine=True)
    assert [call["text"] for call in client.of("chat.update")] == ["verdict with late symbols"]


async def test_a_reply_that_waited_tells_the_latest_stage_and_is_edited_in_the_end(store: Store) -> None:
    client = Client()
    here = talk(await busy(client), store)
    await here.begin("Downloading")
    here.progress("Analysing", 0.5)
    await until(lambda: client.of("chat.postMessage"))
    (first,) = client.of("chat.postMessage")
    assert "Analysing" in first["text"]
    await here.end(Message("verdict"), fine=True)
    assert client.of("chat.update")[-1]["text"] == "verdict"


async def test_where_edits_are_used_up_a_verdict_is_posted_instead_of_edited_in(store: Store) -> None:
    now, client = [1000.0], Client()
    out = sender(client, clock=lambda: now[0], edits_a_minute=1)
    await out.edit("C2", "1.0", Message("50 %"), "other", final=False)
    client.calls.clear()
    here = talk(out, store)
    assert await here.begin("Downloading") is None
    here.progress("Analysing", 0.5)
    await here.end(Message("verdict"), fine=True)
    assert [name for name, _, _ in client.calls] == ["chat.postMessage", "reactions.add", "reactions.remove"]
    assert client.of("chat.postMessage")[0]["text"] == "verdict"


async def test_a_long_analysis_shows_itself_once_there_are_edits_again(store: Store) -> None:
    now, client = [1000.0], Client()
    out = sender(client, clock=lambda: now[0], edits_a_minute=1)
    await out.edit("C2", "1.0", Message("50 %"), "other", final=False)
    here = talk(out, store)
    await here.begin("Downloading")
    now[0] += 61
    here.progress("Analysing", 0.5)
    await until(lambda: client.of("chat.postMessage"))
    assert "Analysing" in client.of("chat.postMessage")[0]["text"]
    await here.end(Message("verdict"), fine=True)
    assert client.of("chat.update")[-1]["text"] == "verdict"


async def test_the_last_of_several_links_takes_away_the_first_reaction_whoever_put_it_there(store: Store) -> None:
    client = Client()
    here = talk(await busy(client), store, others=(True,))
    await here.begin("Downloading")
    await here.end(Message("verdict"), fine=True)
    assert {"name": "eyes", "channel": "C1", "timestamp": "9.0"} in client.of("reactions.remove")


async def test_a_link_that_is_taken_back_while_its_reply_waits_is_never_answered(store: Store) -> None:
    client = Client()
    here = talk(await busy(client), store)
    await here.begin("Downloading")
    await here.leave()
    await asyncio.sleep(0.4)
    assert client.calls == []
    again = talk(sender(client), store)
    await again.withdraw(Message("stopped"))
    assert client.calls == []
