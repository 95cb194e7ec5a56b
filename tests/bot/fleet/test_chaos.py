"""Worker processes that are killed again and again: nothing is lost, nothing is told twice."""

import asyncio
import random
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from bot.sandbox import StandIn
from storage.store import Store
from tests.bot.fleet.test_queue_crew import queue_of, worker_process
from tests.bot.kit import ANNA, CRASHES, bot, dump, is_done, replies, shown, until
from tests.bot.server import page, serving

DUMPS, WORKERS, KILLS = 16, 3, 5


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_while_workers_are_killed_again_and_again_every_dump_is_answered_once(
    tmp_path: Path, postgres_url: str
) -> None:
    drawn = random.Random()
    routes = {f"{number}.dmp": page(dump("seed", number)) for number in range(DUMPS)}
    async with (
        StandIn() as slack,
        serving(**routes) as files,
        bot(slack, tmp_path / "bot", None, database_url=postgres_url, workers=0),
    ):
        with ExitStack() as stack, Store.open(postgres_url) as store:
            running: dict[int, subprocess.Popen[str]] = {}

            def another() -> None:
                home = tmp_path / f"worker-{len(list(tmp_path.iterdir()))}"
                started = stack.enter_context(worker_process(slack, home, postgres_url, seconds=1.0))
                home.mkdir(exist_ok=True)
                running[started.pid] = started

            def at_work() -> list[int]:
                """The processes that have a job in hand which may be tried once more."""
                names = [job.worker or "" for job in store.jobs.active() if job.state == "running" and job.attempts < 3]
                return [number for number in (int(name.split(":")[1]) for name in names) if number in running]

            for _ in range(WORKERS):
                another()
            said = [slack.workspace.say(CRASHES, ANNA, files.url(f"/{name}")) for name in routes]
            for _ in range(KILLS):
                await until(at_work, 60)
                await asyncio.sleep(drawn.uniform(0, 1.0))  # at any moment of a job
                for number in at_work()[:1]:
                    running.pop(number).kill()
                    another()
            await until(lambda: all(is_done(slack, one) for one in said), 100)
            await until(lambda: not store.jobs.active() and queue_of(postgres_url) == 0, 60)
            counts = store.jobs.counts()
            again = store._database.value("SELECT count(*) FROM jobs WHERE kind = 'analyze' AND takes > 1")
    assert counts["waiting"] == counts["running"] == 0
    assert again > 0, "nobody was killed with a job in hand"
    for one in said:
        told = [shown(reply) for reply in replies(slack, one)]
        assert told
        assert len(set(told)) == len(told), "said twice"
        assert sum("rassstp.sys" in line or "3 times" in line for line in told[:1]) == 1
