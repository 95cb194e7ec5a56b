"""The pages of drivers, hosts, builds and teams: what they tell, that it is what Slack tells, and to whom."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from bot.questions import ask
from bot.web import links, subjects
from bot.web.doors import Doors
from bot.web.guard import Access, Rates
from bot.web.pages import create_site
from bot.web.paging import place_of
from storage import Query, Store
from storage.routes import Route
from storage.threads import Told
from tests.bot.web.documents import Document, parsed
from tests.bot.web.sites import BASE, SECRET, browser
from tests.storage.samples import NOON, Clock, report

OPEN = Access()
RULES = (
    Route("Storage people", "high", "S0STORAGE", team="Storage & friends"),
    Route("In private", "low", None, team="Storage & friends", channel="G9SECRET1"),
    Route("Others", "low", None, team="Network"),
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "pileup.sqlite", Clock()) as opened:
        yield opened


def add(
    store: Store, days: float, host: str = "PC-1", *, channel: str = "C1", team: str | None = None, **more: str
) -> int:
    made = report(f"{days} {store.reports.count()}", host=host, crashed=NOON - timedelta(days=days), **more)  # type: ignore[arg-type]  # texts
    number = store.remember(replace(made, verdict=replace(made.verdict, team=team))).id
    store.threads.note(
        Told(report_id=number, team="T", channel=channel, ts="1", summary_ts=str(number), permalink=None)
    )
    return number


def loaded(store: Store, number: int, version: str, blamed: int) -> None:
    store.reports._database.change("DELETE FROM drivers WHERE report_id = ?", [number])
    store.reports._database.change("INSERT INTO drivers VALUES (?, 'rassstp.sys', ?, ?)", [number, version, blamed])


async def page(store: Store, path: str, access: Access = OPEN) -> Document:
    async with browser(store, access, rates=Rates(burst=1e9)) as client:
        client.cookies.set("pileup", links.sign(SECRET, "C1", NOON + timedelta(days=1)))
        answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return parsed(answer.text)


@pytest.mark.parametrize(
    ("path", "question"), [("/drivers/rassstp.sys", "rassstp"), ("/hosts/PC-1", "PC-1"), ("/hosts/pc-1", "PC-1")]
)
async def test_a_page_tells_what_slack_tells(store: Store, path: str, question: str) -> None:
    for days, host in ((1, "PC-1"), (3, "PC-1"), (30, "PC-1"), (40, "PC-2"), (80, "PC-1")):
        add(store, days, host)
    told = await page(store, path)
    seen = ask(store, f"have we seen {question}?", NOON).lines[0]
    (count,) = re.findall(r"was seen (\d+ times)", seen)
    assert f"{count}, 2026-03-27 to 2026-06-14" in told.text
    (trend,) = ask(store, f"is {question} getting worse?", NOON).lines
    assert trend.partition(": ")[2].removesuffix(".") in told.text
    assert "2 crashes in the last 4 weeks, " in told.text


async def test_a_spike_is_said_on_pages_and_in_slack_with_the_rule(store: Store) -> None:
    for week in range(1, 9):
        add(store, 7 * week)
    for number in range(7):
        add(store, number)
    words = "7 crashes in the last 7 days, against 1 a week in the 8 weeks before"
    group = f"/groups/{quote('9f/4 rassstp PiEngineLock', safe='')}"
    for path in ("/", group, "/drivers/rassstp.sys", "/hosts/PC-1", "/builds/10.0.19041.804"):
        told = await page(store, path)
        assert words in told.text, path
        assert "more than in any of the 8 weeks before" in told.text
    assert f"That is a spike: {words}." in ask(store, "is rassstp getting worse?", NOON).lines


async def test_without_a_spike_none_is_said(store: Store) -> None:
    for number in range(7):
        add(store, number)
    for path in ("/drivers/rassstp.sys", "/hosts/PC-1"):
        assert "Spike" not in (await page(store, path)).text
    assert "No failure came up more often" in (await page(store, "/")).text


async def test_a_driver_tells_crashing_from_clean_versions_across_hosts(store: Store) -> None:
    for days, host, version, blamed in ((1, "PC-1", "1.0", 1), (2, "PC-2", "1.0", 1), (3, "PC-3", "2.0", 0)):
        loaded(store, add(store, days, host), version, blamed)
    told = await page(store, "/drivers/rassstp.sys")
    assert "Blamed: 1.0. Loaded in crashes of other causes and never blamed: 2.0." in told.text
    assert "1.0 crashes 2 2 2 2 2026-06-13 2026-06-14" in told.text
    assert "2.0 clean so far 0 0 1 1 2026-06-12 2026-06-12" in told.text


async def test_a_driver_that_is_only_loaded_has_a_page(store: Store) -> None:
    number = add(store, 1, module="other.sys", signature="o")
    loaded(store, number, "1.0", 0)
    assert "never blamed; it was loaded in crashes of other causes" in (await page(store, "/drivers/rassstp.sys")).text


async def test_a_subject_leads_on_to_its_failures_and_to_other_subjects(store: Store) -> None:
    add(store, 1, "PC 1/a")
    told = await page(store, "/drivers/rassstp.sys")
    targets = told.values("href")
    assert f"/groups/{quote('9f/4 rassstp PiEngineLock', safe='')}" in targets
    assert {"/hosts/PC%201%2Fa", "/builds/10.0.19041.804", "/crashes?q=0x9f", "/drivers"} <= set(targets)
    assert "rassstp.sys: 0x9F DRIVER_POWER_STATE_FAILURE" in told.text
    assert "/drivers/rassstp.sys" in (await page(store, "/hosts/PC%201%2Fa")).values("href")
    crash = await page(store, "/crashes/1")
    assert {"/drivers/rassstp.sys", "/hosts/PC%201%2Fa", "/builds/10.0.19041.804"} <= set(crash.values("href"))


async def test_a_host_with_suspect_memory_says_so_with_the_evidence(store: Store) -> None:
    for number, code in enumerate(("0xa", "0x1a", "0x50", "0x3b", "0xa")):
        add(store, number, "PC-1", code=code, module=f"{number}.sys", signature=str(number))
    add(store, 1, "PC-2")
    told = await page(store, "/hosts/pc-1")
    assert "Suspect memory: PC-1 crashed 5 times within 5 days with 4 different stop codes" in told.text
    assert "Suspect memory" not in (await page(store, "/hosts/PC-2")).text
    beyond = place_of(store.search.find(Query(host="PC-1"), 50)[-1])
    assert "Suspect memory" in (await page(store, f"/hosts/PC-1?after={beyond}")).text


async def test_crashes_are_told_page_by_page_each_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subjects, "LISTED", 3)
    for number in range(8):
        add(store, 1 + number // 4)  # four at the same moment
    path, found = "/hosts/PC-1", []
    for _ in range(3):
        told = await page(store, path)
        found += [target for target in told.values("href") if re.fullmatch("/crashes/[0-9]+", target)]
        after = [target for target in told.values("href") if target.startswith("?after=")]
        path = f"/hosts/PC-1{after[0]}" if after else ""
    assert path == ""
    assert sorted(found) == sorted(f"/crashes/{number}" for number in range(1, 9))
    assert "/crashes/4" in (await page(store, "/hosts/PC-1?after=nonsense")).values("href")


async def test_lists_of_subjects_go_on_from_page_to_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subjects, "LISTED", 2)
    for number, times in enumerate((3, 1, 2)):
        for _ in range(times):
            add(store, 1, f"PC-{number}")
    first, second = await page(store, "/hosts"), await page(store, "/hosts?page=2")
    hosts = [[one for one in told.values("href") if one.startswith("/hosts/")] for told in (first, second)]
    assert hosts == [["/hosts/PC-0", "/hosts/PC-2"], ["/hosts/PC-1"]]
    assert ("?page=2" in first.values("href"), "?page=1" in second.values("href")) == (True, True)
    assert "?page=3" not in second.values("href")
    async with browser(store, OPEN) as client:
        for wrong in ("3", "0", "-1", "x", "9999", "1e2"):
            assert (await client.get("/hosts", params={"page": wrong})).status_code == 404


async def test_a_team_has_its_crashes_and_the_rules_that_name_it(store: Store) -> None:
    add(store, 1, team="Storage & friends")
    add(store, 2, team="Storage & friends", module="b.sys", signature="b")
    add(store, 3, module="c.sys", signature="c")
    path = f"/teams/{quote('Storage & friends', safe='')}"
    site = create_site(store, OPEN, Clock(), Rates(burst=1e9), Doors(rules=lambda _team: RULES))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(site), base_url=BASE) as client:
        told = parsed((await client.get(path)).text)
    assert "2 times, 2026-06-13 to 2026-06-14" in told.text
    assert "Storage people high S0STORAGE" in told.text
    assert "In private" in told.text
    assert "Others" not in told.text
    assert {"/drivers/rassstp.sys", "/drivers/b.sys"} <= set(told.values("href"))
    assert "/drivers/c.sys" not in told.values("href")
    assert path in (await page(store, "/teams")).values("href")
    assert path in (await page(store, "/crashes/1")).values("href")
    signed = create_site(store, Access(SECRET), Clock(), Rates(burst=1e9), Doors(rules=lambda _team: RULES))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(signed), base_url=BASE) as client:
        client.cookies.set("pileup", links.sign(SECRET, "C1", NOON + timedelta(days=1)))
        text = (await client.get(path)).text
    assert "Storage people" in text
    assert "In private" not in text
    assert "G9SECRET1" not in text


@pytest.mark.parametrize("path", ["/drivers/nothing.sys", "/hosts/PC-9", "/builds/1", "/teams/nobody", "/hosts/"])
async def test_what_nothing_is_seen_of_is_not_there(store: Store, path: str) -> None:
    add(store, 1)
    add(store, 1, "PC-9", channel="G9", module="hidden.sys", signature="h", team="Secret")
    signed = Access(SECRET)
    async with browser(store, signed) as client:
        client.cookies.set("pileup", links.sign(SECRET, "C1", NOON + timedelta(days=1)))
        assert (await client.get(path)).status_code == 404
        for listed in ("/drivers", "/hosts", "/builds", "/teams"):
            text = (await client.get(listed)).text
            assert "PC-9" not in text
            assert "hidden.sys" not in text
            assert "Secret" not in text
