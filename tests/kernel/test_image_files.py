"""What image files give to stacks of dumps that hold no image, or not all of it."""

from collections import Counter
from pathlib import Path

from analysis.formats import open_dump
from analysis.kernel.facts import Stack
from analysis.kernel.scene import read_scene
from analysis.memory import open_memory
from analysis.symbols.opening import SymbolSources, open_kernel_symbols
from analysis.trust import Trust
from tests.forge import Forged, forge


def crashing_stack(forged: Forged, directory: Path, *places: Path) -> tuple[Stack, tuple[str, ...]]:
    path = forged.write(directory / "memory.dmp")
    with open_dump(path) as image:
        memory = open_memory(image)
        symbols = open_kernel_symbols(image, memory, SymbolSources(places))
        scene = read_scene(image, memory, symbols)
        stack = scene.walker.context_stack(image.header.context)
        return stack, (symbols.how, *symbols.notes, *scene.image_files.notes)


def test_a_small_dump_is_unwound_once_the_image_files_are_at_hand(tmp_path: Path) -> None:
    forged = forge("seed", kind="triage")
    tables = forged.write_isf(tmp_path / "tables").parent
    before, _ = crashing_stack(forged, tmp_path, tables)
    files = forged.write_images(tmp_path / "images")
    after, said = crashing_stack(forged, tmp_path, tables, files)
    assert "found by scanning" in before.end
    assert "found by scanning" not in after.end
    assert Counter(frame.trust for frame in after.frames) == {Trust.CONTEXT: 1, Trust.UNWIND: len(after.frames) - 1}
    assert len(after.frames) > 3
    assert said[0].startswith("the PDB record in the kernel's image names")  # and no longer a few addresses


def test_files_of_another_version_are_refused_by_their_content(tmp_path: Path) -> None:
    forged, other = forge("seed", kind="triage"), forge("seed", kind="triage", build=17763)
    kernel, stranger = forged.images[0], other.images[0]
    key = f"{kernel.timestamp:08X}{kernel.size:x}"
    stranger.write_file(tmp_path / "images" / "ntoskrnl.exe" / key / "ntoskrnl.exe")
    stack, said = crashing_stack(forged, tmp_path, tmp_path / "images")
    assert all(frame.trust is not Trust.UNWIND for frame in stack.frames)
    refusals = [note for note in said if "ntoskrnl.exe: it is " in note]
    assert refusals
    assert all(note.endswith("not used") for note in refusals)


def test_pages_that_were_not_saved_are_taken_from_the_file(tmp_path: Path) -> None:
    forged = forge("seed", kind="bitmap", images="stripped")
    forged.write_isf(tmp_path / "tables")
    path = forged.write(tmp_path / "memory.dmp")
    files = forged.write_images(tmp_path / "images")
    facts = {fact.address: fact for fact in forged.facts.threads if fact.stack_resident}
    scanned = []
    for places in ((tmp_path / "tables",), (tmp_path / "tables", files)):
        with open_dump(path) as image:
            memory = open_memory(image)
            scene = read_scene(image, memory, open_kernel_symbols(image, memory, SymbolSources(places)))
            trust: Counter[Trust] = Counter()
            for address, fact in facts.items():
                written = {(frame.address, frame.sp) for frame in fact.frames}
                frames = scene.stack(address).frames
                trust.update(frame.trust for frame in frames)
                assert all((one.address, one.sp) in written for one in frames if one.trust is Trust.UNWIND)
            scanned.append(trust[Trust.SCAN])
    assert scanned[0] > 20
    assert scanned[1] == 0
