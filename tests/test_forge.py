"""The dump builder itself: deterministic, complete, and true to what it says it wrote."""

from pathlib import Path

import pytest

from tests.forge import KINDS, SCENARIOS, all_builds, forge


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_arguments_give_the_same_bytes(kind: str, tmp_path: Path) -> None:
    first, second = (forge("seed", kind=kind, seed=7).write(tmp_path / name) for name in "ab")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("build", all_builds())
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_story_has_a_crowd_around_it(build: int, scenario: str) -> None:
    facts = forge(scenario, build=build).facts
    assert len(facts.threads) >= 100
    assert len(facts.resources) >= 200
    assert len(facts.modules) >= 30


def test_a_seed_draws_another_cast() -> None:
    culprits = {forge("seed", seed=seed).facts.expected.culprit for seed in range(6)}
    assert len(culprits) > 2


def test_a_full_dump_of_a_big_machine_costs_little_disk(tmp_path: Path) -> None:
    path = forge("seed").write(tmp_path / "big.dmp", memory_bytes=8 << 30)
    status = path.stat()
    assert status.st_size > 8 << 30
    assert status.st_blocks * 512 < 64 << 20
