"""Every story × every build × every kind of dump × with and without symbol tables, as a table.

``python -m tests.matrix`` tells the stories as they are; ``--seed N`` (again and again) draws drivers, locks, process
names and all order from N, and the verdict must follow. Words choose the stories.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.forge import SCENARIOS, all_builds, forge
from tests.truth import hold_against_names, hold_against_truth, told

STORIES = ("seed", "chain", "deadlock", "nolock", "nolock-7e", "decoys", "shared", "any-of", "all-of", "irp")
KINDS = (("full", 1), ("bitmap", 5), ("bitmap", 6), ("bitmap-full", 5), ("bitmap-full", 6))


def judge(scenario: str, build: int, kind: tuple[str, int], seed: int | None, *, symbols: bool) -> str | None:
    """None where the report is right; else what is wrong."""
    forged = forge(scenario, build=build, kind=kind[0], type_code=kind[1], seed=seed)
    with tempfile.TemporaryDirectory() as directory:
        try:
            report = told(forged, Path(directory), symbols=symbols)
            hold_against_truth(report, forged)
            if seed is None:
                hold_against_names(report, forged, symbols=symbols)
        except AssertionError as difference:
            return str(difference).strip().splitlines()[0] if str(difference).strip() else "differs"
    return None


def main() -> int:
    """Print a line a story and seed: right of all, build by build; then what was wrong. 0 where nothing was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stories", nargs="*", help=f"of {', '.join(STORIES)}")
    parser.add_argument("--seed", type=int, action="append", help="draw the cast from this number")
    arguments = parser.parse_args()
    started, right = time.perf_counter(), 0
    wrong: list[str] = []
    print(f"{'story':12}{'seed':>6}" + "".join(f"{build:>8}" for build in all_builds()))
    for seed in arguments.seed or [None]:
        for scenario in arguments.stories or [story for story in STORIES if story in SCENARIOS]:
            cells = []
            for build in all_builds():
                cases = [(kind, symbols) for kind in KINDS for symbols in (True, False)]
                found = [(case, judge(scenario, build, case[0], seed, symbols=case[1])) for case in cases]
                bad = [f"{scenario} {seed} {build} {case}: {problem}" for case, problem in found if problem]
                right, wrong = right + len(found) - len(bad), [*wrong, *bad]
                cells.append(f"{len(found) - len(bad)}/{len(found)}")
            shown = "-" if seed is None else str(seed)
            print(f"{scenario:12}{shown:>6}" + "".join(f"{cell:>8}" for cell in cells), flush=True)
    print(*wrong, f"{right} right, {len(wrong)} wrong, {time.perf_counter() - started:.0f} s", sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
