"""One dump at a time: in a process, over processes, and past one that died."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.alone import Alone
from storage.lanes import Holds
from storage.store import Store
from tests.bot.kit import until


@pytest.fixture
def holds(tmp_path: Path) -> Iterator[Holds]:
    with Store.open(tmp_path / "x.sqlite") as store:
        yield store.holds


def alone(holds: Holds | None, lock: asyncio.Lock | None = None, seconds: float = 0.4) -> Alone:
    """As a process of its own has it, unless the lock is shared."""
    return Alone(lock or asyncio.Lock(), holds, "a dump", seconds)


@pytest.mark.parametrize("shares", ["lock", "database"])
async def test_two_are_never_inside_at_once(holds: Holds, shares: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.alone.ASK_SECONDS", 0.01)
    lock = asyncio.Lock()
    inside, most = 0, 0

    async def visit() -> None:
        nonlocal inside, most
        async with alone(None, lock) if shares == "lock" else alone(holds):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.02)
            inside -= 1

    await asyncio.gather(*(visit() for _ in range(5)))
    assert most == 1


async def test_who_stays_long_keeps_others_out_and_who_died_does_not(
    holds: Holds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.alone.ASK_SECONDS", 0.01)
    assert holds.take("a dump", "a process that died", 0.1)
    async with alone(holds, seconds=0.2):
        waiting = asyncio.create_task(alone(holds).__aenter__())
        await asyncio.sleep(0.5)  # longer than a holder without a sign of life would hold
        assert not waiting.done()
    await until(waiting.done)


async def test_who_is_stopped_on_the_way_in_leaves_no_lock(holds: Holds) -> None:
    lock = asyncio.Lock()
    assert holds.take("a dump", "another", 600)
    entering = asyncio.create_task(alone(holds, lock).__aenter__())
    await until(lock.locked)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    assert not lock.locked()
