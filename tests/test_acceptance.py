"""Stories told right on every build, every kind of dump, with and without symbols, and with casts drawn from seeds.

What is right is said by the builder of the dumps, which shares no code with the analysis.
"""

from pathlib import Path

import pytest

import analysis.pipeline
from analysis.errors import Absence, Unreadable
from analysis.memory import Memory, open_memory
from tests.forge import KINDS, SCENARIOS, Forged, all_builds, forge
from tests.grids import thinned
from tests.truth import hold_against_names, hold_against_truth, told


@pytest.mark.parametrize(("scenario", "build"), thinned(sorted(SCENARIOS), all_builds()))
def test_every_story_on_every_build(scenario: str, build: int, tmp_path: Path) -> None:
    kind = KINDS[(build + len(scenario)) % len(KINDS)]
    forged = forge(scenario, build=build, kind=kind)
    for symbols in (True, False):
        report = told(forged, tmp_path, symbols=symbols)
        hold_against_truth(report, forged)
        hold_against_names(report, forged, symbols=symbols)


@pytest.mark.parametrize(("build", "kind"), thinned(all_builds(), KINDS))
def test_the_seed_story_on_every_kind(build: int, kind: str, tmp_path: Path) -> None:
    forged = forge("seed", build=build, kind=kind)
    for symbols in (True, False):
        report = told(forged, tmp_path, symbols=symbols)
        hold_against_truth(report, forged)
        hold_against_names(report, forged, symbols=symbols)
        assert report.verdict.confidence == "high"


@pytest.mark.parametrize(("scenario", "seed"), thinned(sorted(SCENARIOS), range(1, 5)))
def test_the_verdict_follows_a_drawn_cast(scenario: str, seed: int, tmp_path: Path) -> None:
    build = all_builds()[seed % len(all_builds())]
    forged = forge(scenario, build=build, kind="bitmap", seed=seed)
    report = told(forged, tmp_path, symbols=bool(seed % 2))
    hold_against_truth(report, forged)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5, 60))
@pytest.mark.parametrize("scenario", sorted(SCENARIOS))
def test_the_verdict_follows_many_drawn_casts(scenario: str, seed: int, tmp_path: Path) -> None:
    build = all_builds()[seed % len(all_builds())]
    forged = forge(scenario, build=build, kind=KINDS[seed % len(KINDS)], seed=seed)
    hold_against_truth(told(forged, tmp_path, symbols=bool(seed % 2)), forged)


@pytest.mark.parametrize("scenario", ["seed", "decoys"])
def test_layouts_that_no_table_holds_never_give_a_wrong_name(scenario: str, tmp_path: Path) -> None:
    forged = forge(scenario, build=19041, kind="bitmap", layouts="shifted")
    hold_against_truth(told(forged, tmp_path, symbols=True), forged)
    (alone := tmp_path / "alone").mkdir()
    blind = told(forged, alone, symbols=False)
    # Debugger data says where a thread keeps its stack: the thread a parameter names can be walked without layouts.
    assert blind.verdict.culprit is None or blind.verdict.culprit.module == forged.facts.expected.culprit
    assert blind.verdict.confidence != "high"
    assert blind.blocking.chains == ()
    assert blind.bugcheck is not None
    assert blind.bugcheck.code == hex(forged.facts.code)
    assert {one.name for one in blind.modules} >= {one.name.lower() for one in forged.facts.modules[1:]}
    assert any("layout" in line for line in blind.verdict.cannot_tell)


@pytest.mark.parametrize("build", [10240, 15063, 22621, 26100])
def test_a_build_without_tables_caps_the_confidence_and_says_so(build: int, tmp_path: Path) -> None:
    forged = forge("seed", build=build, kind="bitmap")
    report = told(forged, tmp_path, symbols=False)
    hold_against_truth(report, forged)
    assert report.verdict.confidence == "low"
    assert any("neighbouring" in reason for reason in report.verdict.reasons)
    assert any("neighbouring" in line for line in report.verdict.cannot_tell)


class WithoutImages(Memory):
    """Memory from which the images' pages were left out, as a kernel dump of a busy machine lacks them."""

    def __init__(self, inner: Memory, holes: list[tuple[int, int]]) -> None:
        self.inner = inner
        self.holes = holes

    def read(self, address: int, size: int) -> bytes:
        for low, high in self.holes:
            if address < high and address + size > low:
                raise Unreadable(max(address, low), Absence.NOT_SAVED, "left out")
        return self.inner.read(address, size)


def image_pages(forged: Forged) -> list[tuple[int, int]]:
    """All pages of drivers, and those of the kernel's code; its data stay."""
    facts = forged.facts
    rvas = dict(facts.symbols)
    data = [rvas[name] for name in ("KdDebuggerDataBlock", "PsLoadedModuleList", "PsActiveProcessHead", "PiEngineLock")]
    low, high = min(data) & ~0xFFF, (max(data) | 0xFFF) + 0x1001
    code = [rva for rva in range(0x1000, max(rvas.values()) + 0x1000, 0x1000) if not low <= rva < high]
    drivers = [(one.base, one.base + one.size) for one in facts.modules if one.base != facts.kernel_base]
    return drivers + [(facts.kernel_base + rva, facts.kernel_base + rva + 0x1000) for rva in code]


@pytest.mark.parametrize("symbols", [True, False], ids=["symbols", "none"])
@pytest.mark.parametrize(
    ("scenario", "build"), thinned(["seed", "deadlock", "shared", "nolock-7e"], [7601, 14393, 19041, 22000])
)
def test_without_the_images_stacks_are_scanned_and_the_verdict_holds(
    scenario: str, build: int, symbols: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forged = forge(scenario, build=build, kind="bitmap")
    holes = image_pages(forged)
    monkeypatch.setattr(analysis.pipeline, "open_memory", lambda image: WithoutImages(open_memory(image), holes))
    report = told(forged, tmp_path, symbols=symbols)
    hold_against_truth(report, forged)
    story = [frame for thread in report.threads for frame in thread.stack]
    assert any(frame.trust == "scan" for frame in story)
