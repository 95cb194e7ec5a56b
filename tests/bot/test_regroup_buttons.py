"""Buttons that merge failures, split crashes off, and take that and known issues back."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot import acts, modals
from bot.sandbox import StandIn
from tests.bot.kit import ANNA, CRASHES, Analyst, bot, dump, is_done, is_told, replies, shown, until
from tests.bot.server import page, serving
from tests.bot.test_buttons import actions, window


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        yield stand_in


async def test_two_failures_become_one_and_come_apart_again(slack: StandIn, tmp_path: Path) -> None:
    routes = {"1.dmp": page(dump("seed", 1)), "2.dmp": page(dump("exception", 2))}
    async with serving(**routes) as files, bot(slack, tmp_path, Analyst()):
        posted = []
        for name in ("/1.dmp", "/2.dmp"):
            posted.append(slack.workspace.say(CRASHES, ANNA, files.url(name)))
            await until(lambda: is_told(slack, posted[-1]))
        one, two = (replies(slack, message)[0] for message in posted)
        assert acts.SPLIT not in actions(one)
        slack.press(CRASHES, one.ts, acts.MERGE, ANNA)
        form = await window(slack)
        await slack.submit(form.id, {"crash": "the other one"})
        assert set(form.errors) == {"crash"}
        await slack.submit(form.id, {"crash": f"https://x.slack.com/archives/{CRASHES}/p{two.ts.replace('.', '')}"})
        await until(
            lambda: all(f"merged with another failure by <@{ANNA}>" in str(place.blocks) for place in (one, two))
        )
        assert all("2 crashes" in shown(place) or "2nd time" in shown(place) for place in (one, two))
        assert acts.UNDO in actions(two)
        slack.press(CRASHES, one.ts, acts.MERGE, ANNA)
        await slack.submit((await window(slack)).id, {"crash": "2"})
        await until(lambda: [one for one in slack.workspace.whispers if "Nothing was changed" in one.text])
        slack.press(CRASHES, two.ts, acts.UNDO, ANNA)
        await until(lambda: all("merged" not in shown(place) for place in (one, two)))
        assert all("First time seen here" in shown(place) for place in (one, two))


async def test_a_crash_is_taken_out_of_its_failure_and_put_back(slack: StandIn, tmp_path: Path) -> None:
    routes = {f"{n}.dmp": page(dump("seed", n)) for n in (1, 2)}
    async with serving(**routes) as files, bot(slack, tmp_path, Analyst()):
        first = slack.workspace.say(CRASHES, ANNA, files.url("/1.dmp"))
        await until(lambda: is_told(slack, first))
        second = slack.workspace.say(CRASHES, ANNA, files.url("/2.dmp"))
        await until(lambda: is_done(slack, second))
        one, two = replies(slack, first)[0], replies(slack, second)[0]
        await until(lambda: "2 crashes" in shown(one))
        slack.press(CRASHES, two.ts, acts.SPLIT, ANNA)
        await until(lambda: f"taken out of its failure by <@{ANNA}>" in str(two.blocks))
        await until(lambda: "2 crashes" not in shown(one))
        assert "The same failure again" not in shown(two)
        slack.press(CRASHES, two.ts, acts.UNDO, ANNA)
        await until(lambda: "The same failure again" in shown(two) and "2 crashes" in shown(one))


async def test_a_known_issue_is_taken_back(slack: StandIn, tmp_path: Path) -> None:
    async with serving(**{"1.dmp": page(dump("seed", 1))}) as files, bot(slack, tmp_path, Analyst()):
        first = slack.workspace.say(CRASHES, ANNA, files.url("/1.dmp"))
        await until(lambda: is_told(slack, first))
        one = replies(slack, first)[0]
        assert acts.UNKNOWN not in actions(one)
        slack.press(CRASHES, one.ts, acts.KNOWN, ANNA)
        await slack.submit((await window(slack)).id, {"note": "loses requests"})
        await until(lambda: "Known issue: loses requests" in shown(one))
        slack.press(CRASHES, one.ts, acts.UNKNOWN, ANNA)
        await until(lambda: "Known issue:" not in shown(one))
        assert acts.UNKNOWN not in actions(one)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("12", 12),
        (" crash #12 ", 12),
        ("https://x.slack.com/archives/C0CRASHES1/p1717171717000200?thread_ts=1", ("C0CRASHES1", "1717171717.000200")),
        ("the one of yesterday", None),
        ("1" * 30, None),
    ],
)
def test_a_crash_is_meant_by_number_or_by_link(text: str, meant: int | tuple[str, str] | None) -> None:
    assert modals.crash_meant(text) == meant
