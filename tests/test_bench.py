"""The benchmark's measuring, on commands whose cost is known."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import runs


def test_a_run_is_timed_and_weighed() -> None:
    measured = runs.run("import time; block = b'x' * 80_000_000; time.sleep(0.2); print(len(block))")
    assert measured.seconds >= 0.2
    assert 80_000_000 < measured.peak < 200_000_000
    assert measured.output == "80000000\n"


def test_a_failing_run_is_an_error() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        runs.run("raise SystemExit(3)")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("transport", ["socket", "http"])
def test_acknowledgements_are_measured_beside_the_peer(transport: str) -> None:
    command = [sys.executable, "-m", "tests.bench.acks", "--rounds", "3", "--jobs", "6", "--transport", transport]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 jobs queued and running" in done.stdout
    for kind in ("link", "message", "slash command", "button", "form sent", "shortcut", "home tab"):
        assert f"\n  {kind} " in done.stdout
