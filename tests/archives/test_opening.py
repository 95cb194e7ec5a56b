"""An archive is unpacked by a child, whose word is not believed."""

import asyncio
import os
from pathlib import Path

import pytest

from bot.archives import opening
from bot.archives.limits import ArchiveFailed, ArchiveLimits
from bot.archives.opening import open_archive
from bot.fetch.download import Fetched
from tests.archives import build
from tests.archives.test_unpack import DUMP, SOUND, ZEROS


def fetched(data: bytes, tmp_path: Path) -> Fetched:
    path = tmp_path / "dump"
    path.write_bytes(data)
    return Fetched(path, len(data), "", "", "https://h/all.zip", 0.5)


async def test_the_dumps_of_an_archive_are_files_of_their_own(tmp_path: Path) -> None:
    opened = await open_archive(fetched(SOUND["zip"], tmp_path), "all.zip", ArchiveLimits())
    (name, first), (_, second) = opened.dumps
    assert (name, opened.is_archive) == ("Mini1.dmp", True)
    assert first.path.read_bytes() == DUMP
    assert first.source == "https://h/all.zip › Mini1.dmp"
    assert first.identity != second.identity
    assert not (tmp_path / "dump").exists()


async def test_a_dump_is_left_as_it_is(tmp_path: Path) -> None:
    plain = fetched(DUMP, tmp_path)
    opened = await open_archive(plain, "x.dmp", ArchiveLimits())
    assert opened.dumps == (("x.dmp", plain),)
    assert plain.path.exists()


async def test_a_password_of_the_asker_opens_it(tmp_path: Path) -> None:
    data = build.locked_zip({"x.dmp": DUMP}, "Tr0ub4dor")
    with pytest.raises(ArchiveFailed, match="password"):
        await open_archive(fetched(data, tmp_path), "x.zip", ArchiveLimits())
    (tmp_path / "unpacked").rmdir()
    opened = await open_archive(fetched(data, tmp_path), "x.zip", ArchiveLimits(), "Tr0ub4dor")
    assert [name for name, _ in opened.dumps] == ["x.dmp"]


@pytest.mark.parametrize(
    ("data", "limits", "line"),
    [
        (build.zipped({"x.dmp": ZEROS}), ArchiveLimits(free_bytes=1 << 20), "300 times its size"),
        (build.sevenzip({"x.dmp": ZEROS}), ArchiveLimits(memory_bytes=30_000_000), "memory"),
    ],
)
async def test_a_bomb_costs_its_child_and_one_line(
    data: bytes, limits: ArchiveLimits, line: str, tmp_path: Path
) -> None:
    with pytest.raises(ArchiveFailed, match=line) as caught:
        await open_archive(fetched(data, tmp_path), "x", limits)
    assert (caught.value.kind, caught.value.exit_code) == ("limit", 5)


async def test_a_child_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(ArchiveFailed, match=r"not unpacked after 0\.05 s"):
        await open_archive(fetched(SOUND["zip"], tmp_path), "x", ArchiveLimits(seconds=0.05))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ('{"dumps": [["x", "../dump"]]}', "fault"),
        ('{"dumps": [["x", "1"]]}', "fault"),  # a symbolic link
        ('{"dumps": [["x", "2"]]}', "fault"),  # a second name of somebody's file
        ('{"dumps": ["x"]}', "fault"),
        ('{"error": {"kind": "nonsense", "message": "m"}}', "fault"),
        ('{"error": {"kind": "limit", "message": "m"}}', "limit"),
        ("no JSON", "damaged"),
        ("", "damaged"),
    ],
)
async def test_what_a_child_says_is_not_believed(
    answer: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = f"""
import json, os, sys
directory = json.loads(sys.stdin.readline())["directory"]
os.symlink("/etc/passwd", directory + "/1")
os.link(directory + "/../dump", directory + "/2")
print({answer!r})
"""
    monkeypatch.setattr(opening, "PROGRAM", ("-c", code))
    with pytest.raises(ArchiveFailed) as caught:
        await open_archive(fetched(SOUND["zip"], tmp_path), "x", ArchiveLimits())
    assert caught.value.kind == kind


async def test_cancelling_kills_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted = tmp_path / "pid"
    code = f"import os, time; open({str(noted)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    monkeypatch.setattr(opening, "PROGRAM", ("-c", code))
    task = asyncio.create_task(open_archive(fetched(SOUND["zip"], tmp_path), "x", ArchiveLimits()))
    while not (noted.exists() and noted.read_text()):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProcessLookupError):
        os.kill(int(noted.read_text()), 0)
