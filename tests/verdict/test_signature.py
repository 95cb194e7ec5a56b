"""Our names for failures: what fits what, and that a report alone gives its name again."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.address import VirtAddr
from analysis.bugchecks.explained import Stop
from analysis.kernel.facts import Frame
from analysis.trust import Trust
from analysis.verdict.signature import NOBODY, Signature, frames_of
from analysis.verdict.walk import in_cycle, walk_stack

WHOLE = Signature("0x9f:4", "acme.sys", ("acme!Halt",), "nt!Lock", "acme")
WORDS = st.text(
    st.characters(codec="utf-8", exclude_characters=" |=!", categories=("L", "N", "P")), min_size=1, max_size=9
)
FRAMES = st.lists(st.one_of(WORDS, st.tuples(WORDS, WORDS).map("!".join)), max_size=3).map(tuple)


@given(WORDS, FRAMES, st.none() | WORDS, st.none() | WORDS)
def test_a_text_holds_every_part(culprit: str, frames: tuple[str, ...], lock: str | None, service: str | None) -> None:
    made = Signature("0x9f:4", culprit, frames, lock, service)
    assert Signature.parse(str(made)) == made


@given(st.text(max_size=40))
def test_any_text_can_be_looked_at(text: str) -> None:
    parsed = Signature.parse(text)
    assert parsed is None or str(parsed).startswith("0x")


def test_the_name_of_another_kind_is_not_taken_apart() -> None:
    assert Signature.parse("um NULL_POINTER_READ_c0000005 plugin.dll plugin!Parse") is None
    assert Signature.parse("0x9f:4 a driver with spaces.sys acme lock=x") is None


@pytest.mark.parametrize(
    ("other", "fit"),
    [
        (WHOLE, True),
        (replace(WHOLE, frames=("acme",)), True),
        (replace(WHOLE, frames=()), True),
        (replace(WHOLE, lock=None, service=None), True),
        (replace(WHOLE, frames=("acme!Start",)), False),
        (replace(WHOLE, frames=("other!Halt",)), False),
        (replace(WHOLE, lock="nt!OtherLock"), False),
        (replace(WHOLE, service="other"), False),
        (replace(WHOLE, culprit="other.sys"), False),
        (replace(WHOLE, failure="0x9f:3"), False),
    ],
)
def test_what_is_not_known_fits_and_what_differs_does_not(other: Signature, *, fit: bool) -> None:
    assert WHOLE.fits(other) is fit
    assert other.fits(WHOLE) is fit


def test_two_halves_that_contradict_each_other_nowhere_fit() -> None:
    assert replace(WHOLE, lock=None).fits(replace(WHOLE, frames=("acme",)))


def test_without_a_culprit_only_the_same_frames_fit() -> None:
    nobody = Signature("0xe2", NOBODY, ("one", "two"))
    assert nobody.fits(nobody)
    assert not nobody.fits(replace(nobody, frames=("one",)))
    assert nobody.less_known() == ()


def test_every_name_of_a_lesser_knowledge_fits() -> None:
    texts = WHOLE.less_known()
    assert len(texts) == len(set(texts)) == 11
    assert str(WHOLE) not in texts
    assert "0x9f:4 acme.sys" in texts
    assert all((parsed := Signature.parse(text)) is not None and parsed.fits(WHOLE) for text in texts)


def frame(symbol: str, trust: Trust = Trust.UNWIND) -> Frame:
    return Frame(VirtAddr(0x1000), symbol, f"{symbol.partition('!')[0].partition('+')[0]}.sys", trust)


def test_frames_are_the_culprits_own_or_drivers_that_were_not_scanned() -> None:
    stack = (frame("acme!Halt+0x4"), frame("nt!KeWait+0x1"), frame("stray+0x9", Trust.SCAN), frame("ndis!Bind+0x3"))
    assert frames_of("acme.sys", "acme!Halt+0x4", stack) == ("acme!Halt",)
    assert frames_of("acme.sys", None, stack) == ()
    assert frames_of(None, None, stack) == ("acme!Halt", "ndis!Bind")
    assert frames_of("ntoskrnl.exe", "nt!MiFoo+0x1", stack) == ("acme!Halt", "ndis!Bind")


def test_a_deadlock_has_one_name_whichever_thread_comes_first() -> None:
    one, two = (walk_stack((frame(symbol),), Stop.HANG) for symbol in ("acme!Halt+0x4", "kestrel!Wait+0x8"))
    assert in_cycle((one, two)) == in_cycle((two, one))
    assert len(in_cycle((one, two))) == 2
