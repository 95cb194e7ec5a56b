"""The distribution as others see it."""

import importlib
import pkgutil
from importlib.metadata import packages_distributions

import pytest

import analysis

OURS = ("analysis", "bot", "storage", "templates")


@pytest.mark.parametrize("name", OURS)
def test_nobody_else_owns_our_top_level_names(name: str) -> None:
    owners = set(packages_distributions().get(name, []))
    assert owners <= {"pileup"}


def test_every_module_of_analysis_imports() -> None:
    names = [found.name for found in pkgutil.walk_packages(analysis.__path__, "analysis.")]
    assert "analysis.verdict.report" in names
    for name in names:
        if not name.endswith("__main__"):
            importlib.import_module(name)
