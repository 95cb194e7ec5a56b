"""What people said of a failure stands first wherever a crash of it is shown; a mended version that crashes is told."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.verdict.report import Report
from bot import blocks, past
from bot.answers import answer
from bot.conversation import Place
from bot.mrkdwn import plain
from bot.outbound import BadMessage, Message, checked
from bot.standing import standing, standing_lines
from storage.clock import utc_now
from storage.sight import EVERYTHING
from storage.store import Store
from storage.threads import Told
from tests.bot.reports import sample
from tests.bot.test_blocks import SEEN, said

ANNA, BEN = "U0ANNA0001", "U0BEN00001"
ISSUE = {"note": "loses power requests", "ticket": "https://tracker.example/DRV-7", "fixed_in": "4.2.1"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "pileup.sqlite") as opened:
        yield opened


def of_version(version: str | None) -> Report:
    report = sample("seed")
    assert report.verdict.culprit is not None
    culprit = dataclasses.replace(report.verdict.culprit, version=version)
    return dataclasses.replace(report, verdict=dataclasses.replace(report.verdict, culprit=culprit))


def known(store: Store, report: Report) -> int:
    stored = store.remember(report)
    store.knowledge.note(stored.signature, "known", ANNA, ISSUE, stored.id)
    store.knowledge.note(stored.signature, "assign", ANNA, {"to": BEN}, stored.id)
    return stored.id


def test_a_known_issue_is_said_before_the_verdict(store: Store) -> None:
    report = of_version("4.2.0")
    known(store, report)
    for message in (
        blocks.summary(report, stands=standing(store, report)),
        blocks.again(report, SEEN, stands=standing(store, report)),
        blocks.duplicate(report, report.analyzed_at, None, standing(store, report)),
    ):
        content = checked(message, "k")
        issue = "Known issue: loses power requests; fixed in rassstp.sys 4.2.1 (https://tracker.example/DRV-7)."
        assert said(message).startswith(issue)
        assert plain(content["text"]).startswith(issue)
        assert "assigned to <@U0BEN00001>" in str(message.blocks)
        assert "Regression" not in said(message)


@pytest.mark.parametrize(("version", "regression"), [("4.2.1", True), ("4.3", True), ("4.2.0.9", False), (None, False)])
def test_a_mended_version_that_crashes_is_told_first_of_all(store: Store, version: str, *, regression: bool) -> None:
    known(store, of_version("4.1"))
    report = of_version(version)
    for message in (
        blocks.summary(report, stands=standing(store, report)),
        blocks.muted(report, SEEN, standing(store, report)),
    ):
        text = plain(message.text)
        assert ("Regression: this failure was fixed in rassstp.sys 4.2.1, and" in text) is regression
    assert said(blocks.summary(report, stands=standing(store, report))).startswith("Regression") is regression


def test_a_muted_failure_is_one_line(store: Store) -> None:
    report = sample("seed")
    stored = store.remember(report)
    store.knowledge.note(stored.signature, "mute", ANNA, {"channel": "C1"})
    assert standing(store, report, "C1").is_muted
    assert not standing(store, report, "C2").is_muted
    message = blocks.muted(report, SEEN, standing(store, report, "C1"))
    checked(message, "k")
    assert said(message).count("\n") == 0
    assert said(message).startswith(
        "Muted here: 0x9f DRIVER_POWER_STATE_FAILURE `rassstp.sys` on WS-0417; 7th time since"
    )


def test_history_and_answers_say_it_too(
    store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    number = known(store, of_version("4.2.1"))
    place = Place("T", "C", "1.1", "1.1")
    store.threads.note(Told(report_id=number, team="T", channel="C", ts="1.1", summary_ts="1.2", form="pointer"))
    for question in ("have we seen this before?", "who held the lock?", f"crash {number}", "have we seen rassstp?"):
        message = answer(store, utc_now, question, place, EVERYTHING).message
        checked(message, "k")
        for words in ("Regression", "fixed in rassstp.sys 4.2.1", "https://tracker.example/DRV-7", "U0BEN00001"):
            assert plain(message.text + said(message)).count(words) >= 1, (question, words)
    monkeypatch.setenv("PILEUP_HOME", str(tmp_path))
    assert past.show(number, as_json=False) == 0
    first, second = capsys.readouterr().out.splitlines()[:2]
    assert first.startswith("Regression: this failure was fixed in rassstp.sys 4.2.1, and 4.2.1 crashes the same way.")
    assert second == "assigned to @U0BEN00001"
    assert past.answer("have we seen rassstp?", "text") == 0
    assert "Known issue: loses power requests" in capsys.readouterr().out


def test_nothing_said_adds_nothing(store: Store) -> None:
    report = sample("seed")
    assert list(standing_lines(standing(store, report))) == []
    assert blocks.summary(report, stands=standing(store, report)) == blocks.summary(report)


def test_what_people_type_cannot_say_anything_to_slack(store: Store) -> None:
    report = sample("seed")
    stored = store.remember(report)
    bad = "<!channel> <@U9999999999> `x` & *b*"
    store.knowledge.note(stored.signature, "known", ANNA, {"note": bad, "ticket": bad, "fixed_in": bad})
    store.knowledge.note(stored.signature, "wrong", ANNA, {"reason": bad})
    message = blocks.summary(report, stands=standing(store, report))
    assert checked(message, "k")["text"].count("&lt;!channel&gt; &lt;@U9999999999&gt;") == 3
    assert said(message).count("<!channel> <@U9999999999> `x` & *b*") == 4


def test_only_those_may_be_mentioned_whom_the_message_names() -> None:
    text = "<@U0ANNA0001> and <!subteam^S0TEAM0001>"
    assert checked(Message(text, mentions=frozenset({"U0ANNA0001", "S0TEAM0001"})), "k")["text"] == text
    for allowed in (set(), {"U0ANNA0001"}, {"S0TEAM0001"}):
        with pytest.raises(BadMessage, match="holds the sequence"):
            checked(Message(text, mentions=frozenset(allowed)), "k")
    with pytest.raises(BadMessage, match="channel"):
        checked(Message("<!channel>", mentions=frozenset({"channel", "!channel"})), "k")


def test_a_team_of_the_rules_is_mentioned_in_a_message_that_passes() -> None:
    report = sample("seed")
    ours = dataclasses.replace(report, verdict=dataclasses.replace(report.verdict, team="S0TEAM0001"))
    assert "<!subteam^S0TEAM0001>" in str(checked(blocks.summary(ours), "k")["blocks"])
