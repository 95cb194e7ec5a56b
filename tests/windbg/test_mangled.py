"""What happens to a text on its way: encodings, line ends, quoting, chat markup, wrapping, cutting."""

import re
import textwrap
from pathlib import Path

import pytest

from analysis.errors import NotADump
from tests.windbg.reports import named, report_of
from tests.windbg.texts import EXAMPLES, HUNG_SHUTDOWN, OLD_FAULT

CULPRITS = {
    "hung-shutdown": "wanmini7.sys",
    "old-fault": "qlpkt.sys",
    "held-request": "cardrdr8.sys",
    "no-code": "vswitch9.sys",
    "modules": "gpudrv64.sys",
    "small-dump": "zqusb4.sys",
    "request-alone": "padflt6.sys",
    "locks-alone": None,
    "hung-32-bit": "zvbus3.sys",
}


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "utf-32"])
def test_encodings(name: str, encoding: str, tmp_path: Path) -> None:
    assert named(report_of(tmp_path, EXAMPLES[name].encode(encoding))) == CULPRITS[name]


@pytest.mark.parametrize("name", EXAMPLES)
def test_line_ends(name: str, tmp_path: Path) -> None:
    for ending in ("\r\n", "\r"):
        assert named(report_of(tmp_path, EXAMPLES[name].replace("\n", ending))) == CULPRITS[name]


@pytest.mark.parametrize("name", EXAMPLES)
def test_chat_markup(name: str, tmp_path: Path) -> None:
    escaped = EXAMPLES[name].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    linked = re.sub(r"(\w+\.sys)", r"<http://\1|\1>", escaped)
    report = report_of(tmp_path, f"look at this please:\n```\n{linked}\n```\nany idea?\n")
    assert named(report) == CULPRITS[name]
    if name == "hung-shutdown":
        assert report.blocking.chains[0].owners == ("0xffffa50c11aa5080",)


@pytest.mark.parametrize("name", EXAMPLES)
def test_quoted_and_indented(name: str, tmp_path: Path) -> None:
    assert named(report_of(tmp_path, textwrap.indent(EXAMPLES[name], "> ", lambda _: True))) == CULPRITS[name]
    assert named(report_of(tmp_path, textwrap.indent(EXAMPLES[name], "     ", lambda _: True))) == CULPRITS[name]


def test_a_mail_that_wraps_its_lines(tmp_path: Path) -> None:
    lines = [wrapped for line in OLD_FAULT.splitlines() for wrapped in (textwrap.wrap(line, 66) or [""])]
    report = report_of(tmp_path, "\n".join(lines))
    assert named(report) == "qlpkt.sys"
    assert "NDIS!ethFilterDprIndicateReceivePacket+0x1c2" in [frame.symbol for frame in report.threads[0].stack]


def test_a_text_around_it(tmp_path: Path) -> None:
    report = report_of(tmp_path, f"Hi all,\n\nour server hung again.\n\n{HUNG_SHUTDOWN}\n\nThanks,\nSomebody\n")
    assert named(report) == "wanmini7.sys"


def test_noise_between_frames_is_no_end(tmp_path: Path) -> None:
    noise = "*** ERROR: Module load completed but symbols could not be loaded for qlpkt.sys\n"
    text = OLD_FAULT.replace("805503b0", f"{noise}805503b0")
    assert len(report_of(tmp_path, text).threads[0].stack) == 6


def test_a_second_crash_in_the_same_text_is_left_out(tmp_path: Path) -> None:
    other = OLD_FAULT.replace("qlpkt", "other1").replace("0000001c", "00000024")
    report = report_of(tmp_path, OLD_FAULT + other)
    assert named(report) == "qlpkt.sys"
    assert any("goes on with another crash" in note for note in report.notes)
    assert not any("another crash" in note for note in report_of(tmp_path, OLD_FAULT + OLD_FAULT).notes)


@pytest.mark.parametrize("name", EXAMPLES)
def test_cut_anywhere_it_is_read_or_refused(name: str, tmp_path: Path) -> None:
    content = EXAMPLES[name].encode()
    for length in range(0, len(content), 200):
        try:
            report = report_of(tmp_path, content[:length])
        except NotADump as refused:
            assert refused.what in ("an empty file", "a text file")  # noqa: PT017
            continue
        assert report.dump.kind == "windbg-text"
        assert report.verdict.culprit is None or report.verdict.confidence != "none"


def test_a_stack_at_the_cut_end_says_so(tmp_path: Path) -> None:
    cut = OLD_FAULT[: OLD_FAULT.index("nt!KiRetireDpcList") + len("nt!KiRetireDpcList+0x61")]
    assert any("may go on" in line for line in report_of(tmp_path, cut).verdict.cannot_tell)
