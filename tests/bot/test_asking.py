"""Questions in a mention or a direct message are answered from history, once, in the thread."""

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot import acts
from bot.sandbox import Message, StandIn
from bot.sandbox.workspace import Channel
from storage.store import Store
from tests.bot.kit import ANNA, BOT, CRASHES, DIRECT, Analyst, bot, dump, is_told, replies, shown, until
from tests.bot.server import page, serving

SECRET = "C0SECRET01"


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        yield stand_in


async def test_questions_are_answered_from_history_with_links_to_the_threads(slack: StandIn, tmp_path: Path) -> None:
    questions = {
        "have we seen rassstp since January 2026?": ["rassstp.sys", "once", "WS-0417", "thread"],
        "last 5 crashes": ["0x9F rassstp.sys", "nt!PiEngineLock", "0xE2 no culprit"],
        "0x9f": ["DRIVER_POWER_STATE_FAILURE", "rassstp.sys"],
        "have we seen ndisfoo?": ["No"],
        "help": ["last 5 crashes", "Post a link"],
        "": ["last 5 crashes", "Post a link"],
        "<!channel> tell me & a joke <b>": ["&lt;!channel&gt; tell me &amp; a joke"],
    }
    routes = {"a.dmp": page(dump("seed")), "b.dmp": page(dump("deadlock"))}
    async with serving(**routes) as files, bot(slack, tmp_path, Analyst()):
        first = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        second = slack.workspace.say(CRASHES, ANNA, files.url("/b.dmp"))
        await until(lambda: is_told(slack, first) and is_told(slack, second))
        asked = {}
        for question in questions:
            typed = question.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            asked[question] = slack.workspace.say(CRASHES, ANNA, f"{BOT} {typed}")
        for question, words in questions.items():
            await until(lambda said=asked[question]: replies(slack, said))  # type: ignore[misc]  # bound at once
            (reply,) = replies(slack, asked[question])
            for word in words:
                assert word in shown(reply), (question, shown(reply))
            assert "<!channel>" not in reply.text + str(reply.blocks)
        summary = replies(slack, first)[0]
        (reply,) = replies(slack, asked["0x9f"])
        assert f"/archives/{CRASHES}/p{summary.ts.replace('.', '')}" in str(reply.blocks)


async def test_a_question_in_a_direct_message_needs_no_mention_and_is_asked_once(
    slack: StandIn, tmp_path: Path
) -> None:
    slack.faults.redeliver = True
    async with bot(slack, tmp_path, Analyst()):
        said = slack.workspace.say(DIRECT, ANNA, "last 5 crashes")
        await until(lambda: replies(slack, said, DIRECT))
        other = slack.workspace.say(DIRECT, ANNA, "0x9f")
        await until(lambda: replies(slack, other, DIRECT))
    (reply,) = replies(slack, said, DIRECT)
    assert "No crash" in shown(reply)
    assert len(slack.workspace.channels[DIRECT].messages) == 4


async def test_talk_that_does_not_concern_the_bot_is_left_alone(slack: StandIn, tmp_path: Path) -> None:
    async with bot(slack, tmp_path, Analyst()):
        slack.workspace.say(CRASHES, ANNA, "last 5 crashes")
        slack.workspace.say(CRASHES, ANNA, "have you asked <@U0BEN00001>?")
        said = slack.workspace.say(CRASHES, ANNA, f"{BOT} help")
        await until(lambda: replies(slack, said))
    assert len(slack.calls_of("chat.postMessage")) == 1


async def test_this_is_the_dump_of_the_thread_it_is_asked_in(slack: StandIn, tmp_path: Path) -> None:
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, Analyst()):
        posted = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_told(slack, posted))
        before = len(replies(slack, posted))
        slack.workspace.say(CRASHES, ANNA, f"{BOT} have we seen this before?", thread_ts=posted.ts)
        await until(lambda: len(replies(slack, posted)) > before)
        elsewhere = slack.workspace.say(CRASHES, ANNA, f"{BOT} have we seen this before?")
        await until(lambda: replies(slack, elsewhere))
    assert "Yes: this failure (" in shown(replies(slack, posted)[-1])
    assert "I do not know which crash you mean" in shown(replies(slack, elsewhere)[0])


@pytest.mark.parametrize("transport", ["socket", "http"])
async def test_an_answer_is_shared_as_a_table_and_leads_to_pages(
    slack: StandIn, tmp_path: Path, transport: str
) -> None:
    def tables(parent: Message, channel: str = CRASHES) -> list[list[dict[str, str]]]:
        found = [f for m in replies(slack, parent, channel) for f in m.files if f.name.endswith(".csv")]
        return [list(csv.DictReader(io.StringIO(f.content.decode()))) for f in found]

    space = slack.workspace
    space.channels[SECRET] = Channel(SECRET, "merger", {space.bot.id, ANNA}, is_private=True)
    routes = {"a.dmp": page(dump("seed")), "b.dmp": page(dump("deadlock")), "c.dmp": page(dump("exception"))}
    pages: dict[str, Any] = {"web_url": "https://pileup.example", "web_secret": "0123456789abcdef"}
    async with serving(**routes) as files, bot(slack, tmp_path, Analyst(), transport=transport, **pages):
        for name, channel in (("a", CRASHES), ("b", CRASHES), ("c", SECRET)):
            posted = space.say(channel, ANNA, files.url(f"/{name}.dmp"))
            await until(lambda posted=posted, channel=channel: is_told(slack, posted, channel))  # type: ignore[misc]  # bound at once
        asked = space.say(CRASHES, ANNA, f"{BOT} 0x9f as csv")
        await until(lambda: tables(asked))
        answer, file = replies(slack, asked)
        assert "DRIVER_POWER_STATE_FAILURE" in shown(answer)
        assert "https://pileup.example/open/C0CRASHES1." in str(answer.blocks)
        assert "1 crash as a table (CSV)" in file.text + shown(file)
        assert [(row["module"], row["host"]) for row in tables(asked)[0]] == [("rassstp.sys", "WS-0417")]
        assert "/archives/C0CRASHES1/p" in tables(asked)[0][0]["thread"]

        other = space.say(CRASHES, ANNA, f"{BOT} last 1 crashes")
        await until(lambda: replies(slack, other))
        pressed = slack.press(CRASHES, replies(slack, other)[0].ts, acts.EXPORT, "U0BEN00001")
        slack.deliveries.interact(pressed.payload)  # twice
        await until(lambda: tables(other))
        assert [row["code"] for row in tables(other)[0]] == ["0xe2"]
        every = space.say(CRASHES, ANNA, f"{BOT} have we seen crashes this year? as a CSV file")
        await until(lambda: tables(every))
        assert len(tables(every)[0]) == 2  # what was told in private is in no table for others
        inside = space.say(SECRET, ANNA, f"{BOT} last 5 crashes csv")
        await until(lambda: tables(inside, SECRET))
        assert len(tables(inside, SECRET)[0]) == 3
        nothing = space.say(CRASHES, ANNA, f"{BOT} have we seen ndisfoo? as csv")
        await until(lambda: replies(slack, nothing))
        assert [len(replies(slack, one)) for one in (other, nothing)] == [2, 1]
    with Store.open(tmp_path / "pileup.sqlite") as store:
        assert ("export", "U0BEN00001") in [(entry.deed, entry.by) for entry in store.audit.entries()]
