"""Search, the dashboard and the page of a failure: what they list, how the lists go on, and what people did."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from bot.questions import ask
from bot.web import failures, history, links
from bot.web.guard import Access, Rates
from storage import Store
from storage.knowledge import Deed
from storage.threads import Told
from tests.bot.web.documents import Document, parsed
from tests.bot.web.sites import SECRET, browser
from tests.storage.samples import NOON, Clock, report

NAME = "9f/4 rassstp PiEngineLock"
GROUP = f"/groups/{quote(NAME, safe='')}"
OPEN = Access()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "pileup.sqlite", Clock()) as opened:
        yield opened


def add(store: Store, days: float, channel: str = "C1", **more: str) -> int:
    made = report(f"{days} {store.reports.count()}", crashed=NOON - timedelta(days=days), **more)  # type: ignore[arg-type]  # texts
    number = store.remember(made).id
    store.threads.note(Told(report_id=number, team="T", channel=channel, ts="1", summary_ts=str(number)))
    return number


async def page(store: Store, path: str, access: Access = OPEN) -> Document:
    async with browser(store, access, rates=Rates(burst=1e9)) as client:
        client.cookies.set("pileup", links.sign(SECRET, "C1", NOON + timedelta(days=1)))
        answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return parsed(answer.text)


def crashes(told: Document) -> list[int]:
    return [int(one.rpartition("/")[2]) for one in told.values("href") if re.fullmatch("/crashes/[0-9]+", one)]


async def walked(store: Store, path: str) -> list[list[int]]:
    """The crashes of each page, following "Older crashes" to the end."""
    found, base = [], path.partition("?")[0]
    while path:
        told = await page(store, path)
        found.append(crashes(told))
        (path, *_) = [f"{base}{one}" for one in told.values("href") if "after=" in one] or [""]
        assert len(found) < 10
    return found


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("", [[7, 6, 5], [4, 3, 2], [1]]),
        ("have we seen rassstp?", [[6, 5, 4], [3, 2, 1]]),
        ("rassstp before June 11", [[2, 1]]),
        ("is rassstp getting worse?", [[6, 5, 4], [3, 2, 1]]),
        ("last 2 crashes", [[7, 6], [5, 4, 3], [2, 1]]),
        ("crash 2", [[2]]),
        ("what is new this week?", [[7, 6]]),  # the crashes that the answer names: a failure came up for the first time
        ("xyzzy plugh frobnicate", [[]]),
    ],
)
async def test_search_lists_all_that_matches_each_once(
    store: Store, monkeypatch: pytest.MonkeyPatch, question: str, expected: list[list[int]]
) -> None:
    monkeypatch.setattr(history, "LISTED", 3)
    for days in (6, 5, 4, 3, 2):
        add(store, days)
    add(store, 1, signature="new failure")
    add(store, 0.5, module="other.sys", signature="other")
    found = await walked(store, f"/crashes?q={quote(question)}" if question else "/crashes")
    if question == "what is new this week?":
        assert set(found[0]) == {row.report.id for row in ask(store, question, NOON).rows}
    else:
        assert found == expected


@pytest.mark.parametrize(
    "question", ["have we seen rassstp?", "which hosts", "top 5 drivers", "is rassstp getting worse?"]
)
async def test_search_says_what_slack_says(store: Store, question: str) -> None:
    for days in (3, 2, 1):
        add(store, days, host=f"PC-{days}")
    told = await page(store, f"/crashes?q={quote(question)}")
    for line in ask(store, question, NOON).lines:
        assert line in told.text


async def test_search_leads_to_the_pages_of_what_it_understood(store: Store) -> None:
    add(store, 1, host="PC-7")
    told = await page(store, f"/crashes?q={quote('rasstp on PC-7')}")  # with a typo
    assert {"/drivers/rassstp.sys", "/hosts/PC-7"} <= set(told.values("href"))


async def test_the_page_of_a_failure_lists_all_its_crashes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "LISTED", 3)
    for days in (4, 3, 3, 3, 1):
        add(store, days)
    add(store, 2, "G9")
    found = await walked(store, GROUP)
    assert [len(one) for one in found] == [3, 3]
    assert sorted(found[0] + found[1]) == [1, 2, 3, 4, 5, 6]


async def test_the_page_of_a_failure_has_its_timeline_and_trend(store: Store) -> None:
    for days in (1, 40, 200):
        add(store, days)
    told = await page(store, GROUP)
    labels = told.values("aria-label")
    assert "Crashes a day: 1 in 28 days, at most 1 a day" in labels
    assert "Crashes a week: 3 in 52 weeks, at most 1 a week" in labels
    assert "3 times, 2025-11-27 to 2026-06-14" in told.text
    assert "1 crash in the last 4 weeks, 1 in the 4 weeks before: as often" in told.text


async def test_what_people_did_about_a_failure_is_told_with_who_and_when(store: Store) -> None:
    number, other = add(store, 1), add(store, 2, module="b.sys", signature="b")
    split = add(store, 3)
    deeds: list[tuple[Deed, dict[str, str]]] = [
        ("acknowledge", {}),
        ("assign", {"to": "U2"}),
        ("known", {"note": "a <b>note</b>", "ticket": "ACME-7", "fixed_in": "2.0"}),
        ("wrong", {"reason": "it was ndis"}),
        ("mute", {"channel": "C0SECRET"}),
    ]
    for deed, detail in deeds:
        store.knowledge.note(NAME, deed, "U1", detail, number, at=("T", "C1"))
    store.knowledge.note(NAME, "wrong", "U9", {"reason": "said in private"}, number, at=("T", "G9"))
    store.merge(other, number, "U3", lambda _: ())
    store.split(split, "U4", lambda _: ())
    told = await page(store, GROUP)
    for words in (
        "U1 acknowledged it", "U1 assigned it to U2", "U1 called it known: a <b>note</b> (ACME-7), mended in 2.0",
        "U1 called the verdict wrong: it was ndis", "U1 muted it in a channel", "U3 merged it with another failure",
        "U9 called the verdict wrong: said in private",
    ):  # fmt: skip
        assert words in told.text, words
    assert re.search("U4 took crash 3 out of it", told.text)
    seen = await page(store, GROUP, Access(SECRET))
    assert "it was ndis" in seen.text
    assert "said in private" not in seen.text
    assert "C0SECRET" not in told.text


async def test_all_failures_are_listed_page_by_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "LISTED", 2)
    for number in range(3):
        for _ in range(3 - number):
            add(store, 300 + number, module=f"d{number}.sys", signature=f"f{number}")
    add(store, 1, "G9", signature="hidden")
    first, second = await page(store, "/groups"), await page(store, "/groups?page=2")
    listed = [[one for one in told.values("href") if one.startswith("/groups/")] for told in (first, second)]
    assert listed == [["/groups/f0", "/groups/f1"], ["/groups/hidden", "/groups/f2"]]
    seen = [await page(store, f"/groups?page={number}", Access(SECRET)) for number in (1, 2)]
    assert not [one for told in seen for one in told.values("href") if one == "/groups/hidden"]
    async with browser(store, OPEN) as client:
        assert (await client.get("/groups?page=3")).status_code == 404


async def test_the_dashboard_counts_what_came_up_most(store: Store) -> None:
    for days, host, code in ((1, "PC-1", "0x9f"), (2, "PC-1", "0xd1"), (3, "PC-2", "0x9f"), (40, "PC-3", "0x50")):
        add(store, days, host=host, code=code)
    add(store, 1, "G9", host="PC-9", module="hidden.sys", code="0x7e")
    told = await page(store, "/", Access(SECRET))
    assert "Hosts that crashed most In the last four weeks. Host Crashes PC-1 2 PC-2 1" in told.text
    assert "Stop codes In the last four weeks. Code Crashes 0x9F DRIVER_POWER_STATE_FAILURE 2 0xD1" in told.text
    assert "PC-3" not in told.text
    assert "PC-9" not in told.text
    assert {"/groups", "/drivers", "/hosts", "/builds", "/teams", "/hosts/PC-1"} <= set(told.values("href"))
