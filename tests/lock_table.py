"""The table of lock stories: each row on each build, right or wrong.

``python -m tests.lock_table`` runs all of it; words as arguments choose the rows whose names contain one of them, and
``--seed N`` (again and again) draws drivers, processes and all order from N: the report must follow.
"""

import argparse
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


def table(rows: Sequence[Row], seed: int | None) -> Iterator[tuple[Row, list[str], list[str]]]:
    """Each row with a word for each build (right, wrong, or - where the build has no such lock), and what is wrong."""
    for row in rows:
        words, problems = [], []
        for build in all_builds():
            problem = judge(row, build, seed) if build >= row.first_build else "-"
            words.append({None: "right", "-": "-"}.get(problem, "WRONG"))
            problems += [f"{row.name} on {build}: {problem}"] if words[-1] == "WRONG" else []
        yield row, words, problems


def main() -> int:
    """Print the table, for each seed where some are given, then what was wrong. 0 where nothing was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="rows whose names contain one of these; all where none is given")
    parser.add_argument("--seed", type=int, action="append", help="draw drivers and all order from this number")
    arguments = parser.parse_args()
    chosen = [row for row in ROWS.values() if not arguments.words or any(word in row.name for word in arguments.words)]
    started, right = time.perf_counter(), 0
    wrong: list[str] = []
    for seed in arguments.seed or [None]:
        title = "story" if seed is None else f"story, seed {seed}"
        print(f"{title:28}" + "".join(f"{build:>8}" for build in all_builds()))
        for row, words, problems in table(chosen, seed):
            right, wrong = right + words.count("right"), [*wrong, *problems]
            print(f"{row.name:28}" + "".join(f"{word:>8}" for word in words), flush=True)
    seconds = time.perf_counter() - started
    print(*wrong, f"{len(chosen)} stories: {right} right, {len(wrong)} wrong, {seconds:.0f} s", sep="\n")
    return min(len(wrong), 1)


if __name__ == "__main__":
    sys.exit(main())
