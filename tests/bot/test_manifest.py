"""The app manifest: valid, and for each feature what the code takes for it: no scope more, and none less."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bot import acts
from bot.install.manifest import manifest, run, text
from bot.install.scopes import DEFAULT, FEATURES, ROOM_EVENTS, UnknownFeature, bot_events, bot_scopes, chosen
from bot.install.wanted import wanted_features
from bot.listeners import rooms
from bot.listeners.names import COMMAND, SHORTCUT
from bot.sandbox import Message, StandIn
from bot.sandbox.errors import SlackError
from bot.sandbox.rooms import room_event
from bot.sandbox.workspace import Channel
from bot.settings import Settings, variable
from tests.bot.kit import ANNA, BOT, CRASHES, DIRECT, Analyst, bot, dump, is_done, is_told, mishaps, replies, until
from tests.bot.server import page, serving

ROOT = Path(__file__).parents[2]
SHARED = Path(__file__).parents[3] / "shared" / "data" / "slack"
PAGES = "https://pileup.example"
PATIENCE = 10.0  # of one step, where something may be missing
PLACES = {CRASHES: "", "C0SECRET01": "private", "C0GROUP001": "mpim", DIRECT: "im"}


@pytest.mark.shared
@pytest.mark.parametrize("features", [DEFAULT, ("links",), ("questions",), tuple(FEATURES)])
def test_slack_would_accept_the_manifest(features: tuple[str, ...]) -> None:
    if not SHARED.is_dir():
        pytest.skip("the shared data folder is missing")
    schema = json.loads((SHARED / "manifest.schema.2.0.0.json").read_text("utf-8"))
    errors = [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(manifest(features))]
    assert errors == []


def test_the_file_is_the_manifest_of_the_default_features() -> None:
    assert (ROOT / "bot" / "manifest.json").read_text("utf-8") == text(manifest()) + "\n"


def test_it_names_the_command_and_the_shortcut_that_are_heard() -> None:
    made = manifest()["features"]
    assert [one["command"] for one in made["slash_commands"]] == [COMMAND]
    assert [one["callback_id"] for one in made["shortcuts"]] == [SHORTCUT]
    assert "slash_commands" not in manifest(("links",))["features"]
    assert "shortcuts" not in manifest(("questions",))["features"]


def test_transport_and_installation_have_their_addresses() -> None:
    assert manifest()["settings"]["socket_mode_enabled"] is True
    assert manifest()["features"]["app_home"]["messages_tab_read_only_enabled"] is False
    made = manifest((*DEFAULT, "http", "install", "signin"), "https://b.example", "https://w.example")
    assert made["settings"]["socket_mode_enabled"] is False
    assert made["settings"]["event_subscriptions"]["request_url"] == "https://b.example/slack/events"
    assert made["settings"]["interactivity"]["request_url"] == "https://b.example/slack/events"
    assert made["features"]["slash_commands"][0]["url"] == "https://b.example/slack/events"
    assert made["settings"]["token_rotation_enabled"] is True
    assert made["oauth_config"]["redirect_urls"] == [
        "https://b.example/slack/oauth_redirect",
        "https://w.example/signin/callback",
    ]


def test_the_settings_call_for_features(tmp_path: Path) -> None:
    def wanted(**more: Any) -> tuple[str, ...]:
        return wanted_features(Settings(_env_file=None, home=tmp_path, **more))  # type: ignore[call-arg]  # pydantic-settings' own

    assert wanted() == DEFAULT
    assert wanted(web_url=PAGES) == (*DEFAULT, "unfurl")
    assert wanted(managers="U0ANNA0001", may="mute=S0STORAGE1") == (*DEFAULT, "groups")


def test_links_to_pages_are_heard_of_at_their_domain() -> None:
    assert "unfurl_domains" not in manifest()["features"]
    made = manifest(("unfurl",), "https://b.example", "https://Pileup.Example.com:8443/pages")
    assert made["features"]["unfurl_domains"] == ["pileup.example.com"]
    assert "link_shared" in made["settings"]["event_subscriptions"]["bot_events"]
    assert {"links:read", "links:write"} <= set(made["oauth_config"]["scopes"]["bot"])


def test_every_event_about_channels_is_heard() -> None:
    assert set(rooms.EVENTS) == set(ROOM_EVENTS)


def test_a_feature_brings_what_it_needs_and_an_unknown_one_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)
    assert chosen(("buttons",)) == ("links", "buttons")
    with pytest.raises(UnknownFeature):
        chosen(("links", "telepathy"))
    assert run("links,telepathy", None) == 2
    assert "there is no feature telepathy: choose of links, files" in capsys.readouterr().err
    assert run("links files", "https://x.example/") == 0
    assert json.loads(capsys.readouterr().out) == manifest(("links", "files"), "https://x.example")
    assert run(None, None, list_them=True) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(FEATURES)


async def links(slack: StandIn) -> None:
    """A link in each kind of channel is answered, the thread being read as well after a lost answer."""
    async with serving(**{"a.dmp": page(dump("seed"))}) as files:
        for channel in PLACES:
            slack.faults.lose_answer("chat.postMessage")
            said = slack.workspace.say(channel, ANNA, files.url("/a.dmp"))
            await until(lambda said=said: is_done(slack, said), PATIENCE)  # type: ignore[misc]  # bound at once
            if channel == CRASHES:
                await until(lambda said=said: is_told(slack, said), PATIENCE)  # type: ignore[misc]  # as above
            assert len([m for m in replies(slack, said, channel) if "summary" in str(m.metadata)]) == 1


async def files(slack: StandIn) -> None:
    posted = slack.workspace.upload(CRASHES, ANNA, "b.dmp", dump("deadlock"))
    await until(lambda: is_done(slack, posted), PATIENCE)
    assert "white_check_mark" in posted.reactions


async def questions(slack: StandIn) -> None:
    for channel, words in ((CRASHES, f"{BOT} last 5 crashes"), (DIRECT, "last 5 crashes")):
        said = slack.workspace.say(channel, ANNA, words)
        await until(lambda said=said, channel=channel: replies(slack, said, channel), PATIENCE)  # type: ignore[misc]  # as above
    slack.command(CRASHES, ANNA, "last 5 crashes")
    await until(
        lambda: any(f"<@{ANNA}>" in m.text for m in slack.workspace.channels[CRASHES].messages.values()), PATIENCE
    )
    await until(lambda: slack.calls_of("conversations.info"), PATIENCE)
    await sights(slack)


async def buttons(slack: StandIn) -> None:
    async with serving(**{"a.dmp": page(dump("seed")), "b.dmp": page(dump("seed", 1))}) as site:
        for name in ("a", "b"):
            said = slack.workspace.say(CRASHES, ANNA, site.url(f"/{name}.dmp"))
            await until(lambda said=said: is_done(slack, said), PATIENCE)  # type: ignore[misc]  # as above
        slack.press(CRASHES, _verdict(slack, said).ts, acts.THREADS, ANNA)
        await until(lambda: any("archives" in str(view.content) for view in slack.workspace.views.values()), PATIENCE)
    await sights(slack)


async def groups(slack: StandIn) -> None:
    slack.workspace.groups["S0STORAGE1"] = {ANNA}
    async with serving(**{"a.dmp": page(dump("seed"))}) as site:
        said = slack.workspace.say(CRASHES, ANNA, site.url("/a.dmp"))
        await until(lambda: is_done(slack, said), PATIENCE)
        slack.press(CRASHES, _verdict(slack, said).ts, acts.ACKNOWLEDGE, ANNA)
        await until(lambda: "acknowledged by" in str(_verdict(slack, said).blocks), PATIENCE)


async def unfurl(slack: StandIn) -> None:
    slack.workspace.unfurl_domains.add("pileup.example")
    async with serving(**{"a.dmp": page(dump("seed"))}) as site:
        said = slack.workspace.say(CRASHES, ANNA, site.url("/a.dmp"))
        await until(lambda: is_done(slack, said), PATIENCE)
    linked = slack.workspace.say(CRASHES, ANNA, f"<{PAGES}/crashes/1>")
    await until(lambda: linked.unfurled, PATIENCE)


async def sights(slack: StandIn) -> None:
    """Who sees what is known of each kind, and what happens to channels is heard."""
    await until(lambda: slack.calls_of("users.info"), PATIENCE)
    await until(lambda: len(slack.calls_of("users.conversations")) >= 2, PATIENCE)
    for name in ROOM_EVENTS:
        channel = slack.workspace.channels["C0SECRET01" if name.startswith("group") else CRASHES]
        sent = slack.deliveries.emit(room_event(slack.workspace, name, channel, ANNA))
        await until(lambda sent=sent: sent.acked_after is not None, PATIENCE)  # type: ignore[misc]  # as above


def _verdict(slack: StandIn, said: Message) -> Message:
    return next(m for m in replies(slack, said) if "summary" in str(m.metadata))


SCENES: dict[str, Callable[[StandIn], Awaitable[None]]] = {
    "links": links,
    "files": files,
    "questions": questions,
    "buttons": buttons,
    "groups": groups,
    "unfurl": unfurl,
}


async def works(home: Path, feature: str, scopes: frozenset[str]) -> tuple[bool, set[str]]:
    """Whether a feature works with these scopes, and which it came to need."""
    async with StandIn(scopes=scopes, events=frozenset(bot_events((feature,)))) as slack:
        space = slack.workspace
        for channel, kind in PLACES.items():
            if channel not in space.channels:
                is_private, is_mpim = kind == "private", kind == "mpim"
                space.channels[channel] = Channel(
                    channel, kind, set(space.users), is_private=is_private, is_mpim=is_mpim
                )
        managers = "S0STORAGE1" if feature == "groups" else ""
        async with bot(slack, home, Analyst(), managers=managers, web_url=PAGES):
            try:
                await SCENES[feature](slack)
            except (TimeoutError, AssertionError, SlackError):
                return False, slack.used_scopes
            return not mishaps(slack), slack.used_scopes


@pytest.mark.parametrize("feature", SCENES)
async def test_a_feature_works_with_its_scopes_and_uses_each(tmp_path: Path, feature: str) -> None:
    scopes = frozenset(bot_scopes((feature,)))
    ok, used = await works(tmp_path, feature, scopes)
    assert ok
    needed = {scope for name in FEATURES[feature].needs for scope in FEATURES[name].scopes}
    assert used | needed == scopes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("feature", "scope"), [(name, scope) for name in SCENES for scope in sorted(FEATURES[name].scopes)]
)
async def test_it_does_not_work_with_one_less(tmp_path: Path, feature: str, scope: str) -> None:
    ok, _ = await works(tmp_path, feature, frozenset(bot_scopes((feature,))) - {scope})
    assert not ok


def test_each_feature_with_scopes_of_its_own_is_tried() -> None:
    assert {name for name, feature in FEATURES.items() if feature.scopes} == set(SCENES)
