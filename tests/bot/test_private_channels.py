"""The whole way: what was told in a private channel shows in no thread, answer or window of those who are not in it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot import acts
from bot.sandbox import Message, StandIn
from bot.sandbox.rooms import made_private
from bot.sandbox.workspace import Channel
from tests.bot.kit import (
    ANNA,
    BOT,
    CRASHES,
    DIRECT,
    Analyst,
    bot,
    dump,
    is_done,
    is_told,
    replies,
    shown,
    until,
)
from tests.bot.server import page, serving

BEN, SECRET, BENS = "U0BEN00001", "C0SECRET01", "D0BEN00001"
BOTH = pytest.mark.parametrize("transport", ["socket", "http"])


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        space = stand_in.workspace
        space.channels[SECRET] = Channel(SECRET, "merger", {space.bot.id, ANNA}, is_private=True)
        space.channels[BENS] = Channel(BENS, "pileup", {space.bot.id, BEN}, is_im=True)
        yield stand_in


async def asked(slack: StandIn, channel: str, user: str, words: str) -> str:
    """What a question is answered, with all links."""
    said = slack.workspace.say(channel, user, words)
    await until(lambda: replies(slack, said, channel))
    (reply,) = replies(slack, said, channel)
    return shown(reply) + str(reply.blocks)


async def told(slack: StandIn, channel: str, link: str) -> Message:
    said = slack.workspace.say(channel, ANNA, link)
    await until(lambda: is_done(slack, said))
    return said


@BOTH
async def test_a_failure_seen_in_private_is_new_to_others(slack: StandIn, tmp_path: Path, transport: str) -> None:
    routes = {"merger.dmp": page(dump("seed")), "b.dmp": page(dump("seed", 1)), "c.dmp": page(dump("seed"))}
    async with serving(**routes) as files, bot(slack, tmp_path, Analyst(), transport=transport):
        secret = await told(slack, SECRET, files.url("/merger.dmp"))
        first = replies(slack, secret, SECRET)[0]
        slack.press(SECRET, first.ts, acts.ASSIGN_ME, ANNA)
        await until(lambda: "assigned to" in shown(first))

        # Another dump of the failure, and that very dump, by other links: the first is new here.
        other = await told(slack, CRASHES, files.url("/b.dmp"))
        await until(lambda: is_told(slack, other))
        assert "First time seen here" in shown(replies(slack, other)[0])
        # In private it is known, and counts on.
        await until(lambda: "2 crashes" in shown(first))
        same = await told(slack, CRASHES, files.url("/c.dmp"))
        for said in (other, same):
            for reply in replies(slack, said):
                everything = shown(reply) + str(reply.blocks) + reply.text
                assert SECRET not in everything
                assert "merger" not in everything
                assert "assigned to" not in everything
        assert "2 crashes, 1 host" in shown(replies(slack, same)[0])
        report = next(f for reply in replies(slack, other) for f in reply.files if f.name.endswith(".json"))
        assert b"merger" not in report.content

        # Answers: in a channel what all in it may see, in a direct message what its person may.
        for channel, user, words in ((CRASHES, ANNA, f"{BOT} last 5 crashes"), (BENS, BEN, "last 5 crashes")):
            answer = await asked(slack, channel, user, words)
            assert "All 2 crashes" in answer or "The only" in answer
            assert SECRET not in answer
        for channel, words in ((SECRET, f"{BOT} last 5 crashes"), (DIRECT, "last 5 crashes")):
            assert SECRET in await asked(slack, channel, ANNA, words)

        # The list of threads is a window of one person's.
        summary = replies(slack, other)[0]
        for user, is_member in ((BEN, False), (ANNA, True)):
            slack.workspace.views.clear()
            slack.press(CRASHES, summary.ts, acts.THREADS, user)
            await until(lambda: any("archives" in str(view.content) for view in slack.workspace.views.values()))
            (view,) = slack.workspace.views.values()
            assert (SECRET in str(view.content)) is is_member


@BOTH
async def test_a_channel_made_private_takes_its_crashes_with_it(slack: StandIn, tmp_path: Path, transport: str) -> None:
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, Analyst(), transport=transport):
        await told(slack, CRASHES, files.url("/a.dmp"))
        assert "The only crash" in await asked(slack, BENS, BEN, "last 5 crashes")
        channel = slack.workspace.channels[CRASHES]
        channel.members.discard(BEN)
        slack.deliveries.emit(made_private(slack.workspace, channel))
        await until(lambda: slack.calls_of("conversations.info"))
        assert "No crash" in await asked(slack, BENS, BEN, "last 5 crashes")
        assert "The only crash" in await asked(slack, DIRECT, ANNA, "last 5 crashes")
