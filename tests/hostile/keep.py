"""Keep a small corpus: ``python -m tests.hostile.keep TARGET ...`` picks from what fuzzing has gathered.

Of all inputs the few are kept that reach most lines for their size; what was found before is never dropped.
"""

import argparse
import hashlib
import json
import subprocess
import sys
from pathlib import Path

from tests.hostile.fuzz import CORPUS, ROOT, environment
from tests.hostile.reached import Reached
from tests.hostile.targets import target_named

MOST_FILES = 24
MOST_BYTES = 96 << 10
FOUND = "found-"  # kept corpus files of this name once made a parser fail


def pick(reached: dict[Path, Reached]) -> list[Path]:
    """A few inputs that together reach what all do, or nearly: each adds the most lines for its bytes."""
    left, size = dict(reached), 0
    picked: list[Path] = []
    seen: set[tuple[str, int]] = set()
    while left and len(picked) < MOST_FILES:
        best = max(left, key=lambda path: (len(left[path] - seen) / (64 + path.stat().st_size), path.name))
        new = left.pop(best) - seen
        if not new:
            break
        if size + best.stat().st_size <= MOST_BYTES:
            picked.append(best)
            seen |= new
            size += best.stat().st_size
    return picked


def keep(name: str, work: Path) -> list[Path]:
    """Replace the kept corpus of a target, findings excepted."""
    folder = CORPUS / name
    folder.mkdir(parents=True, exist_ok=True)
    picked = pick(_reached(name, work / "corpus" / name))
    contents = [path.read_bytes() for path in picked]
    for old in folder.iterdir():
        if not old.name.startswith(FOUND):
            old.unlink()
    for data in contents:
        (folder / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
    return picked


def _reached(name: str, folder: Path) -> dict[Path, Reached]:
    command = [sys.executable, "-m", "tests.hostile.reached", name, "--each", str(folder.absolute())]
    done = subprocess.run(command, cwd=ROOT, env=environment(ROOT), stdout=subprocess.PIPE, text=True, check=True)
    rows = json.loads(done.stdout.splitlines()[-1])
    return {Path(path): frozenset((file, line) for file, line in lines) for path, lines in rows.items()}


def main() -> None:
    """Keep, and print what."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="+", metavar="TARGET")
    parser.add_argument("--work", type=Path, default=Path("build/fuzz"))
    arguments = parser.parse_args()
    for name in arguments.targets:
        target_named(name)
        kept = keep(name, arguments.work)
        print(f"{name:9} {len(kept)} files, {sum(path.stat().st_size for path in kept):,} bytes")


if __name__ == "__main__":
    main()
