"""Draw a corpus from a new seed, score it, and print the figures; exit status 1 where an aim is missed."""

import argparse
import secrets
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from storage.store import Store
from tests.corpus.crashes import draw_crashes
from tests.corpus.families import draw_families
from tests.corpus.score import Score, score

BUCKET_AIM, SIMILAR_AIM = 0.98, 0.95


def main() -> int:
    """Print a table of precision, recall and F, and what was split or merged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crashes", type=int, default=3000)
    parser.add_argument("--asked", type=int, default=600, help="how many of them history is asked about")
    parser.add_argument("--seed", type=int, help="default: a new one each time")
    arguments = parser.parse_args()
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    random = Random(seed)
    families = draw_families(random)
    crashes = draw_crashes(random, families, arguments.crashes)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, Store.open(Path(scratch) / "corpus.sqlite") as store:
        result = score(store, crashes, arguments.asked, random)
    seconds = time.monotonic() - started
    print(
        f"seed {seed}: {len(crashes)} crashes of {len(families)} families, {arguments.asked} asked, {seconds:.0f} s\n"
    )
    print(f"{'':46} {'precision':>9} {'recall':>9} {'F':>9}")
    _line("same bucket", result.bucket)
    _line("  baseline: exact top frame outside nt", result.top_frame)
    _line(f"  baseline: weighted stack distance {result.threshold:.2f}", result.distance)
    _line("similar or same bucket", result.similar)
    _line("  baseline: exact top frame, whatever the code", result.similar_top_frame)
    _line(f"  baseline: weighted stack distance {result.similar_threshold:.2f}", result.similar_distance)
    print("\nsplit:", *(result.splits or ("none",)), sep="\n  ")
    print("\nmerged:", *(result.merges or ("none",)), sep="\n  ")
    is_met = result.bucket.f >= BUCKET_AIM and result.similar.f >= SIMILAR_AIM
    print(f"\nthe aim is {'met' if is_met else 'missed'}: F of bucket {BUCKET_AIM}, of similar {SIMILAR_AIM}")
    return 0 if is_met else 1


def _line(name: str, score: Score) -> None:
    print(f"{name:46} {score.precision:9.3f} {score.recall:9.3f} {score.f:9.3f}")


if __name__ == "__main__":
    sys.exit(main())
