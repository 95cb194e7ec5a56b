"""What holds for every test."""

import gc
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.postgres import Server, server

# Examples that open files or share two cores with others are sometimes slow; the suite's own timeout is the limit.
settings.register_profile("pileup", deadline=None)
settings.load_profile("pileup")


def pytest_collection_finish() -> None:
    """Thousands of collected tests live as long as the run: each look through them for garbage would find none."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server, one a run; skips where there is none."""
    with server() as running:
        yield running


@pytest.fixture
def postgres_url(postgres: Server) -> Iterator[str]:
    """The URL of an empty database on PostgreSQL, gone after the test."""
    url = postgres.create()
    yield url
    postgres.drop(url)
