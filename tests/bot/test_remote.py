"""Dumps that stay where they are: the pages asked for arrive, from this very file, or one line says why not."""

import asyncio
import dataclasses
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from analysis.fingerprint import identity_of
from bot.child import ChildLimits, Order, analyze
from bot.fetch.blocks import PAGE, blocks_home, open_blocks, tidy_blocks
from bot.fetch.download import Fetched
from bot.fetch.limits import FetchLimits, Policy
from bot.fetch.links import link
from bot.fetch.problems import FetchFailed
from bot.fetch.ranged import AT_ONCE, PEEK_BYTES, Whole
from bot.fetch.remote import RemoteDump, Terms, reach
from tests.bot.range_server import RangeServer, serving_ranges
from tests.forge import forge

SIZE = (24 << 20) + 123
QUICK = FetchLimits(total_seconds=5, idle_seconds=0.4, connect_seconds=2, attempts=3, first_wait_seconds=0.01)
FAR = 5000  # a page that no first bytes and no neighbours bring


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not a dump but by its signature; each page holds its own number."""
    path = tmp_path_factory.mktemp("remote") / "dump"
    with path.open("wb") as file:
        file.truncate(SIZE)
        for page in range(SIZE // PAGE + 1):
            file.seek(page * PAGE)
            file.write(f"page {page}".encode())
        file.seek(0)
        file.write(b"PAGEDU64")
    return path


def content(path: Path) -> bytes:
    return path.read_bytes()


def terms(home: Path, **limits: Any) -> Terms:
    return Terms(dataclasses.replace(QUICK, **limits), Policy(allow_private=True), home)


async def reached(server: RangeServer, home: Path, **limits: Any) -> Fetched:
    return await reach(link(server.url), home / "whole", terms(home, **limits))


@asynccontextmanager
async def opened(server: RangeServer, home: Path, **limits: Any) -> AsyncIterator[RemoteDump]:
    fetched = await reached(server, home, **limits)
    assert fetched.pages is not None
    try:
        yield fetched.pages
    finally:
        await asyncio.to_thread(fetched.pages.close)


async def fill(pages: RemoteDump, *runs: tuple[int, int]) -> None:
    await asyncio.to_thread(pages.fill, list(runs))


def page(pages: RemoteDump, number: int) -> bytes:
    with pages.path.open("rb") as file:
        file.seek(number * PAGE)
        return file.read(PAGE).rstrip(b"\0")


async def test_pages_arrive_as_they_are_asked_for_and_no_others(dump: Path, tmp_path: Path) -> None:
    last = SIZE // PAGE
    async with serving_ranges(RangeServer(dump)) as server, opened(server, tmp_path) as pages:
        await fill(pages, (FAR, 2), (last, 1))
        assert [page(pages, number) for number in (FAR, FAR + 1, last)] == [
            f"page {number}".encode() for number in (FAR, FAR + 1, last)
        ]
        assert page(pages, 3000) == b""
        asked = len(server.asked)
        await fill(pages, (FAR, 2))
        assert len(server.asked) == asked == 3
        assert server.sent == pages.received < 2 << 20


async def test_the_dump_has_the_identity_that_a_download_gives_it(dump: Path, tmp_path: Path) -> None:
    async with serving_ranges(RangeServer(dump)) as server, opened(server, tmp_path):
        remote = await reached(server, tmp_path)
    async with serving_ranges(RangeServer(dump, ranges=False)) as server:
        whole = await reached(server, tmp_path)
    assert remote.pages is not None
    await asyncio.to_thread(remote.pages.close)
    assert remote.identity == whole.identity == identity_of(SIZE, content(dump)[:8192])
    assert (remote.sha256, remote.size, remote.tag) == (None, SIZE, '"v1"')


async def test_many_pages_are_asked_for_at_once(dump: Path, tmp_path: Path) -> None:
    async with serving_ranges(RangeServer(dump, delay=0.05)) as server, opened(server, tmp_path) as pages:
        wanted = [(number, 1) for number in range(300, 6000, 100)]
        await fill(pages, *wanted)
        assert AT_ONCE // 2 < server.most_waiting <= AT_ONCE
        assert all(page(pages, number) == f"page {number}".encode() for number, _ in wanted)


async def test_a_region_that_is_asked_about_again_and_again_comes_in_larger_pieces(dump: Path, tmp_path: Path) -> None:
    async with serving_ranges(RangeServer(dump)) as server, opened(server, tmp_path) as pages:
        for number in range(1024, 1536):
            await fill(pages, (number, 1))
        assert len(server.asked) <= 1 + 8
        assert server.sent < PEEK_BYTES + (3 << 20)


async def test_another_analysis_of_the_same_dump_finds_its_pages(dump: Path, tmp_path: Path) -> None:
    async with serving_ranges(RangeServer(dump)) as server:
        async with opened(server, tmp_path) as first, opened(server, tmp_path) as second:
            await fill(first, (FAR, 1))
            asked = len(server.asked)
            await fill(second, (FAR, 1))
            assert page(second, FAR) == b"page 5000"
        assert len(server.asked) == asked
        server.tag = '"v2"'  # another file at the same address
        async with opened(server, tmp_path) as third:
            assert page(third, FAR) == b""
    assert len(list(blocks_home(tmp_path).iterdir())) == 2


def _changed(server: RangeServer, number: int) -> None:
    if number > 1:
        server.tag = '"v2"'


def _short(first: int, last: int) -> bytes:
    # Promises the range, sends half of it and hangs up.
    about = f'ETag: "v1"\r\nContent-Range: bytes {first}-{last}/{SIZE}\r\nContent-Length: {last + 1 - first}'
    return f"HTTP/1.1 206 Partial Content\r\n{about}\r\nX: Content-Length: -\r\n\r\n".encode() + b"half"


def _other(first: int, last: int) -> bytes:
    count = last + 1 - first
    about = f'ETag: "v1"\r\nContent-Range: bytes 0-{count - 1}/{SIZE}\r\nContent-Length: {count}'
    return f"HTTP/1.1 206 Partial Content\r\n{about}\r\n\r\n".encode() + bytes(count)


def _longer(first: int, last: int) -> bytes:
    count = last + 1 - first
    about = f'ETag: "v1"\r\nContent-Range: bytes {first}-{last}/{SIZE}\r\nContent-Length: {count + 5}'
    return f"HTTP/1.1 206 Partial Content\r\n{about}\r\n\r\n".encode() + bytes(count + 5)


def _grown(first: int, last: int) -> bytes:
    count = last + 1 - first
    about = f'ETag: "v1"\r\nContent-Range: bytes {first}-{last}/{SIZE + 1}\r\nContent-Length: {count}'
    return f"HTTP/1.1 206 Partial Content\r\n{about}\r\n\r\n".encode() + bytes(count)


def _unasked_tag(first: int, last: int) -> bytes:
    count = last + 1 - first
    about = f'ETag: "v2"\r\nContent-Range: bytes {first}-{last}/{SIZE}\r\nContent-Length: {count}'
    return f"HTTP/1.1 206 Partial Content\r\n{about}\r\n\r\n".encode() + bytes(count)


def _status(line: str) -> Callable[[int, int], bytes]:
    return lambda _first, _last: f"HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (_other, "the server sent another range than it was asked for"),
        (_grown, "the file changed meanwhile"),
        (_unasked_tag, "the file changed meanwhile"),
        (_status("416 Range Not Satisfiable"), "the file changed meanwhile"),
        (_status("412 Precondition Failed"), "the file changed meanwhile"),
    ],
)
async def test_a_range_of_another_file_is_never_kept(
    dump: Path, tmp_path: Path, answer: Callable[[int, int], bytes], line: str
) -> None:
    server = RangeServer(dump, lie=lambda number, first, last: answer(first, last) if number > 1 else None)
    async with serving_ranges(server), opened(server, tmp_path) as pages:
        with pytest.raises(Whole, match=line):
            await fill(pages, (FAR, 1))
        assert page(pages, FAR) == b""


async def test_a_file_that_changes_in_the_middle_is_noticed(dump: Path, tmp_path: Path) -> None:
    async with serving_ranges(RangeServer(dump)) as server, opened(server, tmp_path) as pages:
        await fill(pages, (3000, 1))
        server.tag = '"v2"'
        with pytest.raises(Whole, match="the file changed meanwhile"):
            await fill(pages, (FAR, 1))


async def test_a_server_that_stops_serving_ranges_is_noticed(dump: Path, tmp_path: Path) -> None:
    async with serving_ranges(RangeServer(dump)) as server, opened(server, tmp_path) as pages:
        server.ranges = False
        with pytest.raises(Whole, match="the server stopped serving ranges"):
            await fill(pages, (FAR, 1))


@pytest.mark.parametrize("answer", [_short, _longer, _status("503 Service Unavailable")])
async def test_a_range_that_comes_broken_is_asked_for_again(
    dump: Path, tmp_path: Path, answer: Callable[[int, int], bytes]
) -> None:
    server = RangeServer(dump, lie=lambda number, first, last: answer(first, last) if number in (2, 3) else None)
    async with serving_ranges(server), opened(server, tmp_path) as pages:
        await fill(pages, (FAR, 1))
        assert page(pages, FAR) == b"page 5000"
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("answer", "kind", "line"),
    [
        (_status("503 Service Unavailable"), "status", "the server answered 503 Service Unavailable"),
        (_status("403 Forbidden"), "status", "the server answered 403 Forbidden: the link needs a login"),
        (_short, "network", "the connection broke off, with 1.0 MB of 25.2 MB here"),
    ],
)
async def test_a_range_that_never_comes_is_one_line(
    dump: Path, tmp_path: Path, answer: Callable[[int, int], bytes], kind: str, line: str
) -> None:
    server = RangeServer(dump, lie=lambda number, first, last: answer(first, last) if number > 1 else None)
    async with serving_ranges(server), opened(server, tmp_path) as pages:
        with pytest.raises(FetchFailed, match=re.escape(line)) as failed:
            await fill(pages, (FAR, 1))
    assert failed.value.kind == kind


async def test_a_server_that_falls_silent_or_trickles_is_left(dump: Path, tmp_path: Path) -> None:
    async with serving_ranges(RangeServer(dump)) as server, opened(server, tmp_path, attempts=1) as pages:
        server.delay = 3
        with pytest.raises(FetchFailed, match="the server sent nothing for"):
            await fill(pages, (FAR, 1))
    limits = {"patience_seconds": 0.4, "slowest_rate": 1e9, "idle_seconds": 5}
    async with serving_ranges(RangeServer(dump)) as server, opened(server, tmp_path, **limits) as pages:
        server.delay = 0.45
        with pytest.raises(FetchFailed, match="the server sends too slowly"):
            await fill(pages, (3000, 1))


async def test_the_time_between_two_questions_is_not_the_servers(dump: Path, tmp_path: Path) -> None:
    limits = {"patience_seconds": 1.0, "slowest_rate": 1e9}
    async with serving_ranges(RangeServer(dump)) as server, opened(server, tmp_path, **limits) as pages:
        await fill(pages, (FAR, 1))
        await asyncio.sleep(1.1)
        await fill(pages, (3000, 1))
        assert page(pages, 3000) == b"page 3000"


async def test_no_more_than_the_size_cap_is_fetched(dump: Path, tmp_path: Path) -> None:
    async with serving_ranges(RangeServer(dump)) as server, opened(server, tmp_path, max_bytes=3 << 20) as pages:
        await fill(pages, (1000, 10))
        with pytest.raises(FetchFailed, match="more than the size cap"):
            await fill(pages, (0, SIZE // PAGE))
        assert server.sent < 3 << 20


async def test_fetching_is_cancelled_at_once(dump: Path, tmp_path: Path) -> None:
    async with serving_ranges(RangeServer(dump)) as server, opened(server, tmp_path, idle_seconds=30) as pages:
        server.delay = 20
        filling = asyncio.create_task(fill(pages, (FAR, 1)))
        while server.heard < 2:  # noqa: ASYNC110  # the server's own state
            await asyncio.sleep(0.01)
        pages.cancel()
        async with asyncio.timeout(2):
            with pytest.raises(FetchFailed, match="stopped"):
                await filling


@pytest.mark.parametrize(
    ("server", "why"),
    [
        ({"ranges": False}, "the server does not serve ranges"),
        ({"tag": 'W/"v1"', "changed": None}, "the server has no strong mark for the file's version"),
        ({"tag": None, "changed": 4_000_000_000.0}, "the server has no strong mark for the file's version"),
        ({"lie": lambda number, _first, _last: _status("416 Range Not Satisfiable")(0, 0) if number == 1 else None},
         "the server does not serve ranges"),
        ({"lie": lambda number, _first, _last: _other(5, 9).replace(b"bytes 0-", b"bytes 7-") if number == 1 else None},
         "the server does not serve ranges"),
    ],
)  # fmt: skip
async def test_without_ranges_to_rely_on_the_dump_comes_whole_and_says_why(
    dump: Path, tmp_path: Path, server: dict[str, Any], why: str
) -> None:
    async with serving_ranges(RangeServer(dump, **server)) as serving:
        fetched = await reached(serving, tmp_path)
    assert fetched.pages is None
    assert content(fetched.path) == content(dump)
    assert fetched.note == f"The dump was downloaded whole, for {why}."


async def test_a_date_of_last_change_is_a_mark_too(dump: Path, tmp_path: Path) -> None:
    async with serving_ranges(RangeServer(dump, tag=None)) as server, opened(server, tmp_path) as pages:
        await fill(pages, (FAR, 1))
        server.changed = 1_700_000_000.0
        with pytest.raises(Whole, match="the file changed meanwhile"):
            await fill(pages, (3000, 1))


async def test_a_small_file_is_whole_with_its_first_bytes(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.write_bytes(b"PAGEDU64" + bytes(300_000))
    async with serving_ranges(RangeServer(small)) as server:
        fetched = await reached(server, tmp_path)
    assert len(server.asked) == 1
    assert (fetched.path.read_bytes(), fetched.note, fetched.pages) == (small.read_bytes(), None, None)
    assert fetched.sha256 is not None


async def test_what_is_no_dump_goes_on_where_the_first_bytes_end(tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    packed.write_bytes(b"\x1f\x8b\x08" + bytes(17 << 20))
    async with serving_ranges(RangeServer(packed)) as server:
        fetched = await reached(server, tmp_path)
    assert server.asked == [(0, PEEK_BYTES - 1), (PEEK_BYTES, packed.stat().st_size - 1)]
    assert (fetched.path.read_bytes(), fetched.note) == (packed.read_bytes(), None)


def test_what_nobody_uses_is_thrown_away_oldest_first(tmp_path: Path) -> None:
    kept = open_blocks(tmp_path, "http://a/", "v", 1 << 30)
    kept.write(0, bytes(PAGE * 100))
    old = open_blocks(tmp_path, "http://b/", "v", 1 << 30)
    old.write(0, bytes(PAGE * 100))
    old.close()
    assert tidy_blocks(tmp_path, 10 << 20) == 0
    assert tidy_blocks(tmp_path, PAGE * 110) == 1
    assert tidy_blocks(tmp_path, 0) == 0, "in use"
    assert kept.missing([(0, 101)]) == [(100, 1)]
    kept.close()
    assert tidy_blocks(tmp_path, 0) == 1


def test_marks_of_a_machine_that_went_down_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_marks = open_blocks(tmp_path, "http://a/", "v", 1 << 20)
    with_marks.write(0, bytes(PAGE))
    with_marks.close()
    monkeypatch.setattr("bot.fetch.blocks._BOOT", tmp_path / "another-start")
    again = open_blocks(tmp_path, "http://a/", "v", 1 << 20)
    assert again.missing([(0, 2)]) == [(0, 2)]
    again.close()


async def test_the_report_is_that_of_the_whole_dump(tmp_path: Path) -> None:
    forged = forge("seed")
    path = forged.write(tmp_path / "big.dmp", memory_bytes=2 << 30)
    forged.write_isf(tmp_path / "symbols")
    order = Order(path, "memory.dmp", (tmp_path / "symbols",))
    local = await analyze(order, ChildLimits())
    told: list[str] = []
    async with serving_ranges(RangeServer(path)) as server:
        fetched = await reached(server, tmp_path)
        assert fetched.pages is not None
        pages = fetched.pages
        order = dataclasses.replace(order, path=fetched.path, pages=pages)
        remote = await analyze(order, ChildLimits(), lambda _stage, _fraction: told.append(pages.said))
        await asyncio.to_thread(pages.close)
    assert remote.verdict.culprit == local.verdict.culprit
    assert remote.blocking == local.blocking
    assert remote.modules == local.modules
    assert remote.dump.identity == local.dump.identity
    assert remote.dump.sha256 is None
    assert remote.notes[-1] == pages.summary
    assert server.sent == pages.received < path.stat().st_size / 100
    assert told[0] == "reading 1.0 MB of 2.1 GB"
    assert told[-1] == pages.said
