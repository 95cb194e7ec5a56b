"""The benchmark's measuring, on commands whose cost is known."""

import subprocess

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
