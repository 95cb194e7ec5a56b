"""What holds for every test."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

import storage.sqlite
from bot.sandbox import StandIn
from storage.database import Place
from storage.store import Store
from tests import sent
from tests.postgres import Server, empty, server

# Examples that open files or share two cores with others are sometimes slow; the suite's own timeout is the limit.
settings.register_profile("pileup", deadline=None)
settings.load_profile("pileup")

# Nothing has to outlive the machine; what was committed outlives a killed process all the same.
storage.sqlite.SYNCHRONOUS = "OFF"


def pytest_collection_finish() -> None:
    """Thousands of collected tests live as long as the run: each look through them for garbage would find none."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def everything_sent_is_valid() -> Iterator[None]:
    """When a stand-in ends, all that it was sent and took is held against Slack's rules, three times over."""
    leave = StandIn.__aexit__

    async def checked(slack: StandIn, kind: Any, error: Any, trace: Any) -> None:
        await leave(slack, kind, error, trace)
        taken = [(call.method, call.arguments) for call in slack.calls if call.error is None]
        # The tests of the stand-in itself call it as no gate would let them.
        by_bot = not os.environ.get("PYTEST_CURRENT_TEST", "").startswith("tests/bot/sandbox/test_")
        problems = [] if kind else sent.problems(taken, by_bot=by_bot)
        assert problems == []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StandIn, "__aexit__", checked)
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server, one a run; skips where there is none."""
    with server() as running:
        yield running


@pytest.fixture(scope="session")
def postgres_at_hand(postgres: Server) -> Iterator[str]:
    """The URL of a database at the present schema, used by one test after the other."""
    url = postgres.create()
    Store.open(url).close()
    yield url
    postgres.drop(url)


@pytest.fixture
def empty_postgres(postgres: Server) -> Iterator[str]:
    """The URL of a database on PostgreSQL without any table, gone after the test."""
    url = postgres.create()
    yield url
    postgres.drop(url)


@pytest.fixture
def postgres_url(postgres_at_hand: str) -> Iterator[str]:
    """The URL of a database on PostgreSQL at the present schema and without a row, emptied after the test."""
    yield postgres_at_hand
    empty(postgres_at_hand)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where a store may be opened: each database in turn."""
    if request.param == "sqlite":
        return tmp_path / "home" / "pileup.sqlite"
    url: str = request.getfixturevalue("postgres_url")
    return url
