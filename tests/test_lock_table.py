"""Every kind of lock in chains and circles, and every state of an owner: a slice on changing builds, all if asked."""

import pytest

from tests.forge import all_builds
from tests.forge.scenarios.lock_kinds import KINDS
from tests.forge.scenarios.lock_stories import OTHERS, OWNERS
from tests.forge.scenarios.wide import MIXED, NO_CYCLES, ROWS, Row
from tests.lock_table import judge

SLICE = [
    *(f"{kind}-{shape}" for kind in KINDS for shape in ("chain-2", "cycle-3") if f"{kind}-{shape}" in ROWS),
    *(f"owner-{state}" for state in OWNERS),
    *OTHERS,
    *MIXED,
    "push-lock-unrecorded",
]


def builds_of(row: Row) -> tuple[int, ...]:
    return tuple(build for build in all_builds() if build >= row.first_build)


@pytest.mark.parametrize("name", SLICE)
def test_a_lock_story_is_told_right(name: str) -> None:
    builds = builds_of(ROWS[name])
    assert judge(ROWS[name], builds[SLICE.index(name) % len(builds)]) is None


@pytest.mark.slow
@pytest.mark.parametrize("build", all_builds())
@pytest.mark.parametrize("name", ROWS)
def test_every_lock_story_is_told_right_on_every_build(name: str, build: int) -> None:
    if build not in builds_of(ROWS[name]):
        pytest.skip("this build has no such lock")
    assert judge(ROWS[name], build) is None


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_chains_and_circles(kind: str) -> None:
    shapes = {name.removeprefix(f"{kind}-") for name in ROWS if name.startswith(f"{kind}-")}
    cycles = set() if kind in NO_CYCLES else {"cycle-2", "cycle-3"}
    assert shapes >= {"chain-1", "chain-2", "chain-3", "chain-4", *cycles}
