"""What Slack may refuse: tokens, scopes, channels that close. The verdict arrives where it can, once; nothing hangs."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot import acts
from bot.sandbox import StandIn
from storage.store import Store
from tests.bot.kit import ANNA, BOT, CRASHES, DIRECT, Analyst, bot, dump, is_done, is_told, replies, shown, until
from tests.bot.server import page, serving

BOTH = pytest.mark.parametrize("transport", ["socket", "http"])
GENERAL = "C0GENERAL1"
LEAST = frozenset({"chat:write", "channels:history", "im:history", "app_mentions:read"})


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        yield stand_in


def summaries(slack: StandIn, parent: object) -> list[str]:
    return [shown(m) for m in replies(slack, parent) if ":summary" in str(m.metadata)]  # type: ignore[arg-type]  # a message


@BOTH
async def test_with_the_fewest_scopes_the_verdict_arrives_and_questions_are_answered(
    tmp_path: Path, transport: str
) -> None:
    async with (
        StandIn(scopes=LEAST) as slack,
        serving(**{"a.dmp": page(dump("seed"))}) as files,
        bot(slack, tmp_path, Analyst(), transport=transport),
    ):
        slack.faults.lose_answer("chat.postMessage")
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: any("rassstp.sys" in text for text in summaries(slack, said)))
        # The channel is public by the event that came from it, with no scope to look it up.
        asked = slack.workspace.say(DIRECT, ANNA, "last 5 crashes")
        await until(lambda: replies(slack, asked, DIRECT))
        mention = slack.workspace.say(GENERAL, ANNA, f"{BOT} last 5 crashes")
        await until(lambda: replies(slack, mention, GENERAL))
        assert "The only crash" in shown(replies(slack, mention, GENERAL)[0])
        posted = slack.workspace.upload(CRASHES, ANNA, "b.dmp", dump("deadlock"))
        await until(lambda: any("files:read" in text for text in summaries(slack, posted)))
        with Store.open(tmp_path / "pileup.sqlite") as store:
            await until(lambda: store.jobs.active() == [])
    assert {call.error for call in slack.calls if call.error} == {"missing_scope"}
    assert len(summaries(slack, said)) == 1


@BOTH
@pytest.mark.parametrize("how", ["archived", "removed", "left"])
async def test_a_channel_that_closes_while_a_dump_is_read_ends_the_job_once(
    slack: StandIn, tmp_path: Path, transport: str, how: str
) -> None:
    analyst = Analyst(seconds=0.4)
    async with (
        serving(**{"a.dmp": page(dump("seed"))}) as files,
        bot(slack, tmp_path, analyst, transport=transport),
    ):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await analyst.running.wait()
        channel = slack.workspace.channels[CRASHES]
        if how == "archived":
            channel.is_archived = True
        elif how == "removed":
            channel.members.discard(slack.workspace.bot.id)
        else:
            del slack.workspace.channels[CRASHES]
        with Store.open(tmp_path / "pileup.sqlite") as store:
            await until(lambda: store.jobs.counts()["failed"] == 1)
            assert store.jobs.active() == []
            calls = len(slack.calls)
            await asyncio.sleep(0.3)
            assert len(slack.calls) == calls
        # What was found out is kept, and told where it is asked for again.
        slack.workspace.channels.setdefault(CRASHES, channel)
        again = slack.workspace.say(GENERAL, ANNA, files.url("/a.dmp"))
        await until(lambda: is_done(slack, again))
    assert analyst.runs == 1
    assert said.ts in channel.messages


async def test_what_stands_in_a_closed_channel_stays_and_the_others_are_edited(slack: StandIn, tmp_path: Path) -> None:
    routes = {"a.dmp": page(dump("seed")), "b.dmp": page(dump("seed", 1))}
    async with serving(**routes) as files, bot(slack, tmp_path, Analyst()):
        first, second = (
            slack.workspace.say(channel, ANNA, files.url(f"/{name}.dmp"))
            for channel, name in ((CRASHES, "a"), (GENERAL, "b"))
        )
        await until(lambda: is_told(slack, first) and is_done(slack, second))
        old = shown(replies(slack, first)[0])
        slack.workspace.channels[CRASHES].is_archived = True
        verdict = replies(slack, second, GENERAL)[0]
        slack.press(GENERAL, verdict.ts, acts.ASSIGN_ME, ANNA)
        await until(lambda: "assigned to" in shown(verdict))
        with Store.open(tmp_path / "pileup.sqlite") as store:
            await until(lambda: store.jobs.active() == [])
            assert store.jobs.counts()["failed"] == 0
    assert shown(replies(slack, first)[0]) == old


async def test_a_token_that_is_revoked_is_an_outage_and_nothing_is_lost_by_it(slack: StandIn, tmp_path: Path) -> None:
    analyst = Analyst(seconds=0.2)
    grant = slack.grants.all[0]
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, analyst):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await analyst.running.wait()
        grant.is_revoked = True
        with Store.open(tmp_path / "pileup.sqlite") as store:
            await until(lambda: [job.state for job in store.jobs.active()] == ["waiting"])
    grant.is_revoked = False  # the app was installed again, and the bot started with its new token
    with Store.open(tmp_path / "pileup.sqlite") as store:
        store.jobs.note(store.jobs.active()[0].id)  # as its time has come
    async with bot(slack, tmp_path, analyst):
        await until(lambda: is_done(slack, said))
    assert len(summaries(slack, said)) == 1
    assert analyst.runs == 1


async def test_who_is_in_no_channel_any_more_is_told_nothing_private(slack: StandIn, tmp_path: Path) -> None:
    slack.workspace.channels[CRASHES].is_private = True
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, Analyst()):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_done(slack, said))
        slack.workspace.channels[CRASHES].members.discard(slack.workspace.bot.id)
        asked = slack.workspace.say(DIRECT, ANNA, "last 5 crashes")
        await until(lambda: replies(slack, asked, DIRECT))
    # The bot cannot know who is in it now.
    assert "No crash" in shown(replies(slack, asked, DIRECT)[0])
