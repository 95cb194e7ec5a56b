"""The process that is fuzzed: ``python -m tests.hostile.harness TARGET FINDINGS all|first [libFuzzer's arguments]``.

An exception that no parser may raise is written down with its input, once for each place, and the run goes on, or ends
where only the first is asked for. A hang or too much memory ends it, and libFuzzer keeps the input.
"""

import hashlib
import os
import random
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import atheris


def main(arguments: list[str]) -> None:
    """Fuzz one target until libFuzzer's arguments end it."""
    name, findings, how_many = arguments[1], Path(arguments[2]), arguments[3]
    with atheris.instrument_imports(include=["analysis", "bot.symbols", "bot.archives"]):
        from tests.hostile.mutate import change_fields, change_words
        from tests.hostile.target import runs
        from tests.hostile.targets import target_named

        target = target_named(name)

    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        record = _Recorder(findings, only_first=how_many == "first")
        scratch = Path(folder) / "input"

        def one(data: bytes) -> None:
            record.run(data, lambda: runs(target, data, scratch))

        def mutate(data: bytes, most: int, seed: int) -> bytes:
            rng = random.Random(seed)
            if not data or rng.random() < 0.5:
                return bytes(atheris.Mutate(data, most))
            if target.words:
                return change_words(data, target.words, rng)[:most]
            return change_fields(data, target.hot, rng)[:most]

        atheris.Setup([arguments[0], *arguments[4:]], one, custom_mutator=mutate, internal_libfuzzer=True)
        atheris.Fuzz()


class _Recorder:
    """Writes down what came out of a parser and must not, once for each place in the code."""

    def __init__(self, findings: Path, *, only_first: bool) -> None:
        self._findings = findings
        self._only_first = only_first
        self._seen: set[str] = set()
        self._executions = 0

    def run(self, data: bytes, check: Callable[[], None]) -> None:
        """Raises nothing but what ends the process."""
        self._executions += 1
        try:
            check()
        except Exception as error:  # whatever it is: it must not have come out
            where = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{type(error).__name__}-{Path(where.filename).stem}-{where.lineno}"
            if place in self._seen:
                return
            self._seen.add(place)
            name = f"{place}-{hashlib.sha256(data).hexdigest()[:8]}"
            (self._findings / name).write_bytes(data)
            (self._findings / f"{name}.txt").write_text("".join(traceback.format_exception(error)))
            if self._only_first:
                print(f"stat::number_of_executed_units: {self._executions}", flush=True)
                os._exit(1)


if __name__ == "__main__":
    main(sys.argv)
