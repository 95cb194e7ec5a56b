"""Bots and workers over one PostgreSQL database: procrastinate brings the jobs, each is answered once."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from analysis.verdict.report import Report
from bot.ending import Ending
from bot.fetch.download import Fetched
from bot.fleet.command import Outgrown, work_on
from bot.fleet.presence import gaps
from bot.sandbox import StandIn
from bot.sandbox.server import BOT_TOKEN
from bot.starting import CannotServe
from storage.gates import Limits
from storage.jobs import FORM
from storage.store import Store
from tests.bot.kit import ANNA, BOT, CRASHES, Analyst, bot, dump, is_done, is_told, replies, settings, until
from tests.bot.server import page, serving
from tests.postgres import Server, name_of


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        yield stand_in


@asynccontextmanager
async def worker(
    slack: StandIn, home: Path, url: str, analyst: Analyst, workers: int = 1, **more: Any
) -> AsyncIterator[Ending]:
    """A worker, until the block ends."""
    ending = Ending()
    given = settings(slack, home, database_url=url, workers=workers, **more)
    running = asyncio.create_task(work_on(given, analyse=analyst, ending=ending, pace_seconds=0.01))
    try:
        yield ending
    finally:
        ending.stop.set()
        await running


@contextmanager
def worker_process(
    slack: StandIn, home: Path, url: str, seconds: float, **more: str
) -> Iterator[subprocess.Popen[str]]:
    """A worker that is a process, killed at the end; it takes so long for an analysis. ``more`` are settings, or
    variables of others where they have a prefix."""
    given = {
        "HOME": home,
        "SLACK_BOT_TOKEN": BOT_TOKEN,
        "SLACK_API_URL": slack.api_url,
        "ALLOW_PRIVATE_ADDRESSES": "yes",
        "LEASE_SECONDS": "2",
        "WORKERS": "1",
        "DATABASE_URL": url,
    }
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", ".")}
    environment |= {f"PILEUP_{name}": str(value) for name, value in given.items()}
    environment |= {name if name.startswith(("AWS_", "FSSPEC_")) else f"PILEUP_{name}": more[name] for name in more}
    command = [sys.executable, "-m", "tests.fleet.worker", str(seconds)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def says_analysing(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert await asyncio.to_thread(process.stdout.readline) == "analysing\n"


def queue_of(url: str) -> int:
    """How many rows procrastinate has."""
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(*) FROM procrastinate_jobs").fetchone()
    assert found is not None
    return int(found[0])


async def test_several_workers_share_the_work_and_no_dump_is_read_twice(
    slack: StandIn, tmp_path: Path, postgres_url: str
) -> None:
    analysts = [Analyst(seconds=0.3) for _ in range(3)]
    routes = {f"{number}.dmp": page(dump("seed", number)) for number in range(6)}
    async with (
        serving(**routes) as files,
        bot(slack, tmp_path / "bot", None, database_url=postgres_url, workers=0),
        worker(slack, tmp_path / "a", postgres_url, analysts[0]),
        worker(slack, tmp_path / "b", postgres_url, analysts[1]),
        worker(slack, tmp_path / "c", postgres_url, analysts[2]),
    ):
        asked = slack.workspace.say(CRASHES, ANNA, f"{BOT} have we seen rassstp?")
        said = [slack.workspace.say(CRASHES, ANNA, files.url(f"/{name}")) for name in routes]
        await until(lambda: all(is_done(slack, one) for one in said) and replies(slack, asked))
        with Store.open(postgres_url) as store:
            await until(lambda: not store.jobs.active() and queue_of(postgres_url) == 0)
            assert store.jobs.counts()["failed"] == 0
    runs = [analyst.runs for analyst in analysts]
    assert sum(runs) == 6
    assert min(runs) >= 1


async def test_one_dump_behind_two_links_is_read_once_and_told_once_in_full_whoever_has_them(
    slack: StandIn, tmp_path: Path, postgres_url: str
) -> None:
    crowd = Crowd(0.5)
    routes = {"a.dmp": page(dump("seed")), "b.dmp": page(dump("seed"))}
    async with (
        serving(**routes) as files,
        bot(slack, tmp_path / "bot", None, database_url=postgres_url, workers=0, lease_seconds=60),
        worker(slack, tmp_path / "a", postgres_url, crowd.member(), lease_seconds=60),
        worker(slack, tmp_path / "b", postgres_url, crowd.member(), lease_seconds=60),
    ):
        said = [slack.workspace.say(CRASHES, ANNA, files.url(f"/{name}")) for name in routes]
        await until(lambda: all(is_done(slack, one) for one in said) and any(is_told(slack, one) for one in said))
        with Store.open(postgres_url) as store:
            await until(lambda: not store.jobs.active())
            assert store._database.value("SELECT count(*) FROM lanes") == 1
            assert store._database.value("SELECT count(*) FROM holds") == 0
    assert len(crowd.order) == 1
    assert sorted(len(replies(slack, one)) for one in said) == [1, 6]


async def test_the_job_of_a_killed_worker_is_done_by_another_and_answered_once(
    slack: StandIn, tmp_path: Path, postgres_url: str
) -> None:
    analyst = Analyst()
    routes = {"a.dmp": page(dump("seed"))}
    async with serving(**routes) as files, bot(slack, tmp_path / "bot", None, database_url=postgres_url, workers=0):
        with worker_process(slack, tmp_path / "killed", postgres_url, seconds=60) as first:
            said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
            await says_analysing(first)
            first.kill()
            async with worker(slack, tmp_path / "other", postgres_url, analyst):
                await until(lambda: is_told(slack, said) and is_done(slack, said))
                await until(lambda: queue_of(postgres_url) == 0)
    assert analyst.runs == 1
    assert len(replies(slack, said)) == 6
    with Store.open(postgres_url) as store:
        assert [(job.state, job.attempts) for job in map(store.jobs.get, [1]) if job] == [("done", 2)]


async def test_a_worker_that_is_stopped_ends_what_it_has_in_hand_and_takes_nothing_more(
    slack: StandIn, tmp_path: Path, postgres_url: str
) -> None:
    slow, other = Analyst(seconds=0.5), Analyst()
    routes = {"a.dmp": page(dump("seed")), "b.dmp": page(dump("deadlock"))}
    async with serving(**routes) as files, bot(slack, tmp_path / "bot", None, database_url=postgres_url, workers=0):
        async with worker(slack, tmp_path / "slow", postgres_url, slow) as ending:
            first = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
            await slow.running.wait()
            ending.on_signal()
            second = slack.workspace.say(CRASHES, ANNA, files.url("/b.dmp"))
        assert is_told(slack, first)
        assert replies(slack, second) == []
        async with worker(slack, tmp_path / "other", postgres_url, other):
            await until(lambda: is_told(slack, second))
    assert (slow.runs, other.runs) == (1, 1)


async def test_what_a_worker_gives_back_is_at_another_at_once(
    slack: StandIn, tmp_path: Path, postgres_url: str
) -> None:
    slow, other = Analyst(seconds=60), Analyst()
    more = {"lease_seconds": 600}
    async with (
        serving(**{"a.dmp": page(dump("seed"))}) as files,
        bot(slack, tmp_path / "bot", None, database_url=postgres_url, workers=0, **more),
    ):
        async with worker(slack, tmp_path / "slow", postgres_url, slow, drain_seconds=0.1, **more):
            said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
            await slow.running.wait()
        async with worker(slack, tmp_path / "other", postgres_url, other, **more):
            await until(lambda: is_told(slack, said))
    assert (slow.runs, other.runs) == (1, 1)
    with Store.open(postgres_url) as store:
        assert [job.attempts for job in map(store.jobs.get, [1]) if job] == [1]


class Crowd:
    """Analyses of several workers: what they were, in which order, how many at the same time."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.now, self.most = seconds, 0, 0
        self.order: list[str] = []

    def member(self) -> Analyst:
        """One worker's analysis."""
        crowd = self

        class Member(Analyst):
            async def __call__(
                self, fetched: Fetched, progress: Callable[[str, float | None], None], symbols: object = None
            ) -> Report:
                crowd.now += 1
                crowd.most = max(crowd.most, crowd.now)
                crowd.order.append(fetched.source)
                try:
                    return await super().__call__(fetched, progress, symbols)
                finally:
                    crowd.now -= 1

        return Member(seconds=self.seconds)


@pytest.mark.parametrize(
    ("limit", "most"),
    [({"host_limit": 1}, 1), ({"channel_limit": 2}, 2), pytest.param({}, 3, marks=pytest.mark.slow)],
)
async def test_limits_hold_over_several_workers(
    slack: StandIn, tmp_path: Path, postgres_url: str, limit: dict[str, int], most: int
) -> None:
    crowd = Crowd(0.3)
    routes = {f"{number}.dmp": page(dump("seed", number)) for number in range(4)}
    async with (
        serving(**routes) as files,
        bot(slack, tmp_path / "bot", None, database_url=postgres_url, workers=0, **limit),
        worker(slack, tmp_path / "a", postgres_url, crowd.member(), workers=2, **limit),
        worker(slack, tmp_path / "b", postgres_url, crowd.member(), workers=1, **limit),
    ):
        said = [slack.workspace.say(CRASHES, ANNA, files.url(f"/{name}")) for name in routes]
        await until(lambda: all(is_done(slack, one) for one in said))
    assert crowd.most == most
    assert len(crowd.order) == 4


async def test_a_small_dump_passes_large_ones_that_wait(slack: StandIn, tmp_path: Path, postgres_url: str) -> None:
    crowd = Crowd(0.1)
    names = ["MEMORY.DMP", "kernel.zip", "crash.dmp", "Mini101521-01.dmp"]
    routes = {name: page(dump("seed", number)) for number, name in enumerate(names)}
    async with serving(**routes) as files, bot(slack, tmp_path / "bot", None, database_url=postgres_url, workers=0):
        said = [slack.workspace.say(CRASHES, ANNA, files.url(f"/{name}")) for name in names]
        with Store.open(postgres_url) as store:
            await until(lambda: store.jobs.counts()["waiting"] == len(names))
        async with worker(slack, tmp_path / "a", postgres_url, crowd.member()):
            await until(lambda: all(is_done(slack, one) for one in said))
    order = [name.rpartition("/")[2] for name in crowd.order]
    assert order[:2] == ["Mini101521-01.dmp", "crash.dmp"]
    assert sorted(order) == sorted(names)


async def test_where_notify_gets_lost_workers_look_for_themselves(
    slack: StandIn, tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.fleet.queue_crew.POLL_SECONDS", 0.3)
    trigger = "procrastinate_jobs_notify_queue_job_inserted_v1"
    routes = {"a.dmp": page(dump("seed")), "b.dmp": page(dump("deadlock"))}
    async with (
        serving(**routes) as files,
        bot(slack, tmp_path / "bot", None, database_url=postgres_url, workers=0),
        worker(slack, tmp_path / "a", postgres_url, Analyst()),
    ):
        heard = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_told(slack, heard) and queue_of(postgres_url) == 0)  # it waits by now
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            alter = f"ALTER TABLE procrastinate_jobs DISABLE TRIGGER {trigger}"
            await asyncio.to_thread(connection.execute, alter.encode())  # may wait for a worker of this loop
            said = slack.workspace.say(CRASHES, ANNA, files.url("/b.dmp"))
            await until(lambda: is_told(slack, said))
            alter = f"ALTER TABLE procrastinate_jobs ENABLE TRIGGER {trigger}"
            await asyncio.to_thread(connection.execute, alter.encode())  # may wait for a worker of this loop


async def test_while_nobody_can_connect_what_is_in_hand_goes_on_and_then_all_does(
    slack: StandIn, tmp_path: Path, postgres: Server, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    analyst = Analyst(seconds=1)
    routes = {"a.dmp": page(dump("seed")), "b.dmp": page(dump("deadlock"))}
    name = name_of(postgres_url)
    async with (
        serving(**routes) as files,
        bot(slack, tmp_path / "bot", None, database_url=postgres_url, workers=0),
        worker(slack, tmp_path / "a", postgres_url, analyst),
    ):
        first = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await analyst.running.wait()
        with psycopg.connect(postgres.maintenance_url, autocommit=True) as connection:
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            try:
                await until(lambda: caplog.text.count("Side task listener failed") == 3)
            finally:
                connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())
        second = slack.workspace.say(CRASHES, ANNA, files.url("/b.dmp"))
        await until(lambda: is_told(slack, first) and is_told(slack, second))
    assert analyst.runs == 2
    assert len(replies(slack, first)) == 6


async def test_jobs_of_a_later_form_wait_for_a_worker_that_reads_them_which_reads_older_ones_too(
    slack: StandIn, tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = Analyst(), Analyst()
    routes = {
        name: page(dump(story)) for name, story in (("a.dmp", "seed"), ("b.dmp", "deadlock"), ("c.dmp", "exception"))
    }
    async with (
        serving(**routes) as files,
        bot(slack, tmp_path / "bot", None, database_url=postgres_url, workers=0),
    ):
        later = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        with Store.open(postgres_url, hand_over=Limits()) as store:
            await until(store.jobs.active)
            store._database.change("UPDATE jobs SET form = ?", [FORM + 1])
            store._database.change("DELETE FROM procrastinate_jobs")
            assert store.handover is not None
            assert store.handover.find_lost() == 1  # and the bot hands it over again
            async with worker(slack, tmp_path / "old", postgres_url, old):
                said = slack.workspace.say(CRASHES, ANNA, files.url("/b.dmp"))
                await until(lambda: is_told(slack, said))
                assert [job.form for job in store.jobs.active() if job.state == "waiting"] == [FORM + 1]
                assert "no worker here reads them yet" in gaps(store)[0]
        monkeypatch.setattr("bot.fleet.queue_crew.FORM", FORM + 1)
        async with worker(slack, tmp_path / "new", postgres_url, new):
            earlier = slack.workspace.say(CRASHES, ANNA, files.url("/c.dmp"))
            await until(lambda: is_done(slack, later) and is_done(slack, earlier))
    assert (old.runs, new.runs) == (1, 2)


async def test_a_worker_of_an_older_version_drains_and_ends_with_a_line(
    slack: StandIn, tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.fleet.presence.EVERY_SECONDS", 0.05)
    analyst = Analyst(seconds=0.5)
    given = settings(slack, tmp_path / "old", database_url=postgres_url, workers=1)
    with Store.open(postgres_url) as store:
        known = store._database.version()
        async with (
            serving(**{"a.dmp": page(dump("seed"))}) as files,
            bot(slack, tmp_path / "bot", None, database_url=postgres_url, workers=0),
        ):
            working = asyncio.create_task(work_on(given, analyse=analyst, pace_seconds=0.01))
            said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
            await analyst.running.wait()
            store._database.change("UPDATE pileup_schema SET version = 999")
            try:
                with pytest.raises(Outgrown, match=f"schema 999, this version knows {known}.*brought up"):
                    await working
                with pytest.raises(CannotServe, match="newer Pileup"):
                    await work_on(given)
            finally:
                store._database.change("UPDATE pileup_schema SET version = ?", [known])
        assert is_told(slack, said)
