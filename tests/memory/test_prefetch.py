"""A dump that lies elsewhere is asked for in few questions, and a page that was told of beforehand in none."""

from dataclasses import replace
from pathlib import Path

import pytest

from analysis.errors import Unreadable
from analysis.formats import open_dump
from analysis.formats.remote import RemotePages
from analysis.kernel.user_stacks import NOT_FETCHED
from analysis.memory import AddressSpace, open_memory
from analysis.pipeline import Options, analyze
from analysis.verdict.report import Report, ThreadFacts
from tests.forge import KINDS, Forged, forge
from tests.memory.elsewhere import Elsewhere


@pytest.fixture(scope="module")
def forged() -> Forged:
    return forge("seed")


@pytest.fixture
def elsewhere(forged: Forged, tmp_path: Path) -> Elsewhere:
    return Elsewhere(forged.write(tmp_path / "whole"), tmp_path)


def test_pages_told_of_beforehand_take_one_question_a_level(forged: Forged, elsewhere: Elsewhere) -> None:
    with open_dump(elsewhere.sparse, RemotePages(elsewhere.marks, elsewhere.answer)) as image:
        memory = open_memory(image)
        assert isinstance(memory, AddressSpace)
        wanted = [thread.address for thread in forged.facts.threads]
        assert len({address >> 12 for address in wanted}) > 10
        before = len(elsewhere.questions)
        memory.expect([*wanted, 0xFFFF_0000_0000_0000, 0], 0x800)
        assert len(elsewhere.questions) - before <= 5
        before = len(elsewhere.questions)
        with open_dump(elsewhere.whole) as whole:
            same = open_memory(whole)
            assert [memory.read(address, 0x400) for address in wanted] == [same.read(at, 0x400) for at in wanted]
        assert len(elsewhere.questions) == before


def test_a_gap_is_the_same_gap(elsewhere: Elsewhere) -> None:
    with open_dump(elsewhere.sparse, RemotePages(elsewhere.marks, elsewhere.answer)) as image:
        memory = open_memory(image)
        memory.expect([0xFFFF_F6F0_0000_0000], 16)
        with pytest.raises(Unreadable):
            memory.read(0xFFFF_F6F0_0000_0000, 16)


def test_what_does_not_come_is_an_error_and_never_zeros(elsewhere: Elsewhere) -> None:
    with pytest.raises(OSError, match="did not come"):
        open_dump(elsewhere.sparse, RemotePages(elsewhere.marks, lambda _runs: None))


def in_kernel(report: Report) -> list[ThreadFacts]:
    """The threads without the part of their stacks that lies in programs, which is read of local dumps alone."""
    return [replace(one, user_stack=(), user_stack_end="") for one in report.threads]


@pytest.mark.parametrize("kind", [*KINDS, "triage"])
def test_each_kind_of_dump_gives_the_same_report_from_elsewhere(kind: str, tmp_path: Path) -> None:
    forged = forge("seed", kind=kind)
    forged.write_isf(tmp_path / "symbols")
    there = Elsewhere(forged.write(tmp_path / "whole"), tmp_path)
    options = Options((tmp_path / "symbols",), source="x.dmp")
    local = analyze(there.whole, options)
    remote = analyze(there.sparse, replace(options, remote=RemotePages(there.marks, there.answer)))
    assert there.questions
    assert {one.user_stack_end for one in remote.threads} <= {"", NOT_FETCHED}
    assert (remote.verdict.culprit, remote.blocking, in_kernel(remote), remote.modules, remote.bucket) == (
        local.verdict.culprit,
        local.blocking,
        in_kernel(local),
        local.modules,
        local.bucket,
    )
    assert (remote.notes, remote.dump.identity) == (local.notes, local.dump.identity)
    assert remote.dump.sha256 is None
