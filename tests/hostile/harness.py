"""The process that is fuzzed: ``python -m tests.hostile.harness TARGET FINDINGS [libFuzzer's arguments]``.

An exception that no parser may raise is written down with its input, once for each place, and the run goes on; a hang
or too much memory ends it, and libFuzzer keeps the input.
"""

import hashlib
import random
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import atheris


def main(arguments: list[str]) -> None:
    """Fuzz one target until libFuzzer's arguments end it."""
    name, findings = arguments[1], Path(arguments[2])
    with atheris.instrument_imports(include=["analysis", "bot.symbol_server", "bot.symbol_path"]):
        from tests.hostile.mutate import change_fields
        from tests.hostile.target import runs
        from tests.hostile.targets import target_named

        target = target_named(name)

    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        record = _Recorder(findings)
        scratch = Path(folder) / "input"

        def one(data: bytes) -> None:
            record.run(data, lambda: runs(target, data, scratch))

        def mutate(data: bytes, most: int, seed: int) -> bytes:
            rng = random.Random(seed)
            if not data or rng.random() < 0.5:
                return bytes(atheris.Mutate(data, most))
            return change_fields(data, target.hot, rng)[:most]

        atheris.Setup([arguments[0], *arguments[3:]], one, custom_mutator=mutate, internal_libfuzzer=True)
        atheris.Fuzz()


class _Recorder:
    """Writes down what came out of a parser and must not, once for each place in the code."""

    def __init__(self, findings: Path) -> None:
        self._findings = findings
        self._seen: set[str] = set()

    def run(self, data: bytes, check: Callable[[], None]) -> None:
        """Raises nothing but what ends the process."""
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


if __name__ == "__main__":
    main(sys.argv)
