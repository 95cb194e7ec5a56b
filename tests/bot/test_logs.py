"""Every line that a job logs says which job it was, and which crash once that is known."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bot import logs
from bot.sandbox import StandIn
from tests.bot.kit import ANNA, CRASHES, Analyst, bot, dump, is_done, until
from tests.bot.server import page, serving


class Kept(logging.Handler):
    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def kept() -> Iterator[Kept]:
    handler, logger = Kept(logs.Structured()), logging.getLogger("bot")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        yield stand_in


async def test_lines_of_two_jobs_at_once_carry_their_own_ids(slack: StandIn, tmp_path: Path, kept: Kept) -> None:
    routes = {f"{n}.dmp": page(dump("seed", n)) for n in (1, 2)} | {"3.dmp": page(b"nothing of the kind" * 99)}
    async with serving(**routes) as files, bot(slack, tmp_path, Analyst(seconds=0.2)):
        posted = [slack.workspace.say(CRASHES, ANNA, files.url(f"/{n}.dmp")) for n in (1, 2, 3)]
        await until(lambda: all(is_done(slack, message) for message in posted))
        await until(lambda: sum("done" in line or "failed" in line for line in kept.lines) >= 3)
    lines = [json.loads(line) for line in kept.lines]
    ended = [line for line in lines if line["message"].startswith("job ")]
    assert len(ended) >= 3
    for line in ended:
        assert line["message"].startswith(f"job {line['job']} ")
    crashes = {line["job"]: line.get("crash") for line in ended if " done" in line["message"]}
    assert sorted(crash for crash in crashes.values() if crash is not None) == [1, 2]
    outside = [line for line in lines if line["subject"] == "bot.serve"]
    assert outside
    assert all("job" not in line for line in outside)


async def test_ids_reach_the_tasks_that_a_job_starts_and_no_others() -> None:
    async def deep() -> dict[str, str | int]:
        logs.note(crash=7)
        return logs.about()

    async def job(number: int) -> tuple[dict[str, str | int], dict[str, str | int]]:
        logs.begin(job=number)
        return await asyncio.create_task(deep()), logs.about()

    assert await asyncio.gather(*(asyncio.create_task(job(n)) for n in (1, 2))) == [
        ({"job": n, "crash": 7}, {"job": n, "crash": 7}) for n in (1, 2)
    ]
    logs.note(crash=9)
    assert logs.about() == {}


def test_a_line_is_one_object_whatever_it_quotes() -> None:
    record = logging.LogRecord("bot.x", logging.ERROR, "f", 1, "driver %s", ('a\n{"level": "info"}\x1b[2J',), None)
    line = logs.Structured().format(record)
    assert "\n" not in line
    assert "\x1b" not in line
    said = json.loads(line)
    assert (said["level"], said["subject"], said["message"]) == ("error", "bot.x", 'driver a\n{"level": "info"}\x1b[2J')
    error = ValueError("x")
    record.exc_info = (type(error), error, None)
    assert "ValueError: x" in json.loads(logs.Structured().format(record))["error"]
