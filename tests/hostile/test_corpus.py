"""The kept corpus: inputs that reach deep, and those that once broke a parser. None may break one again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.fuzz import CORPUS
from tests.hostile.target import Target, runs
from tests.hostile.targets import TARGETS


def kept() -> Iterator[tuple[Target, Path]]:
    for target in TARGETS:
        for path in sorted((CORPUS / target.name).iterdir()):
            yield target, path


@pytest.mark.parametrize(
    ("target", "path"), [pytest.param(target, path, id=f"{target.name}/{path.name}") for target, path in kept()]
)
def test_a_kept_input_is_read_or_refused(target: Target, path: Path, tmp_path: Path) -> None:
    runs(target, path.read_bytes(), tmp_path / "input")


def test_each_target_has_a_corpus_and_a_fault_to_be_found() -> None:
    assert {path.name for path in CORPUS.iterdir()} == {target.name for target in TARGETS}
    for target in TARGETS:
        text = (CORPUS.parents[2] / target.fault.file).read_text()
        assert text.count(target.fault.old) == 1
