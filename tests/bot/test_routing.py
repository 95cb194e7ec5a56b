"""Whom a verdict concerns: mentioned by a rule, below the verdict, once; in quiet hours held and told together."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot import acts, rounds
from bot.mrkdwn import plain
from bot.outbound import BadMessage, Message, checked
from bot.routing import calls, held_message, routed
from bot.sandbox import Message as Said
from bot.sandbox import StandIn
from storage.clock import utc_now
from storage.held import Group, Held
from storage.hours import Quiet
from storage.routes import Route
from storage.store import Store
from tests.bot.kit import ANNA, CRASHES, Analyst, bot, dump, is_done, is_told, replies, shown, until
from tests.bot.reports import sample
from tests.bot.server import page, serving

TEAM, GROUP, BEN = "T0SANDBOX1", "S0STORAGE1", "U0BEN00001"
STORAGE = Route.read({"name": "storage", "module": "rass*", "mention": GROUP})
HELD = Group(TEAM, CRASHES, GROUP)
ALWAYS = Quiet.read({"from": "00:00", "to": "24:00", "zone": "UTC"})


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "ROUND_SECONDS", 0.1)


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        yield stand_in


def prepared(home: Path, *routes: Route, **quiet: Quiet) -> Store:
    store = Store.open(home / "pileup.sqlite")
    for route in routes:
        store.choices.choose_route(TEAM, route, ANNA)
    for whom, hours in quiet.items():
        store.choices.choose_quiet(TEAM, whom, hours, ANNA)
    return store


def mentions(slack: StandIn, channel: str = CRASHES) -> list[Said]:
    return [m for m in slack.workspace.channels[channel].messages.values() if f"<!subteam^{GROUP}>" in m.text]


@pytest.mark.parametrize("transport", ["socket", "http"])
async def test_a_rule_mentions_once_below_the_verdict_and_edits_mention_nobody(
    slack: StandIn, tmp_path: Path, transport: str
) -> None:
    prepared(tmp_path, STORAGE, Route.read({"name": "other", "module": "ndis.sys", "mention": BEN})).close()
    routes = {f"{n}.dmp": page(dump("seed", n)) for n in (1, 2)}
    async with serving(**routes) as files, bot(slack, tmp_path, Analyst(), transport=transport):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/1.dmp"))
        await until(lambda: is_told(slack, said))
        verdict, mention, *_ = replies(slack, said)
        assert shown(mention) == (
            "!subteam^S0STORAGE1 Severity medium: rassstp.sys on WS-0417, 0x9f DRIVER_POWER_STATE_FAILURE.\n"
            "By the rule storage"
        )
        slack.press(CRASHES, verdict.ts, acts.AGAIN, ANNA)
        await until(lambda: "Edited: analyzed again" in shown(verdict))
        pointer = slack.workspace.say(CRASHES, BEN, files.url("/1.dmp"))
        await until(lambda: is_done(slack, pointer))
        assert len(mentions(slack)) == 1
        assert all("subteam" not in str(call.arguments) for call in slack.calls_of("chat.update"))
        other = slack.workspace.say(CRASHES, ANNA, files.url("/2.dmp"))
        await until(lambda: is_done(slack, other) and len(mentions(slack)) == 2)
    assert mentions(slack)[1].thread_ts == other.ts
    assert not any(BEN in m.text for m in slack.workspace.channels[CRASHES].messages.values() if m.bot_id)


async def test_in_quiet_hours_the_verdict_comes_and_the_mention_waits_for_their_end(
    slack: StandIn, tmp_path: Path
) -> None:
    loud = Route.read({"name": "loud", "code": "0x9f", "mention": BEN, "severity": "high"})
    store = prepared(tmp_path, STORAGE, loud, **{GROUP: ALWAYS, BEN: ALWAYS})
    routes = {f"{n}.dmp": page(dump("seed", n)) for n in (1, 2)}
    async with serving(**routes) as files, bot(slack, tmp_path, Analyst()):
        posts = [slack.workspace.say(CRASHES, ANNA, files.url(f"/{n}.dmp")) for n in (1, 2)]
        await until(lambda: all(is_done(slack, said) for said in posts))
        await until(lambda: sum(f"<@{BEN}>" in m.text for said in posts for m in replies(slack, said)) == 2)
        assert mentions(slack) == []
        assert store.held.over() == []
        passed = utc_now() - timedelta(seconds=1)
        store.held.extend(HELD, passed)  # but it is quiet still: they wait on
        await until(lambda: store.held.over() == [])
        await asyncio.sleep(0.3)
        assert mentions(slack) == []
        store.choices.choose_quiet(TEAM, GROUP, None, ANNA)
        store.held.extend(HELD, passed)
        await until(lambda: len(mentions(slack)) == 1)
        (told,) = mentions(slack)
        assert told.thread_ts is None
        assert shown(told).startswith("!subteam^S0STORAGE1 While it was quiet, 2 crashes concerned you here:")
        assert shown(told).count("rassstp.sys holds nt!PiEngineLock") == 2
        assert told.blocks[0]["text"]["text"].count("/archives/") == 2
    async with bot(slack, tmp_path, Analyst()):  # after a restart, too
        pass
    assert len(mentions(slack)) == 1
    store.close()


async def test_what_was_held_and_told_is_not_mentioned_again_by_an_edit(slack: StandIn, tmp_path: Path) -> None:
    store = prepared(tmp_path, STORAGE, **{CRASHES: ALWAYS})
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, Analyst()):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_told(slack, said))
        store.choices.choose_quiet(TEAM, CRASHES, None, ANNA)
        store.held.extend(HELD, utc_now() - timedelta(seconds=1))
        await until(lambda: len(mentions(slack)) == 1)
        verdict = replies(slack, said)[0]
        slack.press(CRASHES, verdict.ts, acts.AGAIN, ANNA)
        await until(lambda: "with the same result" in shown(verdict))
        await until(lambda: not store.jobs.active())
    assert len(mentions(slack)) == 1
    store.close()


async def test_a_live_dump_mentions_nobody(slack: StandIn, tmp_path: Path) -> None:
    prepared(tmp_path, STORAGE).close()

    class Live(Analyst):
        async def __call__(self, *given: Any) -> Any:
            report = await super().__call__(*given)
            return dataclasses.replace(report, dump=dataclasses.replace(report.dump, live=True))

    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, Live()):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_told(slack, said))
    assert mentions(slack) == []


@pytest.mark.parametrize("transport", ["socket", "http"])
async def test_in_the_mode_channel_the_verdict_stands_in_the_channel_with_its_thread_below(
    slack: StandIn, tmp_path: Path, transport: str
) -> None:
    prepared(tmp_path, STORAGE).choices.choose_mode(TEAM, CRASHES, "channel", ANNA)
    async with (
        serving(**{"a.dmp": page(dump("seed"))}) as files,
        bot(slack, tmp_path, Analyst(), transport=transport),
    ):
        slack.faults.lose_answer("chat.postMessage")  # it is found in the channel, and not posted again
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        channel = slack.workspace.channels[CRASHES]
        await until(lambda: is_done(slack, said))
        (verdict,) = [m for m in channel.top() if m.bot_id]
        await until(lambda: is_told(slack, verdict))
        assert replies(slack, said) == []
        assert [shown(m)[:12] for m in replies(slack, verdict)][:2] == ["*rassstp.sys", "!subteam^S0S"]
        slack.workspace.say(CRASHES, ANNA, "<@U0PILEUP01> who held the lock?", verdict.ts)
        await until(lambda: any("held" in shown(m) and "PiEngineLock" in shown(m) for m in replies(slack, verdict)[6:]))
        slack.press(CRASHES, verdict.ts, acts.AGAIN, ANNA)
        await until(lambda: "with the same result" in shown(verdict))
        store = Store.open(tmp_path / "pileup.sqlite")
        store.choices.choose_mode(TEAM, CRASHES, "thread", ANNA)
        store.close()
        slack.press(CRASHES, verdict.ts, acts.ACKNOWLEDGE, ANNA)
        await until(lambda: "acknowledged by" in shown(verdict))
        assert len([m for m in channel.top() if m.bot_id]) == 1


async def test_inside_a_thread_the_answer_stays_there_whatever_the_mode(slack: StandIn, tmp_path: Path) -> None:
    prepared(tmp_path).choices.choose_mode(TEAM, CRASHES, "channel", ANNA)
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, Analyst()):
        talk = slack.workspace.say(CRASHES, ANNA, "it crashed again")
        link = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"), talk.ts)
        await until(lambda: is_done(slack, link))
        assert [m for m in slack.workspace.channels[CRASHES].top() if m.bot_id] == []
        assert len(replies(slack, talk)) >= 1


def test_only_a_rule_makes_a_mention_whatever_a_dump_says() -> None:
    report = sample("seed")
    assert report.verdict.culprit is not None
    bad = dataclasses.replace(report.verdict.culprit, module="<!channel>")
    named = dataclasses.replace(report.system, computer_name="<@U9999999999>")
    report = dataclasses.replace(
        report, system=named, verdict=dataclasses.replace(report.verdict, culprit=bad, summary="<!here> did it")
    )
    routes = (Route.read({"name": "<!here>", "module": "*", "mention": "@channel"}),)
    content = checked(routed(report, routes, calls(routes)), "k")
    assert content["text"].startswith("<!channel> Severity medium: &lt;!channel&gt; on &lt;@U9999999999&gt;")
    assert content["text"].count("<!") == 1
    with pytest.raises(BadMessage, match="holds the sequence"):
        checked(Message("<!channel> look"), "k")
    with pytest.raises(BadMessage, match="holds the sequence"):
        checked(Message("<!channel> look", mentions=frozenset({"@here"})), "k")


def test_a_person_named_by_two_rules_is_mentioned_once_at_the_higher_severity() -> None:
    low = Route.read({"name": "all", "module": "*", "severity": "low"})
    high = Route.read({"name": "0x9f", "code": "0x9f", "mention": GROUP, "severity": "high"})
    (call,) = calls((low, STORAGE, high))
    assert (call.mention, call.rules, call.severity) == (GROUP, ("storage", "0x9f"), "high")
    message = routed(sample("seed"), (low,), ())
    assert plain(message.text).startswith("Severity low: rassstp.sys")
    assert "nobody is mentioned" in str(message.blocks)


def test_many_held_mentions_are_one_message() -> None:
    held = [Held(TEAM, CRASHES, GROUP, n, "storage", f"crash {n}", None, utc_now()) for n in range(50)]
    message = held_message(held)
    checked(message, "k")
    assert plain(message.text).startswith(
        "!subteam^S0STORAGE1 While it was quiet, 50 crashes concerned you here: crash 0"
    )
    assert "… and 30 more" in str(message.blocks)
