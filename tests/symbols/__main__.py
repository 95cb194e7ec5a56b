"""``python -m tests.symbols`` (``make pdbs``): every PDB at hand, what its index costs, and whether LLVM's tools agree.

The pairs of ../shared/data/pe_pdb, a driver with types of every shape compiled here in several forms, and a generated
PDB of 25 MB with blocks of four sizes. The exit status is 1 where anything differs, or where nothing was compared.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.symbols import llvm
from tests.symbols.measured import measure
from tests.symbols.test_pdb_llvm import DRIVER, FORMS, PAIRS, Pair, compare_functions, compare_publics, compare_types
from tests.symbols.test_pdb_size import big

LINE = "{:30} {:>5} {:>10} {:>11} {:>6} {:>8} {:>8} {:>9} {:>10}"
BIG_BLOCKS = (4096, 8192, 16384, 32768)


def main() -> int:
    """Prints the table; the exit status."""
    missing = llvm.missing()
    if missing:
        print(missing)
        return 1
    print("Milliseconds of wall time, in parentheses of processor time: the fastest of three processes.")
    print(LINE.format("PDB", "MB", "index ms", "cached ms", "RSS MB", "symbols", "types", "compared", "mismatches"))
    good = True
    with tempfile.TemporaryDirectory() as scratch:
        for name, pair in _pairs(Path(scratch)):
            compared, problem = _compared(pair)
            cold, warm = measure(pair.pdb), measure(pair.pdb, Path(scratch) / "cache")
            figures = [
                f"{pair.pdb.stat().st_size / 1e6:.1f}",
                f"{cold.wall * 1e3:.0f} ({cold.cpu * 1e3:.0f})",
                f"{warm.wall * 1e3:.0f} ({warm.cpu * 1e3:.0f})",
                f"{max(cold.peak, warm.peak) / 1e6:.0f}",
            ]
            print(LINE.format(name, *figures, cold.symbols, cold.types, compared, problem or 0), flush=True)
            good = good and compared > 0 and not problem
    return 0 if good else 1


def _pairs(scratch: Path) -> Iterator[tuple[str, Pair]]:
    for pdb in PAIRS:
        yield pdb.stem, Pair(pdb, pdb.with_suffix(".exe"))
    for name, (options, arguments) in FORMS.items():
        directory = scratch / name
        directory.mkdir()
        pdb = llvm.compiled(directory, DRIVER, *options, arguments=arguments)
        yield f"driver, {name}", Pair(pdb, pdb.with_suffix(".sys"))
    directory = scratch / "big"
    directory.mkdir()
    for block in BIG_BLOCKS:
        pdb = big(directory, f"/pdbpagesize:{block}")
        yield f"generated, blocks of {block}", Pair(pdb, pdb.with_suffix(".sys"))


def _compared(pair: Pair) -> tuple[int, str]:
    # How many members, public symbols and functions were held against llvm-pdbutil, and the first that differs.
    total = 0
    for compare in (compare_types, compare_publics, compare_functions):
        try:
            total += compare(pair)
        except AssertionError as differs:
            return total, f"in {compare.__name__}: {str(differs)[:200] or 'differs'}"
    return total, ""


if __name__ == "__main__":
    sys.exit(main())
