"""The picture of a pile-up, and that nothing depends on it."""

import dataclasses
import sys
from pathlib import Path

import pytest

from analysis.verdict.report import Chain, ChainLock
from bot import blocks, console, picture
from tests.bot.reports import sample


def test_the_graph_shows_each_thread_and_lock_once_and_marks_the_root() -> None:
    dot = picture.wait_graph(sample("seed"))
    assert dot is not None
    assert dot.count('[label="root: System (4:232)') == 1
    assert dot.count("wininit.exe (612:616)") == 1
    assert "waits 5 min for" in dot
    assert "held by" in dot


def test_a_deadlock_is_written_on_its_arrows_not_only_coloured() -> None:
    dot = picture.wait_graph(sample("deadlock"))
    assert dot is not None
    assert dot.count("(deadlock)") == 4
    assert 'waits 12 min for"];' in dot  # the thread behind the cycle is not part of it


def test_a_request_is_shown_at_its_driver() -> None:
    report = sample("seed")
    lock = ChainLock("0xffffb20a51c7e000", "irp", description="request (IRP)", driver="probe.sys")
    chain = Chain(lock, (), (report.blocking.root.thread if report.blocking.root else "",), None, "structure")
    chains = (*report.blocking.chains, chain)
    asked = dataclasses.replace(report, blocking=dataclasses.replace(report.blocking, chains=chains))
    dot = picture.wait_graph(asked)
    assert dot is not None
    assert '"0xffffb20a51c7e000" -> "probe.sys" [label="is at"];' in dot
    assert "to be completed by probe.sys" in "\n".join(text for _, text in console.report_lines(asked))
    assert "to be completed by `probe.sys`" in str(blocks.pile_up(asked))


def test_nobody_waits_no_picture() -> None:
    assert picture.wait_graph(sample("exception")) is None


def test_a_crowd_becomes_one_box() -> None:
    report = sample("seed")
    chain = dataclasses.replace(report.blocking.chains[0], waiters=tuple(hex(0x1000 + n) for n in range(500)))
    dot = picture.wait_graph(
        dataclasses.replace(report, blocking=dataclasses.replace(report.blocking, chains=(chain,)))
    )
    assert dot is not None
    assert "and 488 more" in dot
    assert dot.count("\n") < 60


def test_a_hostile_name_stays_inside_its_label() -> None:
    report = sample("seed")
    lock = dataclasses.replace(report.blocking.chains[0].lock, name='x"]; evil [label="\\N&quot;')
    chain = dataclasses.replace(report.blocking.chains[0], lock=lock)
    dot = picture.wait_graph(
        dataclasses.replace(report, blocking=dataclasses.replace(report.blocking, chains=(chain,)))
    )
    assert dot is not None
    assert r"x\"]; evil [label=\"\\N&amp;quot;" in dot
    drawn = picture.draw(dot)
    assert drawn is not None
    assert drawn.startswith(b"\x89PNG")


def test_a_failing_or_missing_program_means_no_picture(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert picture.draw("this is not a graph {") is None
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert picture.draw("digraph { a -> b }") is None
