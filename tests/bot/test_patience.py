"""What came while history was away is put there when it is back: all of it, and by one at a time."""

import asyncio

import pytest

from bot import patience
from bot.patience import Patience
from storage.errors import DatabaseFull, DatabaseUnreachable, StorageError
from tests.bot.kit import until


class History:
    def __init__(self) -> None:
        self.error: Exception | None = DatabaseUnreachable("away")
        self.kept: list[int] = []
        self.tries = self.now = self.most = 0

    async def keep(self, number: int) -> None:
        self.tries += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0.01)
            if self.error is not None:
                raise self.error
            self.kept.append(number)
        finally:
            self.now -= 1


async def test_what_came_while_history_was_away_is_kept_when_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.01)
    history, held = History(), Patience()
    first = asyncio.create_task(held.keep("event 0", lambda: history.keep(0)))
    await until(lambda: history.tries > 2)
    others = [asyncio.create_task(held.keep(f"event {n}", lambda n=n: history.keep(n))) for n in range(1, 20)]  # type: ignore[misc]  # bound at once
    await asyncio.sleep(0.2)
    assert history.most == 1  # nobody else knocks meanwhile
    history.error = DatabaseFull("no room, either")
    await asyncio.sleep(0.05)
    history.error = None
    await asyncio.gather(first, *others)
    assert sorted(history.kept) == list(range(20))
    await asyncio.gather(*(held.keep("event", lambda: history.keep(0)) for _ in range(5)))
    assert history.most > 1  # all at once again


async def test_what_is_wrong_for_good_and_what_lasts_too_long_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(patience, "HOLD_SECONDS", 0.1)
    history, held = History(), Patience()
    with pytest.raises(DatabaseUnreachable):
        await held.keep("event", lambda: history.keep(0))
    history.error = StorageError("no such table")
    with pytest.raises(StorageError, match="no such table"):
        await held.keep("event", lambda: history.keep(0))
    history.error = None
    await held.keep("event", lambda: history.keep(1))
    assert history.kept == [1]
