"""A store with a clock that tests turn, and reports built from a few words."""

from collections.abc import Iterator

import pytest

from storage.database import Place
from storage.store import Store
from tests.storage.samples import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(place: Place, clock: Clock) -> Iterator[Store]:
    with Store.open(place, clock) as opened:
        yield opened
