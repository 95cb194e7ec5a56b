"""The app manifest: valid, and asking for no more than the bot uses."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import jsonschema
import pytest

from bot.listeners.commands import COMMAND, SHORTCUT
from bot.sandbox import StandIn
from tests.bot.kit import ANNA, CRASHES, DIRECT, Analyst, bot, dump, is_done, is_told, until
from tests.bot.server import page, serving

ROOT = Path(__file__).parents[2]
MANIFEST = json.loads((ROOT / "bot" / "manifest.json").read_text("utf-8"))
SCOPES = frozenset(MANIFEST["oauth_config"]["scopes"]["bot"])
SHARED = Path(__file__).parents[3] / "shared" / "data" / "slack"

# Which event needs which scope to be delivered.
EVENTS = {
    "app_mention": "app_mentions:read",
    "message.channels": "channels:history",
    "message.groups": "groups:history",
    "message.im": "im:history",
    "message.mpim": "mpim:history",
    "channel_archive": "channels:read",
    "channel_deleted": "channels:read",
    "channel_left": "channels:read",
    "channel_shared": "channels:read",
    "channel_unarchive": "channels:read",
    "channel_unshared": "channels:read",
    "group_archive": "groups:read",
    "group_deleted": "groups:read",
    "group_left": "groups:read",
    "group_unarchive": "groups:read",
    "member_joined_channel": "channels:read",
    "member_left_channel": "channels:read",
}


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn(scopes=SCOPES) as stand_in:
        yield stand_in


@pytest.mark.shared
def test_slack_would_accept_the_manifest() -> None:
    if not SHARED.is_dir():
        pytest.skip("the shared data folder is missing")
    schema = json.loads((SHARED / "manifest.schema.2.0.0.json").read_text("utf-8"))
    errors = [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(MANIFEST)]
    assert errors == []


async def test_the_scopes_are_enough_and_each_is_used(slack: StandIn, tmp_path: Path) -> None:
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, Analyst()):
        slack.faults.lose_answer("chat.postMessage")  # so that the thread is read as well
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_told(slack, said) and is_done(slack, said))
        posted = slack.workspace.upload(CRASHES, ANNA, "b.dmp", dump("deadlock"))
        await until(lambda: is_done(slack, posted))
        slack.workspace.say(DIRECT, ANNA, "last 5 crashes")
        await until(
            lambda: slack.calls_of("users.conversations") and len(slack.workspace.channels[DIRECT].messages) > 1
        )
    assert "white_check_mark" in posted.reactions  # which takes files:read: without it, a page comes
    assert [call for call in slack.calls if call.error is not None] == []
    heard = {EVENTS[name] for name in MANIFEST["settings"]["event_subscriptions"]["bot_events"]}
    assert slack.used_scopes | heard | {"files:read", "commands"} == SCOPES


def test_it_names_the_command_and_the_shortcut_that_are_heard() -> None:
    assert [one["command"] for one in MANIFEST["features"]["slash_commands"]] == [COMMAND]
    assert [one["callback_id"] for one in MANIFEST["features"]["shortcuts"]] == [SHORTCUT]


def test_it_runs_over_socket_mode_and_takes_direct_messages() -> None:
    assert MANIFEST["settings"]["socket_mode_enabled"] is True
    assert MANIFEST["features"]["app_home"]["messages_tab_read_only_enabled"] is False
