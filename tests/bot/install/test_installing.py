"""Workspaces install the bot themselves: the way through a browser, two of them side by side, and their leaving."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.home_tab.view import MODE
from bot.sandbox import Message, StandIn
from bot.sandbox.events import home_opened
from bot.sandbox.grants import CLIENT_ID, CLIENT_SECRET
from bot.sandbox.payloads import action_of, view_press_of
from bot.sandbox.workspace import Workspace
from storage.search import Query
from storage.store import Store
from tests.bot.kit import (
    ANNA,
    CRASHES,
    Analyst,
    bot,
    dump,
    free_port,
    is_done,
    replies,
    shown,
    until,
)
from tests.bot.server import page, serving

CARL, SECOND = "U0CARL0001", "C0SECOND01"
BOTH = pytest.mark.parametrize("transport", ["socket", "http"])


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        stand_in.join(Workspace.second())
        yield stand_in


@asynccontextmanager
async def installing(slack: StandIn, home: Path, transport: str = "http", **more: Any) -> AsyncIterator[str]:
    """The bot without a token; gives its address for installing."""
    port = free_port()
    given = {
        "slack_bot_token": None,
        "slack_client_id": CLIENT_ID,
        "slack_client_secret": CLIENT_SECRET,
        "http_port": port,
        "http_url": f"http://127.0.0.1:{port}",
        "transport": transport,
    }
    async with bot(slack, home, Analyst(), **(given | more)):
        for deliveries in slack.others.values():
            deliveries.over_http = slack.deliveries.over_http
        yield f"http://127.0.0.1:{port}/slack/install"


async def install(
    address: str, slack: StandIn, workspace: Workspace, by: str = ANNA, **how: Any
) -> tuple[int, str, dict[str, str]]:
    """What an admin's browser sees in the end, and what it was sent to Slack with."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        async with browser.get(address, allow_redirects=False) as answer:
            assert answer.status == 302
            way = answer.headers["Location"]
        back = slack.grants.approve(way, workspace, by, **how)
        async with browser.get(f"{address.replace('install', 'oauth_redirect')}?{back}") as answer:
            return answer.status, await answer.text(), {"way": way, "back": back}


def said_in(slack: StandIn, workspace: Workspace, parent: Message, channel: str) -> list[str]:
    return [shown(m) for m in workspace.channels[channel].thread(parent.ts) if m.user == workspace.bot.id]


@BOTH
async def test_two_workspaces_side_by_side_see_nothing_of_each_other(
    slack: StandIn, tmp_path: Path, transport: str
) -> None:
    first, second = slack.workspaces
    routes = {"a.dmp": page(dump("seed")), "b.dmp": page(dump("seed")), "c.dmp": page(dump("seed", 1))}
    async with (
        serving(**routes) as files,
        installing(slack, tmp_path, transport) as address,
    ):
        status, text, sent = await install(address, slack, first)
        assert (status, "It works in Sandbox now" in text) == (200, True)
        assert f"redirect_uri=http%3A%2F%2F127.0.0.1%3A{address.split(':')[2].split('/')[0]}" in sent["way"]
        assert (await install(address, slack, second, CARL))[0] == 200

        one = first.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_done(slack, one))
        # The same bytes, and the same failure, in the other workspace: new there, by its own analysis and token.
        other, third = second.say(SECOND, CARL, files.url("/b.dmp")), second.say(SECOND, CARL, files.url("/c.dmp"))
        await until(lambda: is_done(slack, other) and is_done(slack, third))
        told = said_in(slack, second, other, SECOND) + said_in(slack, second, third, SECOND)
        assert not any(CRASHES in text or "a.dmp" in text or "3 crashes" in text for text in told)
        asked = second.say(SECOND, CARL, f"<@{second.bot.id}> last 5 crashes")
        await until(lambda: said_in(slack, second, asked, SECOND))
        assert "All 2 crashes" in said_in(slack, second, asked, SECOND)[0]
        with Store.open(f"sqlite:///{tmp_path}/pileup.sqlite") as store:
            assert [store.of_tenant(one.team_id).search.count(Query()) for one in (first, second)] == [1, 2]
            assert {entry.deed for entry in store.audit.entries()} >= {"install"}


@BOTH
async def test_home_tabs_and_previews_are_each_workspace_s_own(slack: StandIn, tmp_path: Path, transport: str) -> None:
    def home(workspace: Workspace, person: str) -> str:
        found = workspace.homes.get(person)
        return "" if found is None else str(found.content["blocks"])

    first, second = slack.workspaces
    first.unfurl_domains = second.unfurl_domains = {"pileup.example"}
    routes = {"a.dmp": page(dump("seed")), "b.dmp": page(dump("deadlock"))}
    async with (
        serving(**routes) as files,
        installing(slack, tmp_path, transport, web_url="https://pileup.example") as address,
    ):
        await install(address, slack, first)
        await install(address, slack, second, CARL)
        said = first.say(CRASHES, ANNA, files.url("/a.dmp")), second.say(SECOND, CARL, files.url("/b.dmp"))
        await until(lambda: all(is_done(slack, one) for one in said))
        with Store.open(f"sqlite:///{tmp_path}/pileup.sqlite") as store:
            numbers = [store.of_tenant(one.team_id).search.find(Query(live=True))[0].id for one in (first, second)]
        slack.open_home(ANNA)
        slack.others[second.team_id].emit(home_opened(second, second.channels[SECOND], CARL))
        await until(lambda: "Settings" in home(first, ANNA) and "Settings" in home(second, CARL))
        assert ("0x9F rassstp.sys" in home(first, ANNA), "0xE2" in home(first, ANNA)) == (True, False)
        assert ("0x9F rassstp.sys" in home(second, CARL), "0xE2" in home(second, CARL)) == (False, True)
        links = " ".join(f"<https://pileup.example/crashes/{number}>" for number in numbers)
        shared = first.say(CRASHES, ANNA, links), second.say(SECOND, CARL, links)
        await until(lambda: all(one.unfurled for one in shared))
        assert [list(one.unfurled) for one in shared] == [
            [f"https://pileup.example/crashes/{number}"] for number in numbers
        ]
        pressed = action_of(second.homes[CARL].content["blocks"], MODE, ["channel"])
        slack.others[second.team_id].interact(view_press_of(second, second.homes[CARL], pressed, {}))
        await until(lambda: "Verdicts stand in the channel itself" in home(second, CARL))
        slack.open_home(ANNA)
        await until(lambda: len(slack.calls_of("views.publish")) >= 6)
        assert "Verdicts stand in the thread" in home(first, ANNA)


async def test_a_workspace_that_has_not_installed_it_is_not_answered(slack: StandIn, tmp_path: Path) -> None:
    first, second = slack.workspaces
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, installing(slack, tmp_path) as address:
        await install(address, slack, first)
        unheard = second.say(SECOND, CARL, files.url("/a.dmp"))
        heard = first.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_done(slack, heard))
    assert said_in(slack, second, unheard, SECOND) == []


@BOTH
async def test_a_workspace_that_takes_the_app_away_is_forgotten_and_may_come_again(
    slack: StandIn, tmp_path: Path, transport: str
) -> None:
    first, second = slack.workspaces
    path = f"sqlite:///{tmp_path}/pileup.sqlite"
    async with (
        serving(**{"a.dmp": page(dump("seed")), "b.dmp": page(dump("deadlock"))}) as files,
        installing(slack, tmp_path, transport, keep_dumps="always") as address,
    ):
        for workspace, channel, person in ((first, CRASHES, ANNA), (second, SECOND, CARL)):
            await install(address, slack, workspace, person)
            said = workspace.say(channel, person, files.url("/a.dmp"))
            await until(lambda said=said: is_done(slack, said))  # type: ignore[misc]  # bound at once
        deliveries = slack.others[second.team_id]
        # Tokens of a person that are revoked are none of ours.
        deliveries.emit({"type": "tokens_revoked", "tokens": {"oauth": [CARL], "bot": []}})
        await asyncio.sleep(1.1)  # an installation and a farewell within one second cannot be told apart
        deliveries.emit({"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [second.bot.id]}})
        deliveries.emit({"type": "app_uninstalled"})
        with Store.open(path) as store:
            await until(lambda: [one.team for one in store.installations.all()] == [first.team_id])
            await until(lambda: store.of_tenant(second.team_id).reports.count() == 0)
            assert store.of_tenant(first.team_id).reports.count() == 1
            assert store.audit.entries(team=second.team_id) == []
        unheard = second.say(SECOND, CARL, files.url("/b.dmp"))
        assert (await install(address, slack, second, CARL))[0] == 200
        heard = second.say(SECOND, CARL, files.url("/b.dmp"))
        await until(lambda: is_done(slack, heard))
        assert said_in(slack, second, unheard, SECOND) == []
        late = {"type": "event_callback", "team_id": second.team_id, "event": {"type": "app_uninstalled"}}
        delivery = deliveries.emit({"type": "app_uninstalled"})
        delivery.payload |= late | {"event_time": 1_700_000_000}  # of before the new installation, delivered late
        await until(lambda: delivery.acked_after is not None)
        await asyncio.sleep(0.2)
        with Store.open(path) as store:
            assert len(store.installations.all()) == 2


async def test_tokens_lie_encrypted_and_each_state_works_once_in_one_browser(slack: StandIn, tmp_path: Path) -> None:
    first = slack.workspaces[0]
    async with installing(slack, tmp_path) as address:
        *_, sent = await install(address, slack, first)
        back = address.replace("install", "oauth_redirect")
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
            # Without the cookie, with a state that was used, and with none.
            for query in (sent["back"], "state=x&code=y", "code=y", ""):
                async with browser.get(f"{back}?{query}") as answer:
                    assert answer.status == 403
                    assert "without a beginning" in await answer.text()
            async with browser.get(address, allow_redirects=False) as answer:
                assert answer.headers["Set-Cookie"].count("HttpOnly") == 1
                state = slack.grants.approve(answer.headers["Location"], first, ANNA).split("state=")[1]
            async with browser.get(f"{back}?state={state}&error=access_denied") as answer:
                assert (answer.status, "cancelled" in await answer.text()) == (400, True)
            async with browser.get(f"{back}?state={state}&code=again") as answer:
                assert answer.status == 403
            async with browser.get(address, allow_redirects=False) as answer:
                state = slack.grants.approve(answer.headers["Location"], first, ANNA).split("state=")[1]
            async with browser.get(f"{back}?state={state}&code=made-up") as answer:
                assert (answer.status, "did not accept" in await answer.text()) == (400, True)
    token = slack.grants.all[-1].token
    rows = sqlite3.connect(tmp_path / "pileup.sqlite").execute("SELECT * FROM installations").fetchall()
    assert len(rows) == 1
    assert token not in repr(rows)
    files = [tmp_path / f"pileup.sqlite{more}" for more in ("", "-wal")]
    assert not any(token.encode() in file.read_bytes() for file in files if file.exists())


@pytest.mark.parametrize("how", ["organisation", "team"])
async def test_what_is_not_meant_for_this_bot_is_refused_and_given_back(
    slack: StandIn, tmp_path: Path, how: str
) -> None:
    more: dict[str, Any] = {"teams": frozenset({"T0OTHER001"})} if how == "team" else {}
    async with installing(slack, tmp_path, **more) as address:
        status, text, _ = await install(address, slack, slack.workspaces[0], for_organisation=how == "organisation")
    assert status == 403
    assert ("whole organisation" if how == "organisation" else "PILEUP_TEAMS") in text
    assert slack.grants.all[-1].is_revoked
    with Store.open(f"sqlite:///{tmp_path}/pileup.sqlite") as store:
        assert store.installations.all() == []


async def test_files_are_fetched_with_the_token_of_their_workspace(slack: StandIn, tmp_path: Path) -> None:
    first, second = slack.workspaces
    async with installing(slack, tmp_path) as address:
        await install(address, slack, first)
        await install(address, slack, second, CARL)
        posted = second.upload(SECOND, CARL, "x.dmp", dump("seed"))
        await until(lambda: is_done(slack, posted))
    assert "white_check_mark" in posted.reactions
    assert replies(slack, posted) == []
