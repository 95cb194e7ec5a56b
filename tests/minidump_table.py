"""What comes out of each public minidump: ``python -m tests.minidump_table [directory]``.

One line a file: seconds, system, exception, culprit with confidence, frames of the stack, and the summary. Each file is
read in a process of its own with a time limit, so that one that hangs is a line too.
"""

import sys
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from analysis.errors import AnalysisError
from analysis.pipeline import analyze
from analysis.verdict.report import Report

SAMPLES = Path(__file__).parents[2] / "shared" / "data" / "minidumps"
LIMIT = 30.0  # seconds


def line(report: Report, seconds: float) -> str:
    """One file's line."""
    verdict, culprit = report.verdict, report.verdict.culprit
    exception = report.exception
    what = f"{exception.name or exception.code} at {exception.address}" if exception else "no exception"
    named = f"{culprit.module} ({verdict.confidence})" if culprit else "nobody"
    stack = report.threads[0].stack if report.threads else ()
    told = f"{report.system.os or 'unknown system'} {report.system.architecture or '?'}"
    return f"{seconds:6.2f} s  {told:28} {what:48} {named:34} {len(stack):2} frames  {verdict.summary}"


def row(path: Path) -> str:
    """What is said of one file, or why it is not read."""
    started = time.perf_counter()
    try:
        report = analyze(path)
    except AnalysisError as error:
        return f"{time.perf_counter() - started:6.2f} s  refused: {type(error).__name__}: {error}"
    report.to_json()
    return line(report, time.perf_counter() - started)


def _send(path: Path, end: Connection) -> None:
    end.send(row(path))


def main(directory: Path) -> int:
    """Print the table. Returns how many files hung or ended the process."""
    if not directory.is_dir():
        print(f"there is no directory {directory}")
        return 0
    bad = 0
    for path in sorted(directory.glob("*.dmp")):
        receiver, sender = get_context("spawn").Pipe(duplex=False)
        child = get_context("spawn").Process(target=_send, args=(path, sender))
        child.start()
        sender.close()
        try:
            said = receiver.recv() if receiver.poll(LIMIT) else f"HANGS: nothing after {LIMIT:g} s"
        except EOFError:
            said = "FAULT: the process ended without an answer"
        bad += said.startswith(("HANGS", "FAULT"))
        child.kill()
        child.join()
        print(f"{path.stem:36}{said}")
    return bad


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES))
