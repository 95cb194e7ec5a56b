"""What a report says where no driver is to blame: the sentence and the next step fit the case."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from analysis.bugchecks import explain
from analysis.bugchecks.tables import Parameters
from analysis.kernel.scene import Scene
from analysis.verdict.advice import next_steps
from analysis.verdict.blame import Case, conclude
from analysis.verdict.sentences import seconds, summary, with_article
from analysis.verdict.story import Story
from analysis.waits.find import WaitAnalysis
from tests.bugchecks.views import FakeView
from tests.verdict.frames import stack

# A scene that answers nothing: these stories ask only whether the dump is a small one and which images it lists.
BARE = cast(
    "Scene", SimpleNamespace(image=SimpleNamespace(triage=None, truncated=False), facts=SimpleNamespace(modules=()))
)


def story(code: int, parameters: Parameters, frames: str = "", **view: Any) -> Story:
    explained = explain(FakeView(code, parameters, **view))
    case = Case(explained.code, explained.stop, stack(frames), explained.hints, None, explained.blamed, explained.caps)
    return Story(explained, WaitAnalysis(), explained.stop, conclude(case))


@pytest.mark.parametrize(
    ("told", "said", "step"),
    [
        (story(0x1A, (0x41792, 1, 1 << 45, 0)), "A flipped bit in memory", "mdsched.exe"),
        (story(0x124, (0, 1, 2, 3)), "The hardware", "WHEA-Logger"),
        (story(0x7A, (4, 0xC000_009D, 0, 0)), "The disk or the path to it", "SMART"),
        (story(0x1E, (0xC000_0005, 0, 0, 0), "nt!KeBugCheckEx nt!CmpCreateKeyBody+0x1"), "Windows' own kernel", "sfc"),
        (story(0x109, (0, 0, 0, 1)), "No culprit can be named", "other dumps of this machine"),
        (story(0xD1, (8, 2, 0, 0), "nt!KiPageFault acme+0x1"), "acme.sys accessed the address 0x8", "verifier"),
    ],
)
def test_sentence_and_next_step_fit_the_case(told: Story, said: str, step: str) -> None:
    assert summary(BARE, told).startswith(said)
    assert any(step in line for line in next_steps(BARE, told))


def test_a_fault_in_code_that_a_driver_called_names_both() -> None:
    told = story(0x50, (0x10, 0, 0, 0), "nt!memcpy+0x33 acme+0x44")
    frames = stack("nt!memcpy+0x33 acme+0x44")
    whole = Story(told.explained, told.waits, told.stop, told.blame, stack=type(told.stack)(frames))
    assert summary(BARE, whole).startswith("acme.sys at acme+0x44 is the driver behind it: code it led to (nt!memcpy)")


@pytest.mark.parametrize(
    ("value", "text"), [(None, "an unknown time"), (4.2, "4.2 s"), (300, "300 s"), (7200, "2.0 h")]
)
def test_lengths_of_time_read_well(value: float | None, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("doing", "text"),
    [("device request", "a device request"), ("system shutdown", "the system shutdown"), ("paging", "paging")],
)
def test_purposes_get_their_article(doing: str, text: str) -> None:
    assert with_article(doing) == text
