"""Every frame of every stack, at every instruction of compiled code, against the chain of calls that was made."""

import pytest

from analysis.trust import Trust
from tests.symbols import llvm
from tests.unwind_table import OPTIONS, lost_pages
from tests.unwinding import emulation
from tests.unwinding.judging import Result, judged
from tests.unwinding.programs import OPTIMIZATIONS, TARGETS, compiled

REASON = llvm.missing() or emulation.missing()
pytestmark = pytest.mark.skipif(REASON is not None, reason=REASON or "")
SURE = (Trust.CONTEXT, Trust.UNWIND)


def complete(result: Result) -> bool:
    """Every frame was found by unwind data, and none beside."""
    found = sum(result.right[trust] for trust in SURE)
    return found == result.total > 2 * result.moments > 0 and not result.wrong and result.registers > 0


@pytest.mark.parametrize("architecture", TARGETS)
def test_every_frame_is_found_at_every_instruction(architecture: str) -> None:
    result = judged(compiled(architecture, "2"))
    assert complete(result), result.complaints
    assert result.instructions > 800


@pytest.mark.parametrize("architecture", TARGETS)
def test_without_code_a_frame_that_may_be_wrong_is_never_called_unwound(architecture: str) -> None:
    program = compiled(architecture, "2")
    result = judged(program, lost=lost_pages(program, "no code"))
    assert not any(result.wrong[trust] for trust in SURE), result.complaints
    # Unwind data of ARM64 say where an epilogue stands; those of x64 leave it to the code.
    assert (result.found == result.total) == (architecture == "arm64")


@pytest.mark.parametrize("architecture", TARGETS)
def test_without_unwind_data_nothing_is_called_unwound(architecture: str) -> None:
    program = compiled(architecture, "2")
    result = judged(program, lost=lost_pages(program, "no unwind data"))
    assert result.right[Trust.UNWIND] + result.wrong[Trust.UNWIND] == 0
    assert not result.wrong[Trust.CONTEXT]


@pytest.mark.slow
@pytest.mark.parametrize("optimization", OPTIMIZATIONS)
@pytest.mark.parametrize("architecture", TARGETS)
def test_random_programs_at_every_optimization(architecture: str, optimization: str) -> None:
    for seed in range(6):
        program = compiled(architecture, optimization, seed, OPTIONS[seed % len(OPTIONS)])
        result = judged(program, visits=3)
        assert complete(result), (seed, result.complaints)
        for saved in ("no code", "no unwind data"):
            result = judged(program, lost=lost_pages(program, saved))
            assert not any(result.wrong[trust] for trust in SURE), (seed, result.complaints)
