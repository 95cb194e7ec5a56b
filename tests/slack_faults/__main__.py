"""Print the table of everything that Slack can do to a bot: ``python -m tests.slack_faults`` (``make slack-faults``).

Each row is played in both transports: the whole bot against the stand-in for Slack, with an analysis that answers from
sample reports. Words choose the rows whose group or name contains one of them. Exits 1 when a row is not right: more
or fewer verdicts than must stand there, a message twice or outside its thread, a call that Slack refuses as malformed,
something that is never acknowledged, or other words than the honest ones.
"""

import argparse
import sys
import time
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context

from tests.slack_faults.scene import TRANSPORTS, Case, Result
from tests.slack_faults.table import cases, play

HEAD = f"{'':<6}{'what is done':<70}{'what was sent':<36}{'verdicts':<10}{'socket':<8}{'HTTP':<8}what the person sees"


def main() -> int:
    """Play and print every row; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.slack_faults", description=__doc__)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--transport", choices=TRANSPORTS)
    parser.add_argument("--at-once", type=int, default=6, help="rows played at the same time; they mostly wait")
    asked = parser.parse_args()
    chosen = [
        case for case in cases() if not asked.words or any(word in f"{case.group}: {case.name}" for word in asked.words)
    ]
    began, right, wrong = time.monotonic(), 0, 0
    print(HEAD, flush=True)
    with ProcessPoolExecutor(asked.at_once, get_context("spawn")) as pool:
        playing = [
            (
                case,
                {
                    t: pool.submit(play, case.group, case.name, t)
                    for t in case.transports
                    if asked.transport in (None, t)
                },
            )
            for case in chosen
        ]
        for number, (case, futures) in enumerate(playing, 1):
            results = {transport: _result(future) for transport, future in futures.items()}
            good = [not result.problems for result in results.values()]
            right, wrong = right + sum(good), wrong + len(good) - sum(good)
            print("\n".join(_lines(number, case, results)), flush=True)
    print(f"{len(chosen)} rows, {right} right, {wrong} wrong, {time.monotonic() - began:.0f} s")
    return int(wrong > 0)


def _result(future: "Future[Result]") -> Result:
    try:
        return future.result()
    except Exception as error:  # whatever ends a row makes it a wrong one
        return Result("", 0, (f"{type(error).__name__}: {error}",))


def _lines(number: int, case: Case, results: dict[str, Result]) -> list[str]:
    words = {t: "-" if t not in results else "WRONG" if results[t].problems else "right" for t in TRANSPORTS}
    counts = "/".join(dict.fromkeys(str(result.verdicts) for result in results.values()))
    seen = list(dict.fromkeys(result.sees for result in results.values()))
    what = f"{number:<6}{f'{case.group}: {case.name}':<70}{case.sent:<36}"
    row = f"{what}{counts:<10}{words['socket']:<8}{words['http']:<8}"
    lines = [f"{row}{seen[0] if seen else ''}", *(f"{'':<138}{other}" for other in seen[1:])]
    for transport, result in results.items():
        lines += [f"{'':<6}{transport}: {problem}" for problem in result.problems]
    return lines


if __name__ == "__main__":
    sys.exit(main())
