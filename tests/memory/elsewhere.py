"""A dump as an analysis sees it that lies elsewhere, filled from the whole file beside it."""

from pathlib import Path

from analysis.address import PAGE_SIZE
from analysis.formats.remote import Run


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
