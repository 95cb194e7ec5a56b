"""Object stores: only buckets that the operator names, and a clear line where the extra is missing.

The file system behind ``s3://`` here is fsspec's own in memory: a real one needs an account.
"""

import importlib.util
from pathlib import Path

import pytest

from bot.fetch import buckets
from bot.fetch.limits import FetchLimits, Policy
from bot.fetch.links import find_links, is_wanted, link
from bot.fetch.problems import FetchFailed
from bot.fetch.remote import Terms, reach

fsspec = pytest.importorskip("fsspec")
URL = "s3://crash-dumps/a/MEMORY.DMP"


def terms(tmp_path: Path, **limits: int) -> Terms:
    return Terms(FetchLimits(**limits), Policy(buckets=frozenset({"s3://crash-dumps"})), tmp_path)


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> bytes:
    from fsspec.implementations.memory import MemoryFileSystem

    body = bytes(range(256)) * 40_000
    MemoryFileSystem().pipe("/crash-dumps/a/MEMORY.DMP", body)
    monkeypatch.setitem(buckets.STORES, "s3", ("fsspec", "s3"))
    monkeypatch.setattr(fsspec, "filesystem", lambda _scheme: MemoryFileSystem())
    return body


async def test_an_object_arrives_whole(stored: bytes, tmp_path: Path) -> None:
    told: list[float | None] = []
    fetched = await reach(link(URL), tmp_path / "x", terms(tmp_path), progress=lambda a: told.append(a.fraction))
    assert fetched.path.read_bytes() == stored
    assert fetched.source == URL


@pytest.mark.parametrize(
    ("url", "kind", "line"),
    [
        ("s3://other/x.dmp", "refused", "s3://other is not on the list of buckets that links may lead to"),
        ("s3://crash-dumps/none.dmp", "status", "there is no such object, or it may not be read"),
    ],
)
@pytest.mark.usefixtures("stored")
async def test_what_cannot_be_read_says_why(url: str, kind: str, line: str, tmp_path: Path) -> None:
    with pytest.raises(FetchFailed) as caught:
        await reach(link(url), tmp_path / "x", terms(tmp_path))
    assert (caught.value.kind, caught.value.line) == (kind, line)


@pytest.mark.usefixtures("stored")
async def test_an_object_over_the_cap_is_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match="size cap"):
        await reach(link(URL), tmp_path / "x", terms(tmp_path, max_bytes=1000))


@pytest.mark.skipif(importlib.util.find_spec("s3fs") is not None, reason="the extra is installed here")
async def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    with pytest.raises(FetchFailed) as caught:
        await reach(link(URL), tmp_path / "x", terms(tmp_path))
    assert caught.value.line == "s3:// links need an extra: pip install 'pileup[s3]'"


def test_such_links_are_found_in_a_message() -> None:
    found = find_links("see s3://crash-dumps/a/MEMORY.DMP and `gs://b/x.dmp`, <az://c/x.dmp>")
    assert [one.url for one in found] == [URL, "gs://b/x.dmp", "az://c/x.dmp"]
    assert is_wanted(found[0], addressed=False)
