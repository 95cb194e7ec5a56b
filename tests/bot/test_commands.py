"""The slash command and the shortcut of a message, in both transports."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.listeners.names import SHORTCUT
from bot.sandbox import StandIn
from tests.bot.kit import ANNA, CRASHES, NO_BOT, Analyst, bot, dump, is_done, is_told, replies, shown, until
from tests.bot.server import page, serving

BEN = "U0BEN00001"


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        yield stand_in


@pytest.mark.parametrize("transport", ["socket", "http"])
async def test_a_command_is_answered_below_a_message_that_says_who_asked(
    slack: StandIn, tmp_path: Path, transport: str
) -> None:
    routes = {"a.dmp": page(dump("seed"))}
    top = slack.workspace.channels[CRASHES].top
    async with serving(**routes) as files, bot(slack, tmp_path, Analyst(), transport=transport, users=ANNA):
        given = slack.command(CRASHES, ANNA, files.url("/a.dmp?key=secret"))
        await until(lambda: list(top()) and is_told(slack, next(top())))
        asked = next(top())
        assert f"<@{ANNA}> asks about" in asked.text
        assert given.acked_after is not None
        slack.command(CRASHES, ANNA, "have we seen <!channel> rassstp?")
        await until(lambda: len(list(top())) == 2 and len(replies(slack, list(top())[1])) == 2)
        question = list(top())[1]
        assert "&lt;!channel&gt;" in question.text
        assert "Yes: rassstp.sys" in shown(replies(slack, question)[1])
        slack.command(NO_BOT, ANNA, "last 5 crashes")
        await until(lambda: slack.workspace.whispers)
        assert "/invite @pileup" in slack.workspace.whispers.pop().text
        slack.command(CRASHES, BEN, "last 5 crashes")
        await until(lambda: slack.workspace.whispers)
        assert "PILEUP_USERS" in slack.workspace.whispers.pop().text
        slack.deliveries.interact(given.payload, "slash_commands")  # the same once more
        slack.command(CRASHES, ANNA, "help")
        await until(lambda: len(list(top())) == 3)
    assert "secret" not in str([message.to_json() for message in slack.workspace.channels[CRASHES].messages.values()])
    assert len(list(top())) == 3


@pytest.mark.parametrize("transport", ["socket", "http"])
async def test_the_shortcut_reads_a_message_whoever_posted_it(slack: StandIn, tmp_path: Path, transport: str) -> None:
    async with serving(page=page(dump("seed"))) as files, bot(slack, tmp_path, Analyst(), transport=transport):
        said = slack.workspace.say(CRASHES, ANNA, f"nobody was asked: {files.url('/page')}")
        said.bot_id, said.user = "B0MONITOR1", "U0MONITOR1"
        slack.shortcut(CRASHES, said.ts, SHORTCUT, BEN)
        await until(lambda: is_told(slack, said) and is_done(slack, said))
        assert slack.workspace.whispers.pop().text == "1 dump of this message will be told in its thread."
        slack.shortcut(CRASHES, said.ts, SHORTCUT, BEN)
        await until(lambda: slack.workspace.whispers)
        assert "were told in its thread already" in slack.workspace.whispers.pop().text
        other = slack.workspace.say(CRASHES, ANNA, "no link")
        slack.shortcut(CRASHES, other.ts, SHORTCUT, BEN)
        await until(lambda: slack.workspace.whispers)
        assert "no link to a dump" in slack.workspace.whispers.pop().text
        assert len(files.requests) == 1
    assert len(replies(slack, said)) == 6
