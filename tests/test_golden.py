"""Whole reports as text. A difference here is read and judged before the file is replaced.

``python -m tests.test_golden`` writes the texts anew, for reading them with ``git diff``.
"""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.pipeline import Options, analyze
from analysis.verdict.report import Report
from tests.forge import forge

GOLDEN = Path(__file__).with_name("golden")
SHARED = Path(__file__).parents[2] / "shared" / "data"
# Name of the text: scenario, build, kind, seed, with symbols.
FORGED: dict[str, tuple[str, int, str, int | None, bool]] = {
    "seed-19041-symbols": ("seed", 19041, "bitmap", None, True),
    "seed-7601-no-symbols": ("seed", 7601, "full", None, False),
    "chain-22000-symbols": ("chain", 22000, "bitmap-full", None, True),
    "deadlock-17763-symbols": ("deadlock", 17763, "bitmap", None, True),
    "nolock-14393-no-symbols": ("nolock", 14393, "bitmap", None, False),
    "decoys-20348-symbols": ("decoys", 20348, "bitmap", None, True),
    "shared-18362-symbols": ("shared", 18362, "full", None, True),
}
REAL = {"triage-x64": "triage_x64.dmp", "triage-arm64": "triage_arm64.dmp"}


def render(report: Report) -> str:
    """A report as text. Addresses are numbered in order of appearance; ids and the kernel's offsets are left out."""
    return _numbered("\n".join(_lines(report)) + "\n")


def _lines(report: Report) -> Iterator[str]:
    verdict, blocking = report.verdict, report.blocking
    yield f"system      {report.system.os} {report.system.build} {report.system.architecture}, {report.dump.kind}"
    if report.bugcheck is not None:
        yield f"bugcheck    {report.bugcheck.code} ({report.bugcheck.raw_code}) {report.bugcheck.name}"
        yield f"            {report.bugcheck.explanation}"
        for parameter in report.bugcheck.parameters:
            yield f"  parameter {parameter.value}: {parameter.meaning} = {parameter.resolved}"
    culprit = verdict.culprit
    if culprit is not None:
        yield f"culprit     {culprit.kind} {culprit.module} at {culprit.function}; {culprit.vendor}, {culprit.version}"
        yield f"            {culprit.device}, {culprit.service}, {culprit.instance_path}"
    yield f"confidence  {verdict.confidence}; stack {verdict.stack_culprit}, device {verdict.device_culprit}"
    yield f"summary     {verdict.summary}"
    yield f"impact      {verdict.impact}"
    yield from (f"  reason    {line}" for line in verdict.reasons)
    yield from (f"  not       {one.module}: {one.why_not}" for one in verdict.suspects)
    yield from (f"  next      {line}" for line in verdict.next_steps)
    yield from (f"  unknown   {line}" for line in verdict.cannot_tell)
    yield f"root        {blocking.root.thread if blocking.root else None}"
    for chain in blocking.chains:
        lock, expected = chain.lock, chain.waiters_expected
        yield f"  lock      {lock.name} {lock.kind} {lock.address} {lock.ownership}: {lock.description}"
        yield f"            {chain.trust}; owners {', '.join(chain.owners)}"
        yield f"            waiters {', '.join(chain.waiters)} of {expected}"
    yield from (f"  deadlock  {' '.join(one.threads)} over {' '.join(one.locks)}" for one in blocking.deadlocks)
    for stuck in blocking.blocked_threads:
        seconds = "?" if stuck.wait_seconds is None else f"{stuck.wait_seconds:.1f} s"
        yield f"  blocked   {stuck.thread} {stuck.process} {stuck.pid}/{stuck.tid} for {stuck.waits_for}, {seconds}, "
        yield f"            {stuck.wait_reason}, {stuck.doing}"
    for thread in report.threads:
        yield f"thread      {thread.address} {thread.process} {thread.pid}/{thread.tid} {thread.state}, {thread.start}"
        yield from (f"  {frame.trust:9} {frame.symbol}" for frame in thread.stack)
        yield f"            {thread.stack_end}"
    yield f"bucket      {report.bucket.failure_bucket_id} {report.bucket.failure_id_hash}"
    yield f"signature   {report.bucket.signature}"
    yield from (f"  alias     {alias}" for alias in report.bucket.aliases)
    yield from (f"note        {note}" for note in report.notes)


def _numbered(text: str) -> str:
    seen: dict[str, int] = {}
    numbered = re.sub(r"0xf{4}[0-9a-f]{12}", lambda found: f"@{seen.setdefault(found[0], len(seen) + 1)}", text)
    numbered = re.sub(r"\b\d+/\d+\b", "pid/tid", numbered)
    numbered = re.sub(r"\(process \d+\), thread \d+", "(process pid), thread tid", numbered)
    numbered = re.sub(r"\b(nt(?:!\w+)?)\+0x[0-9a-f]+", r"\1+…", numbered)
    return re.sub(r"[0-9A-F]{32}-1", "GUID-1", numbered)


def _forged_text(name: str, directory: Path) -> str:
    scenario, build, kind, seed, symbols = FORGED[name]
    forged = forge(scenario, build=build, kind=kind, seed=seed)
    path = directory / "MEMORY.DMP"
    forged.write(path)
    if symbols:
        forged.write_isf(directory)
    return render(analyze(path, Options(symbols=(directory,) if symbols else ())))


def _real_text(name: str) -> str:
    return render(analyze(SHARED / "dumps" / REAL[name], Options(symbols=(SHARED / "symbols",))))


@pytest.mark.parametrize("name", FORGED)
def test_forged_stories_read_as_before(name: str, tmp_path: Path) -> None:
    assert _forged_text(name, tmp_path) == (GOLDEN / f"{name}.txt").read_text("utf-8")


@pytest.mark.shared
@pytest.mark.skipif(not (SHARED / "dumps").exists(), reason="no ../shared/data")
@pytest.mark.parametrize("name", REAL)
def test_real_dumps_read_as_before(name: str) -> None:
    assert _real_text(name) == (GOLDEN / f"{name}.txt").read_text("utf-8")


def test_every_text_belongs_to_a_story() -> None:
    assert {file.stem for file in GOLDEN.glob("*.txt")} == {*FORGED, *REAL}


def _write_all() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for name in FORGED:
        with tempfile.TemporaryDirectory() as directory:
            (GOLDEN / f"{name}.txt").write_text(_forged_text(name, Path(directory)), "utf-8")
    for name in REAL:
        (GOLDEN / f"{name}.txt").write_text(_real_text(name), "utf-8")


if __name__ == "__main__":
    _write_all()
