"""Who may see which channels, asked of Slack: fewer whenever anything is in doubt, never more."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bot.clients import reading_client
from bot.listeners.rooms import heed
from bot.membership import FAILED_SECONDS, KEPT_SECONDS, Membership
from bot.sandbox import StandIn
from bot.sandbox.api import BOT_TOKEN
from bot.sandbox.events import envelope
from bot.sandbox.rooms import made_private, room_event
from bot.sandbox.workspace import Channel, User
from storage.sight import Sight
from storage.store import Store

ANNA, BEN, EVE = "U0ANNA0001", "U0BEN00001", "U0EVE00001"
TEAM, CRASHES, SECRET, GROUP, DIRECT = "T0SANDBOX1", "C0CRASHES1", "C0SECRET01", "C0GROUP001", "D0ANNA0001"


class Watch:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def furnish(slack: StandIn) -> None:
    space = slack.workspace
    space.users[EVE] = User(EVE, "eve", is_guest=True)
    for channel in (
        Channel(SECRET, "merger", {space.bot.id, ANNA}, is_private=True),
        Channel(GROUP, "mpdm-anna-ben", {space.bot.id, ANNA, BEN}, is_mpim=True),
        Channel("C0OTHER001", "without-bot", {ANNA, BEN}, is_private=True),
    ):
        space.channels[channel.id] = channel
    space.channels[CRASHES].members.add(EVE)


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        furnish(stand_in)
        yield stand_in


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "pileup.sqlite") as opened:
        opened.channels.hear(TEAM, DIRECT, "im", ANNA)
        yield opened


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def members(slack: StandIn, store: Store, watch: Watch) -> Membership:
    return Membership(reading_client(BOT_TOKEN, slack.api_url), store, TEAM, watch)


async def test_a_member_sees_public_channels_and_the_private_ones_that_the_bot_is_in_too(members: Membership) -> None:
    assert await members.sight_of(ANNA) == Sight(frozenset({SECRET, GROUP, DIRECT}), TEAM)
    assert await members.sight_of(BEN) == Sight(frozenset({GROUP}), TEAM)
    assert await members.channels_of(BEN) == {GROUP}


async def test_a_guest_sees_what_he_is_in_and_somebody_who_left_or_never_was_nothing(
    slack: StandIn, members: Membership
) -> None:
    assert await members.sight_of(EVE) == Sight(frozenset({CRASHES}))
    slack.workspace.users[BEN].is_deleted = True
    assert await members.sight_of(BEN) == Sight(frozenset())
    assert await members.sight_of("U0NOBODY01") == Sight(frozenset())


async def test_a_list_of_many_pages_is_read_to_its_end(slack: StandIn, members: Membership) -> None:
    for number in range(230):
        channel = Channel(f"C0MANY{number:04}", f"many-{number}", {slack.workspace.bot.id, BEN}, is_private=True)
        slack.workspace.channels[channel.id] = channel
    assert len(await members.channels_of(BEN)) == 231


async def test_it_is_asked_once_and_kept_for_minutes(slack: StandIn, members: Membership, watch: Watch) -> None:
    await asyncio.gather(*(members.sight_of(ANNA) for _ in range(5)))
    calls = len(slack.calls)
    assert calls == 3
    watch.now = KEPT_SECONDS - 1
    await members.sight_of(ANNA)
    assert len(slack.calls) == calls
    slack.workspace.channels[SECRET].members.discard(ANNA)
    watch.now = KEPT_SECONDS + 1
    assert SECRET not in await members.channels_of(ANNA)


@pytest.mark.parametrize("fault", ["internal_error", "missing_scope", "invalid_auth", "lost", "user_not_found"])
async def test_an_answer_that_does_not_come_is_fewer_channels(
    slack: StandIn, members: Membership, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.membership.ASK_SECONDS", 1.0)
    for method in ("users.conversations", "users.info"):
        if fault == "lost":
            slack.faults.lose_answer(method, 50)
        else:
            slack.faults.fail(method, fault, 50)
    assert await members.sight_of(BEN) == Sight(frozenset())
    assert await members.channels_of(ANNA) <= {DIRECT}


async def test_a_failed_answer_is_not_kept_for_long(slack: StandIn, members: Membership, watch: Watch) -> None:
    slack.faults.fail("users.conversations", "internal_error", 2)
    assert await members.channels_of(BEN) == set()
    watch.now = FAILED_SECONDS + 1
    assert await members.channels_of(BEN) == {GROUP}


async def test_each_kind_of_channel_has_a_scope_of_its_own(store: Store) -> None:
    async with StandIn(scopes=frozenset({"groups:read", "users:read"})) as slack:
        furnish(slack)
        members = Membership(reading_client(BOT_TOKEN, slack.api_url), store, TEAM)
        assert await members.sight_of(ANNA) == Sight(frozenset({SECRET, DIRECT}), TEAM)


async def test_an_answer_tells_what_all_who_read_it_may_see(members: Membership) -> None:
    assert await members.sight_in(CRASHES, ANNA) == Sight(frozenset({CRASHES}), TEAM)
    assert await members.sight_in(SECRET, ANNA) == Sight(frozenset({SECRET}), TEAM)
    assert await members.sight_in(DIRECT, ANNA) == Sight(frozenset({SECRET, GROUP, DIRECT}), TEAM)
    # A direct message that is not theirs, as a forged payload may name it, tells nothing of theirs.
    assert await members.sight_in(DIRECT, BEN) == Sight(frozenset({DIRECT}), TEAM)


async def test_a_channel_is_looked_up_once_and_told_apart(slack: StandIn, members: Membership, store: Store) -> None:
    slack.workspace.channels[CRASHES].is_shared = True
    for channel in (CRASHES, SECRET, GROUP, "C0ARCHIVE1", "C0OTHER001", "C0NOWHERE1", CRASHES):
        await members.learn(channel)
    rooms = {name: store.channels.get(TEAM, name) for name in (CRASHES, SECRET, GROUP, "C0ARCHIVE1", "C0OTHER001")}
    assert {name: room and (room.kind, room.state, room.shared) for name, room in rooms.items()} == {
        CRASHES: ("public", "open", True),
        SECRET: ("private", "open", False),
        GROUP: ("mpim", "open", False),
        "C0ARCHIVE1": ("public", "archived", False),
        "C0OTHER001": ("private", "left", False),
    }
    assert len([call for call in slack.calls if call.method == "conversations.info"]) == 6


async def test_a_channel_of_which_slack_tells_nothing_stays_unknown(
    slack: StandIn, members: Membership, store: Store
) -> None:
    slack.faults.fail("conversations.info", "missing_scope")
    await members.learn(CRASHES)
    assert store.channels.get(TEAM, CRASHES) is None


async def test_a_channel_made_private_closes_at_once_and_opens_only_by_the_web_api(
    slack: StandIn, members: Membership, store: Store
) -> None:
    channel = slack.workspace.channels[CRASHES]
    await members.learn(CRASHES)
    slack.faults.fail("conversations.info", "missing_scope", 2)  # even without a word from the Web API
    await heed(store, members, envelope(slack.workspace, made_private(slack.workspace, channel), "E1"))
    assert (room := store.channels.get(TEAM, CRASHES)) is not None
    assert room.kind == "private"
    reopened = {"type": "message", "subtype": "channel_convert_to_public", "channel": CRASHES}
    await heed(store, members, envelope(slack.workspace, reopened, "E2"))
    assert (room := store.channels.get(TEAM, CRASHES)) is not None
    assert room.kind == "private"
    channel.is_private = False
    await heed(store, members, envelope(slack.workspace, reopened, "E3"))
    assert (room := store.channels.get(TEAM, CRASHES)) is not None
    assert room.kind == "public"


async def test_who_leaves_a_channel_sees_it_no_longer(slack: StandIn, members: Membership, store: Store) -> None:
    assert SECRET in await members.channels_of(ANNA)
    channel = slack.workspace.channels[SECRET]
    channel.members.discard(ANNA)
    assert SECRET in await members.channels_of(ANNA)  # kept
    left = room_event(slack.workspace, "member_left_channel", channel, ANNA)
    await heed(store, members, envelope(slack.workspace, left, "E1"))
    assert SECRET not in await members.channels_of(ANNA)


async def test_what_is_on_its_way_when_somebody_leaves_is_not_kept(
    slack: StandIn, members: Membership, store: Store
) -> None:
    slack.faults.slow_seconds = 0.2
    asking = asyncio.create_task(members.channels_of(ANNA))
    await asyncio.sleep(0.3)
    slack.workspace.channels[SECRET].members.discard(ANNA)
    members.forget(ANNA)
    await asking
    assert SECRET not in await members.channels_of(ANNA)


async def test_the_state_of_channels_is_kept_and_they_are_looked_up_again(
    slack: StandIn, members: Membership, store: Store
) -> None:
    await members.learn(CRASHES)
    for kind, state in (("channel_archive", "archived"), ("channel_unarchive", "open"), ("channel_left", "left")):
        event = room_event(slack.workspace, kind, slack.workspace.channels[CRASHES])
        await heed(store, members, envelope(slack.workspace, event, kind))
        assert (room := store.channels.get(TEAM, CRASHES)) is not None
        assert room.state == state
    assert await members.check() == 0
