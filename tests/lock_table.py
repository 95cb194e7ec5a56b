"""The table of lock stories: each row on each build, right or wrong.

``python -m tests.lock_table`` runs all of it; words as arguments choose the rows whose names contain one of them.
"""

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.forge import all_builds, forge
from tests.forge.scenarios.wide import ROWS, Row
from tests.truth import hold_against_truth, told

PAGE_KINDS = ("full", "bitmap", "bitmap-full")
FULL_KINDS = ("full", "bitmap-full")


def kind_of(row: Row, build: int) -> str:
    """The kind of dump a row is tried in on a build: those that hold what it needs, in turn."""
    kinds = FULL_KINDS if row.full_only else PAGE_KINDS
    return kinds[(build + len(row.name)) % len(kinds)]


def with_symbols(row: Row, build: int) -> bool:
    """Whether the kernel's symbol table is at hand: where nothing else tells, else every other time."""
    return row.needs_names or bool((build // 7 + len(row.name)) % 2)


def judge(row: Row, build: int, seed: int | None = None) -> str | None:
    """None where the report of the row on that build is right; else what is wrong."""
    with tempfile.TemporaryDirectory() as directory:
        forged = forge(row.name, build=build, kind=kind_of(row, build), seed=seed)
        try:
            hold_against_truth(told(forged, Path(directory), symbols=with_symbols(row, build)), forged)
        except AssertionError as difference:
            return str(difference).splitlines()[0] if str(difference) else "differs"
    return None


def table(rows: Sequence[Row]) -> Iterator[tuple[Row, list[str]]]:
    """Each row with a word for each build: right, wrong, or - where the build has no such lock."""
    for row in rows:
        words = []
        for build in all_builds():
            problem = judge(row, build) if build >= row.first_build else "-"
            words.append({None: "right", "-": "-"}.get(problem, "WRONG"))
        yield row, words


def main(wanted: Sequence[str]) -> int:
    """Prints the table. The number of wrong cells, at most 1."""
    rows = [row for row in ROWS.values() if not wanted or any(word in row.name for word in wanted)]
    started, wrong, right = time.perf_counter(), 0, 0
    print(f"{'story':28}" + "".join(f"{build:>8}" for build in all_builds()))
    for row, words in table(rows):
        wrong, right = wrong + words.count("WRONG"), right + words.count("right")
        print(f"{row.name:28}" + "".join(f"{word:>8}" for word in words), flush=True)
    print(f"{right} right, {wrong} wrong, {time.perf_counter() - started:.0f} s")
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
