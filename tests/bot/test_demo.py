"""The demo from end to end, its analysis replaced: what it prints, and that it leaves nothing behind."""

import lzma
import tempfile
from pathlib import Path

import pytest

from bot import demo
from bot.sandbox import sample
from tests.bot.kit import dump


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "sample"
    made.mkdir()
    (made / "MEMORY.dmp.xz").write_bytes(lzma.compress(dump("seed")))
    return made


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "scratch"
    made.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    return made


def test_the_demo_shows_the_whole_path_and_leaves_nothing(
    scratch: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PILEUP_LINK_HOSTS", "operators.own.example")
    monkeypatch.setenv("PILEUP_SLACK_BOT_TOKEN", "not even a token")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    assert demo.run() == 0
    shown = capsys.readouterr().out
    places = [
        shown.index(words)
        for words in (
            "1. A link is posted.",
            "anna in #crashes",
            "Downloading: ",
            "*rassstp.sys did not return",
            "wininit.exe",
            "DRIVER_POWER_STATE_FAILURE",
            "Confidence: *high*",
            "First time seen here.",
            "*Pile-up*",
            "`nt!PiEngineLock`",
            "3 of 3 waiters found",
            "pile-up-",
            "*Evidence*",
            "*Next steps*",
            "pileup-report-",
            "2. The same link again.",
            "so it was not analysed again",
            "3. A question about the past.",
            "@pileup have we seen rassstp since ",
            "Yes: rassstp.sys was seen once",
            "The demo is over.",
        )
    ]
    assert places == sorted(places)
    assert "rassstp!Driver::" in shown  # from the demo's symbol server
    assert list(scratch.iterdir()) == []


def test_a_bot_that_dies_ends_the_demo_with_its_last_words(
    folder: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "unpack", lambda directory: sample.unpack(directory, folder))
    monkeypatch.setattr(demo, "_BOT", "raise SystemExit('out of luck')")
    assert demo.run() == 1
    assert "out of luck" in capsys.readouterr().err
    assert list(scratch.iterdir()) == []


def test_an_installation_without_the_sample_says_so(tmp_path: Path) -> None:
    with pytest.raises(sample.NoSample, match="no sample dump"):
        sample.unpack(tmp_path, tmp_path)
