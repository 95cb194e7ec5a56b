"""A report in the terminal: in order, printable whatever a dump holds, and progress that suits the stream."""

import dataclasses
import io
from datetime import timedelta
from pathlib import Path

import pytest

from analysis.verdict.report import BlockedThread, Deadlock, ExceptionFacts, Report, Suspect
from bot.console import PlainProgress, RichProgress, print_lines, printable, progress_on, report_lines, seen_line
from storage.store import Store
from tests.storage.samples import NOON, Clock, report


def text(told: Report, **more: object) -> str:
    return "\n".join(line for _, line in report_lines(told, **more))  # type: ignore[arg-type]  # by name


def rich_report() -> Report:
    base = report(host="PC-7", crashed=NOON, service="RasSstp")
    blocked = BlockedThread("0x20", "wininit.exe", 612, 616, "0xff00", 300.0, "WrResource", "system shutdown")
    return dataclasses.replace(
        base,
        verdict=dataclasses.replace(
            base.verdict,
            impact="wininit.exe waited, so the shutdown hung.",
            reasons=("it owns the lock",),
            suspects=(Suspect("ndis.sys", "a library of network drivers"),),
            next_steps=("update it",),
            cannot_tell=("file versions",),
        ),
        blocking=dataclasses.replace(base.blocking, blocked_threads=(blocked,)),
        notes=("irps: LimitReached",),
    )


def test_everything_is_told_in_the_contract_s_order() -> None:
    told = text(rich_report())
    order = [
        "rassstp.sys held nt!PiEngineLock",
        "wininit.exe waited, so the shutdown hung.",
        "0x9f DRIVER_POWER_STATE_FAILURE",
        "Confidence   high",
        "PC-7, 10.0.19041.804",
        "2026-06-15 12:00 UTC",
        "Seen         not looked up",
        "Pile-up",
        "root: thread 0x10 (System)",
        "eresource nt!PiEngineLock at 0xff00: 1 waiter (by structure)",
        "waits for 5 min on 0xff00: thread 0x20 (wininit.exe 612.616), system shutdown",
        "Evidence",
        "ndis.sys: a library of network drivers",
        "Stack of thread 0x20",
        "Next steps",
        "What this dump cannot tell",
        "Notes",
    ]
    places = [told.find(piece) for piece in order]
    assert -1 not in places
    assert places == sorted(places)


def test_a_report_without_culprit_lock_or_stack_is_told_too() -> None:
    bare = dataclasses.replace(report(module=None, lock=None, frames=()), bugcheck=None, threads=())
    told = text(dataclasses.replace(bare, exception=ExceptionFacts("0xc0000005", "ACCESS_VIOLATION")))
    assert "Culprit      none named" in told
    assert "Exception    0xc0000005 ACCESS_VIOLATION" in told
    assert "Stack of" not in told


def test_a_deadlock_is_named() -> None:
    base = report()
    both = dataclasses.replace(base.blocking, deadlocks=(Deadlock(("0x10", "0x99"), ("0x1",)),))
    assert "deadlock of thread 0x10 (System) and thread 0x99" in text(dataclasses.replace(base, blocking=both))


def test_nothing_of_a_dump_reaches_the_terminal_unprinted() -> None:
    evil = report(module="evil\x1b[2J\u202e\r\n.sys", host="PC\x07\n\x9b1m")
    for line in text(evil).split("\n"):
        assert line.isprintable()
    assert printable("a\tb\nc\x1b") == "a b c?"


def test_lines_are_bare_in_a_pipe_and_styled_on_a_terminal() -> None:
    pipe = io.StringIO()
    print_lines(iter([("strong", "[bold]x[/bold]")]), pipe)
    assert pipe.getvalue() == "[bold]x[/bold]\n"
    terminal = Terminal()
    print_lines(iter([("strong", "[bold]x[/bold]")]), terminal)
    assert "[bold]x[/bold]" in terminal.getvalue()


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_the_past_is_one_sentence(tmp_path: Path) -> None:
    clock = Clock()
    with Store.open(tmp_path / "x.sqlite", clock) as store:
        assert seen_line(store.seen(report("a"))) == "first time"
        store.remember(report("a", host="PC-1"))
        clock.turn(days=1)
        assert seen_line(store.seen(report("b"))) == "2nd time since 15 June 2026, on 1 host"
        store.remember(report("b", host="PC-2", crashed=NOON - timedelta(days=30)))
        assert seen_line(store.seen(report("a"))) == (
            "this very dump is in history since 2026-06-15 12:00; 2nd time since 16 May 2026, on 2 hosts"
        )
        similar = store.seen(report("c", code="0xe2", signature="x"))
        assert seen_line(similar).startswith("first time; similar to no. 2 (same driver rassstp.sys")


def test_plain_progress_says_each_thing_once() -> None:
    stream = io.StringIO()
    with progress_on(stream) as show:
        assert isinstance(show, PlainProgress)
        for step in range(101):
            show("fetching x.dmp", step / 100, "1 MB of 2 MB")
        show("waits", None)
        show("waits", None)
    assert stream.getvalue().split("\n") == [
        "fetching x.dmp",
        "fetching x.dmp 25 % (1 MB of 2 MB)",
        "fetching x.dmp 50 % (1 MB of 2 MB)",
        "fetching x.dmp 75 % (1 MB of 2 MB)",
        "fetching x.dmp 100 % (1 MB of 2 MB)",
        "who waits for whom",
        "",
    ]


def test_a_terminal_gets_a_bar_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with progress_on(stream) as show:
        assert isinstance(show, RichProgress)
        show("fetching [red]x.dmp", 0.5, "1 MB")
    assert "fetching [red]x.dmp" in stream.getvalue()
