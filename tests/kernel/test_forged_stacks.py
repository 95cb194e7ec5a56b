"""Stacks, devices and purposes of whole forged machines, with and without names, with and without images."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from analysis.errors import Absence, Unreadable
from analysis.kernel.facts import Module, Thread
from analysis.kernel.scene import Scene
from analysis.kernel.stacks import Walker
from analysis.memory.reader import Memory
from analysis.trust import Trust
from tests.forge import SCENARIOS, all_builds, forge
from tests.forge.facts import Facts, ThreadFact
from tests.grids import thinned
from tests.kernel.test_forged import scene_of

BUILDS = all_builds()
LOST = 300  # of so many frames, one may be lost
NOISE = 20  # of so many frames, one may be a stale address where only the kernel's image was saved


class Without(Memory):
    """Memory of a dump in which these images were not saved."""

    def __init__(self, memory: Memory, modules: Sequence[Module]) -> None:
        self._memory = memory
        self._ranges = [(module.base, module.end) for module in modules]

    def read(self, address: int, size: int) -> bytes:
        for low, high in self._ranges:
            if address < high and address + size > low:
                raise Unreadable(max(address, low), Absence.NOT_SAVED)
        return self._memory.read(address, size)


def waiting(scene: Scene, facts: Facts) -> list[tuple[Thread, ThreadFact]]:
    pairs = [(scene.thread(fact.address), fact) for fact in facts.threads if fact.stack_resident]
    return [(thread, fact) for thread, fact in pairs if thread is not None and thread.state == "Waiting"]


@pytest.mark.parametrize(("build", "symbols"), thinned(BUILDS, [True, False], each=1))
def test_every_waiting_thread_is_unwound_exactly_as_it_was_written(build: int, symbols: bool, tmp_path: Path) -> None:
    forged = forge("seed", build=build, kind="bitmap", seed=build)
    with scene_of(forged, tmp_path, symbols=symbols) as scene:
        pairs, named = waiting(scene, forged.facts), 0
        assert len(pairs) > 100
        for thread, fact in pairs:
            stack = scene.stack(thread.address)
            assert [(frame.address, frame.sp) for frame in stack.frames] == [
                (frame.address, frame.sp) for frame in fact.frames
            ]
            assert stack.frames[0].trust is Trust.CONTEXT
            assert all(frame.trust is Trust.UNWIND for frame in stack.frames[1:])
            for frame, written in zip(stack.frames, fact.frames, strict=True):
                if frame.module != "ntoskrnl.exe":
                    assert "!" not in frame.symbol
                elif symbols or "!" in frame.symbol:  # without a table, what exports name
                    # a second name inside the system call's entry: what debuggers print for its return address
                    shown = {"KiSystemCall64": "KiSystemServiceCopyEnd"}.get(written.function, written.function)
                    assert frame.symbol.split("+")[0] == f"nt!{shown}"
                    named += 1
        assert named > len(pairs) // 2


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_stack_that_was_paged_out_says_so_and_no_other_is_empty(scenario: str, tmp_path: Path) -> None:
    forged = forge(scenario, build=17763, kind="full")
    with scene_of(forged, tmp_path) as scene:
        for fact in forged.facts.threads:
            stack = scene.stack(fact.address)
            if not fact.stack_resident:
                assert (stack.frames, "paged out" in stack.end) == ((), True)
            elif fact.state == 5:
                assert stack.frames


@pytest.mark.parametrize("build", [7601, 19041, 22000])
@pytest.mark.parametrize("kept", ["ntoskrnl.exe", None])
def test_without_images_frames_are_found_and_none_is_called_unwound(
    build: int, kept: str | None, tmp_path: Path
) -> None:
    forged = forge("seed", build=build, kind="bitmap")
    with scene_of(forged, tmp_path, symbols=True) as scene:
        hidden = [module for module in scene.facts.modules if module.name != kept]
        memory = Without(scene.memory, hidden)
        walker = Walker(memory, scene.symbols, scene.facts.modules)
        wrong = total = lost = 0
        for thread, fact in waiting(scene, forged.facts):
            written = {(frame.address, frame.sp) for frame in fact.frames}
            found = walker.thread_stack(thread).frames
            lost += len(written - {(frame.address, frame.sp) for frame in found})
            wrong += len(found) - len(written)
            total += len(found)
            if kept is None:
                assert all(frame.trust is Trust.SCAN for frame in found[2:])
            for frame in found:
                assert (frame.address, frame.sp) in written or frame.trust is Trust.SCAN
        # A stale address whose own unwind data lead to a true frame by chance hides the frames it jumps over.
        assert lost * LOST <= total
        if kept is None:
            assert lost == 0  # nothing is jumped over by looking at every word
        else:
            assert wrong * NOISE <= total


@pytest.mark.parametrize(("build", "symbols"), thinned(BUILDS, [False, True], each=1))
def test_the_holder_of_the_seed_story_works_on_its_device_and_the_shutdown_is_seen(
    build: int, symbols: bool, tmp_path: Path
) -> None:
    forged = forge("seed", build=build, kind="bitmap", seed=3)
    expected = forged.facts.expected
    assert expected.root is not None
    with scene_of(forged, tmp_path, symbols=symbols) as scene:
        best = scene.worked_on(expected.root)[0]
        assert (best.node.instance_path, best.node.service) == (expected.instance_path, expected.service)
        assert best.driver == expected.culprit
        words = scene.doing(expected.root) or ""
        assert ("surprise removal of a device" if symbols else "device removal") in words
        doing = {fact.process: scene.doing(fact.thread) for fact in expected.blocked}
        assert doing["wininit.exe"] == "system shutdown"  # NtShutdownSystem is exported


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_stack_that_stopped_the_machine_is_unwound_from_its_context(scenario: str, tmp_path: Path) -> None:
    forged = forge(scenario, build=19041, kind="bitmap")
    with scene_of(forged, tmp_path, symbols=True) as scene:
        stack = scene.walker.context_stack(scene.image.header.context)
        assert stack.frames[0].symbol == "nt!KeBugCheckEx"
        listed = [[frame.address for frame in fact.frames] for fact in forged.facts.threads if fact.state == 2]
        found = [frame.address for frame in stack.frames]
        if listed:
            assert found[1:] == listed[0][1:]
        else:  # stopped in the idle loop, whose thread no process lists
            assert stack.frames[-1].symbol.startswith("nt!KiIdleLoop+")
            assert "bottom of the stack" in stack.end
        assert all(frame.trust is Trust.UNWIND for frame in stack.frames[1:])
