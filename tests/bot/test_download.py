"""Downloads: whole and hashed, or one clear line; never past a limit, never to where a link may not lead."""

import asyncio
import dataclasses
import errno
import gzip
import hashlib
import logging
import shutil
import ssl
import subprocess
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest

from analysis.fingerprint import identity_of
from bot.fetch.download import Arrived, Fetched, download
from bot.fetch.failures import failure_of
from bot.fetch.limits import FetchLimits, Policy
from bot.fetch.links import link
from bot.fetch.problems import FetchFailed, Unchanged
from bot.fetch.remote import Terms, reach
from bot.fetch.safety import Credentials, check_url, is_allowed
from bot.fetch.workspace import downloads, workspace
from tests.bot import server as web
from tests.bot.kit import until
from tests.bot.server import BODY, serving

INSIDE = Policy(allow_private=True)
QUICK = FetchLimits(max_bytes=2_000_000, total_seconds=5, idle_seconds=0.3, connect_seconds=2, first_wait_seconds=0.01)


async def fetch(
    url: str, tmp_path: Path, limits: FetchLimits = QUICK, policy: Policy = INSIDE, **more: object
) -> Fetched:
    return await download(link(url), tmp_path / "dump", limits, policy, **more)  # type: ignore[arg-type]  # by name


async def failure(url: str, tmp_path: Path, limits: FetchLimits = QUICK, policy: Policy = INSIDE) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        await fetch(url, tmp_path, limits, policy)
    assert not (tmp_path / "dump").exists()
    return caught.value


async def test_a_file_arrives_whole_with_its_hashes(tmp_path: Path) -> None:
    told: list[Arrived] = []
    async with serving(dump=web.page(BODY)) as server:
        fetched = await fetch(server.url("/dump?sig=secret"), tmp_path, progress=told.append)
    assert fetched.path.read_bytes() == BODY
    assert fetched.sha256 == hashlib.sha256(BODY).hexdigest()
    assert fetched.identity == "1:" + hashlib.sha256(len(BODY).to_bytes(8, "little") + BODY[:8192]).hexdigest()
    assert fetched.source == server.url("/dump")
    assert (told[-1].received, told[-1].fraction) == (len(BODY), 1.0)
    assert str(told[-1]).startswith("1 MB of 1 MB, ")


def test_the_identity_of_a_tiny_file_is_of_all_its_bytes() -> None:
    assert identity_of(0, b"") == "1:" + hashlib.sha256(bytes(8)).hexdigest()
    assert identity_of(9000, b"a" * 9000) == identity_of(9000, b"a" * 8192)


def test_small_files_of_a_job_stay_where_small_ones_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.fetch.workspace.SMALL_BYTES", 10)
    for name, size in (("a", 10), ("b", 11)):
        with workspace(tmp_path, name, keep="small") as directory:
            (directory / "dump").write_bytes(bytes(size))
    assert [entry.name for entry in downloads(tmp_path).iterdir()] == ["kept-a"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("404 Not Found", "the server answered 404 Not Found"),
        ("403 Forbidden", "the server answered 403 Forbidden: the link needs a login, or has expired"),
        ("500 Internal Server Error", "the server answered 500 Internal Server Error"),
        ("204 No Content", "the server answered 204 No Content"),
    ],
)
async def test_a_status_is_told(tmp_path: Path, line: str, said: str) -> None:
    async with serving(dump=web.status(line)) as server:
        failed = await failure(server.url("/dump"), tmp_path)
    assert (failed.kind, failed.line, failed.exit_code) == ("status", said, 4)


async def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(tmp_path: Path) -> None:
    async with serving(busy=web.status("503 Service Unavailable", "Retry-After: 0")) as server:
        await failure(server.url("/busy"), tmp_path)
        assert len(server.requests) == QUICK.attempts
        await failure(server.url("/gone"), tmp_path)
        assert len(server.requests) == QUICK.attempts + 1


async def test_what_the_server_says_is_too_large_is_not_fetched(tmp_path: Path) -> None:
    async with serving(dump=web.page(BODY)) as server:
        failed = await failure(server.url("/dump"), tmp_path, dataclasses.replace(QUICK, max_bytes=1000))
    assert failed.line == "the file is over the size cap of 1 kB (the server says 1 MB)"
    assert (failed.kind, failed.exit_code) == ("size", 5)


async def test_the_size_cap_holds_while_streaming(tmp_path: Path) -> None:
    async with serving(dump=web.endless(every=0, chunk=bytes(65536))) as server:
        failed = await failure(server.url("/dump"), tmp_path, dataclasses.replace(QUICK, max_bytes=1_000_000))
    assert failed.line == "the file is over the size cap of 1 MB"


async def test_an_unpacking_bomb_meets_the_size_cap(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    async with serving(dump=web.page(bomb, "Content-Encoding: gzip")) as server:
        failed = await failure(server.url("/dump"), tmp_path)
    assert failed.kind == "size"


async def test_a_server_that_packs_unasked_is_unpacked(tmp_path: Path) -> None:
    async with serving(
        dump=web.page(gzip.compress(BODY), "Content-Encoding: gzip"),
        bad=web.page(b"not packed at all", "Content-Encoding: gzip"),
    ) as server:
        assert (await fetch(server.url("/dump"), tmp_path)).size == len(BODY)
        assert (await failure(server.url("/bad"), tmp_path)).kind == "network"


async def test_a_server_that_trickles_is_left_long_before_the_time_limit(tmp_path: Path) -> None:
    async with serving(dump=web.endless()) as server:
        limits = dataclasses.replace(QUICK, patience_seconds=0.5, slowest_rate=1e6)
        failed = await failure(server.url("/dump"), tmp_path, limits)
    assert failed.line.startswith("the server sends too slowly: ")
    assert (failed.kind, failed.exit_code) == ("time", 5)
    assert FetchLimits().patience_seconds < FetchLimits().total_seconds / 10


async def test_an_endless_slow_server_is_left_at_the_time_limit(tmp_path: Path) -> None:
    async with serving(dump=web.endless()) as server:
        failed = await failure(server.url("/dump"), tmp_path, dataclasses.replace(QUICK, total_seconds=0.4))
    assert failed.line.startswith("not finished after 0.4 s, with ")
    assert (failed.kind, failed.exit_code) == ("time", 5)


async def test_a_server_that_falls_silent_is_left(tmp_path: Path) -> None:
    async with serving(dump=web.silent()) as server:
        failed = await failure(server.url("/dump"), tmp_path, dataclasses.replace(QUICK, attempts=2))
    assert failed.line == "the server sent nothing for 0.3 s, with 4 bytes of 1 MB here"


@pytest.mark.parametrize(
    ("tag", "ranges", "resumed"),
    [('"v1"', True, True), ('"v1"', False, False), ('W/"v1"', True, False), (None, True, False)],
)
async def test_a_broken_download_goes_on_where_that_is_safe(
    tmp_path: Path, tag: str | None, ranges: bool, resumed: bool
) -> None:
    async with serving(dump=web.broken(100_000, tag=tag, ranges=ranges)) as server:
        fetched = await fetch(server.url("/dump"), tmp_path)
        asked = server.requests[-1].headers
    assert fetched.path.read_bytes() == BODY
    assert fetched.sha256 == hashlib.sha256(BODY).hexdigest()
    assert ("range" in asked) == (tag == '"v1"')
    assert asked.get("if-range") == ('"v1"' if tag == '"v1"' else None)
    assert resumed in (True, False)


async def test_a_connection_that_always_breaks_is_told(tmp_path: Path) -> None:
    async with serving(dump=web.broken(1000)) as server:
        failed = await failure(server.url("/dump"), tmp_path, dataclasses.replace(QUICK, attempts=1))
    assert failed.line == "the connection broke off, with 1 kB of 1 MB here"


async def test_nobody_listening_and_nobody_known(tmp_path: Path) -> None:
    async with serving() as server:
        pass
    closed = await failure(server.url("/dump"), tmp_path, dataclasses.replace(QUICK, attempts=1))
    assert closed.line == "127.0.0.1 could not be reached"
    unknown = await failure("http://nobody.invalid/x.dmp", tmp_path)
    assert unknown.line == "the host name nobody.invalid is not known"


async def test_a_web_server_without_https_is_told_at_once(tmp_path: Path) -> None:
    async def plain(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tries.append(1)
        writer.write(web.reply("400 Bad Request"))
        writer.close()

    tries: list[int] = []
    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        failed = await failure(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/x.dmp", tmp_path)
    # The guard's own probe may knock once before; a retry would knock more often.
    assert len(tries) <= 2
    assert (failed.kind, failed.line) == ("tls", "127.0.0.1 does not speak https there")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl")
async def test_a_certificate_that_nobody_signed_is_not_trusted(tmp_path: Path) -> None:
    key, certificate = str(tmp_path / "key"), str(tmp_path / "certificate")
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1 -keyout {key} -out {certificate}"
    await asyncio.to_thread(subprocess.run, command.split(), check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    asked: list[int] = []
    server = await asyncio.start_server(lambda *_: asked.append(1), "127.0.0.1", 0, ssl=context)
    async with server:
        failed = await failure(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/x.dmp", tmp_path)
    assert (failed.kind, failed.line) == ("tls", "the certificate of 127.0.0.1 cannot be trusted")
    assert asked == []


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space"), "no room left here for the file"),
        (httpx.ConnectTimeout(""), "h did not answer within 2 s"),
        (httpx.InvalidURL("x"), "the link is malformed"),
        (httpx.WriteError(""), "the connection broke off, so far"),
    ],
)
def test_rarer_failures_have_their_line(error: Exception, line: str) -> None:
    told = failure_of(error, "h", QUICK, ", so far")
    assert told is not None
    assert told.line == line
    assert failure_of(ValueError(), "h", QUICK, "") is None


async def test_a_full_disk_is_seen_before_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.fetch.failures.shutil.disk_usage", lambda _path: shutil._ntuple_diskusage(10, 9, 1))
    async with serving(dump=web.page(BODY)) as server:
        failed = await failure(server.url("/dump"), tmp_path)
    assert failed.line == "no room here for 1 MB: 1 bytes are free"
    assert (failed.kind, failed.exit_code) == ("size", 5)  # not even an empty disk would hold it
    monkeypatch.setattr("bot.fetch.failures.shutil.disk_usage", lambda _path: shutil._ntuple_diskusage(1 << 40, 9, 1))
    async with serving(dump=web.page(BODY)) as server:
        assert (await failure(server.url("/dump"), tmp_path)).kind == "disk"


async def test_cancelling_leaves_no_file(tmp_path: Path) -> None:
    async with serving(dump=web.endless()) as server:
        task = asyncio.create_task(fetch(server.url("/dump"), tmp_path))
        await until((tmp_path / "dump").exists)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not (tmp_path / "dump").exists()


# Where links may lead


PUBLIC = ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]
PRIVATE = [
    "127.0.0.1", "10.0.0.1", "172.16.3.4", "192.168.1.1", "100.64.0.1", "198.18.0.1", "::1", "fd00::1", "fec0::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::127.0.0.1",
]  # fmt: skip
NEVER = [
    "169.254.169.254", "169.254.1.1", "fe80::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255",
    "240.0.0.1", "168.63.129.16", "100.100.100.200", "fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_allowed(ip_address(address), Policy())


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused_unless_configured(address: str) -> None:
    assert not is_allowed(ip_address(address), Policy())


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "::1", "fd00::1", "::ffff:127.0.0.1", "100.64.0.1"])
def test_private_addresses_can_be_configured(address: str) -> None:
    assert is_allowed(ip_address(address), INSIDE)


@pytest.mark.parametrize("address", NEVER)
def test_metadata_and_link_local_addresses_are_always_refused(address: str) -> None:
    assert not is_allowed(ip_address(address), Policy())
    assert not is_allowed(ip_address(address), INSIDE)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "127.1", "0", "127.0.0.1."],
)
async def test_no_spelling_of_loopback_gets_a_connection(tmp_path: Path, host: str) -> None:
    async with serving(dump=web.page(BODY)) as server:
        failed = await failure(server.url("/dump", host), tmp_path, policy=Policy())
        assert server.requests == []
    assert failed.kind in ("refused", "dns", "address")
    assert failed.exit_code == 4


async def test_a_name_that_leads_inside_is_refused_without_telling_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()

    async def inside(_host: str, port: int, **_more: object) -> list[object]:
        return [(2, 1, 6, "", ("93.184.216.34", port)), (2, 1, 6, "", ("10.1.2.3", port))]

    monkeypatch.setattr(loop, "getaddrinfo", inside)
    failed = await failure("https://dumps.example/x.dmp", tmp_path, policy=Policy())
    assert failed.line == "dumps.example is a private or reserved address, which links may not point to"


async def test_a_name_that_changes_its_mind_is_refused_at_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first look-up says a public address, the connection finds loopback: DNS rebinding.
    loop = asyncio.get_running_loop()
    real = loop.getaddrinfo
    answers = iter([[(2, 1, 6, "", ("93.184.216.34", 80))]])

    async def rebinding(_host: object, port: int, **more: int) -> object:
        return next(answers, None) or await real("127.0.0.1", port, **more)

    async with serving(dump=web.page(BODY)) as server:
        monkeypatch.setattr(loop, "getaddrinfo", rebinding)
        failed = await failure(server.url("/dump", "rebind.example"), tmp_path, policy=Policy())
        assert server.requests == []
    assert failed.kind == "refused"


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/latest/meta-data", "http://127.0.0.1:22/", "ftp://127.0.0.1/x.dmp"]
)
async def test_redirects_are_judged_too(tmp_path: Path, target: str) -> None:
    async with serving(dump=web.redirect(target)) as server:
        failed = await failure(server.url("/dump"), tmp_path)
        assert len(server.requests) == 1
    assert failed.exit_code == 4
    assert failed.kind in ("refused", "address", "network")


async def test_a_redirect_to_a_good_place_is_followed_and_a_circle_is_not(tmp_path: Path) -> None:
    async with serving(dump=web.redirect("/real"), real=web.page(BODY), circle=web.redirect("/circle")) as server:
        assert (await fetch(server.url("/dump"), tmp_path)).size == len(BODY)
        assert (await failure(server.url("/circle"), tmp_path)).line == "the link leads in a circle of redirects"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://h/x", "only http and https links are fetched, not ftp"),
        ("file:///etc/passwd", "only http and https links are fetched, not file"),
        ("http:///x", "the link names no host"),
        ("http://h:22/x", "port 22 of h is not a web server's port"),
        ("http://other.example/x", "other.example is not on the list of hosts that may be asked"),
    ],
)
def test_an_address_is_judged_before_anything_is_asked(url: str, said: str) -> None:
    policy = Policy(hosts=frozenset({"h"}))
    with pytest.raises(FetchFailed) as caught:
        check_url(httpx.URL(url), policy)
    assert caught.value.line == said


async def test_credentials_go_only_to_their_own_host(tmp_path: Path) -> None:
    async with (
        serving(there=web.page(BODY)) as other,
        serving(dump=web.redirect(other.url("/there", "localhost"))) as server,
    ):
        credentials = Credentials({server.url(""): "Bearer xoxb-secret"})
        assert "xoxb" not in repr(credentials)
        await fetch(server.url("/dump"), tmp_path, credentials=credentials)
        assert server.requests[0].headers["authorization"] == "bearer xoxb-secret"
        assert "authorization" not in other.requests[0].headers


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://dumps.example.com/x", "A"),
        ("https://dumps.example.com:443/x", "A"),
        ("http://dumps.example.com/x", None),
        ("https://dumps.example.com.evil.example/x", None),
        ("https://evil.example/dumps.example.com", None),
        ("https://files.slack.com/x", "B"),
        ("https://slack.com/x", "B"),
        ("https://slack.com.evil.example/x", None),
        ("https://badslack.com/x", None),
        ("https://nas.example.com:8443/x", "C"),
        ("https://nas.example.com/x", None),
        ("http://127.0.0.1:99/x", "D"),
        ("http://127.0.0.1:98/x", None),
    ],
)
def test_whom_credentials_are_shown_to(url: str, shown: str | None) -> None:
    places = {"dumps.example.com": "A", ".slack.com": "B", "nas.example.com:8443": "C", "http://127.0.0.1:99": "D"}
    request = httpx.Request("GET", url)
    Credentials(places).sign(request)
    assert request.headers.get("Authorization") == shown
    redirected = httpx.Request("GET", url, headers={"Authorization": "B"})
    Credentials(places).sign(redirected)
    assert redirected.headers.get("Authorization") == shown


async def test_a_user_in_the_link_is_not_shown_to_another_host(tmp_path: Path) -> None:
    async with (
        serving(there=web.page(BODY)) as other,
        serving(dump=web.redirect(other.url("/there", "localhost"))) as server,
    ):
        url = server.url("/dump").replace("http://", "http://anna:secret@")
        await fetch(url, tmp_path, credentials=Credentials({"dumps.example.com": "A"}))
        assert server.requests[0].headers["authorization"].startswith("basic ")
        assert "authorization" not in other.requests[0].headers


async def test_a_denied_host_is_not_asked_even_by_a_redirect(tmp_path: Path) -> None:
    policy = Policy(allow_private=True, denied=frozenset({"localhost"}))
    async with (
        serving(there=web.page(BODY)) as other,
        serving(dump=web.redirect(other.url("/there", "localhost"))) as server,
    ):
        failed = await failure(server.url("/dump"), tmp_path, policy=policy)
        assert (failed.kind, other.requests) == ("refused", [])
    assert failed.line == "localhost is on the list of hosts that are never asked"


async def test_a_connection_that_gets_on_has_all_its_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.fetch.download.GETTING_ON", 100_000)
    limits = dataclasses.replace(QUICK, attempts=1)
    async with serving(dump=web.dropping(200_000)) as server:
        fetched = await fetch(server.url("/dump"), tmp_path, limits)
        assert len(server.requests) > 3
    assert fetched.sha256 == hashlib.sha256(BODY).hexdigest()


async def test_a_date_of_last_change_will_do_to_go_on(tmp_path: Path) -> None:
    dated = "Last-Modified: Mon, 02 Nov 2026 10:00:00 GMT\r\nDate: Mon, 02 Nov 2026 11:00:00 GMT"
    async with serving(dump=web.dropping(400_000, dated)) as server:
        fetched = await fetch(server.url("/dump"), tmp_path)
        assert server.requests[1].headers["if-range"] == "mon, 02 nov 2026 10:00:00 gmt"
    assert fetched.sha256 == hashlib.sha256(BODY).hexdigest()


LOGIN = (
    b"<!DOCTYPE html><html><head><title>Sign in \xe2\x80\x93 Example</title></head><form><input type=password></form>"
)
GONE = b"<html><title>Not here</title><p>no file"


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (LOGIN, "the link leads to a login page titled “Sign in – Example” (HTML), so it needs an account"),
        (GONE, "the link leads to an HTML page titled “Not here”, not to a file: perhaps a login is needed"),
    ],
)
async def test_a_page_instead_of_a_file_is_recognised(body: bytes, line: str, tmp_path: Path) -> None:
    async with serving(dump=web.page(body), long=web.page(body + bytes(900_000))) as server:
        for path in ("/dump", "/long"):
            failed = await failure(server.url(path), tmp_path)
            assert (failed.kind, failed.line) == ("page", line)


def test_how_far_it_is_says_how_long_it_takes() -> None:
    assert str(Arrived(1_000_000, 61_000_000, 1e6)) == "1 MB of 61 MB, 1 MB/s, 1 min left"
    assert str(Arrived(1_000_000, None, 1e6)) == "1 MB, 1 MB/s"
    assert Arrived(5, 5, 0.0).seconds_left is None


async def test_nothing_secret_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(dump=web.broken(1000), gone=web.status("404 Not Found")) as server:
        await fetch(server.url("/dump?sig=s3cr3t"), tmp_path)
        failed = await failure(server.url("/gone?sig=s3cr3t"), tmp_path)
    assert "s3cr3t" not in caplog.text + failed.line + capsys.readouterr().out


def test_a_workspace_is_private_and_goes_with_its_job(tmp_path: Path) -> None:
    with workspace(tmp_path, "job-1") as directory:
        (directory / "dump").write_bytes(BODY)
        assert directory.stat().st_mode & 0o777 == 0o700
    assert list(downloads(tmp_path).iterdir()) == []
    with workspace(tmp_path, "job-2", keep="always") as directory:
        (directory / "dump").write_bytes(BODY)
    assert (downloads(tmp_path) / "kept-job-2" / "dump").exists()
    with workspace(tmp_path, "job-2") as directory:
        assert list(directory.iterdir()) == []


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "a\\b", "a\0"])
def test_a_workspace_stays_in_its_place(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="plain file name"), workspace(tmp_path, name):
        pass


async def test_a_known_tag_spares_the_download_and_a_redirect_has_none(tmp_path: Path) -> None:
    async with serving(dump=web.tagged(BODY, '"v1"'), weak=web.tagged(BODY, 'W/"v1"'), way=web.redirect("/dump")) as at:
        assert (await fetch(at.url("/dump"), tmp_path)).tag == '"v1"'
        assert (await fetch(at.url("/dump"), tmp_path, tag='"v0"')).size == len(BODY)
        with pytest.raises(Unchanged):
            await fetch(at.url("/dump"), tmp_path, tag='"v1"')
        assert not (tmp_path / "dump").exists()
        assert (await fetch(at.url("/weak"), tmp_path)).tag is None
        assert (await fetch(at.url("/way"), tmp_path)).tag is None


async def test_a_304_that_nobody_asked_for_is_a_failure(tmp_path: Path) -> None:
    async with serving(dump=web.status("304 Not Modified")) as server:
        assert (await failure(server.url("/dump"), tmp_path)).kind in ("status", "redirect", "network")


async def test_all_dumps_together_stay_within_their_quota(tmp_path: Path) -> None:
    with workspace(tmp_path, "old", keep="always") as directory:
        (directory / "dump").write_bytes(bytes(1_500_000))
    limits = dataclasses.replace(QUICK, quota_bytes=2_000_000)
    async with serving(dump=web.page(BODY)) as server:
        with workspace(tmp_path, "new") as directory:
            fetched = await reach(link(server.url("/dump")), directory / "dump", Terms(limits, INSIDE, tmp_path))
            assert fetched.size == len(BODY)
            assert [entry.name for entry in downloads(tmp_path).iterdir()] == ["new"]
            small = Terms(dataclasses.replace(limits, quota_bytes=1_500_000), INSIDE, tmp_path)
            with pytest.raises(FetchFailed, match=r"all dumps together may take 1\.5 MB"):
                await reach(link(server.url("/dump")), directory / "more", small)
