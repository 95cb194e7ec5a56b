"""Questions in the thread of a crash: its report answers, and says where it cannot."""

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analysis.verdict.report import Blocking, Report
from bot.questions.grammar import read_question
from bot.questions.one_crash import about_crash

SEED = Report.from_json(json.loads((Path(__file__).parents[1] / "golden" / "reports" / "seed.json").read_text("utf-8")))
NOW = datetime(2026, 11, 24, tzinfo=UTC)
SVCHOST = "svchost.exe 0xffffb20a46177080 waited for nt!PiEngineLock for 212 s in the middle of: driver load."
HELD = "nt!PiEngineLock was held by System 0xffffb20a41c7e080 (exclusive); 3 waited for it directly."
SUMMARY = "rassstp.sys holds nt!PiEngineLock and never returned from halting its miniport WAN Miniport (SSTP)."


def said(text: str, report: Report = SEED) -> str:
    return "\n".join(about_crash(report, read_question(text, NOW)))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("who owns the lock", HELD),
        ("who holds it", "To blame: rassstp.sys at rassstp+0x1a34, confidence high."),
        ("who is stuck", SVCHOST),
        ("is svchost blocked", SVCHOST),
        ("is explorer stuck?", "No thread of explorer was blocked, as far as the dump tells."),
        ("why?", SUMMARY),
        ("what about NDIS.SYS", "ndis.sys was considered and not blamed: it only passes the halt request on."),
        ("what about rassstp", f"rassstp.sys is the culprit: {SUMMARY}"),
        ("how about foo", "foo is neither on a stack nor among the modules of this crash's report."),
        ("are you sure?", "Confidence: high."),
        ("how do we fix it", "Update or disable the SSTP VPN client on WS-0417."),
        ("stack of csrss", "The report has no stack of csrss; it has those of: System, wininit.exe."),
    ],
)  # fmt: skip
def test_the_report_answers(text: str, line: str) -> None:
    assert line in said(text).split("\n")


def test_a_long_stack_is_cut_and_says_so() -> None:
    first = SEED.threads[0]
    long = dataclasses.replace(SEED, threads=(dataclasses.replace(first, stack=first.stack[:1] * 40),))
    lines = said("stack", long).split("\n")
    assert len(lines) <= 20
    assert any(line.startswith("… and 24 more frames") for line in lines)


def test_without_locks_it_says_that_nobody_waited() -> None:
    quiet = dataclasses.replace(SEED, blocking=Blocking())
    for text in ("who held the lock", "who is blocked"):
        assert said(text, quiet).startswith(
            "The report knows nobody who waited for a held lock. The dump holds no user"
        )
