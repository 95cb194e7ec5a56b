"""Dumps that come in over the web: by the API and by the form, refused and taken, told and untold."""

import asyncio
import io
import os
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.fetch.limits import FetchLimits
from bot.fetch.problems import FetchFailed
from bot.posted import opened
from bot.sandbox import StandIn
from bot.shelf import Directory
from bot.web import links
from bot.web.doors import Doors
from bot.web.guard import Access
from bot.web.pages import create_site
from bot.web.uploads.intake import Intake
from bot.web.uploads.receiving import shown_name
from storage import Store
from storage.clock import utc_now
from storage.jobs import NewJob
from storage.tokens import Scope
from storage.uploads import Quota
from tests.bot.kit import CRASHES, NO_BOT, Analyst, bot, dump, free_port, replies, shown, until
from tests.bot.web.described import check
from tests.bot.web.documents import parsed
from tests.bot.web.issuer import Fake
from tests.bot.web.sites import SECRET
from tests.bot.web.test_sign_in import URL, Members, sign_in, terms
from tests.storage.samples import Clock

TEXT = b"nt!KeBugCheckEx\nBugCheck 9F, {3, 1, 2, 3}\nSTACK_TEXT:\nMODULE_NAME: x\n" * 3
SCOPES = frozenset({"chat:write", "reactions:write", "channels:history", "files:write", "files:read", "channels:read"})


def minidump(name: str = "seed", variant: int = 0) -> bytes:
    """What the pretended analysis knows, in the coat of a minidump."""
    return b"MDMP" + dump(name, variant)


@dataclass
class Site:
    """A site without workers, and what it writes."""

    client: httpx.AsyncClient
    store: Store
    uploads: Path

    def bear(self, *scopes: Scope, channels: list[str] | None = None) -> None:
        _, secret = self.store.tokens.add(f"t{len(self.store.tokens.all())}", scopes, channels)
        self.client.headers["Authorization"] = f"Bearer {secret}"

    @property
    def files(self) -> list[Path]:
        return [path for path in self.uploads.rglob("*") if path.is_file()]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "pileup.sqlite", Clock()) as opened_store:
        yield opened_store


@asynccontextmanager
async def site(
    store: Store, home: Path, access: Access | None = None, quota: Quota | None = None, **limits: Any
) -> AsyncIterator[Site]:
    uploads = home / "uploads"
    uploads.mkdir(exist_ok=True)
    intake = Intake(store, uploads, FetchLimits(**limits), quota or Quota(), "T1", frozenset({"C1", "C2"}))
    made = create_site(store, access or Access(SECRET), Clock(), doors=Doors(per_minute=1000, intake=intake))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(made), base_url="http://127.0.0.1") as client:
        yield Site(client, store, uploads)


async def parts(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def form(*fields: tuple[str, bytes], ends: bool = True, after: bytes = b"") -> tuple[dict[str, str], bytes]:
    """A form written by hand: fields whose name may hold a file's."""
    body = b"".join(
        b'--XX\r\nContent-Disposition: form-data; name="' + name.encode() + b'"\r\n\r\n' + value + b"\r\n"
        for name, value in fields
    )
    return {"Content-Type": "multipart/form-data; boundary=XX"}, body + (b"--XX--\r\n" if ends else b"") + after


async def test_a_posted_dump_waits_as_a_job_and_its_outcome_has_an_address(store: Store, tmp_path: Path) -> None:
    async with site(store, tmp_path) as at:
        at.bear("analyze", channels=["C1"])
        answer = await at.client.post("/api/analyze?name=C:%5Cdumps%5CMEMORY.DMP", content=parts(minidump()))
        said = check(answer)
        assert (answer.status_code, answer.headers["location"]) == (202, said["url"])
        assert (said["name"], said["size"], said["state"]) == ("MEMORY.DMP", len(minidump()), "waiting")
        again = await at.client.get(said["url"])
        assert check(again) == said
        assert again.headers["retry-after"] == "2"
        (file,) = at.files
        assert file.read_bytes() == minidump()
        assert (file.stat().st_mode & 0o077, file.parent.stat().st_mode & 0o077) == (0o044 & file.stat().st_mode, 0)
    (kept,) = store.audit.entries()
    assert (kept.deed, kept.by, kept.detail) == ("upload", "t0", "MEMORY.DMP")
    (job,) = store.jobs.active()
    assert (job.kind, job.payload["places"], job.payload["untold"]) == ("analyze", ["C1", "token:1"], "yes")


async def test_an_analysis_is_its_token_s_alone(store: Store, tmp_path: Path) -> None:
    async with site(store, tmp_path) as at:
        at.bear("analyze")
        address = check(await at.client.post("/api/analyze", content=minidump()))["url"]
        at.bear("analyze")
        assert check(await at.client.get(address))["detail"] == "There is no such analysis, or it is another token's."
        at.bear("read")
        assert (await at.client.get(address)).status_code == 403
        assert (await at.client.get("/api/analyses/..%2F..")).status_code in (404, 405)


async def test_a_form_s_fields_stand_beside_its_file(store: Store, tmp_path: Path) -> None:
    async with site(store, tmp_path) as at:
        at.bear("analyze", channels=["C1", "C2"])
        headers, body = form(
            ("channel", b"C2"), ("password", b"infected"), ('dump"; filename="../../x/Mini.dmp', minidump())
        )
        said = check(await at.client.post("/api/analyze", headers=headers, content=parts(body, 7)))
        assert said["name"] == "Mini.dmp"
        (file,) = at.files
        assert file.read_bytes() == minidump()
    (job,) = store.jobs.active()
    assert (job.kind, job.payload["channel"], job.payload["team"]) == ("posted", "C2", "T1")
    assert (job.secret or "").endswith("\ninfected")
    assert "infected" not in str(job.payload)


BIG = 80_000
DUMP_FIELD = 'dump"; filename="a.dmp'
REFUSED: dict[str, tuple[int, dict[str, str], bytes]] = {
    "nothing": (400, {}, b""),
    "a picture": (415, {}, b"\x89PNG\r\n\x1a\n" + b"\0" * 9000),
    "a picture, short": (415, {}, b"\x89PNG\r\n\x1a\n\0\0"),
    "a web page": (415, {}, b"<!doctype html><title>Sign in</title>" * 400),
    "a text": (415, {}, b"just a list of things to do\n" * 400),
    "zeros": (415, {}, b"\0" * 20_000),
    "too much": (413, {}, minidump() + b"\0" * BIG),
    "packed": (415, {"Content-Encoding": "gzip"}, minidump()),
    "a cut form": (400, *form((DUMP_FIELD, minidump()), ends=False)),
    "a form without a file": (400, *form(("channel", b"C1"))),
    "a file in another field": (400, *form(('x"; filename="a.dmp', minidump()))),
    "a form cut behind its file": (400, *form((DUMP_FIELD, minidump()), ends=False, after=b"--XX\r\n")),
    "two files": (400, *form((DUMP_FIELD, minidump()), (DUMP_FIELD, minidump()))),
    "a field twice": (400, *form(("name", b"a"), ("name", b"b"), (DUMP_FIELD, minidump()))),
    "a long field": (413, *form(("name", b"a" * 3000), (DUMP_FIELD, minidump()))),
    "an endless end": (413, *form((DUMP_FIELD, minidump()), after=b"x" * 200_000)),
    "many fields": (400, *form(*((f"f{n}", b"") for n in range(12)), (DUMP_FIELD, minidump()))),
    "no boundary": (415, {"Content-Type": "multipart/form-data"}, minidump()),
    "no form at all": (400, {"Content-Type": "multipart/form-data; boundary=XX"}, minidump()),
    "a boundary without end": (400, {"Content-Type": f"multipart/form-data; boundary={'X' * 300}"}, minidump()),
    "a channel of others": (403, *form(("channel", b"G9"), (DUMP_FIELD, minidump()))),
    "a channel where the bot does not work": (403, *form(("channel", b"C7"), (DUMP_FIELD, minidump()))),
    "the token as a channel": (403, *form(("channel", b"token:1"), (DUMP_FIELD, minidump()))),
    "a huge head": (400, {"Content-Type": "multipart/form-data; boundary=XX"}, b"--XX\r\n" + b"A" * 30_000),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("at_once", [True, False])
async def test_what_is_no_dump_is_refused_and_leaves_nothing(
    store: Store, tmp_path: Path, what: str, at_once: bool
) -> None:
    status, headers, body = REFUSED[what]
    async with site(store, tmp_path, max_bytes=BIG) as at:
        at.bear("analyze", channels=["C1", "C7"])
        content = body if at_once else parts(body)
        answer = await at.client.post("/api/analyze", headers=headers, content=content)
        assert answer.status_code == status
        assert len(check(answer)["detail"]) > 10
        assert list(at.uploads.iterdir()) == []
    assert store.jobs.active() == []


async def test_a_length_over_the_cap_is_refused_before_a_byte_is_read(store: Store, tmp_path: Path) -> None:
    read: list[bytes] = []

    async def body() -> AsyncIterator[bytes]:
        read.append(b"x")
        yield b"x"

    async with site(store, tmp_path, max_bytes=BIG) as at:
        at.bear("analyze")
        answer = await at.client.post("/api/analyze", headers={"Content-Length": "99999999999"}, content=body())
    assert answer.status_code == 413
    assert read == []


async def test_what_shows_at_once_that_it_is_no_dump_need_not_come_whole(store: Store, tmp_path: Path) -> None:
    read: list[int] = []

    async def body() -> AsyncIterator[bytes]:
        for number in range(100):
            read.append(number)
            yield b"\x89PNG\0" * 1000

    async with site(store, tmp_path) as at:
        at.bear("analyze")
        assert (await at.client.post("/api/analyze", content=body())).status_code == 415
    assert len(read) < 5


async def test_a_text_has_a_cap_of_its_own(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.web.uploads.receiving.MAX_TEXT", 20_000)
    async with site(store, tmp_path) as at:
        at.bear("analyze")
        long = TEXT * 200
        assert (await at.client.post("/api/analyze", content=parts(long))).status_code == 413
        assert (await at.client.post("/api/analyze", content=parts(long[:15_000]))).status_code == 202
        assert (await at.client.post("/api/analyze", content=parts(minidump()))).status_code == 202


async def test_what_was_refused_counts_for_no_quota(store: Store, tmp_path: Path) -> None:
    async with site(store, tmp_path, quota=Quota(at_once=1, a_day=1)) as at:
        at.bear("analyze")
        for _ in range(3):
            assert (await at.client.post("/api/analyze", content=b"no dump")).status_code == 415
        assert (await at.client.post("/api/analyze", content=minidump())).status_code == 202


@pytest.mark.parametrize("query", ["wait=0", "wait=61", "channel=G9", "password=x"])
async def test_a_query_that_makes_no_sense_is_refused(store: Store, tmp_path: Path, query: str) -> None:
    async with site(store, tmp_path) as at:
        at.bear("analyze", channels=["C1"])
        assert (await at.client.post(f"/api/analyze?{query}", content=minidump())).status_code in (400, 403)
    assert store.jobs.active() == []


async def test_posting_needs_a_token_with_that_scope_also_on_this_machine(store: Store, tmp_path: Path) -> None:
    async with site(store, tmp_path, Access()) as at:
        assert (await at.client.post("/api/analyze", content=minidump())).status_code == 401
        at.bear("read")
        assert check(await at.client.post("/api/analyze", content=minidump()))["status"] == 403
        at.bear("analyze")
        assert (await at.client.post("/api/analyze", content=minidump())).status_code == 202


async def test_a_token_posts_so_many_at_once_and_so_many_a_day(store: Store, tmp_path: Path) -> None:
    async with site(store, tmp_path, quota=Quota(at_once=2, a_day=3)) as at:
        at.bear("analyze")

        async def post() -> int:
            return (await at.client.post("/api/analyze", content=minidump())).status_code

        assert [await post(), await post(), await post()] == [202, 202, 429]
        for job in store.jobs.active():
            held = store.jobs.take("w", 60, ("analyze",))
            assert held is not None
            store.jobs.finish(held)
            del job
        assert [await post(), await post()] == [202, 429]
        at.bear("analyze")
        assert await post() == 202


async def test_a_body_that_stalls_is_given_up(store: Store, tmp_path: Path) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield minidump()
        await asyncio.sleep(5)
        yield b"late"

    async with site(store, tmp_path, idle_seconds=0.05) as at:
        at.bear("analyze")
        assert (await at.client.post("/api/analyze", content=body())).status_code == 408
        assert at.files == []


async def test_a_full_quota_of_the_disk_takes_no_more(store: Store, tmp_path: Path) -> None:
    async with site(store, tmp_path, quota_bytes=10_000) as at:
        at.bear("analyze")
        answer = await at.client.post("/api/analyze", content=minidump())
        assert check(answer)["status"] == 507
        assert at.files == []


@pytest.mark.parametrize(
    ("given", "shown_as"),
    [("../../etc/passwd", "passwd"), ("C:\\x\\..\\MEMORY.DMP", "MEMORY.DMP"), ("", "a dump"), ("..", "a dump"),
     ("a\r\nSet-Cookie: x", "a Set-Cookie: x"), ("\u202egpj.dmp", "gpj.dmp"), ("x" * 500, "x" * 120), (None, "a dump"),
     ("a\0b.dmp", "ab.dmp")],
)  # fmt: skip
def test_a_name_is_shown_without_places_and_without_what_draws_nothing(given: str | None, shown_as: str) -> None:
    assert shown_name(given) == shown_as


def test_a_file_stays_for_the_next_worker_until_its_job_is_over(tmp_path: Path) -> None:
    upload = "A" * 24
    (tmp_path / upload).mkdir()
    (tmp_path / upload / "dump").write_bytes(minidump())
    payload = {"posted": upload, "sha256": "0" * 64, "shown": "x.dmp"}
    shelf = Directory(tmp_path)
    for number in range(2):
        directory = tmp_path / f"job-{number}"
        directory.mkdir()
        fetched = opened(shelf, payload, directory)
        fetched.path.unlink()  # as the opening of an archive does
    assert (tmp_path / upload / "dump").exists()
    with pytest.raises(FetchFailed, match="all workers see"):
        opened(shelf, payload | {"posted": "B" * 24}, tmp_path)
    with pytest.raises(ValueError, match="no id"):
        opened(shelf, payload | {"posted": "../" + "B" * 24}, tmp_path)


def test_only_what_no_upload_needs_is_swept(store: Store, tmp_path: Path) -> None:
    uploads = tmp_path / "uploads"
    coming, waiting = (store.uploads.begin("local", "x", Quota()) for _ in range(2))
    store.uploads.received(waiting, 1, NewJob("k", {}))
    for name in (coming, waiting, "C" * 24):
        (uploads / name).mkdir(parents=True)
    assert Directory(uploads).sweep(store.uploads.unread) == 1
    assert {entry.name for entry in uploads.iterdir()} == {coming, waiting}


async def test_the_form_takes_what_comes_from_its_own_page_alone(store: Store, tmp_path: Path) -> None:
    async with site(store, tmp_path, Access()) as at:
        page = await at.client.get("/upload")
        (token,) = [a["value"] or "" for _, a in parsed(page.text).elements if a.get("name") == "form"]
        assert "SameSite=strict" in page.headers["set-cookie"]
        file = (DUMP_FIELD, minidump())
        for fields in ((file,), (("form", b"x"), file), (file, ("form", token.encode())), (("form", b""), file)):
            headers, body = form(*fields)
            refused = await at.client.post("/upload", headers=headers, content=body)
            assert refused.status_code == 403
            assert "load the page again" in parsed(refused.text).text
        headers, body = form(("form", token.encode()), file)
        elsewhere = await at.client.post("/upload", headers={**headers, "Sec-Fetch-Site": "cross-site"}, content=body)
        assert elsewhere.status_code == 403
        assert at.files == []
        taken = await at.client.post("/upload", headers=headers, content=body)
        assert taken.status_code == 303
        status = await at.client.get(taken.headers["location"])
        assert "It waits for its turn." in parsed(status.text).text
        assert status.headers["refresh"] == "3"
        at.client.cookies.clear()
        assert (await at.client.post("/upload", headers=headers, content=body)).status_code == 403
    assert len(store.jobs.active()) == 1


async def test_the_form_is_not_for_who_only_holds_a_link(store: Store, tmp_path: Path) -> None:
    async with site(store, tmp_path, Access(SECRET)) as at:
        assert (await at.client.get("/upload")).status_code == 403
        headers, body = form(("form", b""), (DUMP_FIELD, minidump()))
        assert (await at.client.post("/upload", headers=headers, content=body)).status_code == 403
        assert at.files == []


def test_what_begins_to_come_in_while_files_are_swept_stays(tmp_path: Path) -> None:
    for name in ("old", "waiting"):
        (tmp_path / name).mkdir()

    def unread() -> frozenset[str]:
        (tmp_path / "new").mkdir()
        return frozenset({"waiting"})

    assert Directory(tmp_path).sweep(unread) == 1
    assert {entry.name for entry in tmp_path.iterdir()} == {"waiting", "new"}


async def test_an_upload_of_one_person_is_not_another_s(store: Store, tmp_path: Path) -> None:
    fake, members = Fake(), Members()
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    store.channels.note("T1", "C5", "public")
    intake = Intake(store, uploads, FetchLimits(), Quota(), "T1")
    made = create_site(store, Access(SECRET, URL), utc_now, doors=Doors(terms(fake, members), intake=intake))
    transport = httpx.ASGITransport(made)
    async with (
        httpx.AsyncClient(transport=transport, base_url=URL) as anna,
        httpx.AsyncClient(transport=transport, base_url=URL) as ben,
    ):
        await sign_in(anna, fake)
        fake.person = "U9"
        await sign_in(ben, fake)
        link = links.sign(SECRET, "C7", utc_now() + timedelta(days=1))
        assert (await anna.get(f"/open/{link}")).status_code == 303  # which lets her read there, and no more
        page = await anna.get("/upload")
        token = next(a["value"] or "" for _, a in parsed(page.text).elements if a.get("name") == "form")
        file = (DUMP_FIELD, minidump())
        for channel, status in (
            ("", 303),
            ("C1", 303),
            ("G9", 403),
            ("C5", 403),
            ("C7", 403),
            ("c1", 403),
            ("person:T1/U1", 403),
        ):
            headers, body = form(("form", token.encode()), ("channel", channel.encode()), file)
            answer = await anna.post("/upload", headers=headers, content=body)
            assert answer.status_code == status, channel
            if not channel:
                mine = answer.headers["location"]
        headers, body = form(("form", token.encode()), file)
        assert (await ben.post("/upload", headers=headers, content=body)).status_code == 403
        assert (await anna.get(mine)).status_code == 200
        assert (await ben.get(mine)).status_code == 404
    told = [
        (job.kind, job.payload["places"], job.payload["channel"], job.payload["person"]) for job in store.jobs.active()
    ]
    assert told == [("analyze", ["person:T1/U1"], "", "U1"), ("posted", ["person:T1/U1"], "C1", "U1")]


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn(scopes=SCOPES) as stand_in:
        yield stand_in


@asynccontextmanager
async def whole(slack: StandIn, home: Path, analyst: Analyst | None) -> AsyncIterator[tuple[httpx.AsyncClient, Store]]:
    """The bot with its pages, and a client of them with a token for the channel of crashes."""
    port = free_port()
    with Store.open(home / "pileup.sqlite") as store:
        base = f"http://127.0.0.1:{port}"
        async with (
            bot(slack, home, analyst, web_port=port, web_secret=SECRET, max_dumps=5),
            httpx.AsyncClient(trust_env=False, base_url=base, timeout=60) as client,
        ):
            _, secret = store.tokens.add("lab-7", ["read", "analyze"], [CRASHES])
            client.headers["Authorization"] = f"Bearer {secret}"
            yield client, store


async def test_a_machine_posts_its_dump_and_reads_the_report(slack: StandIn, tmp_path: Path) -> None:
    async with whole(slack, tmp_path, Analyst()) as (client, store):
        answer = await client.post("/api/analyze?wait=30&name=MEMORY.DMP", content=minidump())
        said = check(answer)
        assert (answer.status_code, said["state"]) == (200, "done")
        (found,) = said["dumps"]
        assert found["report"]["verdict"]["culprit"]["module"] == "rassstp.sys"
        assert (found["crash"]["source"], found["report"]["dump"]["source"]) == ("MEMORY.DMP", "MEMORY.DMP")
        number = found["crash"]["id"]
        assert check(await client.get(f"/api/crashes/{number}"))["crash"] == found["crash"]
        for channels, status in ((["C9"], 404), ([CRASHES], 200), (None, 200)):
            _, other = store.tokens.add(f"reader of {channels}", ["read"], channels)
            bears = {"Authorization": f"Bearer {other}"}
            assert (await client.get(f"/api/crashes/{number}", headers=bears)).status_code == status
        await until(lambda: os.listdir(tmp_path / "uploads") == [])  # noqa: PTH208  # names
    everywhere = [one for channel in slack.workspace.channels.values() for one in channel.messages.values()]
    assert [one for one in everywhere if one.user == slack.workspace.bot.id] == []


async def test_an_archive_is_opened_and_each_dump_has_its_line(slack: StandIn, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.dmp", minidump("seed"))
        archive.writestr("b.dmp", minidump("deadlock"))
        archive.writestr("c.dmp", b"MDMP and nothing else")
    async with whole(slack, tmp_path, Analyst()) as (client, _):
        said = check(await client.post("/api/analyze?wait=30&name=many.zip", content=packed.getvalue()))
        assert said["state"] == "done"
        assert [(one["name"], one["crash"] is None) for one in said["dumps"]] == [
            ("a.dmp", False),
            ("b.dmp", False),
            ("c.dmp", True),
        ]
        assert said["dumps"][2]["error"].startswith("not a dump")


async def test_a_dump_that_cannot_be_analysed_says_why(slack: StandIn, tmp_path: Path) -> None:
    async with whole(slack, tmp_path, Analyst()) as (client, _):
        said = check(await client.post("/api/analyze?wait=30", content=b"MDMP\x93\xa7\0\0" + b"\0" * 99))
        assert (said["state"], said["error"]["kind"]) == ("failed", "not-a-dump")
        await until(lambda: os.listdir(tmp_path / "uploads") == [])  # noqa: PTH208  # names


async def test_a_channel_is_told_below_a_message_that_says_who_posted_it(slack: StandIn, tmp_path: Path) -> None:
    async with whole(slack, tmp_path, Analyst()) as (client, store):
        answer = await client.post(f"/api/analyze?wait=30&name=MEMORY.DMP&channel={CRASHES}", content=minidump())
        said = check(answer)
        channel = slack.workspace.channels[CRASHES]
        root = next(m for m in channel.messages.values() if m.text.startswith("`MEMORY.DMP` was posted by lab-7"))
        assert any("rassstp.sys" in shown(reply) for reply in replies(slack, root) if reply is not root)
        assert said["state"] == "done"
        assert store.threads.first(said["dumps"][0]["crash"]["id"]) is not None
        refused = await client.post(f"/api/analyze?channel={NO_BOT}", content=minidump())
        assert refused.status_code == 403


async def test_a_channel_without_the_bot_fails_the_upload_and_leaves_no_file(slack: StandIn, tmp_path: Path) -> None:
    async with whole(slack, tmp_path, Analyst()) as (client, store):
        _, secret = store.tokens.add("all", ["analyze"])
        client.headers["Authorization"] = f"Bearer {secret}"
        said = check(await client.post(f"/api/analyze?wait=30&channel={NO_BOT}", content=minidump()))
        assert (said["state"], said["error"]["kind"]) == ("failed", "slack")
        await until(lambda: os.listdir(tmp_path / "uploads") == [])  # noqa: PTH208  # names


async def test_what_a_debugger_printed_is_read_by_the_real_analysis(slack: StandIn, tmp_path: Path) -> None:
    async with whole(slack, tmp_path, None) as (client, _):
        said = check(await client.post("/api/analyze?wait=60&name=analyze.txt", content=TEXT))
    assert said["state"] == "done"
    assert said["dumps"][0]["report"]["dump"]["kind"] == "windbg-text"
