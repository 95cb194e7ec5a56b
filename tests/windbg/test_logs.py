"""Every public log: read whole, cut anywhere, mangled; never a fault of ours, never slow."""

import time
from pathlib import Path

import pytest

from analysis.errors import NotADump
from analysis.verdict.report import Report
from tests.score.rows import LOGS
from tests.windbg.reports import report_of

NAMES = sorted(path.stem for path in LOGS.glob("*.txt"))

pytestmark = [pytest.mark.shared, pytest.mark.skipif(not NAMES, reason="no ../shared/data")]


def is_whole(report: Report) -> bool:
    return not any(note.startswith(("bugcheck:", "waits:", "verdict:")) for note in report.notes)


@pytest.mark.parametrize("name", NAMES)
def test_a_log_gives_a_whole_report_quickly(name: str, tmp_path: Path) -> None:
    started = time.process_time()
    report = report_of(tmp_path, (LOGS / f"{name}.txt").read_bytes())
    assert time.process_time() - started < 1
    assert is_whole(report)
    assert report.dump.kind == "windbg-text"
    assert report.windbg is not None
    assert report.windbg.hash_fits is not False
    assert report.threads


@pytest.mark.parametrize("name", NAMES)
def test_a_log_cut_anywhere_is_read_or_refused(name: str, tmp_path: Path) -> None:
    content = (LOGS / f"{name}.txt").read_bytes()
    for length in range(0, len(content), 200):
        try:
            report = report_of(tmp_path, content[:length])
        except NotADump as refused:
            assert refused.what in ("an empty file", "a text file")  # noqa: PT017
            continue
        assert is_whole(report)


@pytest.mark.parametrize("name", NAMES)
def test_a_log_reads_the_same_after_a_chat_and_another_editor(name: str, tmp_path: Path) -> None:
    text = (LOGS / f"{name}.txt").read_text("utf-8", "replace")
    whole = report_of(tmp_path, text)
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for changed in (escaped.encode(), text.replace("\n", "\r\n").encode("utf-16")):
        again = report_of(tmp_path, changed)
        assert again.verdict == whole.verdict
        assert again.bucket == whole.bucket
