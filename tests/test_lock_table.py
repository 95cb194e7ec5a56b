"""Every kind of lock in chains and circles, and every state of an owner: a slice on changing builds, all if asked."""

from pathlib import Path

import pytest

from tests.forge import all_builds, forge
from tests.forge.scenarios.lock_kinds import KINDS, MUTANT_NAME
from tests.forge.scenarios.lock_stories import OTHERS, OWNERS
from tests.forge.scenarios.wide import MIXED, NO_CYCLES, ROWS, Row
from tests.lock_table import judge
from tests.truth import told

SLICE = [
    *(f"{kind}-{shape}" for kind in KINDS for shape in ("chain-2", "cycle-3") if f"{kind}-{shape}" in ROWS),
    *(f"owner-{state}" for state in OWNERS),
    *(name for name in OTHERS if not name.startswith("irp-chain")),
    *MIXED,
    *(f"spin-lock-{shape}" for shape in ("plain", "in-dpc", "chain-2", "cycle-3", "self", "watchdog", "silent")),
    "spin-beside-a-pileup",
    "spin-beside-a-fault",
    *("ends-at-event-in-sight", "ends-at-late-timer", "ends-with-time-out", "shared-in-a-cycle", "three-pileups"),
    "push-lock-unrecorded",
]


def builds_of(row: Row) -> tuple[int, ...]:
    return tuple(build for build in all_builds() if build >= row.first_build)


@pytest.mark.parametrize("name", SLICE)
def test_a_lock_story_is_told_right(name: str) -> None:
    builds = builds_of(ROWS[name])
    assert judge(ROWS[name], builds[SLICE.index(name) % len(builds)]) is None


@pytest.mark.parametrize("build", [7601, 14393, 22000])
def test_an_object_is_called_by_its_name(build: int, tmp_path: Path) -> None:
    report = told(forge("mutant-chain-1", build=build, kind="bitmap"), tmp_path, symbols=False)
    assert [chain.lock.name for chain in report.blocking.chains] == [MUTANT_NAME]
    assert f"held {MUTANT_NAME} exclusively" in report.verdict.summary


@pytest.mark.parametrize(("name", "words"), [
    ("queue-all-workers", "all 3 workers of the work queue"),
    ("queue-chain-1", "the only worker of the work queue"),
])  # fmt: skip
def test_a_queue_without_a_free_worker_is_part_of_the_impact(name: str, words: str, tmp_path: Path) -> None:
    report = told(forge(name, build=19041, kind="bitmap"), tmp_path, symbols=True)
    assert words in (report.verdict.impact or "")


@pytest.mark.parametrize("name", ["irp-listed", "irp-on-stack"])
def test_the_request_that_is_waited_for_is_in_the_report(name: str, tmp_path: Path) -> None:
    forged = forge(name, build=18362, kind="bitmap")
    report = told(forged, tmp_path, symbols=False)
    assert [irp.driver for irp in report.irps] == [forged.facts.expected.culprit]
    assert any(f"{forged.facts.expected.culprit} must complete it" in note for note in report.notes)
    last = report.blocking.chains[-1]
    assert (last.lock.kind, last.lock.address, last.lock.driver) == (
        "irp",
        report.irps[0].address,
        report.irps[0].driver,
    )
    assert (last.lock.device, last.waiters) == (report.irps[0].device, (report.blocking.root.thread,))  # type: ignore[union-attr]  # there is one
    assert last.trust == report.irps[0].pending_trust == "structure"
    assert report.irps[0].pending_seconds == pytest.approx(300, abs=0.1)


def test_without_names_nobody_is_said_to_spin_for_a_plain_lock(tmp_path: Path) -> None:
    report = told(forge("spin-lock-two-spin", build=18362, kind="bitmap"), tmp_path, symbols=False)
    assert report.blocking.chains == ()
    assert report.verdict.culprit is None


def test_a_spin_that_may_last_a_moment_only_makes_nobody_surely_guilty(tmp_path: Path) -> None:
    report = told(forge("spin-lock-chain-1", build=17763, kind="bitmap"), tmp_path, symbols=True)
    assert report.verdict.confidence == "low"


def test_a_spinning_processor_leads_to_the_driver_that_has_the_lock(tmp_path: Path) -> None:
    report = told(forge("spin-lock-watchdog", build=22000, kind="bitmap"), tmp_path, symbols=True)
    assert [(chain.lock.kind, chain.trust) for chain in report.blocking.chains] == [("spin-lock", "scan")]
    assert "held the queued spin lock at" in report.verdict.summary
    assert report.verdict.confidence == "medium"


@pytest.mark.parametrize("build", [7601, 9600])
def test_where_threads_note_no_push_locks_no_owner_is_recorded(build: int, tmp_path: Path) -> None:
    report = told(forge("push-lock-unrecorded", build=build, kind="bitmap"), tmp_path, symbols=False)
    assert report.blocking.chains == ()
    assert any("keeps no owner and whose owner is not recorded" in note for note in report.notes)


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
