"""Holds a report against what the builder of the dump says it wrote. The builder shares no code with the analysis."""

import json
from pathlib import Path
from typing import Protocol

import pytest

from analysis.pipeline import Options, analyze
from analysis.verdict.blame import LEVELS
from analysis.verdict.rebucket import rebucket
from analysis.verdict.report import Report
from tests.forge.facts import Facts


class Written(Protocol):
    """A machine that was built, with what its builder says of it."""

    @property
    def facts(self) -> Facts:
        """What the builder says it wrote."""

    def write(self, path: Path) -> Path:
        """Write the dump."""

    def write_isf(self, directory: Path) -> Path:
        """Write the kernel's symbol table."""


def told(forged: Written, directory: Path, *, symbols: bool) -> Report:
    """The report of a forged dump, with its symbol table at hand or not."""
    path = directory / "MEMORY.DMP"
    forged.write(path)
    if symbols:
        forged.write_isf(directory)
    report = analyze(path, Options(symbols=(directory,) if symbols else ()))
    report.to_json()
    assert rebucket(report).signature == report.bucket.signature  # history can name it from the report alone
    return report


def hold_against_truth(report: Report, forged: Written) -> None:
    """Culprit, root, cycles, blocked threads and locks are exactly what the builder says it wrote."""
    expected, verdict, blocking = forged.facts.expected, report.verdict, report.blocking
    assert (verdict.culprit.module if verdict.culprit else None) == expected.culprit
    assert (verdict.culprit is None) == (verdict.confidence == "none")
    cycles = {(frozenset(one.threads), frozenset(one.locks)) for one in blocking.deadlocks}
    assert cycles == {(frozenset(map(hex, threads)), frozenset(map(hex, locks))) for threads, locks in expected.cycles}
    for driver in expected.drivers:
        assert driver in verdict.summary
    if expected.impact_process is not None:
        assert expected.impact_process in (verdict.impact or "")
    blocked = {(one.thread, one.waits_for): one for one in blocking.blocked_threads}
    wanted = {(hex(one.thread), hex(one.waits_for)): one for one in expected.blocked}
    assert blocked.keys() == wanted.keys()
    for key, fact in wanted.items():
        assert (blocked[key].process, blocked[key].pid, blocked[key].tid) == (fact.process, fact.pid, fact.tid)
        assert blocked[key].wait_seconds == pytest.approx(fact.wait_seconds, abs=0.1)
    assert (blocking.root.thread if blocking.root else None) == (hex(expected.root) if expected.root else None)
    assert {one.lock.address for one in blocking.chains} == set(map(hex, expected.locks))
    if expected.lock is not None and expected.root is not None:  # a cycle has no first lock
        assert blocking.chains[0].lock.address == hex(expected.lock)
    kinds = {one.lock.address: one.lock.kind for one in blocking.chains}
    assert all(kinds[hex(lock)] == kind for lock, kind in zip(expected.locks, expected.kinds, strict=False))
    for chain in blocking.chains:
        assert {thread for thread, lock in wanted if lock == chain.lock.address} <= set(chain.waiters)
    text = json.dumps(report.to_json(), ensure_ascii=False)
    for words in expected.says:
        assert words in text, f"does not say {words!r}"


def wrong_blame(report: Report, forged: Written, kind: str | None, most: str) -> str | None:
    """What is wrong with whom the report blames, and how surely; None where nothing is.

    ``kind`` is the culprit's, None where nobody may be blamed; ``most`` is the highest confidence that is right.
    """
    verdict, expected = report.verdict, forged.facts.expected.culprit
    found = (verdict.culprit.kind, verdict.culprit.module) if verdict.culprit else (None, None)
    if found != (kind, expected):
        return f"blames {found[0]} {found[1]}, not {kind} {expected}"
    if LEVELS.index(verdict.confidence) > LEVELS.index(most):
        return f"is {verdict.confidence}, at most {most} is right"
    return None


def hold_against_names(report: Report, forged: Written, *, symbols: bool) -> None:
    """Names of locks and functions come from symbols, and only from them."""
    names = {fact.address: fact.name for fact in forged.facts.resources}
    for chain in report.blocking.chains:
        name = names.get(int(chain.lock.address, 16)) if symbols else None
        assert chain.lock.name == (f"nt!{name}" if name else None)
        assert chain.lock.name or chain.lock.description
    at = forged.facts.expected.culprit_address
    if at is not None:
        stacks = [frame for thread in report.threads for frame in thread.stack]
        assert hex(at) in {frame.address for frame in stacks}
