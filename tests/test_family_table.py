"""Three machines for each family of bugchecks: ``python -m tests.test_family_table`` prints what is said in each."""

import tempfile
from pathlib import Path

import pytest

from analysis.bugchecks import FAMILIES
from analysis.verdict.report import Report
from tests import truth
from tests.forge import Forged, all_builds, forge
from tests.forge.scenarios.families import FAMILY_ROWS, HELD_SECONDS

BUILD = 19041
FIRST = {row.family: name for name, row in reversed(FAMILY_ROWS.items())}


def told(name: str, directory: Path, *, build: int = BUILD, seed: int | None = None) -> tuple[Report, Forged]:
    """The report of one machine, made with the kernel's own names."""
    forged = forge(name, build=build, kind="bitmap", seed=seed)
    return truth.told(forged, directory, symbols=True), forged


def verdict_on(name: str, report: Report, forged: Forged) -> str | None:
    """What is wrong with the answer; None for a right one."""
    row = FAMILY_ROWS[name]
    problem = truth.wrong_blame(report, forged, row.kind, row.most)
    return problem or (None if report.verdict.next_steps else "advises nothing")


def test_each_family_has_about_three_machines() -> None:
    counts = {family.name: 0 for family in FAMILIES if family.codes}
    for row in FAMILY_ROWS.values():
        counts[row.family] += 1
    assert min(counts.values()) >= 3


@pytest.mark.parametrize("name", FIRST.values())
def test_the_first_machine_of_each_family(name: str, tmp_path: Path) -> None:
    assert verdict_on(name, *told(name, tmp_path)) is None


@pytest.mark.slow
@pytest.mark.parametrize("build", all_builds())
@pytest.mark.parametrize("name", FAMILY_ROWS)
def test_every_machine_on_every_build(name: str, build: int, tmp_path: Path) -> None:
    assert verdict_on(name, *told(name, tmp_path, build=build, seed=build)) is None


def test_a_held_power_request_says_for_how_long(tmp_path: Path) -> None:
    report, _ = told("9f-3-held", tmp_path)
    assert any(f"for {HELD_SECONDS} s" in reason for reason in report.verdict.reasons)


def main() -> None:
    """Print the table."""
    for name, row in FAMILY_ROWS.items():
        with tempfile.TemporaryDirectory() as directory:
            report, forged = told(name, Path(directory))
        problem = verdict_on(name, report, forged)
        verdict = report.verdict
        culprit = (verdict.culprit.module or verdict.culprit.kind) if verdict.culprit else "nobody"
        said = problem or verdict.summary
        print(f"{'WRONG' if problem else 'right':6}{row.family:11}{name:16}{culprit:18}{verdict.confidence:8}{said}")


if __name__ == "__main__":
    main()
