"""Twenty ways to be wrong, as one table: ``python -m tests.test_wrong`` prints what is said in each."""

import tempfile
from pathlib import Path

import pytest

from analysis.verdict.report import Report
from tests import truth
from tests.forge import Forged, all_builds, forge
from tests.forge.scenarios.wrong import WAYS

BUILD = 19041


def told(name: str, directory: Path, *, build: int = BUILD, seed: int | None = None) -> tuple[Report, Forged]:
    """The report of one machine, made with the kernel's own names."""
    forged = forge(name, build=build, kind="bitmap", seed=seed)
    return truth.told(forged, directory, symbols=True), forged


def verdict_on(name: str, report: Report, forged: Forged) -> str | None:
    """What is wrong with the answer; None for a right one."""
    way = WAYS[name]
    return truth.wrong_blame(report, forged, way.kind, way.most)


def test_there_are_twenty_ways_at_least() -> None:
    assert len(WAYS) >= 20


@pytest.mark.parametrize("name", WAYS)
def test_the_obvious_answer_is_not_given(name: str, tmp_path: Path) -> None:
    assert verdict_on(name, *told(name, tmp_path)) is None


def test_driver_verifier_did_not_make_the_mistake_that_it_found(tmp_path: Path) -> None:
    report, _ = told("verifier", tmp_path)
    assert "verifier" not in report.verdict.summary.lower()
    assert "freed an address that no allocation returned" in report.verdict.summary


@pytest.mark.slow
@pytest.mark.parametrize("build", all_builds())
@pytest.mark.parametrize("name", WAYS)
def test_the_obvious_answer_is_not_given_on_any_build(name: str, build: int, tmp_path: Path) -> None:
    assert verdict_on(name, *told(name, tmp_path, build=build, seed=build)) is None


def main() -> None:
    """Print the table: what tempts, what is said, and how sure it is."""
    for name in WAYS:
        with tempfile.TemporaryDirectory() as directory:
            report, forged = told(name, Path(directory))
        verdict = report.verdict
        culprit = (verdict.culprit.module or verdict.culprit.kind) if verdict.culprit else "nobody"
        problem = verdict_on(name, report, forged)
        print(f"{'WRONG' if problem else 'right':6}{name:20}{culprit:18}{verdict.confidence:8}{verdict.summary}")
        print(f"      {'':20}({WAYS[name].temptation}{f': {problem}' if problem else ''})")


if __name__ == "__main__":
    main()
