"""A text to its report, as the command does it."""

from pathlib import Path

from analysis.pipeline import analyze
from analysis.verdict.report import Report


def report_of(directory: Path, content: str | bytes, name: str = "analyze.txt") -> Report:
    """The report of a text, held against the contract."""
    path = directory / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    report = analyze(path)
    report.to_json()
    return report


def named(report: Report) -> str | None:
    """The culprit's module, or the kind of what is blamed that is no module."""
    culprit = report.verdict.culprit
    return (culprit.module or culprit.kind) if culprit else None
