"""A running bot tidies up after the dead, and leaves the living and what it was asked to keep."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path

import pytest

from analysis.fingerprint import IDENTITY_BYTES, identity_of
from bot.fetch.blocks import open_blocks, places
from bot.fetch.workspace import KEPT, downloads, job_name, make_room
from bot.housekeeping import keep_house, tidy, tidy_home
from bot.remains import remove_forgotten
from bot.settings import Settings
from storage.errors import DatabaseBusy
from storage.forgetting import Which
from storage.jobs import NewJob
from storage.store import Store
from tests.storage.samples import Clock, report


def leave(home: Path, name: str, clock: Clock) -> Path:
    entry = downloads(home) / name
    entry.mkdir(parents=True)
    old = (clock() - timedelta(days=1)).timestamp()
    os.utime(entry, (old, old))
    return entry


def test_leftovers_of_dead_jobs_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    clock = Clock()
    with Store.open(tmp_path / "x.sqlite", clock) as store:
        living = store.jobs.enqueue(NewJob("a", {})).job
        kept = leave(tmp_path, job_name(living.id), clock)
        dead = leave(tmp_path, "job-999", clock)
        assert tidy(store, Settings(home=tmp_path, keep_dumps="always"))[1] == 0
        assert dead.exists()
        assert tidy(store, Settings(home=tmp_path))[1] == 1
        assert kept.exists()
        assert not dead.exists()


def test_reports_go_only_at_an_age_that_was_set(tmp_path: Path) -> None:
    clock = Clock()
    with Store.open(tmp_path / "x.sqlite", clock) as store:
        store.remember(report())
        clock.turn(days=100)
        assert tidy(store, Settings(home=tmp_path))[0].reports == 0
        assert tidy(store, Settings(home=tmp_path, keep_reports_days=90))[0].reports == 1


async def test_it_goes_on_after_a_failure_and_stops_when_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    stop = asyncio.Event()

    def failing(*_: object) -> None:
        calls.append(1)
        if len(calls) == 3:
            loop.call_soon_threadsafe(stop.set)
        raise DatabaseBusy("database is locked")

    loop = asyncio.get_running_loop()
    monkeypatch.setattr("bot.housekeeping.tidy", failing)
    with Store.open(tmp_path / "x.sqlite") as store:
        await asyncio.wait_for(keep_house(store, Settings(home=tmp_path), stop, every=0.01), 10)
    assert len(calls) >= 3


def test_kept_dumps_make_room_the_oldest_first_and_running_jobs_stay(tmp_path: Path) -> None:
    for age, name in enumerate(("job-3", "kept-job-1", "kept-job-2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dump").write_bytes(bytes(1 << 20))
        os.utime(tmp_path / name, (1000 + age, 1000 + age))
    assert make_room(tmp_path, 1 << 20, 3 << 20)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job-3", "kept-job-2"]
    assert not make_room(tmp_path, 3 << 20, 3 << 20)
    assert [path.name for path in tmp_path.iterdir()] == ["job-3"]


def test_kept_dumps_go_when_their_crashes_were_forgotten_on_another_machine(tmp_path: Path) -> None:
    clock = Clock()
    here, content = tmp_path / "here", b"PAGEDU64" + bytes(5000)

    def keep(number: int) -> Path:
        kept = downloads(here) / f"{KEPT}{job_name(number)}"
        kept.mkdir(parents=True)
        (kept / "dump").write_bytes(content + bytes(number))
        return kept

    def done(store: Store, key: str, **memory: object) -> int:
        store.jobs.enqueue(NewJob(key, {}))
        job = store.jobs.take("w", 60)
        assert job is not None
        assert store.jobs.remember(job, **memory)
        assert store.jobs.finish(job)
        return job.id

    with Store.open(tmp_path / "x.sqlite", clock) as store:
        known, gone = store.remember(report("a")).id, store.remember(report("b")).id
        stays = [keep(done(store, "known", report=known)), keep(done(store, "nothing found"))]
        goes = [keep(done(store, "forgotten", report=gone)), keep(900)]
        old = keep(901)  # its job is no longer remembered, its crash is
        found = identity_of(len(content) + 901, content + bytes(901))
        store._database.change("UPDATE reports SET identity = ? WHERE id = ?", [found, known])
        mine = downloads(here) / f"{KEPT}cli-1"
        mine.mkdir()
        store.forget(Which(numbers=(gone,)))
        assert tidy_home(store, Settings(home=here, keep_dumps="always")) == 2
    assert [entry.exists() for entry in (*stays, old, mine)] == [True] * 4
    assert [entry.exists() for entry in goes] == [False, False]


def test_pages_go_when_their_crash_was_forgotten_on_another_machine_but_not_at_once(tmp_path: Path) -> None:
    content = b"PAGEDU64" + bytes(20_000)

    def fetched(address: str) -> tuple[Path, str]:
        head = content + address.encode()
        pages = open_blocks(tmp_path, address, "v1", len(head))
        pages.write(0, head)
        (place,) = (one for one in places(tmp_path) if one not in seen)
        pages.close()
        seen.append(place)
        return place, identity_of(len(head), head[:IDENTITY_BYTES])

    seen: list[Path] = []
    with Store.open(tmp_path / "x.sqlite") as store:
        known, whose = fetched("https://host/known")
        store._database.change("UPDATE reports SET identity = ? WHERE id = ?", [whose, store.remember(report("a")).id])
        forgotten, _ = fetched("https://host/forgotten-elsewhere")
        assert remove_forgotten(store, tmp_path) == 0
        for place in seen:
            os.utime(place / "marks", (0, 0))
        assert remove_forgotten(store, tmp_path) == 1
    assert (known.exists(), forgotten.exists()) == (True, False)
