"""Slack messages of a user-mode dump: no bugcheck, but an exception, and nothing that only kernels have."""

from pathlib import Path

from analysis.pipeline import analyze
from bot import blocks
from tests.forge.minidump import EXE
from tests.usermode.stories import crash


def test_the_text_alone_names_culprit_and_exception(tmp_path: Path) -> None:
    path = tmp_path / "acme.dmp"
    path.write_bytes(crash(EXE + 0x1234, parameters=(1, 0x45)).write())
    report = analyze(path)
    text = blocks.summary(report).text
    assert "acme.exe wrote to address 0x45" in text
    assert "0xc0000005 STATUS_ACCESS_VIOLATION. Confidence: high." in text
    assert blocks.pile_up(report) is None
    assert "acme+0x1234" in blocks.evidence(report).text
    duplicate = blocks.duplicate(report, "2026-01-02T03:04:05Z", None).text
    assert "0xc0000005 STATUS_ACCESS_VIOLATION" in duplicate
