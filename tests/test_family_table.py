"""Three machines for each family of bugchecks: ``python -m tests.test_family_table`` prints what is said in each."""

import tempfile
from pathlib import Path

import pytest

from analysis.bugchecks import FAMILIES
from analysis.verdict.report import Report
from tests import truth
from tests.forge import Forged, all_builds, forge
from tests.forge.scenarios.families import HELD_SECONDS
from tests.forge.scenarios.family_rows import FAMILY_ROWS

BUILD = 19041
# The codes that have a machine at least.
CODES = frozenset({
    0x9F, 0xA0, 0x14F, 0x15C, 0xCA, 0x1E, 0x3B, 0x50, 0x7E, 0x8E, 0xBE, 0xFC, 0xA, 0xD1, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7,
    0xD8, 0x19, 0x1A, 0x4E, 0xC2, 0xC5, 0x13A, 0x12B, 0x133, 0x101, 0x1CA, 0x1D5, 0x1CC, 0xC4, 0xC9, 0xE6, 0x10D, 0x139,
    0x109, 0x18B, 0xEF, 0xF4, 0xC000021A, 0x7A, 0x77, 0x154, 0x24, 0x116, 0x117, 0x119, 0x141, 0xEA, 0x10E, 0x124, 0x9C,
    0x12, 0x144, 0xFE, 0xE2, 0x161, 0x1C8,
})  # fmt: skip
POWER_SUBCASES = (1, 2, 3, 4, 5, 6, 0x500)
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


def test_every_code_and_each_case_of_a_stuck_power_transition_has_a_machine() -> None:
    assert {int(name.split("-")[0], 16) for name in FAMILY_ROWS} >= CODES
    cases = {int(name.split("-")[1], 16) for name in FAMILY_ROWS if name.startswith("9f-")}
    assert cases == set(POWER_SUBCASES)


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
    assert [(round(irp.pending_seconds or 0), irp.pending_trust) for irp in report.irps] == [
        (HELD_SECONDS, "parameter")
    ]


def test_the_problem_that_windows_noted_for_a_device_is_told(tmp_path: Path) -> None:
    report, _ = told("9f-5-problem", tmp_path)
    assert any("problem 43: its driver reported a failure" in reason for reason in report.verdict.reasons)
    sound, _ = told("9f-5-directed", tmp_path)
    assert not any("problem" in reason for reason in sound.verdict.reasons)


def main() -> None:
    """Print the table, and how many are wrong."""
    wrong = 0
    for name, row in FAMILY_ROWS.items():
        with tempfile.TemporaryDirectory() as directory:
            report, forged = told(name, Path(directory))
        problem = verdict_on(name, report, forged)
        wrong += problem is not None
        verdict = report.verdict
        culprit = (verdict.culprit.module or verdict.culprit.kind) if verdict.culprit else "nobody"
        said = problem or verdict.summary
        print(f"{'WRONG' if problem else 'right':6}{row.family:11}{name:16}{culprit:18}{verdict.confidence:8}{said}")
    print(f"{len(FAMILY_ROWS)} machines, {wrong} wrong")


if __name__ == "__main__":
    main()
