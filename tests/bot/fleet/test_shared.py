"""Posted dumps in a place that several machines share: a directory, an object store that speaks S3."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import httpx
import pytest

from bot.sandbox import StandIn
from bot.settings import Settings
from bot.shelf import Directory, ShelfFailed, checked_place, shelf_at
from storage.store import Store
from storage.uploads import Quota
from tests.bot.fleet.test_queue_crew import worker_process
from tests.bot.kit import bot, dump, free_port
from tests.fleet.object_store import ObjectStore, object_store

NO_FILE = "FileNotFoundError"
UPLOADS = ["A" * 24, "B" * 24, "C" * 24]
# Steps on a shelf, by a process of its own, as on another machine: what each gives, or the name of its error.
STEPS = """
import json, sys
from pathlib import Path
from bot.shelf import shelf_at
place, incoming, steps = sys.argv[1:]
shelf, said = shelf_at(place, Path(incoming)), []
for act, *words in json.loads(steps):
    if act == "bring":
        words[1] = Path(words[1])
    try:
        said.append(shelf.sweep(lambda: frozenset(words)) if act == "sweep" else getattr(shelf, act)(*words))
    except OSError as error:
        said.append(type(error).__name__)
print(json.dumps(said))
"""
BUCKET = "import fsspec, sys; fsspec.filesystem('s3').mkdir(sys.argv[1])"


@pytest.fixture(scope="module")
def objects() -> Iterator[ObjectStore]:
    with object_store() as started:
        run(BUCKET, "crash-dumps", **started.environment)
        yield started


def run(words: str, *arguments: object, **environment: str) -> str:
    """What a Python process prints; its last line of complaint is the error."""
    known = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    command = [sys.executable, "-c", words, *map(str, arguments)]
    done = subprocess.run(command, env=known | environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(done.stderr.strip().splitlines()[-1])
    return done.stdout


def reach(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process reach the store, too, whatever it has reached before."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if environment:
        monkeypatch.setitem(fsspec.config.conf, "s3", {"endpoint_url": environment["FSSPEC_S3_ENDPOINT_URL"]})


@pytest.fixture(params=["directory", "s3"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, dict[str, str]]:
    """A place that processes share, and what they need in their environment to reach it."""
    if request.param == "directory":
        return str(tmp_path / "shared"), {}
    started: ObjectStore = request.getfixturevalue("objects")
    return f"s3://crash-dumps/{tmp_path.name}", started.environment


def test_what_one_machine_keeps_another_brings_removes_and_sweeps(
    shared: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    place, environment = shared
    here = tmp_path / "here" if "://" in place else Path(place)

    def on(machine: str, *steps: tuple[object, ...]) -> list[object]:
        told = json.dumps(steps, default=str)
        found: list[object] = json.loads(run(STEPS, place, tmp_path / machine, told, **environment))
        return found

    first, second, third = UPLOADS
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    for number, upload in enumerate(UPLOADS):
        (here / upload).mkdir(parents=True)
        (here / upload / "dump").write_bytes(dump("seed", number))
    assert on("here", *(("keep", upload) for upload in UPLOADS)) == [None] * 3
    steps = [("bring", first, one), ("bring", first, two), ("remove", first), ("bring", first, three)]
    assert on("there", *steps, ("remove", first), ("sweep", second)) == [None, None, None, NO_FILE, None, 1]
    assert one.read_bytes() == two.read_bytes() == dump("seed", 0)
    assert on("here", ("bring", third, three), ("bring", second, three)) == [NO_FILE, None]
    assert three.read_bytes() == dump("seed", 1)


@pytest.mark.parametrize("shared", ["directory", pytest.param("s3", marks=pytest.mark.slow)], indirect=True)
async def test_a_worker_elsewhere_reads_what_was_posted(
    shared: tuple[str, dict[str, str]], tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, environment = shared
    reach(environment, monkeypatch)
    port = free_port()
    more: dict[str, Any] = {
        "database_url": postgres_url,
        "uploads": place,
        "web_port": port,
        "web_secret": "0" * 32,
        "workers": 0,
    }
    with Store.open(postgres_url) as store:
        _, secret = store.tokens.add("machine", ["analyze"], None)
    async with (
        StandIn() as slack,
        bot(slack, tmp_path / "bot", None, **more),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        client.headers["Authorization"] = f"Bearer {secret}"
        with worker_process(slack, tmp_path / "elsewhere", postgres_url, 0.1, UPLOADS=place, **environment):
            answer = await client.post("/api/analyze?name=x.dmp", content=b"MDMP" + dump("seed"))
            assert answer.status_code == 202, answer.text
            address = answer.json()["url"]

            async def ended() -> bool:
                return bool((await client.get(address)).json()["state"] not in ("waiting", "running"))

            async with asyncio.timeout(40):
                while not await ended():  # noqa: ASYNC110  # asked over HTTP
                    await asyncio.sleep(0.2)
            outcome = (await client.get(address)).json()
    assert outcome["state"] == "done"
    assert "rassstp.sys" in json.dumps(outcome)
    assert list((tmp_path / "bot" / "uploads").glob("*")) == []


async def test_a_store_that_is_away_is_said_to_who_posts_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach(ObjectStore(f"http://127.0.0.1:{free_port()}").environment | {"AWS_MAX_ATTEMPTS": "1"}, monkeypatch)
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    port = free_port()
    with Store.open(tmp_path / "pileup.sqlite") as store:
        _, secret = store.tokens.add("machine", ["analyze"], None)
        more: dict[str, Any] = {"uploads": "s3://crash-dumps", "web_port": port, "web_secret": "0" * 32, "workers": 0}
        async with (
            StandIn() as slack,
            bot(slack, tmp_path, None, **more),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
        ):
            client.headers["Authorization"] = f"Bearer {secret}"
            answer = await client.post("/api/analyze?name=x.dmp", content=b"MDMP" + dump("seed"))
            assert (answer.status_code, "post it again later" in answer.text) == (503, True)
        assert store.jobs.active() == []
        store.uploads.begin("token:1", "next", Quota(at_once=1))
    assert list((tmp_path / "uploads").glob("*")) == []


def test_a_place_is_a_directory_or_an_object_store_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(shelf_at(None, tmp_path), Directory)
    assert shelf_at(str(tmp_path), tmp_path / "x").path == tmp_path  # type: ignore[attr-defined]  # of a Directory
    for wrong in ("https://host/x", "s3://", "memory://x"):
        with pytest.raises(ValueError, match="s3://bucket/prefix"):
            checked_place(wrong)
    given = Settings(_env_file=None, home=tmp_path, uploads="s3://crash-dumps/x")  # type: ignore[call-arg]  # its own
    assert given.uploads_path == tmp_path / "uploads"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ShelfFailed, match=r"pileup\[s3\]"):
        _ = given.shelf
