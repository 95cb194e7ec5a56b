"""Builds kernel dumps from layouts of its own. Imports nothing from the packages under test.

``forge("seed", build=19041, kind="bitmap").write(path)`` writes a dump; ``.facts`` says what is in it.
"""

from tests.forge.build import KINDS, Forged, all_builds, forge
from tests.forge.kernel.state import Load
from tests.forge.scenarios import SCENARIOS

__all__ = ["KINDS", "SCENARIOS", "Forged", "Load", "all_builds", "forge"]
