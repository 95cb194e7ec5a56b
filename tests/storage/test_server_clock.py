"""The time that machines with different clocks agree on."""

from datetime import UTC, datetime, timedelta

import pytest

from storage.errors import DatabaseUnreachable
from storage.server_clock import AGAIN_SECONDS, ASK_SECONDS, ServerClock
from storage.store import Store

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Server:
    """A server that is asked for the time, and a counter of seconds."""

    def __init__(self) -> None:
        self.time, self.seconds, self.asked, self.away = NOON, 1000.0, 0, False

    def ask(self) -> datetime:
        self.asked += 1
        if self.away:
            raise DatabaseUnreachable("gone")
        return self.time

    def steady(self) -> float:
        return self.seconds


def test_between_two_questions_the_time_goes_on_by_the_counter() -> None:
    server = Server()
    clock = ServerClock(server.ask, server.steady)
    assert clock() == NOON
    server.seconds += ASK_SECONDS - 1
    assert clock() == NOON + timedelta(seconds=ASK_SECONDS - 1)
    assert server.asked == 1
    server.seconds += 1
    server.time = NOON + timedelta(hours=1)
    assert clock() == server.time
    assert server.asked == 2


def test_a_server_that_does_not_answer_stops_no_clock_that_has_been_set() -> None:
    server = Server()
    clock = ServerClock(server.ask, server.steady)
    server.away = True
    with pytest.raises(DatabaseUnreachable):
        clock()
    server.away = False
    server.seconds += AGAIN_SECONDS
    assert clock() == NOON
    server.away = True
    server.seconds += ASK_SECONDS
    assert clock() == NOON + timedelta(seconds=ASK_SECONDS)
    assert clock() == NOON + timedelta(seconds=ASK_SECONDS)
    assert server.asked == 3
    server.away, server.time = False, NOON
    server.seconds += AGAIN_SECONDS
    assert clock() == NOON


def test_leases_on_postgresql_are_by_its_own_time(postgres_url: str) -> None:
    with Store.open(postgres_url) as store:
        database = store._database
        there = datetime.fromisoformat(database.value("SELECT CAST(clock_timestamp() AS text)"))
        assert abs(database.clock() - there) < timedelta(seconds=0.5)
        with database.write():
            assert database.clock() >= there
        database.clock._ask = lambda: there + timedelta(days=400)  # type: ignore[attr-defined]  # a server of its own
        database.clock._next = 0.0  # type: ignore[attr-defined]  # asked now
        assert store.holds.take("a", "b", 10)
        assert database.value("SELECT until FROM holds") > f"{there.year + 1}"
