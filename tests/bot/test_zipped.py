"""Zips on a web server: no more is fetched than their dumps need; the whole, where that cannot be told."""

import asyncio
import random
import struct
import zipfile
from pathlib import Path

import pytest

from bot.archives.limits import ArchiveFailed, ArchiveLimits
from bot.archives.opening import Opened, open_archive
from bot.fetch.download import Fetched
from bot.fetch.links import link
from bot.fetch.problems import FetchFailed
from bot.fetch.remote import reach
from tests.bot.range_server import RangeServer, serving_ranges
from tests.bot.test_remote import fill, page, terms

STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
BALLAST = random.Random(1).randbytes(20 << 20)  # a member that nobody wants
BIG = b"PAGEDU64" + BALLAST[8:]
SMALL = b"PAGEDU64" + bytes(range(256)) * 2000


def zipped(path: Path, *members: tuple[str, bytes, int]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data, method in members:
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=method)
    return path


async def came(path: Path, home: Path, **limits: object) -> tuple[Fetched, RangeServer]:
    async with serving_ranges(RangeServer(path)) as server:
        fetched = await reach(link(server.url.replace("memory.dmp", "x.zip")), home / "dump", terms(home, **limits))
        if fetched.pages is not None:
            await asyncio.to_thread(fetched.pages.close)
        return fetched, server


async def unpacked(fetched: Fetched) -> Opened:
    return await open_archive(fetched, "x.zip", ArchiveLimits())


async def test_a_dump_that_is_stored_in_a_zip_is_read_where_it_lies(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x", ("readme.md", b"hello", DEFLATED), ("a/MEMORY.DMP", BIG, STORED))
    async with serving_ranges(RangeServer(path)) as server:
        fetched = await reach(link(server.url), tmp_path / "dump", terms(tmp_path))
        assert fetched.pages is not None
        assert fetched.size == len(BIG)
        assert fetched.source.endswith(" › MEMORY.DMP")
        last = len(BIG) // 4096 - 1
        await fill(fetched.pages, (3000, 1), (last, 1))
        for number in (0, 3000, last):
            assert page(fetched.pages, number) == BIG[number * 4096 : (number + 1) * 4096].rstrip(b"\0")
        await asyncio.to_thread(fetched.pages.close)
    assert server.sent < len(BIG) / 8


async def test_of_a_zip_only_the_members_that_are_dumps_come(tmp_path: Path) -> None:
    path = zipped(
        tmp_path / "x", ("trace.etl", BALLAST, STORED), ("one.dmp", SMALL, DEFLATED), ("other.etl", BALLAST, DEFLATED),
        ("two.dmp", SMALL[:9000], STORED), ("folder/", b"", STORED),
    )  # fmt: skip
    fetched, server = await came(path, tmp_path)
    opened = await unpacked(fetched)
    assert [(name, one.path.read_bytes()) for name, one in opened.dumps] == [
        ("one.dmp", SMALL),
        ("two.dmp", SMALL[:9000]),
    ]
    assert opened.damaged == ()
    assert server.sent < 2 << 20
    assert "only what its dumps need" in (opened.dumps[0][1].note or "")


async def test_a_zip_without_a_dump_is_known_as_such_without_its_members(tmp_path: Path) -> None:
    fetched, server = await came(zipped(tmp_path / "x", ("trace.etl", BALLAST, STORED)), tmp_path)
    with pytest.raises(ArchiveFailed, match=r"there is no dump in it, only trace\.etl"):
        await unpacked(fetched)
    assert server.sent < 2 << 20


@pytest.mark.parametrize(
    "members",
    [
        [("a.dmp", BIG, DEFLATED)],  # all of it is wanted
        [("in.zip", b"PK\x03\x04" + BALLAST, STORED)],  # an archive again
        [("a.bin", BALLAST[:100], STORED), ("b.dmp", SMALL, zipfile.ZIP_LZMA), ("c.dmp", BIG, STORED)],
        [(f"{number}.bin", BALLAST[:300_000], STORED) for number in range(65)],  # more than are looked at
    ],
)
async def test_a_zip_of_which_most_is_wanted_or_unknown_comes_whole(
    members: list[tuple[str, bytes, int]], tmp_path: Path
) -> None:
    path = zipped(tmp_path / "x", *members)
    fetched, _ = await came(path, tmp_path)
    assert fetched.pages is None
    assert fetched.path.read_bytes() == path.read_bytes()


async def test_a_directory_that_lies_brings_the_whole_zip(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x", ("trace.etl", BALLAST, STORED), ("one.dmp", SMALL, DEFLATED))
    sound = path.read_bytes()
    end = sound.rindex(b"PK\x05\x06")
    first = sound.index(b"PK\x01\x02", len(BALLAST))
    for at, value in ((end + 12, 0xFFFFFFF0), (end + 16, 5), (first + 42, 0x7FFFFFFF), (first + 20, 0xFFFFFFFE),
                      (first + 42, len(BALLAST))):  # fmt: skip
        path.write_bytes(sound[:at] + struct.pack("<I", value) + sound[at + 4 :])
        fetched, _ = await came(path, tmp_path)
        assert fetched.path.stat().st_size == len(sound)
        assert fetched.left_there == frozenset()
    path.write_bytes(sound[:-9])
    fetched, _ = await came(path, tmp_path)
    assert fetched.sha256 is not None


async def test_a_zip_that_changes_meanwhile_comes_whole_and_says_so(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x", ("trace.etl", BALLAST, STORED), ("one.dmp", SMALL, DEFLATED))

    def change(number: int, _first: int, _last: int) -> None:
        if number == 2:
            server.tag = '"v2"'

    async with serving_ranges(RangeServer(path)) as server:
        server.lie = change
        fetched = await reach(link(server.url), tmp_path / "dump", terms(tmp_path))
    assert fetched.path.read_bytes() == path.read_bytes()
    assert "the file changed meanwhile" in (fetched.note or "")


async def test_what_is_in_a_zip_stays_under_the_cap(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x", ("trace.etl", BALLAST, STORED), ("a.dmp", BIG[: 4 << 20], DEFLATED))
    with pytest.raises(FetchFailed, match="over the size cap"):
        await came(path, tmp_path, max_bytes=3 << 20)
    assert not (tmp_path / "dump").exists()
