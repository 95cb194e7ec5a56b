"""One machine, every kind of dump that holds its kernel's pages: the same story."""

from dataclasses import replace
from pathlib import Path

import pytest

from analysis.pipeline import analyze
from analysis.verdict.report import Report, ThreadFacts
from tests.forge import forge

KINDS = {("full", None), ("summary", None), ("ranges", 8), ("ranges", 9), ("ranges", 10), ("bitmap", 5)}


def told(directory: Path, kind: str, type_code: int | None) -> Report:
    forged = forge("chain", build=19041, kind=kind, type_code=type_code)
    return analyze(forged.write(directory / f"{kind}{type_code}.dmp"))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return told(tmp_path_factory.mktemp("kinds"), "full", None)


@pytest.mark.parametrize(("kind", "type_code"), sorted(KINDS - {("full", None)}, key=str))
def test_every_kind_tells_the_same(tmp_path: Path, full: Report, kind: str, type_code: int | None) -> None:
    made = told(tmp_path, kind, type_code)
    assert made.dump.kind == f"kernel-{kind}"
    assert made.verdict.culprit == full.verdict.culprit
    assert made.verdict.confidence == full.verdict.confidence == "high"
    assert made.blocking == full.blocking
    assert made.bucket == full.bucket
    # The programs' part of a stack is where the dump holds programs: a dump of the kernel's pages alone does not.
    assert [_in_kernel(thread) for thread in made.threads] == [_in_kernel(thread) for thread in full.threads]


def _in_kernel(thread: ThreadFacts) -> ThreadFacts:
    return replace(thread, user_stack=(), user_stack_end="")
