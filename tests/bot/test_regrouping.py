"""``pileup history merge``, ``split``, ``undo``, ``decisions`` and ``doubts``."""

import json
from pathlib import Path

import pytest

from bot import doubts, regrouping
from bot.showing import SHOW
from storage.store import Store
from storage.threads import Told
from tests.storage.samples import report


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PILEUP_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with Store.open(tmp_path / "pileup.sqlite") as store:
        for name, signature in (("a", "one"), ("b", "one"), ("c", "two")):
            number = store.remember(report(name, signature=signature)).id
            store.threads.note(
                Told(
                    report_id=number, team="T", channel="C", ts=f"{number}", summary_ts=f"{number}.1", job=f"j{number}"
                )
            )
    return tmp_path


def test_failures_are_merged_and_come_apart_again(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert regrouping.merge(1, 3) == 0
    assert "two: 3 crashes\nTaken back with: pileup history undo 1" in capsys.readouterr().out
    assert regrouping.merge(1, 3) == 2
    assert "one failure already" in capsys.readouterr().err
    assert regrouping.undo(1) == 0
    assert "two: 1 crash\none: 2 crashes\n" in capsys.readouterr().out
    assert regrouping.undo(1) == 2
    assert regrouping.merge(1, 99) == 2
    assert "history has no crash 99" in capsys.readouterr().err
    assert regrouping.decisions(as_json=True) == 0
    (made,) = json.loads(capsys.readouterr().out)
    assert (made["deed"], made["name"], made["into"], made["crash"]) == ("merge", "one", "two", 1)
    assert made["by"]
    assert made["undone_by"] == made["by"]


def test_every_message_about_both_is_brought_up_to_date(home: Path) -> None:
    regrouping.merge(1, 3)
    with Store.open(home / "pileup.sqlite") as store:
        (job,) = store.jobs.active()
        assert (job.kind, job.payload["summary"], job.payload["alone"]) == (SHOW, "1.1", "")
        store.jobs.finish(store.jobs.take("w", 60, (SHOW,)) or job)
    regrouping.undo(1)
    with Store.open(home / "pileup.sqlite") as store:
        assert {job.payload["summary"] for job in store.jobs.active()} == {"1.1", "3.1"}


def test_a_crash_is_split_off_once(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert regrouping.split(2) == 0
    assert "Crash 2 does not belong to “one”, said " in capsys.readouterr().out
    assert regrouping.split(2) == 2
    assert regrouping.split(3) == 2
    assert "alone in its failure" in capsys.readouterr().err


def test_doubts_are_shown_by_rule_with_their_reasons(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doubts.listing(as_json=False) == 0
    assert capsys.readouterr().out == "Nobody called a verdict wrong.\n"
    with Store.open(home / "pileup.sqlite") as store:
        for number, reason in ((1, "the SSD"), (1, "the \x1b[31mfirmware"), (2, "the SSD")):
            store.knowledge.note("one", "wrong", "U1", {"reason": reason}, number)
    assert doubts.listing(as_json=False) == 0
    out = capsys.readouterr().out
    assert out.startswith("0x9f rassstp.sys: called wrong 3 times, 2 of 3 crashes\n    U1, ")
    assert "\x1b" not in out
    assert doubts.listing(as_json=True) == 0
    (rule,) = json.loads(capsys.readouterr().out)
    assert (rule["doubts"], rule["crashes"], rule["told"], len(rule["latest"])) == (3, 2, 3, 3)
