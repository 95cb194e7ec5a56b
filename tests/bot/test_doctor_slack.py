"""What the doctor finds out from Slack: tokens, scopes, channels, the time; each finding says what to do."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.doctor import Finding, run
from bot.doctor_slack import ask_slack
from bot.install.scopes import bot_scopes, chosen
from bot.sandbox import StandIn
from bot.sandbox.grants import CLIENT_ID, CLIENT_SECRET
from bot.settings import Settings, variable
from storage.store import Store
from tests.bot.install.test_tokens import installed
from tests.bot.kit import settings

SCOPES = frozenset(bot_scopes())


async def found(slack: StandIn, home: Path, **more: Any) -> list[Finding]:
    return [finding async for finding in ask_slack(settings(slack, home, **more))]


def grades(findings: list[Finding], words: str) -> list[str]:
    return [finding.grade for finding in findings if words in finding.text]


async def test_a_bot_that_has_all_it_needs_is_told_so(tmp_path: Path) -> None:
    async with StandIn(scopes=SCOPES) as slack:
        findings = await found(slack, tmp_path, channels="C0CRASHES1 D0ANNA0001")
    assert {finding.grade for finding in findings} == {"ok"}
    said = "\n".join(finding.text for finding in findings)
    for words in ("takes the app token", "@pileup in Sandbox", "the clock agrees", "every scope for links", "#crashes"):
        assert words in said


async def test_each_missing_scope_is_named_with_what_it_is_for(tmp_path: Path) -> None:
    async with StandIn(scopes=SCOPES - {"groups:read", "files:read"} | {"admin.users:write"}) as slack:
        findings = await found(slack, tmp_path)
    assert grades(findings, "the scope groups:read for “mentions") == ["missing"]
    assert grades(findings, "the scope files:read for “dumps that are posted") == ["missing"]
    assert grades(findings, f"pileup manifest --features {','.join(chosen())})") == ["missing"] * 3
    assert grades(findings, "nothing here uses: admin.users:write") == ["note"]
    async with StandIn(scopes=SCOPES) as slack:
        findings = await found(slack, tmp_path, may="mute=S0STORAGE1")
    assert grades(findings, "the scope usergroups:read") == ["missing"]


async def test_channels_of_the_settings_are_looked_up(tmp_path: Path) -> None:
    async with StandIn(scopes=SCOPES) as slack:
        named = "C0CRASHES1 C0NOBOT001 C0ARCHIVE1 C0NOWHERE1"
        findings = await found(slack, tmp_path, channels=named, broadcast_channels="C0GENERAL1")
        assert grades(findings, "the bot is in #") == ["ok", "ok"]
        assert grades(findings, "the bot is not in #no-bot-here (C0NOBOT001): invite it") == ["missing"]
        assert grades(findings, "#old (C0ARCHIVE1) is archived") == ["note"]
        assert grades(findings, "channel C0NOWHERE1, which is not there") == ["missing"]
        assert grades(await found(slack, tmp_path), "in 4 public channels") == []
        assert grades(await found(slack, tmp_path), "the bot is in 3 public channels") == ["ok"]
        for channel in slack.workspace.channels.values():
            channel.members.discard(slack.workspace.bot.id)
        assert grades(await found(slack, tmp_path), "in no public channel yet: invite it") == ["note"]


@pytest.mark.parametrize(
    ("ahead", "transport", "grade"),
    [(0, "http", "ok"), (60, "http", "note"), (-400, "socket", "note"), (400, "http", "missing")],
)
async def test_a_clock_that_is_wrong_is_found_by_slacks(
    tmp_path: Path, ahead: float, transport: str, grade: str
) -> None:
    async with StandIn(scopes=SCOPES) as slack:
        slack.faults.clock_ahead = ahead
        assert grades(await found(slack, tmp_path, transport=transport), "the clock") == [grade]


async def test_refused_tokens_and_a_slack_out_of_reach_are_told_apart(tmp_path: Path) -> None:
    async with StandIn(scopes=SCOPES) as slack:
        findings = await found(slack, tmp_path, slack_app_token="xapp-wrong", slack_bot_token="xoxb-wrong")
        assert grades(findings, "refuses the app token: invalid_auth. Make one") == ["missing"]
        assert grades(findings, "Slack refuses the bot token: invalid_auth: install the app again") == ["missing"]
        slack.grants.all[0].is_revoked = True
        assert grades(await found(slack, tmp_path), "token_revoked") == ["missing"]
    findings = await found(slack, tmp_path)  # it listens no longer
    assert grades(findings, "cannot be reached at http://127.0.0.1") == ["missing", "missing"]
    assert grades(await found(slack, tmp_path, slack_app_token=None, slack_bot_token=None), "") == []


async def test_each_workspace_that_installed_the_bot_is_asked_for(tmp_path: Path) -> None:
    many = {"slack_bot_token": None, "slack_client_id": CLIENT_ID, "slack_client_secret": CLIENT_SECRET}
    many |= {"token_secret": "a secret of the settings", "http_url": "https://b.example"}
    async with StandIn() as slack:
        assert grades(await found(slack, tmp_path, **many), "opens https://b.example/slack/install") == ["note"]
        slack.grants.rotating = True
        with Store.open(tmp_path / "pileup.sqlite") as store:
            await installed(slack, store)
        findings = await found(slack, tmp_path, **many)
        assert grades(findings, "@pileup in Sandbox") == ["ok"]
        assert grades(findings, "the scope") == ["missing"] * 4  # it was given chat:write alone
        slack.grants.all[-1].is_revoked = True
        assert grades(await found(slack, tmp_path, **many), "token_revoked; its admin") == ["missing"]


@contextmanager
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **given: str) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)
    for name, value in given.items():
        monkeypatch.setenv(variable(name), value)
    yield


def test_programs_get_the_findings_as_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    many = {"slack_client_id": "1.2", "slack_client_secret": "5ecret", "slack_app_token": "xapp-5ecret"}
    with environment(monkeypatch, tmp_path, home=str(tmp_path), web_url="https://w.example", **many):
        assert run(offline=True, as_json=True) == 1
    text = capsys.readouterr().out
    assert "5ecret" not in text
    findings = [Finding(**one) for one in json.loads(text)]
    assert grades(findings, "workspaces install the bot themselves") == ["ok"]
    assert grades(findings, "set PILEUP_HTTP_URL") == ["missing"]
    assert grades(findings, "PILEUP_TEAMS") == ["note"]
    assert grades(findings, "without PILEUP_WEB_PORT") == ["note"]
    with environment(monkeypatch, tmp_path, log_level="loud"):
        assert run(as_json=True) == 1
    assert json.loads(capsys.readouterr().out)[0]["grade"] == "missing"
