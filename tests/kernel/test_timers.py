"""When timers fire."""

import pytest

from analysis.kernel.pnp import INTERRUPT_TIME
from analysis.kernel.timers import due_in
from analysis.symbols.layout import Field
from tests.kernel.invented import Bytes, Names, layout

TIMER, NOW = 0xFFFF_A000_0000_0000, 5_000_000_000
NAMES = Names({"_KTIMER": layout("_KTIMER", 0x40, DueTime=0x18, Header__Inserted=Field(3, 1, 6, 1))})


def machine(due: int, *, header: int = 0x40) -> Bytes:
    memory = Bytes()
    memory.put(TIMER, bytes([8, 0, 0, header]))
    memory.put_u64(TIMER + 0x18, due)
    memory.put_u64(INTERRUPT_TIME, NOW)
    return memory


@pytest.mark.parametrize(("after", "seconds"), [(120_000_000, 12.0), (-450_000_000, -45.0), (0, 0.0)])
def test_a_timer_that_is_set_fires_at_its_due_time(after: int, seconds: float) -> None:
    assert due_in(machine(NOW + after), NAMES, TIMER) == pytest.approx(seconds)


def test_a_timer_that_is_not_set_or_not_one_fires_never() -> None:
    assert due_in(machine(NOW, header=0x3F), NAMES, TIMER) is None
    assert due_in(machine(1 << 63), NAMES, TIMER) is None
    assert due_in(Bytes(), NAMES, TIMER) is None
    assert due_in(machine(NOW), Names(), TIMER) is None
