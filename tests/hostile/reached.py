"""Lines that inputs reach: ``python -m tests.hostile.reached TARGET [--each] FOLDER ...`` prints JSON.

[reached, all] of the target's modules; with ``--each`` the lines of each input as {path: [[file, line], …]}.
"""

import importlib.util
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from coverage import Coverage

Reached = frozenset[tuple[str, int]]


def main(name: str, arguments: list[str]) -> None:
    """Give every file of the folders to the target, and count."""
    folders = [Path(argument) for argument in arguments if argument != "--each"]
    inputs = [path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir())]
    if "--each" in arguments:
        print(json.dumps({str(path): sorted(lines) for path, lines in lines_of_each(name, inputs).items()}))
    else:
        print(json.dumps(count(name, inputs)))


def count(name: str, inputs: Iterable[Path]) -> tuple[int, int]:
    """How many lines of the target's modules the inputs reach, and how many there are in all."""
    coverage = _coverage()
    coverage.start()
    # What a module runs when it is imported counts, too: so it is imported here.
    from tests.hostile.targets import target_named

    target = target_named(name)
    _give(name, inputs)
    coverage.stop()
    reached = total = 0
    for module in files_of(target.modules):
        _, statements, _, missing, _ = coverage.analysis2(str(module))
        total += len(statements)
        reached += len(statements) - len(missing)
    return reached, total


def lines_of_each(name: str, inputs: Iterable[Path]) -> dict[Path, Reached]:
    """The lines of the target's modules that each input reaches, as (file, line)."""
    from tests.hostile.targets import target_named

    files = {str(path) for path in files_of(target_named(name).modules)}
    found = {}
    for path in inputs:
        coverage = _coverage()
        coverage.start()
        _give(name, [path])
        coverage.stop()
        data = coverage.get_data()
        found[path] = frozenset(
            (file, line) for file in data.measured_files() & files for line in data.lines(file) or ()
        )
    return found


def _coverage() -> Coverage:
    return Coverage(data_file=None, source=[str(Path.cwd() / "analysis"), str(Path.cwd() / "bot")], messages=False)


def _give(name: str, inputs: Iterable[Path]) -> None:
    from tests.hostile.target import runs
    from tests.hostile.targets import target_named

    target = target_named(name)
    with tempfile.TemporaryDirectory() as folder:
        for path in inputs:
            with suppress(Exception):  # what comes out is the fuzzer's business
                runs(target, path.read_bytes(), Path(folder) / "input")


def files_of(modules: Iterable[str]) -> Iterator[Path]:
    """The source files of modules, those of a package included."""
    for module in modules:
        spec = importlib.util.find_spec(module)
        assert spec is not None
        assert spec.origin is not None
        path = Path(spec.origin)
        yield from sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else (path,)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
