"""Whole machines of tests/forge: what is read must be what the builder says it wrote."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from analysis.formats import open_dump
from analysis.kernel.scene import Scene, read_scene
from analysis.kernel.threads import STATES, WAIT_REASONS
from analysis.memory import open_memory
from analysis.symbols.opening import SymbolSources, open_kernel_symbols
from analysis.waits import WaitAnalysis, find_waits
from tests.forge import KINDS, SCENARIOS, Forged, all_builds, forge
from tests.forge.facts import Facts, ThreadFact
from tests.forge.kernel import background
from tests.grids import thinned

WAITING = STATES.index("Waiting")


@contextmanager
def scene_of(forged: Forged, directory: Path, *, symbols: bool = False) -> Iterator[Scene]:
    path = forged.write(directory / "memory.dmp")
    if symbols:
        forged.write_isf(directory)
    with open_dump(path) as image:
        memory = open_memory(image)
        sources = SymbolSources((directory,) if symbols else ())
        yield read_scene(image, memory, open_kernel_symbols(image, memory, sources))


def check_lists(scene: Scene, facts: Facts) -> None:
    kernel = {facts.kernel_base: "ntoskrnl.exe"}
    assert [(m.name, m.base, m.size) for m in scene.facts.modules] == [
        (kernel.get(m.base, m.name.lower()), m.base, m.size) for m in facts.modules
    ]
    assert [(m.name, m.base, m.end) for m in scene.facts.unloaded] == [
        (m.name.lower(), m.start, m.end) for m in facts.unloaded
    ]
    assert [(p.address, p.pid, p.name, p.parent_pid, p.directory_table) for p in scene.facts.processes.values()] == [
        (p.address, p.pid, p.name[:15], p.parent_pid, p.directory_table) for p in facts.processes
    ]
    listed = [t.address for t in scene.facts.threads.values() if not t.terminated and t.pid]
    assert listed == [address for process in facts.processes for address in process.threads]


def check_thread(scene: Scene, fact: ThreadFact) -> None:
    waits = fact.state == WAITING
    thread = scene.facts.threads.get(fact.address) or scene.thread(fact.address)  # type: ignore[call-overload]  # an int
    assert thread is not None
    assert (thread.tid, thread.pid, thread.process_name) == (fact.tid, fact.pid, fact.process)
    assert thread.state == STATES[fact.state]
    assert thread.wait_reason == (WAIT_REASONS[fact.wait_reason] if waits else None)
    assert tuple(waited.address for waited in thread.waits) == (fact.waits if waits else ())
    assert (thread.start, thread.is_system, thread.stack_resident) == (fact.start, fact.is_system, fact.stack_resident)
    if waits and fact.wait_seconds is not None:
        assert thread.wait_seconds == pytest.approx(fact.wait_seconds, abs=0.02)


def check_resources(scene: Scene, facts: Facts, *, symbols: bool) -> None:
    for fact in facts.resources:
        lock = scene.facts.locks.get(fact.address)  # type: ignore[call-overload]  # an int
        if lock is None:
            assert not fact.owners
            assert not fact.waiters
            continue
        assert {held.thread for held in lock.owners} == set(fact.owners)
        assert {held.thread for held in lock.waiters} == set(fact.waiters)
        assert lock.waiters_expected == len(fact.waiters)
        assert lock.kind.value == ("fast-eresource" if fact.fast else "eresource")
        if symbols:
            assert lock.name == (f"nt!{fact.name}" if fact.name else None)


def check_waits(waits: WaitAnalysis, facts: Facts) -> None:
    expected = facts.expected
    assert waits.root == expected.root
    assert {(b.thread, b.waits_for) for b in waits.blocked} == {(b.thread, b.waits_for) for b in expected.blocked}
    assert [(set(c.threads), set(c.locks)) for c in waits.deadlocks] == [
        (set(threads), set(locks)) for threads, locks in expected.cycles
    ]
    if expected.locks:
        assert {chain.lock.address for chain in waits.chains} == set(expected.locks)
    if expected.lock is not None and expected.root is not None:
        assert waits.chains[0].lock.address == expected.lock


def check(scene: Scene, facts: Facts, *, symbols: bool) -> None:
    assert scene.facts.notes == ()
    check_lists(scene, facts)
    for fact in facts.threads:
        check_thread(scene, fact)
    check_resources(scene, facts, symbols=symbols)
    check_waits(find_waits(scene), facts)


@pytest.mark.parametrize(("build", "scenario"), thinned(all_builds(), list(SCENARIOS)))
def test_every_build_is_read_as_it_was_written(build: int, scenario: str, tmp_path: Path) -> None:
    symbols = bool((all_builds().index(build) + list(SCENARIOS).index(scenario)) % 2)
    forged = forge(scenario, build=build, kind="bitmap")
    with scene_of(forged, tmp_path, symbols=symbols) as scene:
        check(scene, forged.facts, symbols=symbols)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [1, 2])
def test_every_kind_and_any_cast(kind: str, seed: int, tmp_path: Path) -> None:
    forged = forge("seed", build=19041, kind=kind, seed=seed)
    with scene_of(forged, tmp_path) as scene:
        check(scene, forged.facts, symbols=False)


@pytest.mark.parametrize("build", [14393, 22000])
def test_layouts_that_no_table_has_are_read_with_their_own(build: int, tmp_path: Path) -> None:
    forged = forge("seed", build=build, kind="bitmap", layouts="shifted")
    with scene_of(forged, tmp_path, symbols=True) as scene:
        check(scene, forged.facts, symbols=True)


def test_a_kernel_that_nothing_fits_gives_notes_and_no_nonsense(tmp_path: Path) -> None:
    forged = forge("seed", build=26100, kind="bitmap", layouts="shifted")
    with scene_of(forged, tmp_path) as scene:
        kernel = {forged.facts.kernel_base: "ntoskrnl.exe"}
        assert [m.name for m in scene.facts.modules] == [
            kernel.get(m.base, m.name.lower()) for m in forged.facts.modules
        ]
        known = {process.address for process in forged.facts.processes}
        assert set(scene.facts.processes) <= known
        assert find_waits(scene).root in {None, forged.facts.expected.root}
        assert scene.facts.notes


def test_a_machine_with_tens_of_thousands_of_resources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "RESOURCES", 27_708)  # seen on a real hung machine
    forged = forge("seed", build=19041, kind="bitmap")
    assert len(forged.facts.resources) > 27_000
    with scene_of(forged, tmp_path) as scene:
        check_resources(scene, forged.facts, symbols=False)
        check_waits(find_waits(scene), forged.facts)


@pytest.mark.parametrize("build", [7601, 19041, 22000])
def test_a_small_dump_tells_its_thread_and_process(build: int, tmp_path: Path) -> None:
    forged = forge("nolock", build=build, kind="triage")
    with scene_of(forged, tmp_path) as scene:
        (thread,) = scene.facts.threads.values()
        (fact,) = [one for one in forged.facts.threads if one.address == thread.address]
        assert (thread.tid, thread.pid, thread.process_name) == (fact.tid, fact.pid, fact.process)
        assert [process.pid for process in scene.facts.processes.values()] == [fact.pid]
        assert len(scene.facts.modules) == len(forged.facts.modules)
        assert len(scene.facts.unloaded) == len(forged.facts.unloaded)
        assert find_waits(scene).root is None


def test_a_thread_of_an_unknown_kernel_is_read_by_what_the_kernel_publishes(tmp_path: Path) -> None:
    forged = forge("seed", build=26100, kind="bitmap", layouts="shifted")
    expected = forged.facts.expected
    assert expected.root is not None
    with scene_of(forged, tmp_path) as scene:
        thread = scene.thread(expected.root)
        assert thread is not None
        assert (thread.state, thread.wait_reason, thread.waits, thread.tid) == ("Waiting", "Executive", (), 0)
        assert expected.culprit in {frame.module for frame in scene.stack(expected.root).frames}
        assert any("offsets that the kernel publishes" in note for note in scene.facts.notes)
        assert scene.thread(expected.root + 8) is None, "no thread object"
