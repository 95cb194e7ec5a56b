"""A download or an analysis ends when somebody presses Cancel, or deletes the message with the link."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.fetch.workspace import downloads
from bot.listeners.buttons import ACTIONS, STOP, pressed
from bot.listeners.intake import Rules
from bot.sandbox import StandIn
from tests.bot.kit import ANNA, CRASHES, Analyst, bot, dump, is_done, is_told, replies, shown, until
from tests.bot.server import endless, page, serving


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        yield stand_in


def in_hand(home: Path) -> list[Path]:
    return list(downloads(home).glob("*/dump"))


async def test_a_pressed_button_stops_a_download(slack: StandIn, tmp_path: Path) -> None:
    routes = {"a.dmp": endless(), "b.dmp": page(dump("seed"))}
    async with serving(**routes) as files, bot(slack, tmp_path, Analyst(), workers=1):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: replies(slack, said) and in_hand(tmp_path))
        press = slack.press(CRASHES, replies(slack, said)[0].ts, STOP, ANNA)
        await until(lambda: is_done(slack, said))
        assert press.acked_after is not None
        assert in_hand(tmp_path) == []
        assert len(files.handlers) <= 1
        other = slack.workspace.say(CRASHES, ANNA, files.url("/b.dmp"))
        await until(lambda: is_done(slack, other))  # the worker is free
    (reply,) = replies(slack, said)
    assert reply.text == "Stopped, as asked."
    assert not [block for block in reply.blocks if block["type"] == "actions"]
    assert list(said.reactions) == ["x"]


@pytest.mark.parametrize("transport", ["socket", "http"])
async def test_a_deleted_message_stops_its_jobs_running_or_waiting(
    slack: StandIn, tmp_path: Path, transport: str
) -> None:
    analyst = Analyst(seconds=30)
    routes = {"a.dmp": page(dump("seed", 1)), "b.dmp": page(dump("seed", 2)), "c.dmp": page(dump("deadlock"))}
    async with serving(**routes) as files, bot(slack, tmp_path, analyst, workers=1, transport=transport):
        said = slack.workspace.say(CRASHES, ANNA, f"{files.url('/a.dmp')} {files.url('/b.dmp')}")
        await analyst.running.wait()
        await until(lambda: replies(slack, said))
        slack.workspace.delete(slack.workspace.channels[CRASHES], said)
        analyst.seconds = 0
        await until(lambda: any("was deleted" in shown(reply) for reply in replies(slack, said)))
        other = slack.workspace.say(CRASHES, ANNA, files.url("/c.dmp"))
        await until(lambda: is_told(slack, other))
    assert len(replies(slack, said)) == 1  # of the link that had not begun nothing is said
    assert analyst.runs == 2


async def test_one_link_posted_twice_at_once_is_fetched_once(slack: StandIn, tmp_path: Path) -> None:
    analyst = Analyst(seconds=0.5)
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, analyst):
        first = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        second = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_done(slack, first) and is_done(slack, second))
        assert len(files.requests) == 1
    assert analyst.runs == 1
    said = [shown(replies(slack, parent)[0]) for parent in (first, second)]
    assert sum("This very dump was analysed" in words for words in said) == 1


async def test_a_second_post_goes_on_when_the_first_is_cancelled(slack: StandIn, tmp_path: Path) -> None:
    analyst = Analyst(seconds=5)
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, analyst):
        both = [slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp")) for _ in range(2)]
        await analyst.running.wait()
        await until(lambda: all(replies(slack, parent) for parent in both))
        analyst.seconds = 0.1
        jobs = [slack.workspace.channels[CRASHES].messages[replies(slack, parent)[0].ts] for parent in both]
        slack.press(CRASHES, jobs[0].ts, STOP, ANNA)
        await until(lambda: all(is_done(slack, parent) for parent in both))
    assert sorted(next(iter(parent.reactions)) for parent in both) == ["white_check_mark", "x"]


def test_a_press_is_not_believed() -> None:
    body = {"actions": [{"action_id": STOP, "value": "7"}], "user": {"id": "U1"}, "channel": {"id": "C1"}}
    assert pressed(body, Rules("UBOT")) is not None
    assert pressed(body, Rules("UBOT", users=frozenset({"U2"}))) is None
    assert pressed(body | {"actions": [{"action_id": "other", "value": "7"}]}, Rules("UBOT")) is None
    assert pressed({}, Rules("UBOT")) is None
    assert ACTIONS[STOP].deed is None
    assert pressed(body, Rules("UBOT", channels=frozenset({"C2"}))) is None


async def test_a_button_of_another_channel_stops_nothing(slack: StandIn, tmp_path: Path) -> None:
    analyst = Analyst(seconds=0.5)
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, analyst):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: replies(slack, said))
        message = replies(slack, said)[0]
        slack.workspace.channels["C0GENERAL1"].messages[message.ts] = message
        slack.press("C0GENERAL1", message.ts, STOP, ANNA)
        await until(lambda: is_done(slack, said))
        await asyncio.sleep(0)
    assert list(said.reactions) == ["white_check_mark"]
