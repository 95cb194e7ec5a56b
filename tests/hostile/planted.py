"""Whether the harness would see a fault: ``python -m tests.hostile.planted [TARGET ...]``.

A copy of the code has one bounds check taken out; the same harness must find what comes of it. Prints what it found,
after how many executions.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.hostile.fuzz import ROOT, Result, fuzz
from tests.hostile.target import Target
from tests.hostile.targets import TARGETS, target_named

COPIED = ("analysis", "bot", "storage", "templates", "tests")
SECONDS = 300  # at most; most faults show within seconds


def find_planted(target: Target, scratch: Path, seconds: int = SECONDS) -> Result:
    """Fuzz a copy of the code without the target's bounds check, until something is found."""
    copy = scratch / "copy"
    for package in COPIED:
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    file = copy / target.fault.file
    text = file.read_text()
    assert text.count(target.fault.old) == 1, f"{target.fault.file} does not hold {target.fault.old!r} once"
    file.write_text(text.replace(target.fault.old, target.fault.new))
    return fuzz(target, seconds, scratch / "work", copy, only_first=True)


def main() -> int:
    """Print a row a target; 1 where a fault was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=SECONDS)
    arguments = parser.parse_args()
    missed = 0
    for target in [target_named(name) for name in arguments.targets] or TARGETS:
        with tempfile.TemporaryDirectory() as scratch:
            result = find_planted(target, Path(scratch), arguments.seconds)
        missed += not result.findings
        found = result.findings[0] if result.findings else "NOT FOUND"
        fault = f"{target.fault.file}: {target.fault.old!r}"
        print(f"{target.name:9} {found:45} after {result.executions:8,} executions; taken out of {fault}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
