"""A long history moved from SQLite to PostgreSQL and back: ``python -m tests.bench.migration [CRASHES]``, 100,000 by
default. The cluster is its own, started for this and writing as safely as any (fsync on).

Prints what each step took, the rows of each table, and the SHA-256 of the three exports; ends with 1 where they differ.
"""

import hashlib
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from storage.database import Place, open_database
from storage.migrations import migrate
from storage.transfer import Copied, copy, lines
from tests.bench.long_history import fill
from tests.postgres import Cluster, unavailable

T = TypeVar("T")


def main() -> int:
    """Build, copy over, copy back, compare. The exit status."""
    crashes = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    if (reason := unavailable()) is not None:
        print(reason)
        return 1
    with tempfile.TemporaryDirectory(prefix="pileup-migration-") as directory, Cluster(careless=False) as cluster:
        here, back, server = Path(directory) / "here.sqlite", Path(directory) / "back.sqlite", cluster.create()
        _timed(f"{crashes} crashes built on SQLite", lambda: fill(here, crashes))
        over = _timed("copied to PostgreSQL", lambda: _copied(here, server))
        home = _timed("copied back to SQLite", lambda: _copied(server, back))
        print(f"  {over.total} rows over, {home.total} rows back; {here.stat().st_size / 1e6:.0f} MB on SQLite")
        print("  " + ", ".join(f"{table} {number}" for table, number in over.rows.items() if number))
        digests = [
            _timed(f"{name} exported", lambda place=place: _digest(place))  # type: ignore[misc]  # the loop's own place
            for name, place in (("the first file", here), ("PostgreSQL", server), ("the last file", back))
        ]
    for digest, number in digests:
        print(f"  {digest}  {number} lines")
    same = len(set(digests)) == 1 and over == home
    print("the three exports are the same, byte for byte" if same else "THE EXPORTS DIFFER")
    return 0 if same else 1


def _copied(source: Place, target: Place) -> Copied:
    with closing(open_database(source)) as one, closing(open_database(target)) as other:
        migrate(other)
        return copy(one, other, lambda *_: None)


def _digest(place: Place) -> tuple[str, int]:
    digest, number = hashlib.sha256(), 0
    with closing(open_database(place)) as database:
        for line in lines(database):
            digest.update(line)
            number += 1
    return digest.hexdigest(), number


def _timed(what: str, work: Callable[[], T]) -> T:
    start = time.perf_counter()
    done = work()
    print(f"{what}: {time.perf_counter() - start:.1f} s", flush=True)
    return done


if __name__ == "__main__":
    sys.exit(main())
