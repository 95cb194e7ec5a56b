"""``pileup worker``: does what the bot took in, drains when it is asked to stop, says what it cannot do."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot import orphans, urgency
from bot.ending import Ending
from bot.fleet.command import work_on
from bot.fleet.presence import be_there, gaps
from bot.listeners.intake import Rules, requests
from bot.orphans import bereave, worker_name
from bot.sandbox import StandIn
from bot.starting import CannotServe
from storage.jobs import FORM, NewJob
from storage.store import Store
from tests.bot.kit import ANNA, BOT, CRASHES, Analyst, bot, dump, is_told, replies, settings, shown, until
from tests.bot.server import page, serving


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        yield stand_in


@asynccontextmanager
async def worker(slack: StandIn, home: Path, analyst: Analyst, **more: Any) -> AsyncIterator[Ending]:
    """A worker beside the bot, until the block ends."""
    ending = Ending()
    more = {"workers": 1} | more
    running = asyncio.create_task(
        work_on(settings(slack, home, **more), analyse=analyst, ending=ending, pace_seconds=0.01)
    )
    try:
        yield ending
    finally:
        ending.stop.set()
        await running


async def test_a_bot_without_workers_leaves_dumps_to_a_worker_and_answers_questions_itself(
    slack: StandIn, tmp_path: Path
) -> None:
    bots, workers = Analyst(), Analyst()
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, bots, workers=0):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        asked = slack.workspace.say(CRASHES, ANNA, f"{BOT} have we seen rassstp?")
        await until(lambda: replies(slack, asked))
        async with worker(slack, tmp_path, workers):
            await until(lambda: is_told(slack, said))
    assert (bots.runs, workers.runs) == (0, 1)
    assert len(replies(slack, said)) == 6


async def test_what_is_in_hand_is_done_before_a_worker_ends(slack: StandIn, tmp_path: Path) -> None:
    analyst = Analyst(seconds=1)
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, None, workers=0):
        async with worker(slack, tmp_path, analyst) as ending:
            said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
            await analyst.running.wait()
            ending.on_signal()
        assert is_told(slack, said)
    with Store.open(tmp_path / "pileup.sqlite") as store:
        assert store.jobs.counts()["done"] == 1
        assert store.workers.alive(timedelta(hours=1)) == []


@pytest.mark.parametrize("drain", [0.2, 60])
async def test_what_takes_too_long_or_is_hurried_goes_to_another_worker(
    slack: StandIn, tmp_path: Path, drain: float
) -> None:
    slow, quick = Analyst(seconds=60), Analyst()
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, None, workers=0):
        async with worker(slack, tmp_path, slow, drain_seconds=drain) as ending:
            said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
            await slow.running.wait()
            ending.on_signal()
            if drain > 1:
                ending.on_signal()
        async with worker(slack, tmp_path, quick):
            await until(lambda: is_told(slack, said))
    assert (slow.runs, quick.runs) == (1, 1)
    assert "rassstp" in shown(replies(slack, said)[0])
    with Store.open(tmp_path / "pileup.sqlite") as store:
        assert [job.attempts for job in map(store.jobs.get, [1]) if job] == [1]


async def test_a_worker_without_a_place_for_a_job_does_not_start(slack: StandIn, tmp_path: Path) -> None:
    with pytest.raises(CannotServe, match="PILEUP_WORKERS"):
        await work_on(settings(slack, tmp_path, workers=0))


async def test_jobs_of_a_later_version_are_left_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.fleet.presence.EVERY_SECONDS", 0.01)
    with Store.open(tmp_path / "pileup.sqlite") as store:
        store.jobs.enqueue(NewJob("a", {}, form=FORM + 1))
        stop = asyncio.Event()
        with caplog.at_level(logging.WARNING):
            there = asyncio.create_task(be_there(store, 2, stop))
            await until(lambda: caplog.messages)
            await asyncio.sleep(0.1)
            stop.set()
            await there
        (line,) = caplog.messages
        assert line.endswith(f"this one reads forms up to {FORM}: no worker here reads them yet")
        store.workers.sign_in("newer", "9.9", 1, FORM + 1)
        assert gaps(store)[0].endswith("1 of the workers here read them")
        assert gaps(store, FORM + 1) == ()


def test_a_process_number_of_another_machine_or_container_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, here = socket.gethostname(), worker_name(0).rpartition(":")[2]
    assert len(here) == 12
    names = [f"{host}:4194305:0:{here}", f"{host}:4194305:1:0123456789ab", f"other:4194305:2:{here}"]
    with Store.open(tmp_path / "pileup.sqlite") as store:
        for name in names:
            store.jobs.enqueue(NewJob(name, {}))
            store.jobs.take(name, 600)
        assert bereave(store, many_hosts=True) == 1
        assert [job.worker for job in store.jobs.active() if job.worker] == names[1:]
        assert bereave(store) == 1  # a file of this machine alone: who came before its last start is dead
        monkeypatch.setattr(orphans, "_PLACE_FILES", (tmp_path / "none",))
        assert worker_name(0).endswith(":")


def test_a_small_dump_goes_before_others_and_talk_before_all(tmp_path: Path) -> None:
    names = ["Mini101521-01.dmp", "101521-8343-01.dmp", "x.mdmp", "crash.dmp", "a.zip", "MEMORY.DMP", "kernel_full.zip"]
    assert [urgency.of_dump(name) for name in names] == [30, 30, 30, 20, 20, 10, 10]
    assert [urgency.of_dump("MEMORY.DMP", size) for size in (1 << 20, 100 << 20, 1 << 30)] == [30, 20, 10]
    assert urgency.TALK > urgency.SMALL > urgency.USUAL > urgency.LARGE > urgency.BACKFILL


def test_a_link_passes_the_gates_of_its_host_and_its_channel() -> None:
    event = {
        "type": "message",
        "channel": "C1",
        "user": "U1",
        "ts": "1.1",
        "text": "<https://Files.example/MEMORY.DMP>",
    }
    (made,) = requests({"event": event, "team_id": "T"}, Rules("UBOT"))
    assert (made.job.host, made.job.channel, made.job.priority) == ("files.example", "C1", urgency.LARGE)
