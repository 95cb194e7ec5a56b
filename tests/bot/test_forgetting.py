"""``pileup history forget`` and what lies beside history: kept dumps and pages go with their crash."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analysis.fingerprint import identity_of
from analysis.verdict.report import Report
from bot import forgetting
from bot.fetch.blocks import blocks_home, open_blocks
from bot.fetch.workspace import downloads
from bot.settings import read_settings
from storage.forgetting import Which
from storage.store import Store
from tests.storage.samples import report

CONTENT = b"PAGEDU64" + b"Zyxomma" * 3000


def of_content(name: str, content: bytes = CONTENT) -> Report:
    made = report(name, host=name)
    return replace(made, dump=replace(made.dump, identity=identity_of(len(content), content)))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PILEUP_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def keep_dump(home: Path, name: str, content: bytes) -> Path:
    directory = downloads(home) / name
    directory.mkdir(parents=True)
    (directory / "dump").write_bytes(content)
    return directory


def test_a_kept_dump_and_its_pages_go_with_the_crash_and_others_stay(home: Path) -> None:
    mine, other = keep_dump(home, "kept-job-1", CONTENT), keep_dump(home, "kept-job-2", b"another dump")
    pages = open_blocks(home, "https://x/a.dmp", "v1", len(CONTENT))
    pages.write(0, CONTENT[:8192])
    pages.close()
    strange = open_blocks(home, "https://x/b.dmp", "v1", 100_000)
    strange.write(0, bytes(4096))
    strange.close()
    with Store.open(home / "pileup.sqlite") as store:
        store.remember(of_content("PC-1"))
        store.remember(report("b"))
    assert forgetting.forget(Which(numbers=(1,)), dry_run=True, as_json=True, sure=False) == 0
    assert mine.exists()
    assert forgetting.forget(Which(numbers=(1,)), dry_run=False, as_json=True, sure=False) == 0
    assert not mine.exists()
    assert other.exists()
    assert len(list(blocks_home(home).iterdir())) == 1
    assert not [path for path in home.rglob("*") if path.is_file() and b"Zyxomma" in path.read_bytes()]


def test_a_dry_run_says_what_would_go_and_deletes_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Store.open(home / "pileup.sqlite") as store:
        store.remember(of_content("PC-1"))
    assert forgetting.forget(Which(host="PC-1"), dry_run=True, as_json=False, sure=False) == 0
    assert "1 crash would be deleted." in capsys.readouterr().out
    assert forgetting.forget(Which(host="PC-1"), dry_run=False, as_json=True, sure=False) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["dry_run"], [one["host"] for one in said["crashes"]]) == (False, ["PC-1"])
    assert forgetting.forget(Which(host="PC-1"), dry_run=False, as_json=False, sure=False) == 2
    assert "no crashes deleted" in capsys.readouterr().out


def test_without_a_condition_it_does_what_the_settings_say(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Store.open(home / "pileup.sqlite", lambda: datetime(2020, 1, 1, tzinfo=UTC)) as store:
        store.remember(of_content("PC-1"))
    assert forgetting.forget(Which(), dry_run=False, as_json=False, sure=False) == 0
    assert "no crashes deleted" in capsys.readouterr().out
    monkeypatch.setenv("PILEUP_KEEP_REPORTS_DAYS", "30")
    monkeypatch.setenv("PILEUP_KEEP_CHANNELS_DAYS", "C1=30, C2=7")
    assert read_settings().keep_channels_days == {"C1": 30, "C2": 7}
    assert forgetting.forget(Which(), dry_run=True, as_json=False, sure=False) == 0
    assert "1 crash would be deleted." in capsys.readouterr().out
    assert forgetting.forget(Which(), dry_run=False, as_json=False, sure=False) == 0
    assert "1 crash deleted" in capsys.readouterr().out
