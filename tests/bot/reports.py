"""Sample reports for the tests of this package: whole documents that obey the contract."""

import json
from pathlib import Path

from analysis.verdict.report import Report

GOLDEN = Path(__file__).parent.parent / "golden"
NAMES = ("seed", "deadlock", "exception", "cannot_tell")


def sample(name: str) -> Report:
    """One of the sample reports."""
    return Report.from_json(json.loads((GOLDEN / "reports" / f"{name}.json").read_text("utf-8")))
