"""Which parser has which hostile test: ``python -m tests.hostile`` prints the table."""

from tests.hostile.fuzz import CORPUS
from tests.hostile.targets import TARGETS

# Structures in memory and files whose lists can run in circles; where the tests of that are.
CIRCLES = (
    ("any kernel list", "tests/kernel/test_lists.py"),
    ("module list, 32 bit", "tests/kernel/test_32_bit.py"),
    ("thread lists and wait blocks", "tests/kernel/test_threads.py"),
    ("resource list and wait chains", "tests/kernel/test_resources.py"),
    ("IRP stacks, device stacks and trees", "tests/kernel/test_irps.py, tests/kernel/test_devices.py"),
    ("spin lock queues, work queues, DPC queues", "tests/kernel/test_spin_locks.py, test_work_queues.py, test_dpcs.py"),
    ("chained and indirect unwind data", "tests/kernel/test_unwind.py"),
    ("page tables that map themselves", "tests/hostile/dumps.py (seeds of walk), tests/memory/test_x64.py"),
    ("types, bases and field lists of PDBs", "tests/symbols/test_pdb.py"),
    ("structures inside themselves, ISF", "tests/symbols/test_isf.py"),
    ("overlapping runs, ranges and blocks", "tests/formats/test_full.py, test_ranges.py, tests/memory/test_blocks.py"),
    ("all of a kernel's memory at random", "tests/kernel/test_hostile.py"),
)


def main() -> None:
    """A row a parser: seeds, kept inputs, findings among them."""
    print("Each parser: cut at every byte, fields at extremes, noise, kept inputs, fuzz, planted fault.")
    print(f"{'parser':10} {'seeds':>6} {'kept':>5} {'found':>6}  reaches")
    for target in TARGETS:
        kept = [path.name for path in (CORPUS / target.name).iterdir()]
        found = sum(name.startswith("found-") for name in kept)
        seeds = sum(1 for _ in target.seeds())
        print(f"{target.name:10} {seeds:6} {len(kept):5} {found:6}  {', '.join(target.modules)}")
    print()
    for what, where in CIRCLES:
        print(f"circles: {what:44} {where}")


if __name__ == "__main__":
    main()
