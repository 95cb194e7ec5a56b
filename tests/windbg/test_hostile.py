"""Texts made to cost time, to break the reader, or to lie."""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.errors import NotADump
from analysis.formats.windbg import lines_of, parse_windbg
from analysis.formats.windbg.stack import read_stack
from analysis.limits import MAX_STACK_FRAMES
from tests.windbg.reports import report_of
from tests.windbg.texts import EXAMPLES, HUNG_SHUTDOWN, OLD_FAULT

HEAD = "DRIVER_IRQL_NOT_LESS_OR_EQUAL (d1)\nArg1: 00000001, x\nArg2: 00000002, x\nBUGCHECK_STR:  0xD1\n\nSTACK_TEXT:\n"
MEBI = 1 << 20


@pytest.mark.parametrize(
    "body",
    [
        "a" * MEBI,
        "nt!" + "a" * MEBI,
        "f0711728 " * (MEBI // 8),
        "f0711728 804f7b9d nt!Foo+0x1\n" * 25_000,
        "ffffd000`2a76eb18 fffff801`a364b7c6 : " * 12_500,
        "Resource @ nt!Foo (0xfffff80002c9b2a0)    Exclusively owned\n" * 15_000,
        "     Threads: " + "fffffa8003cf5040-01<*> " * 25_000,
        "THREAD ffffa50c12bb6080  Cid 0264.0268  Teb: 0 Win32Thread: 0 WAIT: (WrResource) KernelMode\n" * 15_000,
        "".join(f"THREAD {0xFFFFA50C12BB6000 + at * 64:x}  Cid 0004.0004  WAIT: (Executive)\n" for at in range(12_500)),
        "0: kd> !irp ffffe70f60dd8a20\nIrp is active with 6 stacks 4 is current\n" * 12_500,
        "start    end        module name\n" + "80000000 80001000 a (b)\n" * 25_000,
        "Key  : A\nValue: " * 25_000,
        ("A_FIELD_" + "X" * 30 + ": v\n") * 25_000,
        "nt!Foo+0x1 \x01\x1b[31m\x07\n" * 25_000,
        "<http://" * 75_000,
        "`" * (MEBI // 4) + "(" * (MEBI // 4) + "[" * (MEBI // 4),
        "\n" * (MEBI // 2),
        "x+0x1:\n" * 50_000,
    ],
    ids=lambda body: repr(body[:24]),
)
def test_bulk_costs_little_time(body: str, tmp_path: Path) -> None:
    started = time.process_time()
    report_of(tmp_path, HEAD + body)
    assert time.process_time() - started < 2


def test_a_stack_without_end_is_cut() -> None:
    lines = ["f0711728 804f7b9d nt!Foo+0x1"] * 10_000
    stack, _ = read_stack(lines, 0)
    assert len(stack.frames) == MAX_STACK_FRAMES
    assert not stack.complete


@given(st.text(max_size=400))
@settings(max_examples=200)
def test_any_text_behind_a_head_is_read(tail: str) -> None:
    parse_windbg(lines_of(HEAD + tail))


LINES = [line for text in EXAMPLES.values() for line in text.splitlines()]


@given(st.lists(st.sampled_from(LINES), max_size=60))
@settings(max_examples=60)
def test_any_order_of_real_lines_gives_a_report_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    try:
        report = report_of(tmp_path_factory.mktemp("any"), "\n".join(lines))
    except NotADump:
        return
    assert not any(note.startswith(("bugcheck:", "verdict:", "waits:")) for note in report.notes)


@given(st.data())
@settings(max_examples=60)
def test_damaged_numbers_and_names_give_a_report(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    text = list(data.draw(st.sampled_from([HUNG_SHUTDOWN, OLD_FAULT, *EXAMPLES.values()])))
    for at in data.draw(st.lists(st.integers(0, len(text) - 1), max_size=40)):
        text[at] = data.draw(st.sampled_from("0fFxX`!+:<>()*- \n\t\x00é\u202e"))
    try:
        report = report_of(tmp_path_factory.mktemp("damaged"), "".join(text))
    except NotADump:
        return
    assert not any(note.startswith(("bugcheck:", "verdict:", "waits:")) for note in report.notes)


def test_nothing_unprintable_reaches_the_report(tmp_path: Path) -> None:
    text = OLD_FAULT.replace("qlpkt.sys", "ql\x1b[31mpkt.sys").replace("Idle", "Id\x07le\x00")
    document = report_of(tmp_path, text).to_json()
    assert all(ord(letter) >= 0x20 or letter in "\n\t" for letter in str(document))


def test_a_huge_text_is_read_to_its_limit(tmp_path: Path) -> None:
    report = report_of(tmp_path, OLD_FAULT + "x" * 80 + "\n" + ("y" * 100 + "\n") * 100_000)
    assert any("only the first 8 MiB" in note for note in report.notes)
