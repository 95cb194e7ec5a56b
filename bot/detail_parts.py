"""What follows a verdict in its thread: the pile-up in words and as a picture, evidence, next steps, the report."""

import hashlib
import json
from collections.abc import Callable, Iterator

from analysis.verdict.report import Report
from bot import blocks, picture
from bot.mrkdwn import plain
from bot.outbound import Message
from bot.sending import Upload
from bot.slack_text import render


def parts_of(report: Report, before: Report | None) -> Iterator[tuple[str, Callable[[], Message | Upload | None]]]:
    """The name of each part, and what makes it, None for one that this report does not have. With ``before``, the
    report that was told so far, what has not changed and cannot be edited is left out.
    """
    # A file cannot be edited: that of each further report has a name of its own.
    edition = "" if before is None else f"-{_digest(report)}"
    yield "pile-up", lambda: blocks.pile_up(report)
    if before is None or picture.wait_graph(before) != picture.wait_graph(report):
        yield f"picture{edition}", lambda: _picture(report, edition)
    yield "evidence", lambda: blocks.evidence(report)
    yield "next-steps", lambda: blocks.next_steps(report)
    yield report_slot(report), lambda: report_file(report, edition)


def _picture(report: Report, edition: str) -> Upload | None:
    dot = picture.wait_graph(report)
    drawn = None if dot is None else picture.draw(dot)
    described = blocks.pile_up(report)
    if drawn is None or described is None:
        return None
    words = plain(described.text).replace("`", "")[:1_000]
    return Upload(
        f"pile-up-{_mark(report)}{edition}.png", drawn, "Who waits for whom", "The pile-up as a picture", words
    )


def report_slot(report: Report) -> str:
    """The part that is this very edition of a report as a file."""
    return f"report-{_digest(report)}"


def report_file(report: Report, edition: str) -> Upload:
    """The report as a file, whose name tells editions apart."""
    comment = render("report_file", is_edited=bool(edition)).text
    return Upload(f"pileup-report-{_mark(report)}{edition}.json", _document(report), "Full report", comment)


def _document(report: Report) -> bytes:
    return json.dumps(report.to_json(), indent=1, ensure_ascii=False).encode()


def _digest(report: Report) -> str:
    return hashlib.sha256(_document(report)).hexdigest()[:8]


def _mark(report: Report) -> str:
    return report.dump.identity.rpartition(":")[2][:12]
