"""Old dumps by the thousand: each is read once, whatever cuts the run short, and the sum of it is told."""

import io
import json
import os
import signal
import struct
import subprocess
import sys
import time
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.analyzing import Stop
from bot.ingest.running import Asked, ingest
from bot.ingest.sources import items_of
from bot.ingest.telling import Totals, show_on
from storage.jobs import NewJob
from storage.search import Query
from storage.store import Store
from tests.formats.test_triage import MANY

ROOT = str(Path(__file__).parents[2])
CODE, TIME = 0x38, 0xFA8
EPOCH = datetime(1601, 1, 1, tzinfo=UTC)


def small_dump(code: int, crashed: datetime) -> bytes:
    """A small dump of that stop code and time."""
    data = bytearray(MANY.build())
    struct.pack_into("<I", data, CODE, code)
    struct.pack_into("<Q", data, TIME, int((crashed - EPOCH).total_seconds()) * 10_000_000)
    return bytes(data)


def day(number: int) -> datetime:
    return datetime(2019, 5, 1, 12, tzinfo=UTC) + timedelta(days=number)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PILEUP_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("_NT_SYMBOL_PATH", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def fill(old: Path) -> None:
    (old / "2019" / "may").mkdir(parents=True)
    (old / "2019" / "a.dmp").write_bytes(small_dump(0xD1, day(1)))
    (old / "2019" / "may" / "again.dmp").write_bytes(small_dump(0xD1, day(1)))
    with zipfile.ZipFile(old / "two.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/b.dmp", small_dump(0xD1, day(9)))
        archive.writestr("x/c.dmp", small_dump(0x50, day(5)))
    (old / "broken.dmp").write_bytes(b"PAGEDU64" + bytes(50))
    (old / "notes.txt").write_bytes(b"not asked for")


def test_a_directory_is_read_once_with_archives_and_told(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old"
    fill(old)
    assert ingest(Asked((str(old),), workers=2, as_json=True)) == 3
    said = json.loads(capsys.readouterr().out)
    assert (said["files"], said["read"], said["read_before"], said["dumps"]) == (4, 4, 0, 4)
    (failure,) = said["failures"]
    assert (failure["kind"], failure["count"], failure["files"]) == ("not-a-dump", 1, ["broken.dmp"])
    assert [(one["code"], one["crashes"]) for one in said["problems"]] == [("0xd1", 2), ("0x50", 1)]
    assert said["problems"][0]["first_seen"].startswith("2019-05-02")
    assert said["problems"][0]["last_seen"].startswith("2019-05-10")
    with Store.open(home / "pileup.sqlite") as store:
        assert store.reports.count() == 3
        assert store.search.count(Query(until=day(6))) == 2
        assert store.jobs.active() == []
    (old / "broken.dmp").write_bytes(small_dump(0x1A, day(20)))
    assert ingest(Asked((str(old),), workers=1, as_json=True)) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["read"], said["read_before"], said["dumps"], said["new"]) == (1, 3, 5, 1)
    assert len(said["problems"]) == 3


def test_a_list_names_files_of_any_name_and_says_which_is_missing(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "MEMORY.OLD").write_bytes(small_dump(0xD1, day(1)))
    listed = tmp_path / "all.lst"
    listed.write_text("# from the archive\n\nMEMORY.OLD\nhttps://127.0.0.1:9/x.dmp\n")
    assert [item.name for item in items_of(str(listed))] == ["MEMORY.OLD", "https://127.0.0.1:9/x.dmp"]
    assert ingest(Asked((str(listed),))) == 3
    out = capsys.readouterr().out
    assert "2 of 2 files, in " in out
    assert "1 dumps, 1 of them new to history; 1 different problems." in out
    assert "1 without a report: refused: " in out
    listed.write_text("missing.dmp\n")
    assert ingest(Asked((str(listed),))) == 2
    assert "line 1: there is no file missing.dmp" in capsys.readouterr().err


def test_what_is_not_there_is_said(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert ingest(Asked((str(tmp_path / "empty"),))) == 2
    assert "no dump and no archive" in capsys.readouterr().err
    for what in (str(tmp_path / "nowhere"), "gs://"):
        with pytest.raises(Stop):
            items_of(what)


def test_objects_of_a_bucket_are_found_and_read(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fsspec = pytest.importorskip("fsspec")
    from fsspec.implementations.memory import MemoryFileSystem

    from bot.fetch import buckets

    MemoryFileSystem().pipe("/old-dumps/2019/a.dmp", small_dump(0xD1, day(1)))
    MemoryFileSystem().pipe("/old-dumps/2019/readme.md", b"no dump")
    monkeypatch.setitem(buckets.STORES, "s3", ("fsspec", "s3"))
    monkeypatch.setattr(fsspec, "filesystem", lambda _scheme: MemoryFileSystem())
    (item,) = items_of("s3://old-dumps/2019")
    assert item.place == "s3://old-dumps/2019/a.dmp"
    assert item.version.partition(":")[0].isdecimal()
    assert ingest(Asked(("s3://old-dumps/2019",), as_json=True)) == 0
    assert json.loads(capsys.readouterr().out)["dumps"] == 1


def test_somebody_who_waits_for_a_verdict_goes_first(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.dmp").write_bytes(b"PAGEDU64")
    slept: list[float] = []
    with Store.open(home / "pileup.sqlite") as store:
        store.jobs.enqueue(NewJob("x", {}))

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) == 3:
                job = store.jobs.take("w", 60)
                assert job is not None
                store.jobs.finish(job)

        monkeypatch.setattr("bot.ingest.running.time.sleep", sleep)
        assert ingest(Asked((str(tmp_path / "a.dmp"),), workers=1)) == 3
    assert len(slept) == 3


def test_progress_is_lines_with_rate_and_rest_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.ingest.telling.LINE_SECONDS", 0.0)
    from bot.ingest.reading import Outcome
    from bot.ingest.sources import Item

    stream = io.StringIO()
    totals = Totals(files=4, started=time.monotonic() - 2.0, skipped=1)
    with show_on(totals, stream) as show:
        show(Item("/x/a.dmp", "a.dmp"), Outcome((1,), 1))
    assert stream.getvalue() == "2 of 4 files: 1 dumps, 0 failed; 0.5/s, about 4 s left\n"


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_reads_each_file_once(home: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    for number in range(24):
        (old / f"{number:02}.dmp").write_bytes(small_dump(0xD1, day(number)))
    command = [sys.executable, "-c", "from bot.cli import main; main()", "ingest", str(old), "--json"]
    environment = {**os.environ, "PYTHONPATH": ROOT}
    with Store.open(home / "pileup.sqlite") as store:
        for some in (1, 7, 13):
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) as process:
                while store.reports.count() < some:
                    assert process.poll() is None
                    time.sleep(0.01)
                process.send_signal(signal.SIGKILL)
            assert some <= store.reports.count() < 24
        done = subprocess.run(command, capture_output=True, env=environment, check=True)
        said = json.loads(done.stdout)
        assert said["dumps"] == 24
        assert said["problems"][0]["crashes"] == 24
        assert store.reports.count() == 24
