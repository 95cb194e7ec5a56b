"""Buttons below a verdict: each does what it says, once, and it shows wherever the failure is shown."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot import acts
from bot.sandbox import Message, StandIn
from bot.sandbox.workspace import View
from storage.store import Store
from storage.threads import Threads
from tests.bot.kit import ANNA, CRASHES, Analyst, bot, dump, is_done, is_told, mishaps, replies, shown, until
from tests.bot.server import page, serving

BEN = "U0BEN00001"
GENERAL = "C0GENERAL1"


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        yield stand_in


def actions(message: Message) -> list[str]:
    return [item["action_id"] for block in message.blocks if block["type"] == "actions" for item in block["elements"]]


async def window(slack: StandIn) -> View:
    """The one open window, once it shows more than that it is looking."""
    views = slack.workspace.views
    await until(lambda: len(views) == 1 and "Looking it up" not in str(next(iter(views.values())).content))
    return next(iter(views.values()))


@pytest.mark.parametrize("transport", ["socket", "http"])
async def test_what_is_said_of_one_crash_shows_wherever_the_failure_is_shown(
    slack: StandIn, tmp_path: Path, transport: str
) -> None:
    routes = {f"{n}.dmp": page(dump("seed", n)) for n in (1, 2)}
    async with serving(**routes) as files, bot(slack, tmp_path, Analyst(), transport=transport):
        first = slack.workspace.say(CRASHES, ANNA, files.url("/1.dmp"))
        await until(lambda: is_told(slack, first))
        other = slack.workspace.say(GENERAL, ANNA, files.url("/2.dmp"))
        pointer = slack.workspace.say(GENERAL, ANNA, files.url("/1.dmp"))
        await until(lambda: is_done(slack, other) and is_done(slack, pointer))
        places = [
            replies(slack, first)[0], replies(slack, other, GENERAL)[0], replies(slack, pointer, GENERAL)[0],
        ]  # fmt: skip

        async def all_say(*words: str) -> None:
            await until(lambda: all(word in shown(place) + str(place.blocks) for place in places for word in words))

        press = slack.press(CRASHES, places[0].ts, acts.ACKNOWLEDGE, ANNA)
        await all_say(f"acknowledged by <@{ANNA}>")
        assert press.acked_after is not None
        assert acts.ACKNOWLEDGE not in actions(places[0])
        slack.press(GENERAL, places[1].ts, acts.ASSIGN, ANNA, chosen=BEN)
        await all_say(f"assigned to <@{BEN}>")
        slack.press(GENERAL, places[1].ts, acts.ASSIGN_ME, ANNA)
        await all_say(f"assigned to <@{ANNA}>")

        slack.press(CRASHES, places[0].ts, acts.KNOWN, ANNA)
        form = await window(slack)
        await slack.submit(form.id, {"note": " ", "fixed_in": "soon"})
        assert set(form.errors) == {"note", "fixed_in"}
        given = {"note": "loses requests", "ticket": "https://t.example/7", "fixed_in": "99.1"}
        await slack.submit(form.id, given)
        assert slack.workspace.views == {}
        await all_say("Known issue: loses requests; fixed in rassstp.sys 99.1 (https://t.example/7).")
        assert all(shown(place).startswith("Known issue") for place in places)
        slack.press(CRASHES, places[0].ts, acts.KNOWN, BEN)
        again = await window(slack)
        assert "loses requests" in str(again.content)
        slack.workspace.views.clear()

        slack.press(GENERAL, places[1].ts, acts.WRONG, BEN)
        form = await window(slack)
        await slack.submit(form.id, {"reason": "it was the <b>SSD</b>", "what": "no-driver"})
        await all_say(f"<@{BEN}> calls the verdict wrong, no driver problem: it was the &lt;b&gt;SSD&lt;/b&gt;")

        slack.press(CRASHES, places[0].ts, acts.THREADS, BEN)
        listed = await window(slack)
        assert str(listed.content).count("/archives/") == 3
        assert mishaps(slack) == []
    with Store.open(tmp_path / "pileup.sqlite") as store:
        (report, *_) = [found for found in map(store.reports.report, (1, 2)) if found]
        assert [act.deed for act in store.knowledge.acts(store.duplicates.names(report))] == [
            "acknowledge", "assign", "assign", "known", "wrong",
        ]  # fmt: skip
        assert store.knowledge.doubts() == [("0x9f rassstp.sys", 1)]


async def test_a_muted_failure_is_told_in_a_line_where_it_is_muted(slack: StandIn, tmp_path: Path) -> None:
    routes = {f"{n}.dmp": page(dump("seed", n)) for n in (1, 2, 3, 4)}
    async with serving(**routes) as files, bot(slack, tmp_path, Analyst()):
        first = slack.workspace.say(CRASHES, ANNA, files.url("/1.dmp"))
        await until(lambda: is_told(slack, first))
        summary = replies(slack, first)[0]
        slack.press(CRASHES, summary.ts, acts.MUTE, ANNA)
        await until(lambda: "muted in this channel" in shown(summary))
        muted = slack.workspace.say(CRASHES, ANNA, files.url("/2.dmp"))
        await until(lambda: is_done(slack, muted))
        elsewhere = slack.workspace.say(GENERAL, ANNA, files.url("/3.dmp"))
        await until(lambda: is_done(slack, elsewhere))
        (line,) = replies(slack, muted)
        assert shown(line).startswith("Muted here: 0x9f DRIVER_POWER_STATE_FAILURE `rassstp.sys` on WS-0417; 2nd time")
        assert actions(line) == [acts.UNMUTE]
        assert "The same failure again" in shown(replies(slack, elsewhere, GENERAL)[0])
        slack.press(CRASHES, line.ts, acts.UNMUTE, ANNA)
        await until(lambda: "muted in this channel" not in shown(summary))
        after = slack.workspace.say(CRASHES, ANNA, files.url("/4.dmp"))
        await until(lambda: is_done(slack, after))
        assert "The same failure again" in shown(replies(slack, after)[0])
        await until(lambda: "4 crashes, 1 host" in shown(summary))

        short = replies(slack, after)[0]
        slack.press(CRASHES, short.ts, acts.DETAILS, BEN)
        await until(lambda: is_told(slack, after))
        assert "Confidence" in shown(short)
        assert acts.DETAILS not in actions(short)
        assert len(replies(slack, after)) == 6


@pytest.mark.parametrize("transport", ["socket", "http"])
async def test_the_report_comes_as_a_file_where_it_is_not_yet(slack: StandIn, tmp_path: Path, transport: str) -> None:
    def documents(parent: Message) -> list[dict[str, Any]]:
        found = [f for m in replies(slack, parent) for f in m.files if f.name.endswith(".json")]
        return [json.loads(f.content) for f in found]

    routes = {"a.dmp": page(dump("seed")), "b.dmp": page(dump("seed", 1))}
    async with serving(**routes) as files, bot(slack, tmp_path, Analyst(), transport=transport):
        first = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_told(slack, first))
        second = slack.workspace.say(CRASHES, ANNA, files.url("/b.dmp"))
        await until(lambda: is_done(slack, second))
        short = replies(slack, second)[0]
        assert documents(second) == []
        press = slack.press(CRASHES, short.ts, acts.RAW, BEN)
        slack.deliveries.interact(press.payload)  # twice
        await until(lambda: documents(second))
        assert documents(second)[0]["dump"]["identity"] != documents(first)[0]["dump"]["identity"]
        slack.press(CRASHES, short.ts, acts.RAW, BEN)
        slack.press(CRASHES, replies(slack, first)[0].ts, acts.RAW, ANNA)
        await until(lambda: len(slack.workspace.whispers) == 2)
        assert {one.user for one in slack.workspace.whispers} == {ANNA, BEN}
        assert all("in the thread already" in one.text for one in slack.workspace.whispers)
        slack.press(CRASHES, short.ts, acts.DETAILS, BEN)
        await until(lambda: len(replies(slack, second)) == 6)
        assert [len(documents(one)) for one in (first, second)] == [1, 1]
        assert mishaps(slack) == []


async def test_a_dump_is_analysed_again_and_its_story_edited_in_place(slack: StandIn, tmp_path: Path) -> None:
    class Fickle(Analyst):
        async def __call__(self, *given: Any) -> Any:
            report = await super().__call__(*given)
            changed = replace(
                report.verdict, summary="Nobody is to blame.", culprit=None, confidence="none", reasons=("none",)
            )
            return report if self.runs == 1 else replace(report, verdict=changed)

    analyst = Fickle()
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, analyst):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp?key=secret"))
        await until(lambda: is_told(slack, said))
        summary = replies(slack, said)[0]
        slack.press(CRASHES, summary.ts, acts.AGAIN, ANNA)
        await until(lambda: "The verdict before blamed rassstp.sys." in shown(summary))
        assert shown(summary).startswith("*Nobody is to blame.*")
        await until(lambda: len(replies(slack, said)) == 7)  # the report file, which cannot be edited
        evidence = next(m for m in replies(slack, said) if shown(m).startswith("*Evidence*"))
        await until(lambda: "none" in shown(evidence))
        with Store.open(tmp_path / "pileup.sqlite") as store:
            await until(lambda: not store.jobs.active())  # to ask for what is under way would ask for nothing more
        files.routes.clear()
        slack.press(CRASHES, summary.ts, acts.AGAIN, ANNA)
        await until(lambda: "could not be analyzed again" in shown(summary))
        assert shown(summary).startswith("*Nobody is to blame.*")
        slack.workspace.channels[CRASHES].messages[said.ts].text = "no link any more"
        slack.press(CRASHES, summary.ts, acts.AGAIN, ANNA)
        await until(lambda: slack.workspace.whispers)
    assert "the message with its link is gone" in slack.workspace.whispers[0].text
    assert "secret" not in str([message.to_json() for message in replies(slack, said)])
    assert analyst.runs == 2


async def test_again_that_is_asked_for_before_the_details_are_told_comes_after_them(
    slack: StandIn, tmp_path: Path
) -> None:
    analyst = Analyst()
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, analyst, pace=0.2):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: len(replies(slack, said)) > 1)  # the first of the details
        assert not is_told(slack, said)
        summary = replies(slack, said)[0]
        slack.press(CRASHES, summary.ts, acts.AGAIN, ANNA)
        await until(lambda: "with the same result" in shown(summary))
    assert analyst.runs == 2


async def test_only_managers_may_and_a_press_that_comes_twice_counts_once(slack: StandIn, tmp_path: Path) -> None:
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, Analyst(), managers=BEN):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_told(slack, said))
        summary = replies(slack, said)[0]
        for action in (acts.ACKNOWLEDGE, acts.KNOWN):
            slack.workspace.whispers.clear()
            slack.press(CRASHES, summary.ts, action, ANNA)
            await until(lambda: slack.workspace.whispers)
            assert slack.workspace.whispers[0].user == ANNA
            assert "PILEUP_MANAGERS" in slack.workspace.whispers[0].text
        assert slack.workspace.views == {}
        press = slack.press(CRASHES, summary.ts, acts.ACKNOWLEDGE, BEN)
        slack.deliveries.interact(press.payload)
        await until(lambda: "acknowledged by" in shown(summary))
        stray = slack.workspace.say(CRASHES, ANNA, "hello")
        stray.blocks = [{"type": "actions", "elements": [{"type": "button", "action_id": acts.MUTE, "value": "1"}]}]
        slack.workspace.whispers.clear()
        slack.press(CRASHES, stray.ts, acts.MUTE, BEN)
        await until(lambda: slack.workspace.whispers)
        assert "History does not know this crash" in slack.workspace.whispers[0].text
    with Store.open(tmp_path / "pileup.sqlite") as store:
        report = store.reports.report(1)
        assert report is not None
        assert [act.deed for act in store.knowledge.acts(store.duplicates.names(report))] == ["acknowledge"]


async def test_a_window_opens_at_once_however_slow_history_is(
    slack: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Threads.of_summary
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, Analyst()):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_told(slack, said))
        summary = replies(slack, said)[0]

        def slow(self: Threads, *given: str) -> Any:
            time.sleep(0.5)
            return real(self, *given)

        monkeypatch.setattr(Threads, "of_summary", slow)
        monkeypatch.setattr("bot.sandbox.workspace.TRIGGER_SECONDS", 0.4)
        press = slack.press(CRASHES, summary.ts, acts.KNOWN, ANNA)
        await until(lambda: slack.workspace.views)
        (view,) = slack.workspace.views.values()
        assert "Looking it up" in str(view.content)
        form = await window(slack)
        assert "submit" in form.content
        assert press.acked_after is not None
        slack.deliveries.interact(press.payload)  # its trigger is used: no second window
        await until(lambda: any(call.error == "exchanged_trigger_id" for call in slack.calls))
        await asyncio.sleep(0)
        assert len(slack.workspace.views) == 1
