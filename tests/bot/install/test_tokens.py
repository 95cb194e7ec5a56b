"""Tokens that end are renewed before that, by one of many, and what is sealed only the right secret opens."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from slack_sdk.oauth.installation_store import Installation

from bot.clients import bare_client, sending_client
from bot.install.installations import InstallationStore, StateStore
from bot.install.tokens import EARLY, InstalledToken
from bot.install.vault import Unopened, Vault
from bot.outbound import Message, checked
from bot.sandbox import StandIn
from bot.sandbox.grants import CLIENT_ID, CLIENT_SECRET, LIFE_SECONDS
from bot.slack_calls import Refused, Unreachable
from storage.store import Store

TEAM = "T0SANDBOX1"
VAULT = Vault("a secret of the settings")


class Clock:
    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        stand_in.grants.rotating = True
        yield stand_in


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/pileup.sqlite", clock) as opened:
        yield opened


async def installed(slack: StandIn, store: Store) -> str:
    """A workspace has installed the bot; its token."""
    way = f"https://x/?client_id={CLIENT_ID}&scope=chat:write&state=s"
    code = slack.grants.approve(way, slack.workspace, "U0ANNA0001").split("code=")[1].split("&")[0]
    given = slack.grants.access({"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "code": code})
    await InstallationStore(store, VAULT).async_save(
        Installation(
            team_id=TEAM,
            bot_token=given["access_token"],
            bot_refresh_token=given["refresh_token"],
            bot_token_expires_in=given["expires_in"],
            bot_user_id="U0PILEUP01",
            user_id="U0ANNA0001",
        )
    )
    return str(given["access_token"])


def token(slack: StandIn, store: Store, clock: Clock, vault: Vault = VAULT) -> InstalledToken:
    client = bare_client(slack.api_url)
    return InstalledToken(TEAM, store, vault, client, keys=(CLIENT_ID, CLIENT_SECRET), clock=clock)


async def test_a_token_is_renewed_before_its_end_once_by_whomever(slack: StandIn, store: Store, clock: Clock) -> None:
    first = await installed(slack, store)
    many = [token(slack, store, clock) for _ in range(4)]
    assert {await one.current() for one in many} == {first}
    clock.ahead = timedelta(seconds=LIFE_SECONDS) - EARLY + timedelta(seconds=11)
    found = {*await asyncio.gather(*(one.current() for one in many for _ in range(3)))}
    assert slack.grants.refreshes == 1
    assert found == {slack.grants.all[-1].token}
    assert first not in found
    assert slack.grants.of(first)  # what is on its way with the old one still arrives


async def test_a_token_that_cannot_be_renewed_is_used_to_its_end(slack: StandIn, store: Store, clock: Clock) -> None:
    first = await installed(slack, store)
    one = token(slack, store, clock)
    slack.faults.fail("oauth.v2.access", "internal_error", 2)
    clock.ahead = timedelta(seconds=LIFE_SECONDS - 60)
    assert await one.current() == first
    clock.ahead = timedelta(seconds=LIFE_SECONDS + 60)
    with pytest.raises(Unreachable, match="internal_error"):
        await token(slack, store, clock).current()
    assert await token(slack, store, clock).current() != first  # Slack is well again


async def test_a_call_that_meets_the_end_of_its_token_is_made_with_another(
    slack: StandIn, store: Store, clock: Clock
) -> None:
    await installed(slack, store)
    client = sending_client(token(slack, store, clock), slack.api_url)
    slack.grants.all[-1].expires_at = 0.0  # as when the clocks differ
    message = checked(Message("once"), "key") | {"unfurl_links": False, "unfurl_media": False}
    posted = await client.api_call("chat.postMessage", json={"channel": "C0CRASHES1", **message})
    assert posted["ok"]
    assert slack.grants.refreshes == 1
    assert [m.text for m in slack.workspace.channels["C0CRASHES1"].messages.values()] == ["once"]


async def test_a_workspace_that_is_not_installed_has_no_token(slack: StandIn, store: Store, clock: Clock) -> None:
    with pytest.raises(Refused, match="not_installed"):
        await token(slack, store, clock).current()
    await installed(slack, store)
    with pytest.raises(Refused, match="not_installed"):
        await token(slack, store, clock, Vault("another secret")).current()


async def test_who_claimed_a_renewal_and_died_is_not_waited_for_for_ever(
    slack: StandIn, store: Store, clock: Clock
) -> None:
    await installed(slack, store)
    kept = store.installations.get(TEAM)
    assert kept is not None
    assert store.installations.claim(kept, 0.3)
    clock.ahead = timedelta(seconds=LIFE_SECONDS) - EARLY + timedelta(seconds=11)
    assert store.installations.claim(kept, 0.3)
    assert await token(slack, store, clock).current() == slack.grants.all[-1].token
    assert slack.grants.refreshes == 1


def test_a_seal_is_for_one_workspace_and_one_secret() -> None:
    sealed = VAULT.seal("T1", "xoxb-1")
    assert "xoxb" not in sealed
    assert sealed != VAULT.seal("T1", "xoxb-1")
    assert VAULT.open("T1", sealed) == "xoxb-1"
    for team, vault, text in (
        ("T2", VAULT, sealed),
        ("T1", Vault("other"), sealed),
        ("T1", VAULT, sealed[:-4] + "AAA="),
        ("T1", VAULT, "2" + sealed[1:]),
        ("T1", VAULT, ""),
        ("T1", VAULT, "1:é"),
    ):
        with pytest.raises(Unopened):
            vault.open(team, text)


async def test_the_store_speaks_slack_sdks_protocol(slack: StandIn, store: Store) -> None:
    first = await installed(slack, store)
    kept = InstallationStore(store, VAULT)
    found = await kept.async_find_installation(enterprise_id=None, team_id=TEAM)
    assert found is not None
    assert (found.bot_token, found.user_id, found.team_id) == (first, "U0ANNA0001", TEAM)
    bot = await kept.async_find_bot(enterprise_id=None, team_id=TEAM)
    assert bot is not None
    assert bot.bot_token == first
    await kept.async_save_bot(bot)
    assert (await kept.async_find_installation(enterprise_id=None, team_id=TEAM, user_id="U0BEN00001")) is None
    assert await kept.async_find_bot(enterprise_id=None, team_id="T2") is None
    with pytest.raises(ValueError, match="workspace"):
        await kept.async_save(Installation(user_id="U1", enterprise_id="E1", is_enterprise_install=True, bot_token="x"))
    await kept.async_delete_all(enterprise_id=None, team_id=TEAM)
    assert await kept.async_find_bot(enterprise_id=None, team_id=TEAM) is None
    states = StateStore(store)
    word = await states.async_issue()
    assert [await states.async_consume(word) for _ in range(2)] == [True, False]


async def test_an_installation_that_is_made_again_counts(slack: StandIn, store: Store, clock: Clock) -> None:
    await installed(slack, store)
    one = token(slack, store, clock)
    await one.current()
    kept = store.installations.get(TEAM)
    assert kept is not None
    store.installations.save(dataclasses.replace(kept, token=VAULT.seal(TEAM, "xoxb-new"), expires_at=None))
    clock.ahead = timedelta(seconds=11)
    assert await one.current() == "xoxb-new"
