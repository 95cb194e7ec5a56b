"""The fault table, shortened: what it counts is right, and a fleet stands two of its faults."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fleet.table import missing

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["never back", "bot killed", "restarted, immediate", "everybody", "full", "clocks"])
def test_a_fleet_stands_it(name: str) -> None:
    if (reason := missing()) is not None:
        pytest.skip(reason)
    command = [sys.executable, "-m", "tests.fleet.table", name, "--dumps", "12", "--seconds", "6", "--lease", "5"]
    done = subprocess.run([*command, "--hold", "12"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
