"""The fault table: what it finds wrong is wrong; shortened, a fleet stands each kind of fault."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fleet.faults import FAULTS
from tests.fleet.table import Row, judge, missing
from tests.soak.counting import Counts

ROOT = Path(__file__).parents[2]
RIGHT = Counts(once=2, never=0, twice=0, wrong=0, unfinished=0, unmarked=0, doubled=0, elsewhere=0)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, None),
        ({"counts": Counts(1, 1, 0, 0, 0, 0, 0, 0)}, "'never': 1"),
        ({"counts": Counts(1, 0, 1, 0, 0, 0, 0, 0)}, "'twice': 1"),
        ({"counts": Counts(2, 0, 0, 0, 0, 0, 1, 0)}, "'doubled': 1"),
        ({"kept": 1}, "1 of 2 dumps are in history once"),
        ({"kept": -1}, "-1 of 2 dumps are in history once"),
        ({"failed": 1}, "1 jobs failed"),
        ({"statuses": [0, None, 0]}, "processes ended with"),
        ({"statuses": [1, 0, 0]}, "processes ended with"),
        ({"counts": None}, "nothing was counted"),
    ],
)
def test_a_row_is_right_only_where_nothing_is_lost_and_nothing_is_twice(
    change: dict[str, object], problem: str | None
) -> None:
    row = Row(FAULTS[0], 2, counts=RIGHT, kept=2, statuses=[0, -9, 0])
    for name, value in change.items():
        setattr(row, name, value)
    judge(row)
    assert row.is_right is (problem is None)
    assert problem is None or problem in "\n".join(row.problems)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["never back", "bot killed", "restarted, immediate", "everybody", "full", "clocks"])
def test_a_fleet_stands_it(name: str) -> None:
    if (reason := missing()) is not None:
        pytest.skip(reason)
    command = [sys.executable, "-m", "tests.fleet.table", name, "--dumps", "12", "--seconds", "6", "--lease", "5"]
    done = subprocess.run([*command, "--hold", "12"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
