"""Prints the table. Exit status 1 where the aim is missed: more than one disagreement of the crashes whose blamed
module is on the stack, "high" confidence on a wrong one, or a hash that does not fit.
"""

import sys
from collections.abc import Sequence

from tests.score.rows import ROWS, Row, fits, read_pairs, read_rows, same

MOST_DISAGREEMENTS = 1
KINDS = (
    ("in_stack", "blamed module on the stack"),
    ("not_in_stack", "blamed module not on the stack"),
    ("pseudo", "hardware or memory blamed"),
)


def main() -> int:
    """Judge, print, and say whether the aim is met."""
    if not ROWS.exists():
        print("no ../shared/data: nothing to score")
        return 0
    rows = read_rows()
    _table(rows)
    _totals(rows)
    _disagreements(rows)
    _buckets(rows)
    pairs = read_pairs()
    wrong_hashes = [pair for pair in pairs if not fits(pair)]
    print(f"\npairs of bucket and hash: {len(pairs) - len(wrong_hashes)} of {len(pairs)} reproduced")
    for mode, bucket, expected in wrong_hashes:
        print(f"  {mode}:{bucket} is not {expected}")
    missed = missed_aims(rows) + [f"hash of {bucket}" for _, bucket, _ in wrong_hashes]
    print("\nthe aim is met" if not missed else "\nthe aim is missed: " + "; ".join(missed))
    return 1 if missed else 0


def missed_aims(rows: Sequence[Row]) -> list[str]:
    """What keeps the score from its aim, as phrases; empty where it is met."""
    on_stack = [row for row in rows if row.kind == "in_stack"]
    wrong = [row.name for row in on_stack if not row.agrees]
    sure = [row.name for row in rows if row.kind != "inconclusive" and not row.agrees and row.confidence == "high"]
    missed = []
    if len(wrong) > MOST_DISAGREEMENTS:
        missed.append(f"{len(wrong)} disagreements on the stack ({', '.join(wrong)})")
    if sure:
        missed.append(f"high confidence on a wrong one ({', '.join(sure)})")
    return missed


def _table(rows: Sequence[Row]) -> None:
    layout = "{:4} {:6} {:13} {:15} {:15} {:11} {:15} {:15} {:13} {}"
    head = ("row", "code", "where", "WinDbg", "from the text", "confidence", "blind", "frames alone", "baseline", "")
    print(layout.format(*head))
    for row in rows:
        mark = "" if row.kind == "inconclusive" else "agrees" if row.agrees else "DIFFERS"
        judged = (row.theirs, row.ours, row.confidence, row.blind, row.from_frames, row.baseline)
        print(layout.format(row.name, row.code, row.kind, *judged, mark))


def _totals(rows: Sequence[Row]) -> None:
    print()
    for kind, what in KINDS:
        of_kind = [row for row in rows if row.kind == kind]
        text = sum(row.agrees for row in of_kind)
        blind = sum(same(row.theirs, row.blind) for row in of_kind)
        frames = sum(same(row.theirs, row.from_frames) for row in of_kind)
        baseline = sum(same(row.theirs, row.baseline) for row in of_kind)
        print(f"{what:32} {len(of_kind):3}: text {text}, blind {blind}, frames alone {frames}, baseline {baseline}")
    nobody = [row for row in rows if row.kind == "inconclusive"]
    named = sum(row.ours != "nobody" for row in nobody)
    print(f"{'WinDbg names nobody':32} {len(nobody):3}: this project names somebody in {named}")


def _disagreements(rows: Sequence[Row]) -> None:
    told = [row for row in rows if row.kind != "inconclusive" and not row.agrees]
    print(f"\ndisagreements: {len(told) or 'none'}")
    for row in told:
        how = "taken over, no evidence" if row.taken_over else row.confidence
        print(f"  {row.name}: WinDbg {row.theirs}, here {row.ours} ({how}): {row.because}")
    print("\nnamed here where WinDbg names nobody:")
    for row in rows:
        if row.kind == "inconclusive" and row.ours != "nobody":
            print(f"  {row.name}: {row.ours} ({row.confidence}): {row.because}")
    blind = [row for row in rows if row.kind != "inconclusive" and row.agrees and not same(row.theirs, row.blind)]
    print("\nagreement that rests on WinDbg's own words (SYMBOL_NAME, FAULTING_MODULE):")
    for row in blind:
        print(f"  {row.name}: {row.theirs}, blind {row.blind}")


def _buckets(rows: Sequence[Row]) -> None:
    given = [row for row in rows if row.same_bucket is not None]
    print(f"\nbuckets: {sum(bool(row.same_bucket) for row in given)} of {len(given)} equal WinDbg's")
    for row in given:
        if not row.same_bucket:
            print(f"  {row.name}: WinDbg {row.their_bucket}, here {row.our_bucket}")


if __name__ == "__main__":
    sys.exit(main())
