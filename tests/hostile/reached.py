"""Lines that a corpus reaches: ``python -m tests.hostile.reached TARGET FOLDER ...`` prints [reached, all] as JSON."""

import importlib.util
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from coverage import Coverage


def main(name: str, folders: list[Path]) -> None:
    """Give every file of the folders to the target, and count."""
    reached, lines = count(name, [path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir())])
    print(json.dumps([len(reached), lines]))


def count(name: str, inputs: Iterable[Path]) -> tuple[set[tuple[str, int]], int]:
    """The lines of the target's modules that the inputs reach, as (file, line), and how many there are in all."""
    coverage = Coverage(data_file=None, source=[str(Path.cwd() / "analysis"), str(Path.cwd() / "bot")])
    coverage.start()
    # What a module runs when it is imported counts, too: so it is imported here.
    from tests.hostile.target import runs
    from tests.hostile.targets import target_named

    target = target_named(name)
    with tempfile.TemporaryDirectory() as folder:
        for path in inputs:
            with suppress(Exception):  # what comes out is the fuzzer's business
                runs(target, path.read_bytes(), Path(folder) / "input")
    coverage.stop()
    found: set[tuple[str, int]] = set()
    total = 0
    for module in files_of(target.modules):
        _, statements, _, missing, _ = coverage.analysis2(str(module))
        total += len(statements)
        found |= {(module.name, line) for line in set(statements) - set(missing)}
    return found, total


def files_of(modules: Iterable[str]) -> Iterator[Path]:
    """The source files of modules, those of a package included."""
    for module in modules:
        spec = importlib.util.find_spec(module)
        assert spec is not None
        assert spec.origin is not None
        path = Path(spec.origin)
        yield from sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else (path,)


if __name__ == "__main__":
    main(sys.argv[1], [Path(folder) for folder in sys.argv[2:]])
