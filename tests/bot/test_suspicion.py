"""Suspect memory is said with its evidence: in the verdict, in answers, in history and on the crash's page."""

from datetime import timedelta
from pathlib import Path

import pytest

from bot import past
from bot.mrkdwn import plain
from bot.questions import ask
from bot.showing import message_at
from bot.web.history import around
from storage.store import Store
from storage.threads import Thread, Told
from tests.storage.samples import NOON, report
from tests.storage.test_suspicion import UNRELATED, crash

EVIDENCE = (
    "Suspect memory: PC-1 crashed 5 times within 5 days with 4 different stop codes (0xa ×2, 0x3b, 0x50, 0x1a), "
    "blaming a.sys ×2, c.sys, b.sys. One driver seldom does that; failing memory does. "
    "Test it before any driver is replaced."
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PILEUP_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with Store.open(tmp_path / "pileup.sqlite", lambda: NOON) as store:
        for number, (code, module) in enumerate(UNRELATED):
            kept = store.remember(crash(-number, code, module))
            store.threads.note(Told(report_id=kept.id, team="T", channel="C", ts=f"{number}", summary_ts=f"{number}.1"))
        store.remember(report("hang", host="PC-1"))
    return tmp_path


def test_the_verdict_says_it(home: Path) -> None:
    with Store.open(home / "pileup.sqlite", lambda: NOON) as store:
        for number, expected in ((1, True), (6, False)):
            told = store.reports.report(number)
            assert told is not None
            place = Thread(report_id=number, team="T", channel="C", ts="0", summary_ts="0.1", created_at=NOON)
            message = message_at(store, told, place)
            sections = [plain(block["text"]["text"]) for block in message.blocks if block["type"] == "section"]
            assert (EVIDENCE in sections) is expected
            assert (EVIDENCE in plain(message.text)) is expected


def test_history_says_it_of_a_crash(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert past.show(1, as_json=False) == 0
    assert EVIDENCE in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("which machines have bad memory?", EVIDENCE),
        ("suspect memory on PC-1", EVIDENCE),
        ("suspect memory on PC-9?", "Nothing in the last 30 days makes"),
        ("which hosts had faulty RAM in 2024?", "Nothing in 2024 makes"),
    ],
)
def test_questions_about_memory(home: Path, question: str, first: str) -> None:
    with Store.open(home / "pileup.sqlite", lambda: NOON) as store:
        said = ask(store, question, NOON + timedelta(hours=1))
    assert said.lines[0].startswith(first)
    assert len(said.rows) == (5 if first == EVIDENCE else 0)


def test_the_page_of_a_crash_lists_the_others(home: Path) -> None:
    with Store.open(home / "pileup.sqlite", lambda: NOON) as store:
        told = store.reports.report(1)
        assert told is not None
        suspicion = around(store, 1, told)["stands"].suspicion
    assert [one.id for one in suspicion.crashes] == [5, 4, 3, 2, 1]
