"""The doctor says what is missing, what to do about it, and no secret."""

from pathlib import Path

import pytest

from bot.confined import PROBE, confinement_notes
from bot.doctor import Finding, _several, examine, run
from bot.settings import Settings, read_settings, variable


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)
    for name in ("_NT_SYMBOL_PATH", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PILEUP_HOME", str(tmp_path / "home"))


def grades(findings: list[Finding], word: str) -> list[str]:
    return [finding.grade for finding in findings if word in finding.text]


def test_a_bare_machine_can_analyse_and_lacks_only_tokens() -> None:
    findings = list(examine(read_settings()))
    missing = [finding.text for finding in findings if finding.grade == "missing"]
    assert len(missing) == 2
    assert "PILEUP_SLACK_BOT_TOKEN" in missing[0]
    assert "PILEUP_SLACK_APP_TOKEN" in missing[1]
    assert grades(findings, "analysis process starts") == ["ok"]
    assert grades(findings, "no symbol tables are set") == ["note"]


def test_all_is_well_with_two_tokens(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PILEUP_SLACK_BOT_TOKEN", "xoxb-s3cr3t")
    monkeypatch.setenv("PILEUP_SLACK_APP_TOKEN", "xapp-s3cr3t")
    assert run(offline=True) == 0
    said = capsys.readouterr().out
    assert said.endswith("All that is needed is here.\n")
    assert "s3cr3t" not in said


def test_wrong_settings_are_findings(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PILEUP_SLACK_BOT_TOKEN", "s3cr3t")
    assert run(offline=True) == 1
    said = capsys.readouterr().out
    assert "MISSING  a setting cannot be used: PILEUP_SLACK_BOT_TOKEN: must begin with xoxb-" in said
    assert "s3cr3t" not in said


def test_a_home_or_history_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x" * 5000)
    findings = list(examine(read_settings(home=tmp_path / "file", database_url=f"sqlite:///{tmp_path}/file")))
    assert grades(findings, "cannot be written") == ["missing"]
    assert grades(findings, "history does not open") == ["missing"]


def test_what_machines_must_have_in_common_is_named(tmp_path: Path) -> None:
    alone = {"redact": "hosts", "web_port": 8080}
    several = alone | {"database_url": "postgresql://pileup@127.0.0.1/pileup"}
    assert [finding.grade for finding in _several(read_settings(**several))] == ["note", "note"]
    common = {"redaction_key": "0123456789abcdef", "uploads": str(tmp_path)}
    for settings in (alone, several | common):
        assert list(_several(read_settings(**settings))) == []


def test_extras_that_the_settings_need_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    several = {"database_url": "postgresql://pileup@127.0.0.1/pileup", "uploads": "s3://crash-dumps"}
    assert list(_several(read_settings(**several))) == []
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    findings = list(_several(read_settings(**several)))
    assert grades(findings, "pileup[s3]") == grades(findings, "pileup[cluster]") == ["missing"]


def test_symbol_directories_are_looked_into(tmp_path: Path) -> None:
    (tmp_path / "sym" / "deep").mkdir(parents=True)
    (tmp_path / "sym" / "deep" / "x.json.xz").write_bytes(b"")
    (tmp_path / "bare").mkdir()
    paths = f"{tmp_path}/sym;{tmp_path}/bare;{tmp_path}/gone"
    findings = list(examine(read_settings(symbols=paths)))
    assert grades(findings, "1 symbol table in") == ["ok"]
    assert grades(findings, "0 symbol tables in") == ["note"]
    assert grades(findings, "does not exist") == ["missing"]


def test_what_weakens_the_guard_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    findings = list(examine(read_settings(allow_private_addresses=True, transport="http")))
    assert grades(findings, "private addresses") == ["note"]
    assert grades(findings, "a proxy is set") == ["note"]
    assert grades(findings, "PILEUP_SLACK_SIGNING_SECRET") == ["missing"]


def test_a_broken_analysis_process_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.doctor.environment", lambda _ours: {"PYTHONHOME": "/nowhere"})
    assert grades(list(examine(read_settings())), "the analysis process does not start") == ["missing"]


def test_missing_pictures_are_no_reason_to_worry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.picture.draw", lambda _dot: None)
    assert grades(list(examine(read_settings())), "pictures cannot be drawn") == ["note"]


def test_the_users_own_rules_are_read(tmp_path: Path) -> None:
    rules = tmp_path / "own.toml"
    rules.write_text('[[ignore]]\nmodule = "corpfilter.sys"\n')
    said = [finding for finding in examine(read_settings(rules=rules)) if "own.toml" in finding.text]
    assert [finding.grade for finding in said] == ["ok"]
    assert "0 ours, 1 ignored" in said[0].text
    rules.write_text('[[ignore]]\nmodul = "corpfilter.sys"\n')
    said = [finding for finding in examine(read_settings(rules=rules)) if "own.toml" in finding.text]
    assert [finding.grade for finding in said] == ["missing"]
    assert "modul is not known here" in said[0].text
    assert grades(list(examine(read_settings(rules=tmp_path / "none.toml"))), "none.toml") == ["missing"]


def test_a_protection_that_is_missing_here_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all("confined" in note or "cut off" in note or "goes on" in note for note in confinement_notes())
    lacking = PROBE.replace("cut_off_network()", "'the analysis is not cut off from the network: EINVAL'")
    monkeypatch.setattr("bot.confined.PROBE", lacking)
    assert "the analysis is not cut off from the network: EINVAL" in confinement_notes()
    assert grades(list(examine(read_settings())), "not cut off from the network") == ["note"]
    monkeypatch.setattr("bot.confined.PROBE", "nonsense")
    assert confinement_notes() == ("how far an analysis is confined here could not be found out",)
