"""A dump that lies elsewhere is asked for in few questions, and a page that was told of beforehand in none."""

from pathlib import Path

import pytest

from analysis.address import PAGE_SIZE
from analysis.errors import Unreadable
from analysis.formats import open_dump
from analysis.formats.remote import RemotePages, Run
from analysis.memory import AddressSpace, open_memory
from tests.forge import Forged, forge


class Elsewhere:
    """A sparse file that is filled from the whole dump, question by question."""

    def __init__(self, whole: Path, place: Path) -> None:
        self.whole, self.sparse, self.marks = whole, place / "sparse", place / "marks"
        self.size = whole.stat().st_size
        for path, size in ((self.sparse, self.size), (self.marks, -(-self.size // PAGE_SIZE))):
            with path.open("wb") as file:
                file.truncate(size)
        self.questions: list[list[Run]] = []

    def answer(self, runs: list[Run]) -> None:
        self.questions.append(runs)
        with self.whole.open("rb") as whole, self.sparse.open("r+b") as sparse, self.marks.open("r+b") as marks:
            for first, count in runs:
                whole.seek(first * PAGE_SIZE)
                sparse.seek(first * PAGE_SIZE)
                sparse.write(whole.read(count * PAGE_SIZE))
                marks.seek(first)
                marks.write(b"\1" * count)


@pytest.fixture(scope="module")
def forged() -> Forged:
    return forge("seed")


@pytest.fixture
def elsewhere(forged: Forged, tmp_path: Path) -> Elsewhere:
    return Elsewhere(forged.write(tmp_path / "whole"), tmp_path)


def test_pages_told_of_beforehand_take_one_question_a_level(forged: Forged, elsewhere: Elsewhere) -> None:
    with open_dump(elsewhere.sparse, RemotePages(elsewhere.marks, elsewhere.answer)) as image:
        memory = open_memory(image)
        assert isinstance(memory, AddressSpace)
        wanted = [thread.address for thread in forged.facts.threads]
        assert len({address >> 12 for address in wanted}) > 10
        before = len(elsewhere.questions)
        memory.expect([*wanted, 0xFFFF_0000_0000_0000, 0], 0x800)
        assert len(elsewhere.questions) - before <= 5
        before = len(elsewhere.questions)
        with open_dump(elsewhere.whole) as whole:
            same = open_memory(whole)
            assert [memory.read(address, 0x400) for address in wanted] == [same.read(at, 0x400) for at in wanted]
        assert len(elsewhere.questions) == before


def test_a_gap_is_the_same_gap(elsewhere: Elsewhere) -> None:
    with open_dump(elsewhere.sparse, RemotePages(elsewhere.marks, elsewhere.answer)) as image:
        memory = open_memory(image)
        memory.expect([0xFFFF_F6F0_0000_0000], 16)
        with pytest.raises(Unreadable):
            memory.read(0xFFFF_F6F0_0000_0000, 16)


def test_what_does_not_come_is_an_error_and_never_zeros(elsewhere: Elsewhere) -> None:
    with pytest.raises(OSError, match="did not come"):
        open_dump(elsewhere.sparse, RemotePages(elsewhere.marks, lambda _runs: None))
