"""The JSON API: what it answers, to whom, and that its description tells the truth."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Route

from analysis.verdict.report import Report
from bot.web.api.application import api_site
from bot.web.api.description import description
from bot.web.api.tokens import Bearers
from bot.web.doors import Doors
from bot.web.guard import Access, Rates
from bot.web.pages import create_site
from bot.web.uploads.intake import Intake
from storage import Store
from storage.threads import Told
from storage.tokens import Scope
from tests.bot.web.described import check
from tests.bot.web.documents import parsed
from tests.bot.web.sites import HUNG, PRIVATE, SECRET, STORED, history
from tests.storage.samples import NOON, Clock, report

HANG = "9f/4 rassstp PiEngineLock"
SIGNED = Access(SECRET, "https://pileup.example")
READS = (
    "/api/crashes", f"/api/crashes/{HUNG}", "/api/groups", f"/api/groups/{quote(HANG, safe='')}", "/api/top",
    "/api/health",
)  # fmt: skip


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with history(tmp_path, clock) as opened:
        yield opened


@asynccontextmanager
async def api(
    store: Store,
    clock: Clock,
    *scopes: Scope,
    channels: list[str] | None = None,
    access: Access = SIGNED,
    per_minute: int = 600,
) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a token of these scopes, or with none."""
    site = create_site(store, access, clock, doors=Doors(per_minute=per_minute))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(site), base_url="http://127.0.0.1") as client:
        if scopes:
            _, secret = store.tokens.add("test", scopes, channels)
            client.headers["Authorization"] = f"Bearer {secret}"
        yield client


def test_the_description_is_openapi() -> None:
    OpenAPIV31SpecValidator(description()).validate()


def test_every_address_is_described_and_every_described_one_is_there(store: Store, clock: Clock) -> None:
    made = api_site(store, Bearers(store, SIGNED), lambda _: None, clock, Intake(store, Path()))
    routes = {
        (route.path.replace(":int", "").replace(":path", ""), method.lower())
        for route in made.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    described = {(path, method) for path, methods in description()["paths"].items() for method in methods}
    assert routes == described | {("/openapi.json", "get")}


@pytest.mark.parametrize("path", READS)
async def test_every_answer_is_as_described(store: Store, clock: Clock, path: str) -> None:
    async with api(store, clock, "read") as client:
        answer = await client.get(path)
    assert answer.status_code == 200
    assert check(answer)


async def test_a_crash_is_its_line_its_threads_and_its_report(store: Store, clock: Clock) -> None:
    async with api(store, clock, "read") as client:
        said = check(await client.get(f"/api/crashes/{HUNG}"))
    assert (said["crash"]["id"], said["crash"]["module"]) == (HUNG, "rassstp.sys")
    assert said["crash"]["page"] == f"https://pileup.example/crashes/{HUNG}"
    assert said["threads"] == ["https://slack.example/C1/1"]
    assert Report.from_json(said["report"]) == store.reports.report(HUNG)


async def test_an_address_that_is_no_link_is_no_thread(store: Store, clock: Clock) -> None:
    store.threads.note(
        Told(report_id=HUNG, team="T", channel="C1", ts="2", summary_ts="2", permalink="javascript:alert(1)")
    )
    async with api(store, clock, "read") as client:
        said = check(await client.get(f"/api/crashes/{HUNG}"))
    assert said["threads"] == ["https://slack.example/C1/1"]


async def test_a_question_of_slack_picks_crashes_and_is_answered(store: Store, clock: Clock) -> None:
    async with api(store, clock, "read") as client:
        said = check(await client.get("/api/crashes", params={"q": "have we seen rassstp since June?"}))
        assert said["answer"][0].startswith("Yes: rassstp.sys was seen 2 times since June")
        assert {item["module"] for item in said["items"]} == {"rassstp.sys"}
        narrowed = check(await client.get("/api/crashes", params={"q": "rassstp", "host": "pc-1"}))
        assert [item["id"] for item in narrowed["items"]] == [HUNG]
        none = check(await client.get("/api/crashes", params={"since": "2026-06-15T12:00:01Z"}))
        assert none == {"answer": [], "items": [], "next": None}
        coded = check(await client.get("/api/crashes", params={"code": "9F"}))
        assert [item["id"] for item in coded["items"]] == [PRIVATE, STORED, HUNG]


async def test_pages_lead_through_all_of_history_once_also_while_it_grows(store: Store, clock: Clock) -> None:
    for number in range(20):  # many at the same moment: the number decides
        store.remember(report(f"more {number}", crashed=NOON - timedelta(days=number // 8)))
    found: list[int] = []
    async with api(store, clock, "read") as client:
        given: dict[str, Any] = {"limit": 5}
        while True:
            said = check(await client.get("/api/crashes", params=given))
            found += [item["id"] for item in said["items"]]
            if said["next"] is None:
                break
            given["cursor"] = said["next"]
            store.remember(report(f"while reading {len(found)}", crashed=NOON))
    assert len(found) == len(set(found))
    assert set(range(1, 24)) <= set(found)


async def test_what_comes_up_most_is_counted_by_any_column(store: Store, clock: Clock) -> None:
    async with api(store, clock, "read") as client:
        said = check(await client.get("/api/top", params={"by": "module"}))
        assert said["items"] == [{"value": "rassstp.sys", "count": 2}, {"value": "hidden.sys", "count": 1}]
        said = check(await client.get("/api/top", params={"by": "host", "module": "rassstp.sys", "limit": 1}))
        assert said["items"] == [{"value": "PC-1", "count": 1}]


async def test_a_failure_has_what_people_said_of_it(store: Store, clock: Clock) -> None:
    store.knowledge.note(HANG, "known", "U1", {"note": "a bug", "ticket": "T-1", "fixed_in": "2.0"})
    async with api(store, clock, "read") as client:
        said = check(await client.get(f"/api/groups/{quote(HANG, safe='')}"))
    assert (said["count"], said["known"]["issue"]["fixed_in"]) == (2, "2.0")
    assert said["hosts"] == [{"value": "PC-1", "count": 1}, {"value": "PC-2", "count": 1}]


@pytest.mark.parametrize(
    "path",
    [f"/api/crashes/{PRIVATE}", "/api/groups/x%2F1%20hidden", "/api/crashes?q=hidden", "/api/crashes?q=last+9+crashes",
     "/api/crashes", "/api/groups", "/api/top", "/api/top?by=host", "/api/crashes?host=PC-9", "/api/health"],
)  # fmt: skip
async def test_a_token_sees_what_was_told_in_its_channels_alone(store: Store, clock: Clock, path: str) -> None:
    async with api(store, clock, "read", channels=["C1"]) as client:
        answer = await client.get(path)
        check(answer)
        # What the caller asked with may come back in what is said of it.
        rest = json.dumps({**answer.json(), "answer": [], "detail": ""})
    assert "hidden.sys" not in rest
    assert "PC-9" not in rest
    if path == "/api/health":
        assert answer.json()["crashes"] == 2


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("bears", [None, "Bearer nothing", "Bearer pileup_x", "Basic pileup_x", "Bearer ", "Bearer \t"])
async def test_without_a_valid_token_nothing_is_told(store: Store, clock: Clock, path: str, bears: str | None) -> None:
    async with api(store, clock) as client:
        answer = await client.get(path, headers={} if bears is None else {"Authorization": bears})
    assert answer.status_code == 401
    assert check(answer)["title"] == "Unauthorized"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "rassstp" not in answer.text


async def test_a_token_reads_only_with_that_scope_and_only_until_it_is_revoked(store: Store, clock: Clock) -> None:
    async with api(store, clock, "analyze") as client:
        assert check(await client.get("/api/health"))["detail"] == "This token has not the scope read."
    async with api(store, clock) as client:
        _, secret = store.tokens.add("reader", ["read"])
        client.headers["Authorization"] = f"Bearer {secret}"
        assert (await client.get("/api/health")).status_code == 200
        store.tokens.revoke("reader")
        assert (await client.get("/api/health")).status_code == 401


async def test_on_this_machine_alone_no_token_is_needed_to_read(store: Store, clock: Clock) -> None:
    async with api(store, clock, access=Access()) as client:
        assert (await client.get("/api/health")).status_code == 200
        elsewhere = await client.get("/api/health", headers={"Host": "pileup.example"})
        assert elsewhere.status_code == 403
        borne = {"Host": "pileup.example", "Authorization": "Bearer pileup_x"}
        assert (await client.get("/api/health", headers=borne)).status_code == 403


async def test_each_token_has_its_own_pace(store: Store, clock: Clock) -> None:
    async with api(store, clock, "read", per_minute=3) as client:
        assert [(await client.get("/api/health")).status_code for _ in range(4)] == [200, 200, 200, 429]
        late = await client.get("/api/health")
        assert (check(late)["status"], late.headers["retry-after"]) == (429, "20")
        _, other = store.tokens.add("other", ["read"])
        assert (await client.get("/api/health", headers={"Authorization": f"Bearer {other}"})).status_code == 200


async def test_who_guesses_tokens_has_to_wait_and_others_there_do_not(store: Store, clock: Clock) -> None:
    async with api(store, clock, "read") as client:
        guess = {"Authorization": "Bearer pileup_guess"}
        statuses = [(await client.get("/api/health", headers=guess)).status_code for _ in range(12)]
        assert statuses == [401] * 10 + [429] * 2
        assert (await client.get("/api/health")).status_code == 200


@pytest.mark.parametrize("path", [*READS, "/api/openapi.json"])
async def test_an_answer_that_still_holds_is_not_sent_again(store: Store, clock: Clock, path: str) -> None:
    async with api(store, clock, "read") as client:
        first = await client.get(path)
        tag = first.headers["etag"]
        for held in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = await client.get(path, headers={"If-None-Match": held})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        other = await client.get(path, headers={"If-None-Match": '"other"'})
        assert (other.status_code, other.content) == (200, first.content)
        assert first.headers["cache-control"] == "private, no-cache"
        store.remember(report("one more"))
        if path in ("/api/crashes", "/api/health"):
            assert (await client.get(path, headers={"If-None-Match": tag})).status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [("/api/crashes/99", 404), ("/api/groups/none", 404), ("/api/crashes?limit=0", 400),
     ("/api/crashes?limit=201", 400), ("/api/crashes?limit=%D9%A3", 400), ("/api/crashes?limit=9&limit=9", 400),
     ("/api/crashes?page=2", 400),
     ("/api/crashes?cursor=x", 400), ("/api/crashes?cursor=%FF", 400), ("/api/crashes?cursor=MjAyNnwx", 400),
     ("/api/crashes?since=yesterday", 400), ("/api/crashes?code=zz", 400), ("/api/crashes?q=" + "a" * 501, 400),
     ("/api/crashes?q=delete+everything+now", 400), ("/api/crashes?q=crash+3", 400), ("/api/crashes?q=help", 400),
     ("/api/crashes?q=why+did+it+hang", 400), ("/api/top?by=password", 400), ("/api/groups?days=0", 400),
     ("/api/crashes?since=since+the+last+full+moon", 400), ("/api/crashes?q=crashes+since+the+last+full+moon", 400)],
)  # fmt: skip
async def test_a_mistake_is_a_problem_that_says_which(store: Store, clock: Clock, path: str, status: int) -> None:
    async with api(store, clock, "read") as client:
        answer = await client.get(path)
    assert answer.status_code == status
    assert len(check(answer)["detail"]) > 10


async def test_an_address_that_there_is_not_is_a_problem_too(store: Store, clock: Clock) -> None:
    async with api(store, clock, "read") as client:
        missing, written = await client.get("/api/nothing"), await client.delete("/api/crashes/1")
    assert (missing.status_code, written.status_code) == (404, 405)
    assert {one.headers["content-type"] for one in (missing, written)} == {"application/problem+json"}


async def test_the_page_about_the_api_has_every_address_and_no_script(store: Store, clock: Clock) -> None:
    async with api(store, clock) as client:
        answer = await client.get("/api")
        page = parsed(answer.text)
        assert (await client.get("/api/openapi.json")).json() == description()
    assert answer.status_code == 200
    for path in description()["paths"]:
        assert f"/api{path}" in page.text
    assert "script" not in {tag for tag, _ in page.elements}


async def test_whoever_comes_without_a_token_is_counted_by_address(store: Store, clock: Clock) -> None:
    site = create_site(store, SIGNED, clock, Rates(burst=2, per_second=0))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(site), base_url="http://127.0.0.1") as client:
        assert [(await client.get("/api/openapi.json")).status_code for _ in range(3)] == [200, 200, 429]
