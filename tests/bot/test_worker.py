"""What becomes of a job when things go wrong around it."""

import asyncio
import dataclasses
import errno
import gc
import hashlib
import shutil
import socket
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest

from analysis.fingerprint import NOT_FETCHED, identity_of
from analysis.verdict.report import Report
from bot import doing, reading, worker
from bot.fetch.download import Fetched
from bot.greeting import Greeter
from bot.orphans import bereave, worker_name
from bot.sandbox import StandIn
from bot.showing import show_job
from storage.database import open_database
from storage.events import Events
from storage.jobs import NewJob
from storage.store import Store
from tests.bot.kit import ANNA, CRASHES, Analyst, bot, dump, is_done, is_told, replies, shown, until
from tests.bot.range_server import RangeServer, serving_ranges
from tests.bot.reports import sample
from tests.bot.server import page, serving, status


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        yield stand_in


class Broken(Analyst):
    """An analysis with a fault of ours in it."""

    async def __call__(
        self, fetched: Fetched, progress: Callable[[str, float | None], None], symbols: object = None
    ) -> Report:
        self.runs += 1
        raise RuntimeError("a fault of ours")


async def test_a_job_that_fails_by_a_fault_is_tried_again_and_then_given_up_aloud(
    slack: StandIn, tmp_path: Path
) -> None:
    analyst = Broken()
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, analyst):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_done(slack, said))
    assert analyst.runs == 3
    (reply,) = replies(slack, said)
    assert "ended without a result 3 times" in shown(reply)
    assert list(said.reactions) == ["x"]


async def test_a_file_that_is_no_dump_gets_one_line_and_a_cross(slack: StandIn, tmp_path: Path) -> None:
    async with serving(**{"a.dmp": page(b"hello")}) as files, bot(slack, tmp_path, Analyst()):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_done(slack, said))
    (reply,) = replies(slack, said)
    assert reply.text == "Not a dump that can be read: this is something else."
    assert list(said.reactions) == ["x"]


@pytest.mark.parametrize("bad_first", [True, False])
async def test_of_two_links_the_last_one_brings_the_reaction_and_a_failure_counts(
    slack: StandIn, tmp_path: Path, bad_first: bool
) -> None:
    class OneSlow(Analyst):
        async def __call__(
            self, fetched: Fetched, progress: Callable[[str, float | None], None], symbols: object = None
        ) -> Report:
            is_bad = fetched.path.read_bytes() == b"hello"
            if is_bad != bad_first:
                await free.wait()
            return await super().__call__(fetched, progress, symbols)

    free = asyncio.Event()
    routes = {"a.dmp": page(b"hello"), "b.dmp": page(dump("seed"))}
    async with serving(**routes) as files, bot(slack, tmp_path, OneSlow()):
        said = slack.workspace.say(CRASHES, ANNA, f"{files.url('/a.dmp')} {files.url('/b.dmp')}")
        first = "something else" if bad_first else "rassstp.sys holds"
        await until(lambda: any(first in shown(reply) for reply in replies(slack, said)))
        await until(lambda: bad_first or is_told(slack, said))
        assert list(said.reactions) == ["eyes"]
        free.set()
        await until(lambda: is_done(slack, said))
    assert list(said.reactions) == ["x"]


async def test_a_dump_that_changes_while_it_is_read_is_downloaded_whole_instead(slack: StandIn, tmp_path: Path) -> None:
    class Reader(Analyst):
        async def __call__(
            self, fetched: Fetched, progress: Callable[[str, float | None], None], symbols: object = None
        ) -> Report:
            self.runs += 1
            met.append(fetched)
            if fetched.pages is not None:
                server.tag = '"v2"'
                await asyncio.to_thread(fetched.pages.fill, [(3000, 1)])
            return dataclasses.replace(sample("seed"), notes=(fetched.note or "",))

    met: list[Fetched] = []
    path = tmp_path / "large.dmp"
    path.write_bytes(b"PAGEDU64" + bytes(17 << 20))
    async with serving_ranges(RangeServer(path)) as server, bot(slack, tmp_path, Reader()):
        said = slack.workspace.say(CRASHES, ANNA, server.url)
        await until(lambda: is_done(slack, said))
    assert list(said.reactions) == ["white_check_mark"]
    assert [fetched.pages is None for fetched in met] == [False, True]
    assert met[1].note == "The dump was downloaded whole, for the file changed meanwhile."
    assert met[1].note in shown(replies(slack, said)[0])


async def test_a_dump_read_where_it_lies_is_downloaded_after_its_verdict_where_all_are_kept(
    slack: StandIn, tmp_path: Path
) -> None:
    class Reader(Analyst):
        async def __call__(
            self, fetched: Fetched, progress: Callable[[str, float | None], None], symbols: object = None
        ) -> Report:
            report = sample("seed")
            return dataclasses.replace(
                report,
                dump=dataclasses.replace(report.dump, identity=fetched.identity, sha256=fetched.sha256),
                verdict=dataclasses.replace(report.verdict, cannot_tell=("Who it was.", NOT_FETCHED)),
            )

    def hashed() -> tuple[str | None, tuple[str, ...]] | None:
        with Store.open(tmp_path / "pileup.sqlite") as store:
            found = store.duplicates.same_dump(identity_of(len(content), content))
            report = None if found is None else store.reports.report(found.report.id)
            return None if report is None else (report.dump.sha256, report.verdict.cannot_tell)

    path = tmp_path / "large.dmp"
    content = b"PAGEDU64" + bytes(17 << 20)
    path.write_bytes(content)
    server = RangeServer(path)
    async with serving_ranges(server), bot(slack, tmp_path, Reader(), keep_dumps="always") as _:
        said = slack.workspace.say(CRASHES, ANNA, server.url)
        await until(
            lambda: is_told(slack, said) and hashed() == (hashlib.sha256(content).hexdigest(), ("Who it was.",))
        )
    (kept,) = (tmp_path / "downloads").glob("*/dump")
    assert kept.read_bytes() == content


async def test_files_are_let_go_however_the_job_ends() -> None:
    # While every thread is busy, so that what waits for one can be cancelled.
    closed, busy, free = asyncio.Event(), threading.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))

    def wait() -> None:
        busy.set()
        free.wait()

    def close() -> None:
        loop.call_soon_threadsafe(closed.set)

    waiting = loop.run_in_executor(None, wait)
    await until(busy.is_set)
    ending = asyncio.create_task(reading._let_go(close))
    await asyncio.sleep(0)
    ending.cancel()
    await asyncio.gather(ending, return_exceptions=True)
    free.set()
    await waiting
    await asyncio.wait_for(closed.wait(), 20)


async def test_the_next_verdict_does_not_wait_for_the_details_of_the_last_one(slack: StandIn, tmp_path: Path) -> None:
    routes = {"a.dmp": page(dump("seed", 1)), "b.dmp": page(dump("deadlock"))}
    async with serving(**routes) as files, bot(slack, tmp_path, Analyst(), pace=0.3, workers=1):
        first = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        second = slack.workspace.say(CRASHES, ANNA, files.url("/b.dmp"))
        await until(lambda: any("filesync" in shown(reply) for reply in replies(slack, second)))
        assert not is_told(slack, first)
        await until(lambda: is_told(slack, first) and is_told(slack, second))
        await until(lambda: is_done(slack, first) and is_done(slack, second))


async def test_when_the_token_is_refused_for_a_while_the_job_waits(
    slack: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "RETRY_SECONDS", 0.1)
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, Analyst(seconds=0.4)):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: replies(slack, said))
        slack.faults.invalid_auth = True
        await until(lambda: sum(call.error == "invalid_auth" for call in slack.calls) >= 2)
        slack.faults.invalid_auth = False
        await until(lambda: is_told(slack, said))
    assert len(replies(slack, said)) == 6


async def test_a_worker_whose_lease_ran_out_stops_and_says_nothing_more(slack: StandIn, tmp_path: Path) -> None:
    analyst = Analyst(seconds=30)
    routes = {"a.dmp": page(dump("seed")), "b.dmp": page(dump("deadlock"))}
    async with serving(**routes) as files, bot(slack, tmp_path, analyst, workers=1):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await analyst.running.wait()
        await until(lambda: replies(slack, said))
        analyst.seconds = 0
        database = open_database(tmp_path / "pileup.sqlite")
        database.change(
            "UPDATE jobs SET takes = takes + 1, worker = 'another:1:0', lease_until = '2999-01-01T00:00:00.000000Z'"
        )
        database.close()
        other = slack.workspace.say(CRASHES, ANNA, files.url("/b.dmp"))
        await until(lambda: is_done(slack, other))  # the worker is free again
    assert not is_done(slack, said)
    assert analyst.runs == 2


async def test_an_event_that_could_not_be_stored_is_not_acknowledged_and_comes_again(
    slack: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Events.accept
    failures = [OSError("disk full")]

    def accept(self: Events, *given: object) -> object:
        if failures:
            raise failures.pop()
        return real(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Events, "accept", accept)
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, Analyst()):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_told(slack, said))
    assert slack.deliveries.all[0].attempts == 2


async def test_a_link_that_must_wait_for_a_worker_is_greeted_meanwhile(slack: StandIn, tmp_path: Path) -> None:
    routes = {"a.dmp": page(dump("seed", 1)), "b.dmp": page(dump("seed", 2))}
    greeted = asyncio.Event()

    class Held(Analyst):
        async def __call__(self, *given: Any) -> Report:
            await greeted.wait()
            return await super().__call__(*given)

    async with serving(**routes) as files, bot(slack, tmp_path, Held(), workers=1):
        first = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: replies(slack, first))
        second = slack.workspace.say(CRASHES, ANNA, files.url("/b.dmp"))
        await until(lambda: "eyes" in second.reactions)
        assert replies(slack, second) == []
        greeted.set()
        await until(lambda: is_done(slack, second))


async def test_a_link_that_failed_is_read_anew_when_it_is_posted_again(slack: StandIn, tmp_path: Path) -> None:
    routes = {"a.dmp": status("404 Not Found")}
    gc.disable()
    try:
        async with serving(**routes) as files, bot(slack, tmp_path, Analyst()):
            first = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
            await until(lambda: is_done(slack, first))
            files.routes["/a.dmp"] = page(dump("seed"))
            second = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
            await until(lambda: is_done(slack, second))
    finally:
        gc.enable()
    assert (list(first.reactions), list(second.reactions)) == (["x"], ["white_check_mark"])


async def test_a_disk_that_is_full_for_a_while_costs_no_dump_its_answer(
    slack: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doing, "ROOM_SECONDS", (0.1,) * 3)
    usage = [shutil._ntuple_diskusage(1 << 40, 1 << 40, 0)] * 2 + [shutil.disk_usage(tmp_path)]
    monkeypatch.setattr(
        "bot.fetch.failures.shutil.disk_usage", lambda _path: usage[0] if len(usage) == 1 else usage.pop(0)
    )
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, Analyst()):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_told(slack, said))
    assert list(said.reactions) == ["white_check_mark"]
    assert len(usage) == 1


async def test_a_disk_that_stays_full_is_told_in_the_end(
    slack: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doing, "ROOM_SECONDS", (0.05,) * 2)

    def full(_path: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("bot.fetch.failures.shutil.disk_usage", full)
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, Analyst()):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_done(slack, said))
    (reply,) = replies(slack, said)
    assert "no room left here" in shown(reply)
    assert list(said.reactions) == ["x"]


async def test_messages_that_wait_for_leave_to_be_edited_keep_no_dump_waiting(slack: StandIn, tmp_path: Path) -> None:
    routes = {"a.dmp": page(dump("seed", 1)), "b.dmp": page(dump("deadlock", 2))}
    async with serving(**routes) as files, bot(slack, tmp_path, Analyst(), workers=1):
        first = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_done(slack, first))
        slack.faults.rate_limit(120, 60, "chat.update")
        with Store.open(tmp_path / "pileup.sqlite") as store:
            report = store.reports.report(1)
            assert report is not None
            (place,) = store.places(report)
            for number in range(2):  # one for each who takes jobs
                store.jobs.enqueue(show_job(str(number), place, alone=True))
            await until(lambda: [job.state for job in store.jobs.active() if job.kind == "show"] == ["running"] * 2)
        second = slack.workspace.say(CRASHES, ANNA, files.url("/b.dmp"))
        await until(lambda: any("Confidence" in shown(reply) for reply in replies(slack, second)))


@pytest.mark.parametrize("ends", [True, False])
async def test_a_greeting_that_comes_after_the_end_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    monkeypatch.setattr("bot.greeting.GREET_AFTER_SECONDS", 0.0)
    with Store.open(tmp_path / "pileup.sqlite") as store:
        made = store.jobs.enqueue(NewJob("a", {"channel": CRASHES, "ts": "1.0"})).job

        class Slow:
            did: ClassVar[list[bool]] = []

            async def react(self, _channel: str, _ts: str, _name: str, *, add: bool = True, final: bool = True) -> bool:
                if ends and add and (taken := store.jobs.take("w", 60)) is not None:
                    store.jobs.finish(taken)
                self.did.append(add)
                return True

        class Here:
            sender = Slow()

            async def of(self, _team: str) -> "Here":
                return self

        greeter = Greeter(store, Here())  # type: ignore[arg-type]  # all that it uses
        greeter.greet([made])
        await until(lambda: len(Slow.did) == 1 + ends)
        await asyncio.sleep(0.05)
        assert Slow.did == [True, False][: 1 + ends]
        await greeter.close()


async def test_many_workers_at_work_do_not_delay_an_acknowledgement(slack: StandIn, tmp_path: Path) -> None:
    class Blocking(Analyst):
        async def __call__(
            self, fetched: Fetched, progress: Callable[[str, float | None], None], symbols: object = None
        ) -> Report:
            waiting.append(1)
            await asyncio.to_thread(free.wait)  # as a child is waited for
            return await super().__call__(fetched, progress, symbols)

    waiting: list[int] = []
    free = threading.Event()
    routes = {f"{number}.dmp": page(dump("seed", number)) for number in range(12)}
    async with serving(**routes) as files, bot(slack, tmp_path, Blocking(), workers=12):
        for name in routes:
            slack.workspace.say(CRASHES, ANNA, files.url(f"/{name}"))
        await until(lambda: len(waiting) == 12)
        event = {
            "type": "message",
            "channel": CRASHES,
            "channel_type": "channel",
            "user": ANNA,
            "ts": "1.5",
            "text": "x",
        }
        late = slack.deliveries.emit(event)
        try:
            await until(lambda: late.acked_after is not None)
        finally:
            free.set()


def test_jobs_of_dead_processes_of_this_host_are_given_back_at_once(tmp_path: Path) -> None:
    with Store.open(tmp_path / "pileup.sqlite") as store:
        names = [f"{socket.gethostname()}:4194305:0", "another-host:4194305:0", worker_name(1)]
        for name in names:
            store.jobs.enqueue(NewJob(name, {}))
            store.jobs.take(name, 600)
        assert bereave(store) == 2  # the dead process, and this one, which cannot have had jobs before it began
        assert [job.worker for job in store.jobs.active() if job.state == "running"] == ["another-host:4194305:0"]
