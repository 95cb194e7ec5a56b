"""The throw-away cluster itself: what other tests build on."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.postgres import Cluster, Server, unavailable


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    if (reason := unavailable()) is not None:
        pytest.skip(reason)
    with Cluster() as started:
        yield started


def test_a_cluster_comes_back_with_its_data_after_a_stop_and_after_a_kill(own_cluster: Cluster) -> None:
    url = own_cluster.create()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept (n integer)")
    own_cluster.restart()
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO kept VALUES (1)")
    own_cluster.kill()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    own_cluster.start()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT n FROM kept").fetchall() == [(1,)]
    pid = own_cluster.pid
    assert pid is not None
    assert Path(f"/proc/{pid}").stat().st_uid != 0
    home = own_cluster.data.parent
    own_cluster.close()
    assert not home.exists()
    assert not Path(f"/proc/{pid}").exists()


def test_each_database_is_empty_and_its_own(postgres: Server) -> None:
    first, second = postgres.create(), postgres.create()
    with psycopg.connect(first) as connection:
        connection.execute("CREATE TABLE a (n integer)")
    with psycopg.connect(second) as connection:
        assert connection.execute("SELECT to_regclass('a')").fetchall() == [(None,)]
    postgres.drop(first)
    postgres.drop(second)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(first)
