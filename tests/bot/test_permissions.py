"""Who may do what, in every way in which somebody can come; and that it is kept who did and who was refused."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bot import acts, audit_list
from bot.clients import reading_client
from bot.listeners.names import SHORTCUT
from bot.membership import FAILED_SECONDS, Membership
from bot.permissions import Permissions, may, read_permissions
from bot.sandbox import StandIn
from bot.sandbox.api import BOT_TOKEN
from bot.settings import BadSettings, Settings, read_settings, variable
from storage.store import Store
from tests.bot.kit import ANNA, BOT, CRASHES, DIRECT, Analyst, bot, dump, is_done, is_told, replies, shown, until
from tests.bot.server import page, serving

BEN, GENERAL, GROUP, TEAM = "U0BEN00001", "C0GENERAL1", "S0STORAGE1", "T0SANDBOX1"


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        yield stand_in


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "other.sqlite") as opened:
        yield opened


async def test_people_groups_and_admins_may_where_slack_says_so(slack: StandIn, store: Store) -> None:
    now = [0.0]
    members = Membership(reading_client(BOT_TOKEN, slack.api_url), store, TEAM, lambda: now[0])
    slack.workspace.groups[GROUP] = {BEN}
    slack.workspace.users[BEN].is_admin = True
    rights = Permissions(frozenset({ANNA}), read_permissions(f"mute={GROUP} known=admins,{ANNA} again=everybody"))
    allowed = {
        (user, deed)
        for user in (ANNA, BEN, "U0GUEST001")
        for deed in ("acknowledge", "mute", "known", "again")
        if await may(members, rights, user, deed)
    }
    assert allowed == {
        *((ANNA, deed) for deed in ("acknowledge", "known", "again")),
        *((BEN, deed) for deed in ("mute", "known", "again")),
        ("U0GUEST001", "again"),
    }
    assert await may(members, Permissions(), "U0GUEST001", "mute")
    # What Slack does not tell of nobody is in; it is asked again soon.
    slack.faults.fail("usergroups.users.list", "internal_error")
    now[0] += 1000.0
    assert not await may(members, rights, BEN, "mute")
    now[0] += FAILED_SECONDS + 1
    assert await may(members, rights, BEN, "mute")
    slack.workspace.users[BEN].is_guest = True
    now[0] += 1000.0
    assert not await may(members, rights, BEN, "known")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("fly=admins", "fly is none of acknowledge, assign"),
        ("mute", "mute is none of"),
        ("mute=", "not for nobody"),
        ("mute=anna", "not for anna"),
        ("mute=admins,<@U0ANNA0001>", "not for <@U0ANNA0001>"),
    ],
)
def test_a_permission_that_cannot_be_is_a_setting_that_cannot_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str, problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PILEUP_MAY", given)
    with pytest.raises(BadSettings, match="PILEUP_MAY") as refused:
        read_settings()
    assert problem in str(refused.value)


async def test_each_deed_has_its_own_people_and_the_form_is_asked_again(slack: StandIn, tmp_path: Path) -> None:
    may_what = f"known={BEN} mute={ANNA}"
    async with (
        serving(**{"a.dmp": page(dump("seed"))}) as files,
        bot(slack, tmp_path, Analyst(), managers=BEN, may=may_what),
    ):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_done(slack, said))
        summary = replies(slack, said)[0]
        slack.press(CRASHES, summary.ts, acts.MUTE, ANNA)
        await until(lambda: "muted in this channel" in shown(summary))
        slack.press(CRASHES, summary.ts, acts.ACKNOWLEDGE, ANNA)
        await until(lambda: len(slack.workspace.whispers) == 1)
        slack.press(CRASHES, summary.ts, acts.KNOWN, BEN)
        await until(lambda: any("submit" in view.content for view in slack.workspace.views.values()))
        (form,) = slack.workspace.views.values()
        form.user = ANNA  # sent by somebody who could not have opened it
        await slack.submit(form.id, {"note": "mine"})
        await until(lambda: len(slack.workspace.whispers) == 2)
        assert "Known issue:" not in shown(summary)
        with Store.open(tmp_path / "pileup.sqlite") as kept:
            await until(lambda: len(kept.audit.entries()) == 4)
    with Store.open(tmp_path / "pileup.sqlite") as kept:
        entries = [(one.by, one.deed, one.detail, one.allowed) for one in kept.audit.entries()][::-1]
    assert entries[0][:2] == (ANNA, "analyze")
    assert entries[0][2].endswith("a.dmp")
    assert entries[1:] == [
        (ANNA, "mute", "crash 1", True),
        (ANNA, "acknowledge", "crash 1", False),
        (ANNA, "known", "crash 1", False),
    ]


async def test_a_person_or_channel_that_is_not_listened_to_is_answered_by_no_way(
    slack: StandIn, tmp_path: Path
) -> None:
    async with serving(**{f"{c}.dmp": page(dump(n)) for c, n in ((CRASHES, "seed"), (GENERAL, "deadlock"))}) as files:
        async with bot(slack, tmp_path, Analyst()):
            # Told while it was still listened to: the buttons below it must not work later.
            told = {c: slack.workspace.say(c, ANNA, files.url(f"/{c}.dmp")) for c in (CRASHES, GENERAL)}
            await until(lambda: all(is_told(slack, said, c) for c, said in told.items()))
        posted = {channel: len(slack.workspace.channels[channel].messages) for channel in slack.workspace.channels}
        async with bot(slack, tmp_path, Analyst(), users=ANNA, channels=CRASHES):
            for channel, user in ((GENERAL, ANNA), (CRASHES, BEN)):
                slack.workspace.say(channel, user, f"{BOT} last 5 crashes")
                slack.workspace.say(channel, user, files.url(f"/{CRASHES}.dmp"))
                slack.workspace.upload(channel, user, "b.dmp", dump("deadlock"))
                slack.command(channel, user, "last 5 crashes")
                slack.shortcut(channel, told[channel].ts, SHORTCUT, user)
                verdict = replies(slack, told[channel], channel)[0]
                for action in (acts.ACKNOWLEDGE, acts.KNOWN):
                    slack.press(channel, verdict.ts, action, user)
            await until(lambda: all(one.acked_after is not None for one in slack.deliveries.all))
            await until(lambda: len(slack.workspace.whispers) == 4)  # to those who used a command or the shortcut
            assert all("not set up to answer you here" in one.text for one in slack.workspace.whispers)
            mine = slack.workspace.say(DIRECT, ANNA, "last 5 crashes")
            await until(lambda: replies(slack, mine, DIRECT))
    grown = {name: len(channel.messages) - posted[name] for name, channel in slack.workspace.channels.items()}
    assert grown[CRASHES] == grown[GENERAL] == 3  # what the people themselves posted
    assert slack.workspace.views == {}
    with Store.open(tmp_path / "pileup.sqlite") as kept:
        refused = sorted((one.by, one.channel, one.deed) for one in kept.audit.entries() if not one.allowed)
    deeds = ("ask", "command", "shortcut")
    places = ((ANNA, GENERAL), (BEN, CRASHES))
    assert refused == sorted((*place, deed) for place in places for deed in deeds)


async def test_what_was_asked_is_kept_without_secrets_and_printed(
    slack: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, Analyst()):
        said = slack.workspace.say(CRASHES, ANNA, f"{files.url('/a.dmp')}?X-Signature=5ecret")
        await until(lambda: is_done(slack, said))
        slack.workspace.say(CRASHES, ANNA, "password: 5ecret", said.ts)
        asked = slack.workspace.say(DIRECT, ANNA, "last 5 crashes")
        await until(lambda: replies(slack, asked, DIRECT))
        slack.faults.redeliver = 1.0
        slack.command(CRASHES, BEN, "0x9f")
        await until(lambda: len(slack.workspace.channels[CRASHES].messages) > 8)
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)
    monkeypatch.setenv("PILEUP_HOME", str(tmp_path))
    assert audit_list.run(None, None, None, 100, as_json=True) == 0
    text = capsys.readouterr().out
    assert "5ecret" not in text
    entries = json.loads(text)
    assert [(one["by"], one["deed"], one["channel"]) for one in entries][::-1] == [
        (ANNA, "analyze", CRASHES),
        (ANNA, "password", CRASHES),
        (ANNA, "ask", DIRECT),
        (BEN, "ask", CRASHES),
    ]
    assert audit_list.run("today", BEN, None, 100, as_json=False) == 0
    line = capsys.readouterr().out.strip()
    assert line.endswith("ask  0x9f")
    assert f"{TEAM}/{CRASHES}" in line
    assert audit_list.run("never ever", None, None, 100, as_json=False) == 2
    assert audit_list.run(None, "U0NOBODY01", None, 100, as_json=False) == 0
    assert "Nothing was asked or done." in capsys.readouterr().out
