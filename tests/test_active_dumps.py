"""Active dumps: bitmap dumps in which pages are missing here and there. What is left must still be told right."""

import random
import struct
from pathlib import Path

import pytest

from analysis.pipeline import analyze
from analysis.verdict.report import Report
from tests import truth
from tests.forge import Forged, forge

PAGE, HEADER = 0x1000, 0x2000
FIRST_PAGE, PRESENT, BITS, BITMAP = 0x20, 0x28, 0x30, 0x38


@pytest.fixture(scope="module")
def seed() -> Forged:
    return forge("seed", build=19041, kind="bitmap-full")


@pytest.fixture(scope="module")
def whole(seed: Forged, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return seed.write(tmp_path_factory.mktemp("active") / "MEMORY.DMP").read_bytes()


def without(dump: bytes, frames: set[int]) -> bytes:
    """The dump without these page frames: their bits cleared, their pages gone from the file."""
    first, _, bits = (struct.unpack_from("<Q", dump, HEADER + at)[0] for at in (FIRST_PAGE, PRESENT, BITS))
    head = bytearray(dump[:first])
    kept, rank = [], 0
    for frame in range(bits):
        at, bit = HEADER + BITMAP + frame // 8, 1 << frame % 8
        if not head[at] & bit:
            continue
        if frame in frames:
            head[at] &= ~bit & 0xFF
        else:
            kept.append(dump[first + rank * PAGE : first + (rank + 1) * PAGE])
        rank += 1
    struct.pack_into("<Q", head, HEADER + PRESENT, len(kept))
    return bytes(head) + b"".join(kept)


def told(directory: Path, dump: bytes) -> Report:
    path = directory / "MEMORY.DMP"
    path.write_bytes(dump)
    made = analyze(path)
    made.to_json()
    return made


def saved(dump: bytes) -> list[int]:
    """The page frames that a dump holds."""
    bits = struct.unpack_from("<Q", dump, HEADER + BITS)[0]
    return [frame for frame in range(bits) if dump[HEADER + BITMAP + frame // 8] >> frame % 8 & 1]


def test_pages_of_programs_are_not_needed(seed: Forged, whole: bytes, tmp_path: Path) -> None:
    memory = seed.machine.memory
    programs = set(memory.saved(everything=True)) - set(memory.saved(everything=False))
    assert programs
    made = told(tmp_path, without(whole, programs))
    assert made.dump.kind == "kernel-bitmap-full"
    assert not made.dump.live
    truth.hold_against_truth(made, seed)


@pytest.mark.parametrize("share", [0.02, 0.1])
def test_with_any_pages_missing_nobody_else_is_blamed(seed: Forged, whole: bytes, tmp_path: Path, share: float) -> None:
    held_right_with_holes(seed, whole, tmp_path, share, 1)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(20))
@pytest.mark.parametrize("share", [0.01, 0.05, 0.2, 0.5])
def test_with_many_pages_missing_nobody_else_is_blamed(
    seed: Forged, whole: bytes, tmp_path: Path, share: float, number: int
) -> None:
    held_right_with_holes(seed, whole, tmp_path, share, number)


def held_right_with_holes(seed: Forged, whole: bytes, directory: Path, share: float, number: int) -> None:
    """A share of the pages is left out by chance: the right driver is blamed, or nobody."""
    frames = saved(whole)
    made = told(directory, without(whole, set(random.Random(number).sample(frames, int(len(frames) * share)))))
    culprit = made.verdict.culprit
    expected = seed.facts.expected.culprit
    assert culprit is None or culprit.module == expected
    owners = {owner for chain in made.blocking.chains for owner in chain.owners}
    threads = {f"{thread.address:#x}" for thread in seed.facts.threads}
    assert owners <= threads, "a lock has an owner that is no thread"
