"""The fuzz harness finds what it should: the same code with one bounds check taken out."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.hostile.planted import SECONDS, find_planted
from tests.hostile.target import Target
from tests.hostile.targets import TARGETS


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not installed (the dependency group fuzz)")
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_planted_fault_is_found(target: Target, tmp_path: Path) -> None:
    result = find_planted(target, tmp_path)
    assert result.findings, f"nothing in {result.executions:,} executions"
