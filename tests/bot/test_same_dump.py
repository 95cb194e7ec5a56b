"""One dump is one crash, however it comes: whole, by ranges, zipped, zipped another way, packed as a single file."""

import asyncio
import gzip
import hashlib
import io
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.fingerprint import identity
from analysis.verdict.report import Report
from bot.fetch.download import Fetched
from bot.fetch.links import link
from bot.fetch.remote import reach
from bot.sandbox import StandIn
from storage.store import Store
from tests.bot.kit import ANNA, CRASHES, Analyst, bot, dump, is_done, is_told, replies, shown, until
from tests.bot.range_server import RangeServer, serving_ranges
from tests.bot.server import page, serving
from tests.bot.test_remote import terms
from tests.storage.samples import report

LARGE = b"PAGEDU64" + bytes(range(256)) * 80_000  # so large that it stays on its server


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        yield stand_in


def zipped(name: str, data: bytes, method: int, level: int | None = None) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method, compresslevel=level) as archive:
        archive.writestr(name, data)
    return out.getvalue()


async def test_a_dump_zipped_and_zipped_again_another_way_is_that_dump(slack: StandIn, tmp_path: Path) -> None:
    content, analyst = b"MDMP" + dump("seed", 1), Analyst()
    routes = {
        "1.dmp": page(content),
        "a.zip": page(zipped("MEMORY.DMP", content, zipfile.ZIP_DEFLATED, 1)),
        "b.zip": page(zipped("old/renamed.dmp", content, zipfile.ZIP_DEFLATED, 9)),
        "c.zip": page(zipped("x.dmp", content, zipfile.ZIP_STORED)),
        "d.dmp.gz": page(gzip.compress(content)),
    }
    async with serving(**routes) as files, bot(slack, tmp_path, analyst):
        first = slack.workspace.say(CRASHES, ANNA, files.url("/1.dmp"))
        await until(lambda: is_told(slack, first))
        for name in list(routes)[1:]:
            assert "This very dump was analysed" in await answer(slack, files.url(f"/{name}")), name
    assert analyst.runs == 1
    with Store.open(tmp_path / "pileup.sqlite") as store:
        assert store.reports.count() == 1


async def answer(slack: StandIn, url: str) -> str:
    posted = slack.workspace.say(CRASHES, ANNA, url)
    await until(lambda: is_done(slack, posted))
    return shown(replies(slack, posted)[0])


def told(fetched: Fetched) -> Report:
    made = report("any")
    about = replace(made.dump, identity=fetched.identity, sha256=fetched.sha256, size_bytes=fetched.size)
    return replace(made, dump=about)


@pytest.mark.parametrize("whole_first", [True, False])
async def test_a_dump_read_by_ranges_is_the_one_that_was_downloaded(tmp_path: Path, *, whole_first: bool) -> None:
    (tmp_path / "x").write_bytes(LARGE)
    async with serving_ranges(RangeServer(tmp_path / "x")) as server:
        ranged = await reach(link(server.url), tmp_path / "ranged", terms(tmp_path))
        assert ranged.pages is not None
        await asyncio.to_thread(ranged.pages.close)
        whole = await reach(link(server.url), tmp_path / "whole", terms(tmp_path), whole="a test")
    assert whole.pages is None
    assert (ranged.sha256, whole.sha256) == (None, hashlib.sha256(LARGE).hexdigest())
    assert ranged.identity == whole.identity == identity(tmp_path / "x", len(LARGE))
    first, second = (whole, ranged) if whole_first else (ranged, whole)
    with Store.open(tmp_path / "x.sqlite") as store:
        number = store.remember(told(first)).id
        same = store.duplicates.same_dump(second.identity, second.sha256)
        assert same is not None
        assert same.report.id == number
        assert store.remember(told(second)).id == number
        kept = store.reports.get(number)
        assert kept is not None
        assert kept.sha256 == whole.sha256


async def test_two_dumps_that_differ_behind_their_first_pages_are_two_where_both_hashes_are_known(
    tmp_path: Path,
) -> None:
    other = LARGE[:-8] + b"another!"
    with Store.open(tmp_path / "x.sqlite") as store:
        for content in (LARGE, other):
            (tmp_path / "x").write_bytes(content)
            known = identity(tmp_path / "x", len(content))
            fetched = Fetched(tmp_path / "x", len(content), hashlib.sha256(content).hexdigest(), known, "x", 0.0)
            store.remember(told(fetched))
        assert store.reports.count() == 2
