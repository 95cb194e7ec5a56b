"""Agreement with WinDbg on public crashes: frames in, module out.

A regression guard on the cases the weights were fitted to, not a published accuracy.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from analysis.bugchecks import stop_of
from analysis.verdict.blame import Case, conclude
from analysis.verdict.modules import is_kernel_name, stem
from tests.verdict.frames import stack

LOGS = Path(__file__).parents[3] / "shared" / "data" / "windbg" / "analyze_logs.jsonl"

pytestmark = [pytest.mark.shared, pytest.mark.skipif(not LOGS.exists(), reason="no ../shared/data")]


def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in LOGS.read_text("utf-8").splitlines()]


def judged(row: dict[str, Any]) -> tuple[str | None, str]:
    code = int(row["bugcheck"], 16) if row["bugcheck"] else 0xD1
    blame = conclude(Case(code, stop_of(code), stack(" ".join(row["frames"]))))
    return ("nt" if blame.module and is_kernel_name(blame.module) else stem(blame.module or "")), blame.confidence


def baseline(row: dict[str, Any]) -> str | None:
    for symbol in row["frames"]:
        module = stem(symbol.partition("!")[0].partition("+")[0])
        if module not in ("nt", "hal") and not module.startswith("0x"):
            return module
    return None


def test_modules_on_the_stack_agree_with_windbg() -> None:
    decided = [row for row in rows() if row["verdict_kind"] == "in_stack"]
    ours = {row["id"]: judged(row) for row in decided}
    wrong = {row["id"]: ours[row["id"]] for row in decided if ours[row["id"]][0] != row["blamed"].lower()}
    before = sum(baseline(row) == row["blamed"].lower() for row in decided)
    print(f"{len(decided) - len(wrong)} of {len(decided)} modules agree, the baseline {before}: {wrong}")
    assert len(decided) == 19
    assert len(wrong) <= 1
    assert all(confidence != "high" for _, confidence in wrong.values())


def test_where_windbg_found_nothing_nobody_is_blamed_beside_the_stack() -> None:
    for row in rows():
        if row["verdict_kind"] == "inconclusive":
            module, _ = judged(row)
            on_stack = {stem(symbol.partition("!")[0].partition("+")[0]) for symbol in row["frames"]}
            assert not module or module in on_stack
