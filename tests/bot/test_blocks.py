"""What Slack shows of a report. The goldens are read when they change, never regenerated blindly."""

import dataclasses
import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.verdict.report import Report
from bot import blocks
from bot.mrkdwn import plain
from bot.outbound import Message, checked
from tests.bot.reports import GOLDEN, NAMES, sample

SHARED = Path(__file__).parents[3] / "shared" / "data" / "slack"
SEEN = blocks.Seen(
    7, datetime(2026, 5, 3, 9, tzinfo=UTC), 4, "https://team.example.com/archives/C1/p1?thread_ts=1.2&cid=C1"
)


def messages(report: Report, seen: blocks.Seen | None = None) -> dict[str, Message]:
    """Every message about a report, by its part."""
    made = {
        "summary": blocks.summary(report, seen),
        "pile_up": blocks.pile_up(report),
        "evidence": blocks.evidence(report),
        "next_steps": blocks.next_steps(report),
        "duplicate": blocks.duplicate(report, "2026-11-22T12:00:00Z", SEEN.first_link),
    }
    return {part: message for part, message in made.items() if message is not None}


def said(message: Message) -> str:
    """Everything that the blocks show, as words."""
    return plain("\n".join(strings(list(message.blocks))))


def strings(value: Any) -> list[str]:
    """Every text of a block structure, in order."""
    if isinstance(value, dict):
        own = [value["text"]] if isinstance(value.get("text"), str) else []
        return own + [text for item in value.values() if not isinstance(item, str) for text in strings(item)]
    return [text for item in value for text in strings(item)] if isinstance(value, list) else []


@pytest.mark.parametrize("name", NAMES)
def test_the_thread_of_a_sample_report_reads_as_agreed(name: str) -> None:
    made = messages(sample(name), SEEN if name == "seed" else None)
    shown = {part: {"text": m.text, "blocks": list(m.blocks)} for part, m in made.items()}
    text = json.dumps(shown, indent=1, ensure_ascii=False) + "\n"
    path = GOLDEN / "slack" / f"{name}.json"
    if os.environ.get("PILEUP_WRITE_GOLDEN"):
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_every_message_passes_the_rules(name: str) -> None:
    for part, message in messages(sample(name), SEEN).items():
        assert checked(message, part)["text"]


@pytest.mark.shared
@pytest.mark.parametrize("name", NAMES)
def test_every_message_has_the_structure_that_slack_publishes(name: str) -> None:
    if not SHARED.is_dir():
        pytest.skip("the shared data folder is missing")
    schema = json.loads((SHARED / "blocks.schema.json").read_text("utf-8"))
    validator = jsonschema.Draft7Validator(schema)
    for part, message in messages(sample(name), SEEN).items():
        errors = [error.message[:200] for error in validator.iter_errors(list(message.blocks))]
        assert errors == [], part


def test_the_summary_tells_in_the_agreed_order() -> None:
    shown = said(blocks.summary(sample("seed"), SEEN))
    places = [
        shown.index(words)
        for words in (
            "rassstp.sys holds nt!PiEngineLock",
            "wininit.exe was waiting",
            "DRIVER_POWER_STATE_FAILURE",
            "Confidence:",
            "WS-0417",
            "7th time since",
            "on 4 hosts",
            "first thread: here",
        )
    ]
    assert places == sorted(places)


def test_the_text_alone_tells_the_verdict() -> None:
    text = blocks.summary(sample("seed")).text
    for words in ("rassstp.sys", "nt!PiEngineLock", "wininit.exe", "0x9f DRIVER_POWER_STATE_FAILURE", "high"):
        assert words in text


def test_a_first_crash_is_called_new() -> None:
    assert "First time seen here." in said(blocks.summary(sample("seed")))


def test_a_new_failure_is_told_its_relatives_and_a_known_one_is_not() -> None:
    relative = blocks.Relative("0x9F ndis.sys, on PC-7", "same lock <x>", "https://team.example.com/archives/C1/p1")
    message = blocks.summary(sample("seed"), None, (relative,) * 5)
    checked(message, "k")
    assert said(message).count("Not the same, but like 0x9F ndis.sys, on PC-7 (same lock <x>): thread") == 2
    assert "Not the same" not in said(blocks.summary(sample("seed"), SEEN, (relative,)))


def test_progress_shows_a_figure_whether_the_end_is_known_or_not() -> None:
    known = blocks.progress("Downloading", "a.dmp", 0.456, "3.1 MB of 6.8 MB, 12 MB/s")
    assert known.text == "Downloading: 45 %"
    assert "█████████░░░░░░░░░░░" in said(known)
    assert "12 MB/s" in said(known)
    unknown = blocks.progress("Downloading", "a.dmp", None, "3.1 MB, 12 MB/s")
    assert unknown.text == "Downloading: 3.1 MB, 12 MB/s"
    assert "█" not in said(unknown)


def test_the_pile_up_names_root_lock_and_each_blocked_thread_with_its_wait() -> None:
    message = blocks.pile_up(sample("seed"))
    assert message is not None
    shown = said(message)
    for words in (
        "0xffffb20a41c7e080",
        "nt!PiEngineLock",
        "3 of 3 waiters found",
        "`wininit.exe` (pid 612, tid 616) — 5 min",
    ):
        assert words in shown
    assert "svchost.exe" in shown
    assert "3 min 32 s" in shown


def test_a_deadlock_shows_its_cycle_and_no_root() -> None:
    message = blocks.pile_up(sample("deadlock"))
    assert message is not None
    shown = said(message)
    assert "Root:" not in shown
    assert "back to the first" in shown
    assert "waits for resource in pool BMir" in shown


def test_a_dump_without_waits_has_no_pile_up_message() -> None:
    assert blocks.pile_up(sample("exception")) is None


def test_scanned_frames_are_marked_and_explained() -> None:
    shown = said(blocks.evidence(sample("deadlock")))
    assert " 1? filesync+0x2f10" in shown
    assert "found by scanning" in shown
    assert "found by scanning" not in said(blocks.evidence(sample("seed")))


def test_a_live_capture_is_never_called_a_crash() -> None:
    message = blocks.summary(sample("cannot_tell"))
    assert "not a crash" in message.text
    assert "not a crash" in said(message)


def test_a_thousand_blocked_threads_and_reasons_still_fit() -> None:
    report = sample("seed")
    blocking = dataclasses.replace(report.blocking, blocked_threads=report.blocking.blocked_threads * 400)
    verdict = dataclasses.replace(report.verdict, reasons=("a reason of some length " * 30,) * 500)
    for part, message in messages(dataclasses.replace(report, blocking=blocking, verdict=verdict)).items():
        checked(message, part)


HOSTILE = st.text(max_size=400) | st.sampled_from(
    [
        "<!channel>",
        "<!here|x>.sys",
        "<@U024BE7LH>",
        "<https://evil.example|login>",
        "*bold* _i_ ~s~ `code` ```pre```",
        "&lt;!channel&gt;",
        "&amp;lt;",
        "a\x1esection\nforged",
        "drv\u202egpj.sys",
        "@channel #general http://evil.example",
        "|>|<",
        "\ud800",
    ]
)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_name_from_a_dump_can_say_anything_to_slack(data: st.DataObject) -> None:
    report = Report.from_json(_poisoned(sample("seed").to_json(), data))
    for part, message in messages(report).items():
        arguments = checked(message, part)
        for text in [arguments["text"], *_markup(arguments["blocks"])]:
            for sequence in re.findall(r"<([^<>]*)>", text):
                assert sequence.startswith(("!date^", "https://team.example.com/archives/")), sequence
            assert "\x1e" not in text
            assert "\u202e" not in text


def _poisoned(value: Any, data: st.DataObject) -> Any:
    # Replaces the free strings of a report; hex values, words of an enum and times stay.
    free = {
        "name", "module", "function", "summary", "impact", "why_not", "device", "service", "description", "process",
        "symbol", "stack_end", "computer_name", "os", "build", "meaning", "resolved", "explanation", "wait_reason",
        "doing", "start", "state", "version", "vendor", "failure_bucket_id",
    }  # fmt: skip
    lists = {"reasons", "next_steps", "cannot_tell", "notes"}
    if isinstance(value, dict):
        out: dict[str, Any] = {}
        for key, item in value.items():
            if key in free and isinstance(item, str):
                out[key] = data.draw(HOSTILE)
            elif key in lists:
                out[key] = data.draw(st.lists(HOSTILE, max_size=3))
            else:
                out[key] = _poisoned(item, data)
        return out
    return [_poisoned(item, data) for item in value] if isinstance(value, list) else value


def _markup(value: Any) -> list[str]:
    # Only mrkdwn is obeyed by Slack; rich text and plain text are shown as they are.
    if isinstance(value, dict):
        own = [value["text"]] if value.get("type") == "mrkdwn" else []
        return own + [text for item in value.values() for text in _markup(item)]
    return [text for item in value for text in _markup(item)] if isinstance(value, list) else []
