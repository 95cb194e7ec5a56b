"""The bot's pages: what they show, and to whom."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from analysis.verdict.report import Report
from bot import blocks
from bot.outbound import Message
from bot.web import links
from bot.web.guard import MAX_TOKENS, Access, Rates
from bot.web.pages import create_site
from bot.web.running import open_socket, serve_pages
from storage import Query, Store
from storage.jobs import NewJob
from storage.threads import Told
from tests.bot.web.documents import HOSTILE, full_document, parsed, with_texts
from tests.bot.web.sites import HUNG, PRIVATE, SECRET, STORED, browser, history
from tests.storage.samples import NOON, Clock, report

OPEN = Access()
SIGNED = Access(SECRET, "https://pileup.example")
PAGES = (
    "/",
    "/crashes",
    "/crashes?q=top+5+drivers",
    f"/crashes/{HUNG}",
    f"/groups/{quote('9f/4 rassstp PiEngineLock')}",
    "/drivers/rassstp.sys",
    "/hosts/PC-1",
    "/builds/10.0.19041.804",
    "/drivers",
    "/groups",
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with history(tmp_path) as opened:
        yield opened


def token(channel: str, days: float = 1) -> str:
    return links.sign(SECRET, channel, NOON + timedelta(days=days))


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_is_whole_and_needs_only_the_style_sheet_and_the_icon(store: Store, path: str) -> None:
    async with browser(store, OPEN) as client:
        answer = await client.get(path)
    page = parsed(answer.text)
    assert answer.status_code == 200
    assert not {"script", "iframe", "object", "base", "style"} & {tag for tag, _ in page.elements}
    assert page.values("style") == []
    assert [a.get("href") for tag, a in page.elements if tag == "link"] == ["/static/pages.css", "/static/icon.svg"]


@pytest.mark.parametrize("path", [*PAGES, "/nowhere", "/static/pages.css", "/healthz"])
async def test_every_answer_forbids_what_a_page_does_not_need(store: Store, path: str) -> None:
    async with browser(store, OPEN) as client:
        headers = (await client.get(path)).headers
    assert headers["content-security-policy"].startswith("default-src 'self'; object-src 'none'")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-robots-tag"] == "noindex, nofollow"


async def test_the_crash_page_tells_its_history(store: Store) -> None:
    async with browser(store, OPEN) as client:
        page = parsed((await client.get(f"/crashes/{STORED}")).text)
    assert "Seen 2 times since 2026-05-26, on 2 hosts" in page.text
    assert "https://slack.example/C1/2" in page.values("href")
    assert "/groups/9f%2F4%20rassstp%20PiEngineLock" in page.values("href")


async def test_the_crash_page_leads_to_every_thread_that_may_be_seen_and_to_other_crashes(store: Store) -> None:
    for channel in ("C2", "G9"):
        link = f"https://slack.example/{channel}/x"
        store.threads.note(
            Told(report_id=STORED, team="T", channel=channel, ts="2", summary_ts=f"{channel}.2", permalink=link)
        )
    store.knowledge.note("9f/4 rassstp PiEngineLock", "known", "U1", {"note": "n", "fixed_in": "1.0"})
    async with browser(store, OPEN) as client:
        page = parsed((await client.get(f"/crashes/{STORED}")).text)
        assert {f"https://slack.example/{one}" for one in ("C1/2", "C2/x", "G9/x")} <= set(page.values("href"))
        assert "Other crashes of this failure, the latest first: crash 1 , 2026-05-26" in page.text
        store.split(HUNG, "U7", lambda _: ())
        page = parsed((await client.get(f"/crashes/{HUNG}")).text)
        assert "Taken out of its failure by U7" in page.text
        (group,) = [target for target in page.values("href") if target.startswith("/groups/")]
        assert "crash%201" in group
        assert (await client.get(group)).status_code == 200
    async with browser(store, SIGNED) as client:
        client.base_url = "https://127.0.0.1"
        await client.get(f"/open/{token('C1')}")
        seen = parsed((await client.get(f"/crashes/{STORED}")).text)
    assert [one for one in seen.values("href") if one.startswith("https://slack")] == ["https://slack.example/C1/2"]


async def test_a_crash_that_should_not_have_happened_is_called_a_regression(store: Store) -> None:
    made = report("fourth", module="new.sys", signature="n")
    assert made.verdict.culprit is not None
    culprit = replace(made.verdict.culprit, version="2.1")
    number = store.remember(replace(made, verdict=replace(made.verdict, culprit=culprit))).id
    store.knowledge.note("n", "known", "U1", {"note": "mended", "fixed_in": "2.0"})
    async with browser(store, OPEN) as client:
        page = parsed((await client.get(f"/crashes/{number}")).text)
    assert "Regression: this failure was mended in 2.0, and 2.1 crashes the same way." in page.text


async def test_the_link_of_a_crash_leads_to_its_failure(store: Store) -> None:
    async with browser(store, OPEN) as client:
        page = parsed((await client.get("/groups/9f%2F4%20rassstp%20PiEngineLock")).text)
    assert "2 times, 2026-05-26 to 2026-06-14, on 2 hosts" in page.text
    assert "Crashes a day: 2 in 28 days, at most 1 a day" in page.values("aria-label")


async def test_what_people_know_is_on_the_page_of_the_failure(store: Store) -> None:
    name = "9f/4 rassstp PiEngineLock"
    store.knowledge.note(name, "known", "U1", {"note": "fixed by <b>reboot</b>", "ticket": "javascript:alert(1)"})
    store.knowledge.note(name, "wrong", "U2", {"reason": "it was ndis"})
    async with browser(store, OPEN) as client:
        page = parsed((await client.get(f"/groups/{quote(name, safe='')}")).text)
    assert "Known: fixed by <b>reboot</b> — javascript:alert(1)" in page.text
    assert not any(target.startswith("javascript") for target in page.values("href"))
    assert "it was ndis" in page.text


async def test_search_answers_as_slack_does(store: Store) -> None:
    async with browser(store, OPEN) as client:
        page = parsed((await client.get("/crashes", params={"q": "have we seen rassstp since June?"})).text)
    assert "Yes: rassstp.sys was seen 2 times since June, on 2 hosts (PC-1, PC-2)" in page.text
    assert f"/crashes/{STORED}" in page.values("href")


async def test_the_dashboard_has_what_fails_most_and_what_is_new(store: Store) -> None:
    async with browser(store, OPEN) as client:
        page = parsed((await client.get("/")).text)
    most, new = page.text.split("New this week")
    assert "rassstp.sys: 0x9F DRIVER_POWER_STATE_FAILURE" in most
    assert "hidden.sys" in new
    assert "rassstp.sys: 0x9F" not in new


async def test_a_raw_report_is_the_document(store: Store) -> None:
    async with browser(store, OPEN) as client:
        answer = await client.get(f"/crashes/{HUNG}.json")
    assert Report.from_json(json.loads(answer.text)) == store.reports.report(HUNG)
    assert answer.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize("path", ["/crashes/99", "/crashes/99.json", "/groups/none", "/nowhere", "/crashes/x"])
async def test_what_is_not_there_is_404(store: Store, path: str) -> None:
    async with browser(store, OPEN) as client:
        assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize("path", [*PAGES, f"/crashes/{HUNG}.json", "/metrics"])
async def test_without_a_link_nothing_is_shown(store: Store, path: str) -> None:
    async with browser(store, SIGNED) as client:
        client.cookies.set("pileup", "C1.99999999999." + "A" * 43)
        answer = await client.get(path)
    if path == "/metrics":  # the test's browser is on this machine
        assert answer.status_code == 200
        return
    assert answer.status_code == 403
    assert "rassstp" not in answer.text


async def test_a_link_opens_its_crash_and_the_history_of_its_channel(store: Store) -> None:
    async with browser(store, SIGNED) as client:
        client.base_url = "https://127.0.0.1"  # the cookie is for https alone
        answer = await client.get(f"/open/{token('C1')}/{HUNG}")
        assert (answer.status_code, answer.url.path) == (200, f"/crashes/{HUNG}")
        assert (await client.get("/")).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/crashes", f"/crashes/{PRIVATE}", f"/crashes/{PRIVATE}.json", "/groups/x%2F1%20hidden",
             "/crashes?q=hidden", "/crashes?q=last+50+crashes", "/crashes?q=which+hosts", "/crashes?q=crash+3",
             "/groups", "/drivers/hidden.sys",
             "/hosts/PC-9", "/builds/10.0.19041.804", "/drivers", "/hosts", "/builds", "/teams",
             "/crashes?q=what+is+new", "/crashes?q=hiden", "/crashes?q=top+5+drivers", "/crashes?q=crash+%233"]
)  # fmt: skip
async def test_a_crash_told_elsewhere_is_nowhere_to_be_seen(store: Store, path: str) -> None:
    async with browser(store, SIGNED) as client:
        client.base_url = "https://127.0.0.1"
        await client.get(f"/open/{token('C1')}")
        answer = await client.get(path)
        assert answer.status_code in (200, 404)
        said = answer.text.replace(path.partition("q=")[2] or "\0", "")
    assert "hidden.sys" not in said
    assert "PC-9" not in said


async def test_a_second_link_adds_its_channel(store: Store) -> None:
    async with browser(store, SIGNED) as client:
        client.base_url = "https://127.0.0.1"
        await client.get(f"/open/{token('C1')}")
        await client.get(f"/open/{token('G9')}/{PRIVATE}")
        assert (await client.get(f"/crashes/{PRIVATE}")).status_code == 200
        assert (await client.get(f"/crashes/{HUNG}")).status_code == 200
        for number in range(MAX_TOKENS):
            await client.get(f"/open/{token(f'C{number + 2}')}")
        assert (await client.get(f"/crashes/{HUNG}")).status_code == 404  # the oldest link has gone


async def test_a_channel_that_is_shared_is_shown_with_any_link(store: Store) -> None:
    access = Access(SECRET, shared=frozenset({"C1"}))
    async with browser(store, access) as client:
        assert (await client.get(f"/crashes/{HUNG}")).status_code == 403
        await client.get(f"/open/{token('C7')}")
        assert (await client.get(f"/crashes/{HUNG}")).status_code == 200


async def test_a_link_ends_and_so_does_what_it_opened(store: Store) -> None:
    clock = Clock()
    async with browser(store, Access(SECRET), clock) as client:
        await client.get(f"/open/{token('C1', days=1)}")
        assert (await client.get("/")).status_code == 200
        clock.turn(days=2)
        client.cookies.set("pileup", token("C1", days=1), domain="127.0.0.1")  # kept longer than we asked for
        assert (await client.get("/")).status_code == 403
        assert (await client.get(f"/open/{token('C1', days=1)}")).status_code == 403


def test_a_token_is_only_what_was_signed() -> None:
    made = token("C1")
    channel, expires, mac = made.split(".")
    assert links.read(SECRET, made, NOON) is not None
    forged = [
        f"C2.{expires}.{mac}",
        f"{channel}.{int(expires) + 1}.{mac}",
        f"{channel}.{expires}.{'A' * 43}",
        "",
        "~",
        "a.b.c",
    ]
    assert [links.read(SECRET, one, NOON) for one in forged] == [None] * len(forged)
    assert links.read("another secret", made, NOON) is None


async def test_without_a_secret_only_a_loopback_name_is_answered(store: Store) -> None:
    async with browser(store, OPEN) as client:
        assert (await client.get("/", headers={"Host": "evil.example:8080"})).status_code == 403
        assert (await client.get("/", headers={"Host": "localhost:8080"})).status_code == 200
        assert (await client.get("/", headers={"Host": "[::1]:8080"})).status_code == 200


async def test_an_address_that_asks_too_often_has_to_wait(store: Store) -> None:
    seconds = [0.0]
    rates = Rates(burst=3, per_second=1, clock=lambda: seconds[0])
    async with browser(store, OPEN, rates=rates) as client:
        assert [(await client.get("/healthz")).status_code for _ in range(4)] == [200, 200, 200, 429]
        seconds[0] = 1.0
        assert [(await client.get("/healthz")).status_code for _ in range(2)] == [200, 429]
    assert rates.allow("203.0.113.9")


def test_addresses_of_one_network_of_64_bits_count_as_one() -> None:
    rates = Rates(burst=1, per_second=0)
    assert rates.allow("2001:db8::1")
    assert not rates.allow("2001:db8::2")
    assert rates.allow("2001:db8:0:1::1")


async def test_health_and_metrics_for_operators(store: Store) -> None:
    pytest.importorskip("prometheus_client")
    async with browser(store, SIGNED, Clock(NOON + timedelta(seconds=90))) as client:
        assert (await client.get("/healthz")).text == "ok\n"
        assert (await client.get("/readyz")).json() == {"history": "ok"}
        store.workers.sign_in("build-7:1:0:", "0.1.0", 2)
        for key, kind in (("a", "analyze"), ("b", "analyze"), ("c", "ask")):
            store.jobs.enqueue(NewJob(key, {}, kind))
        store.jobs.take("build-7:1:0:", 60, ("ask",))
        text = (await client.get("/metrics")).text
        assert "pileup_reports 3.0" in text
        assert 'pileup_oldest_job_seconds{kind="analyze"} 90.0' in text
        assert 'pileup_oldest_job_seconds{kind="ask"}' not in text
        assert "pileup_workers 1.0" in text
    store.close()
    async with browser(store, SIGNED) as client:
        assert (await client.get("/readyz")).status_code == 503


async def test_pages_of_history_obey_no_text_of_a_dump(tmp_path: Path) -> None:
    pages = []
    with Store.open(tmp_path / "hostile.sqlite", Clock()) as store:
        store.remember(with_texts(full_document(), lambda _: HOSTILE[0]))
        for number, text in enumerate(HOSTILE):
            store.remember(report(str(number), module=text, signature=f"{text}/1", host=text))
        async with browser(store, OPEN) as client:
            lines = store.search.find(Query(), 20)
            paths = ["/", "/crashes", "/crashes/1", "/crashes/2"]
            paths += [f"/groups/{quote(one.signature, safe='')}" for one in lines]
            paths += [f"/drivers/{quote(one.module or '', safe='')}" for one in lines]
            paths += [f"/hosts/{quote(one.host, safe='')}" for one in lines if one.host]
            paths += ["/groups", "/drivers", "/hosts", "/builds", "/teams", "/builds/10.0.19041.804"]
            paths += [f"/crashes?q={quote(text, errors='replace')}" for text in HOSTILE]
            for path in paths:
                answer = await client.get(path)
                assert answer.status_code == 200
                pages.append(parsed(answer.text))
    for page in pages:
        assert not {"script", "img", "style", "iframe"} & {tag for tag, _ in page.elements}
        assert not [name for _, a in page.elements for name in a if name.startswith("on") or name == "style"]
        targets = page.values("href") + page.values("src")
        ours = ("#", "?", "/crashes", "/groups", "/static/", "/drivers", "/hosts", "/builds", "/teams")
        assert all(target.startswith(ours) or target == "/" for target in targets)
        assert not {"\u202e", "\x1b"} & set(page.text)


def test_the_link_below_a_verdict_opens_its_report(store: Store) -> None:
    (place,) = store.threads.of_report(HUNG)
    address = SIGNED.report_link(place) or ""
    start, _, number = address.rpartition("/")
    assert (start.rpartition("/")[0], number) == ("https://pileup.example/open", str(HUNG))
    month = NOON + timedelta(days=30)
    assert links.read(SECRET, start.rpartition("/")[2], NOON) == links.Grant("C1", int(month.timestamp()))
    assert Access(SECRET).report_link(place) is None
    assert Access(url="http://127.0.0.1:8080").report_link(place) == f"http://127.0.0.1:8080/crashes/{HUNG}"
    shown = blocks.with_links(Message("verdict"), address).blocks[-1]
    assert shown["elements"][0]["text"] == f"<{address}|Open report>"


@pytest.mark.parametrize(
    ("proxies", "came_by", "status"),
    [((), "10.0.7.2", 200), ((), "203.0.113.9, 10.0.7.2", 200), (("10.0.7.0/24",), "203.0.113.9, 10.0.7.2", 403),
     (("10.0.7.0/24",), "127.0.0.1, 203.0.113.9", 403), ((), "", 200), ((), "a name", 403)],
)  # fmt: skip
async def test_who_asks_is_whom_a_trusted_proxy_names(
    store: Store, proxies: tuple[str, ...], came_by: str, status: int
) -> None:
    pytest.importorskip("prometheus_client")
    access = replace(SIGNED, operators=frozenset({ip_network("10.0.7.2/32")}))
    place, stop = open_socket("127.0.0.1", 0), asyncio.Event()
    serving = asyncio.create_task(serve_pages(create_site(store, access), place, stop, map(ip_network, proxies)))
    async with httpx.AsyncClient(trust_env=False) as client:
        headers = {"X-Forwarded-For": came_by} if came_by else {}
        answer = await client.get(f"http://127.0.0.1:{place.getsockname()[1]}/metrics", headers=headers)
    stop.set()
    await asyncio.wait_for(serving, 10)
    assert answer.status_code == status


async def test_the_bot_s_own_server_serves_and_stops(store: Store) -> None:
    place, stop = open_socket("127.0.0.1", 0), asyncio.Event()
    port = place.getsockname()[1]
    with pytest.raises(OSError, match="in use"):
        open_socket("127.0.0.1", port)
    serving = asyncio.create_task(serve_pages(create_site(store, OPEN), place, stop))
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://127.0.0.1:{port}/crashes/{HUNG}")).status_code == 200
    stop.set()
    await asyncio.wait_for(serving, 10)


async def test_the_head_leads_to_every_list_and_says_where_one_is(store: Store) -> None:
    async with browser(store, OPEN) as client:
        page = parsed((await client.get(f"/crashes/{HUNG}")).text)
        missing = parsed((await client.get("/crashes/99")).text)
    places = {a["href"]: a.get("aria-current") for tag, a in page.elements if tag == "a" and "aria-current" in a}
    assert {"/", "/crashes", "/groups", "/drivers", "/hosts", "/builds", "/teams"} <= set(page.values("href"))
    assert places == {"/crashes": "true"}
    assert "/upload" not in page.values("href")
    assert "/drivers" in missing.values("href")


async def test_a_stranger_gets_no_head(store: Store) -> None:
    async with browser(store, SIGNED) as client:
        denied = parsed((await client.get(f"/crashes/{HUNG}")).text)
    assert denied.values("href") == ["/static/pages.css", "/static/icon.svg"]
