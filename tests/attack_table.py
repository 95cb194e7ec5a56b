"""Every attack on the way of a link, tried: refused by what, with which message. ``python -m tests.attack_table``.

The web servers are on loopback, the archives are built here, the children are the real ones. Exits 1 when a row is not
refused as it must be.
"""

import asyncio
import contextlib
import io
import logging
import re
import sys
import tempfile
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bot.archives.limits import ArchiveFailed, ArchiveLimits
from bot.archives.opening import open_archive
from bot.blocks import failure
from bot.console import printable
from bot.fetch.download import Fetched, download
from bot.fetch.limits import FetchLimits, Policy
from bot.fetch.links import link
from bot.fetch.problems import FetchFailed
from bot.fetch.remote import Terms, reach
from bot.fetch.safety import Credentials
from bot.logs import OneLine
from bot.outbound import checked
from bot.sandbox import Workspace
from bot.sandbox.render import blocks as as_html
from tests.archives import build
from tests.bot import server as web
from tests.bot.server import BODY, serving

PUBLIC, INSIDE = Policy(), Policy(allow_private=True)
QUICK = FetchLimits(
    max_bytes=2_000_000, total_seconds=3, idle_seconds=0.3, connect_seconds=2, attempts=1, patience_seconds=0.5
)
TIGHT = ArchiveLimits(max_ratio=50, free_bytes=1 << 20, max_members=100, max_bytes=40_000_000, memory_bytes=300_000_000)
ZEROS = b"PAGEDU64" + bytes(30_000_000)
DUMP = b"PAGEDU64" + bytes(range(256)) * 300
SECRET = "xoxb-secret"  # nobody's


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack: of which group, what is tried, how, and a pattern that what happened must match."""

    group: str
    name: str
    run: Callable[[Path], Awaitable[str]]
    must: str


def attacks() -> list[Attack]:
    """Every row of the table."""
    return [
        *_inner_hosts(),
        *_addresses(),
        *_redirects(),
        *_leaks(),
        *_servers(),
        *_bombs(),
        *_paths(),
        *_children(),
        *_texts(),
    ]


def is_as_it_must_be(attack: Attack, happened: str) -> bool:
    """Whether the attack came to what its row says."""
    return re.search(attack.must, happened) is not None


async def _told(what: Awaitable[object]) -> str:
    # What an attempt came to: by what it was refused, and the line that people read.
    try:
        await what
    except (FetchFailed, ArchiveFailed) as failed:
        return f"{failed.kind}: {failed.line}"
    return "NOT REFUSED"


def _fetch(url: str, policy: Policy = PUBLIC, limits: FetchLimits = QUICK) -> Callable[[Path], Awaitable[str]]:
    return lambda place: _told(download(link(url), place / "dump", limits, policy))


# Loopback, private and special networks in every spelling; then what stays refused where private ones are allowed.
LOOPBACK = (
    "127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "0", "0.0.0.0", "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]", "[::ffff:0:127.0.0.1]",
)  # fmt: skip
NETWORKS = (
    "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "198.18.0.1", "192.0.2.1", "240.0.0.1", "255.255.255.255",
    "[fc00::1]", "[fec0::1]", "[2002:0a00:1::]", "[64:ff9b::a00:1]", "[::ffff:10.0.0.1]",
)  # fmt: skip
ALWAYS = (
    "169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "[fd00:ec2::254]", "[fe80::1]", "[ff02::1]",
    "224.0.0.1", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]", "0.0.0.0",
)  # fmt: skip


def _inner_hosts() -> Iterator[Attack]:
    private = r"^refused: .* is a private or reserved address|^address: the link is malformed$"
    for host in LOOPBACK:
        yield Attack("inside", f"http://{host}/", _fetch(f"http://{host}/x.dmp"), private)
    for host in NETWORKS:
        yield Attack("network", f"http://{host}/", _fetch(f"http://{host}/x.dmp"), private)
    for host in ALWAYS:
        yield Attack("even where allowed", f"http://{host}/", _fetch(f"http://{host}/x.dmp", INSIDE), private)


def _addresses() -> Iterator[Attack]:
    for url in ("file:///etc/passwd", "ftp://h/x.dmp", "gopher://h/x", "data:text/plain,x", "jar:http://h!/x"):
        yield Attack("scheme", url, _fetch(url), r"^address: only http and https")
    for port in (22, 25, 53, 110, 139, 389, 445, 993):
        url = f"http://example.com:{port}/x.dmp"
        yield Attack("port", url, _fetch(url), rf"^refused: port {port} .* not a web server's port")
    private = r"^refused: 127\.0\.0\.1 is a private"
    yield Attack("disguise", "http://example.com@127.0.0.1/", _fetch("http://example.com@127.0.0.1/x.dmp"), private)
    yield Attack("disguise", "http://127.0.0.1#@example.com/", _fetch("http://127.0.0.1#@example.com/x.dmp"), private)
    refused = r"^(address|refused|dns): "
    yield Attack("disguise", "http://127.0.0.1\\@example.com/", _fetch("http://127.0.0.1\\@example.com/x.dmp"), refused)
    for url in ("http://[::1%25lo]/x.dmp", "http://[fe80::1%25eth0]/x.dmp"):
        yield Attack("disguise", f"{url} (a zone)", _fetch(url, INSIDE), refused)
    denied = Policy(allow_private=True, denied=frozenset({".example.com"}))
    yield Attack("list", "a denied host", _fetch("http://a.example.com/x", denied), r"^refused: .* never asked")
    only = Policy(hosts=frozenset({"dumps.example.com"}))
    yield Attack(
        "list", "a host that is not allowed", _fetch("http://h.example/x", only), r"^refused: .* not on the list"
    )
    yield Attack("list", "s3:// without leave", _bucket, r"^refused: s3://secrets is not on the list of buckets")


async def _bucket(place: Path) -> str:
    return await _told(reach(link("s3://secrets/x.dmp"), place / "dump", Terms(QUICK, PUBLIC, place)))


@asynccontextmanager
async def _resolving(**names: tuple[str, ...]) -> AsyncIterator[None]:
    # Names that resolve to one address after the other, as an attacker's name server answers; the last one stays.
    loop: Any = asyncio.get_running_loop()
    real, asked = loop.getaddrinfo, dict.fromkeys(names, 0)

    async def answer(host: Any, port: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host)
        key = name.replace(".", "_")
        if key not in names:
            return await real(host, port, **more)
        chosen = names[key][min(asked[key], len(names[key]) - 1)]
        asked[key] += 1
        return await real(chosen, port, **more)

    loop.getaddrinfo = answer
    try:
        yield
    finally:
        loop.getaddrinfo = real


def _redirects() -> Iterator[Attack]:
    async def hop(place: Path, target: str) -> str:
        # The first hop is on a name that a list of hosts may hold: it is allowed, the second is judged by itself.
        async with serving(dump=web.redirect(target)) as server, _resolving():
            return await _told(download(link(server.url("/dump")), place / "dump", QUICK, INSIDE))

    for target, must in (
        ("http://169.254.169.254/latest/meta-data/", r"^refused: 169\.254\.169\.254"),
        ("http://[::ffff:169.254.169.254]/", r"^refused: "),
        ("file:///etc/passwd", r"^address: "),
        ("http://example.com:22/", r"^refused: port 22"),
        ("gopher://127.0.0.1:6379/_INFO", r"^address: "),
    ):
        yield Attack("redirect", f"to {target}", lambda place, to=target: hop(place, to), must)  # type: ignore[misc]

    async def circle(place: Path) -> str:
        async with serving(dump=web.redirect("/dump")) as server:
            return await _told(download(link(server.url("/dump")), place / "dump", QUICK, INSIDE))

    yield Attack("redirect", "in a circle", circle, r"^redirect: ")

    async def rebound(place: Path, *addresses: str) -> str:
        async with serving(dump=web.page(DUMP)) as server, _resolving(rebind_example=addresses):
            said = await _told(download(link(server.url("/dump", "rebind.example")), place / "dump", QUICK, PUBLIC))
            return said if not server.requests else "REACHED"

    private = r"^refused: rebind\.example is a private"
    yield Attack("rebinding", "a name for 127.0.0.1", lambda place: rebound(place, "127.0.0.1"), private)
    yield Attack(
        "rebinding", "93.184.216.34 when judged, then 127.0.0.1",
        lambda place: rebound(place, "93.184.216.34", "127.0.0.1"), private,
    )  # fmt: skip


def _leaks() -> Iterator[Attack]:
    async def redirected(place: Path) -> str:
        async with serving(there=web.page(DUMP)) as other:
            target = other.url("/there", "localhost")
            async with serving(dump=web.redirect(target)) as server:
                shown = Credentials({server.url(""): f"Bearer {SECRET}"})
                await download(link(server.url("/dump")), place / "dump", QUICK, INSIDE, credentials=shown)
                first, second = server.requests[0].headers, other.requests[0].headers
        is_kept = SECRET in str(first) and SECRET not in str(second)
        return "shown to its own host alone" if is_kept else "LEAKED"

    yield Attack("token", "redirect to another host", redirected, r"^shown to its own host alone$")

    async def logged(place: Path) -> str:
        out = io.StringIO()
        handler = logging.StreamHandler(out)
        logging.getLogger().addHandler(handler)
        try:
            async with serving(dump=web.status("403 Forbidden")) as server:
                url = server.url(f"/dump?sig={SECRET}")
                said = await _told(download(link(url), place / "dump", QUICK, INSIDE))
        finally:
            logging.getLogger().removeHandler(handler)
        return "neither said nor logged" if SECRET not in said + out.getvalue() + link(url).shown else "LEAKED"

    yield Attack("token", "a signature in a link that fails", logged, r"^neither said nor logged$")

    async def lookalikes(_place: Path) -> str:
        import httpx

        shown = Credentials({".slack.com": SECRET})
        hosts = ("slack.com.evil.example", "badslack.com", "slack.com@evil.example", "evil.example/slack.com")
        for url in (*(f"https://{host}/x" for host in hosts), "http://files.slack.com/x"):
            request = httpx.Request("GET", url)
            shown.sign(request)
            if SECRET in str(request.headers.raw):
                return f"LEAKED to {url}"
        return "not shown"

    yield Attack("token", "hosts that look like Slack's, and Slack's over http", lookalikes, r"^not shown$")

    async def named(place: Path) -> str:
        async with serving(dump=web.status("403 Forbidden")) as server:
            url = server.url("/dump").replace("http://", f"http://anna:{SECRET}@")
            said = await _told(download(link(url), place / "dump", QUICK, INSIDE))
        return "neither said nor shown" if SECRET not in said + link(url).shown else "LEAKED"

    yield Attack("token", "a password in a link that fails", named, r"^neither said nor shown$")

    async def inherited(place: Path) -> str:
        from bot.child import environment

        given = {"PILEUP_SLACK_BOT_TOKEN": SECRET, "AWS_SECRET_ACCESS_KEY": SECRET, "PATH": "/bin"}
        return "not in its environment" if SECRET not in str(environment(given)) else "LEAKED"

    yield Attack("token", "the environment of a child", inherited, r"^not in its environment$")


def _servers() -> Iterator[Attack]:
    async def from_server(place: Path, answer: web.Answer, limits: FetchLimits) -> str:
        async with serving(dump=answer) as server:
            return await _told(download(link(server.url("/dump")), place / "dump", limits, INSIDE))

    import gzip

    yield Attack("server", "more than the disk quota", _over_quota, r"^disk: no room here for .* all dumps together")
    size = r"^size: the file is over the size cap"
    rows: tuple[tuple[str, web.Answer, FetchLimits, str], ...] = (
        ("says it sends 1 MB, 1 kB allowed", web.page(BODY), replace(QUICK, max_bytes=1000), size),
        ("sends for ever, fast", web.endless(every=0, chunk=bytes(65536)), QUICK, size),
        ("unpacks to 50 MB (Content-Encoding)", web.page(gzip.compress(bytes(50_000_000)), "Content-Encoding: gzip"),
         QUICK, size),
        ("falls silent", web.silent(), QUICK, r"^time: the server sent nothing for 0\.3 s"),
        ("never answers", _mute(), QUICK, r"^time: the server sent nothing for 0\.3 s"),
        ("trickles", web.endless(), replace(QUICK, slowest_rate=1e6), r"^time: the server sends too slowly"),
        ("trickles for ever", web.endless(), replace(QUICK, total_seconds=0.4, patience_seconds=60.0),
         r"^time: not finished after 0\.4 s"),
        ("sends a login page", web.page(b"<html><title>Log in</title>"), QUICK, r"^page: .* login page"),
        ("sends headers for ever", _headers(), QUICK, r"^(time|network): "),
    )  # fmt: skip
    for name, answer, limits, must in rows:
        yield Attack("server", name, lambda place, a=answer, b=limits: from_server(place, a, b), must)  # type: ignore[misc]


async def _over_quota(place: Path) -> str:
    async with serving(dump=web.page(BODY)) as server:
        terms = Terms(replace(QUICK, quota_bytes=len(BODY) - 1), INSIDE, place)
        return await _told(reach(link(server.url("/dump")), place / "dump", terms))


def _mute() -> web.Answer:
    async def answer(_request: web.Request, _writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    return answer


def _headers() -> web.Answer:
    async def answer(_request: web.Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-More: " + b"x" * 1000 + b"\r\n")
            await writer.drain()

    return answer


def _opened(data: bytes, limits: ArchiveLimits = TIGHT) -> Callable[[Path], Awaitable[str]]:
    async def run(place: Path) -> str:
        path = place / "dump"
        path.write_bytes(data)  # small, in a test
        fetched = Fetched(path, len(data), None, "", "https://h/x.zip", 0.0)
        try:
            opened = await open_archive(fetched, "x.zip", limits)
        except ArchiveFailed as failed:
            return f"{failed.kind}: {failed.line}"
        return "opened as " + ", ".join(f"{name} in {one.path.relative_to(place)}" for name, one in opened.dumps)

    return run


def _bombs() -> Iterator[Attack]:
    ratio = r"^limit: it unpacks to more than 50 times its size"
    for name, data in (
        ("zip", build.zipped({"x.dmp": ZEROS})),
        ("zip, Deflate64", build.deflate64_zip(b"x.dmp", ZEROS)),
        ("zip in a zip", build.zipped({"in.zip": build.zipped({"x.dmp": ZEROS})})),
        ("7z", build.sevenzip({"x.dmp": ZEROS})),
        ("cab", build.cabinet({"x.dmp": ZEROS})),
        ("tar.gz", build.PACKERS["gz"](build.tarred({"x.dmp": ZEROS}))),
        *((kind, build.PACKERS[kind](ZEROS)) for kind in ("bz2", "xz", "zst")),
    ):
        yield Attack("bomb", f"{name} of zeros", _opened(data), ratio)
    many = build.zipped({f"{n}.dmp": b"" for n in range(101)})
    yield Attack("bomb", "101 files, 100 allowed", _opened(many), r"^limit: it has more than 100 files")
    modest = build.zipped({f"{n}.dmp": DUMP for n in range(30)})
    small = replace(TIGHT, max_bytes=1_000_000)
    yield Attack("bomb", "a little over the cap", _opened(modest, small), r"^limit: it unpacks to more than 1,000,000")
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    liar = build.raw_zip(b"x.dmp", packed.compress(ZEROS) + packed.flush(), ZEROS, method=8, said=100)
    yield Attack("bomb", "a size that lies", _opened(liar), r"^damaged: ")
    starved = replace(TIGHT, memory_bytes=30_000_000)
    yield Attack("bomb", "more memory than allowed", _opened(build.sevenzip({"x": ZEROS}), starved), r"^limit: ")
    deep = build.zipped({"1": build.zipped({"2": build.zipped({"x.dmp": DUMP})})})
    yield Attack("bomb", "three archives deep", _opened(deep), r"^no-dump: .* not opened any deeper")
    slow = replace(TIGHT, seconds=0.05)
    yield Attack("bomb", "longer than allowed", _opened(modest, slow), r"^limit: it was not unpacked after 0\.05 s")


def _paths() -> Iterator[Attack]:
    for name in (b"../../../../tmp/x.dmp", b"/etc/cron.d/x.dmp", b"..\\..\\x.dmp", b"C:\\Windows\\x.dmp"):
        data = build.raw_zip(name, DUMP, DUMP)
        yield Attack("path", f"zip: {name.decode()}", _opened(data), r"^opened as x\.dmp in unpacked/1$")
    tar = build.tarred({"../../x.dmp": DUMP})
    yield Attack("path", "tar: ../../x.dmp", _opened(tar), r"^opened as x\.dmp in unpacked/1$")
    link_in_zip = build.raw_zip(b"x.dmp", b"/etc/passwd", b"/etc/passwd", mode=0o120777)
    yield Attack("path", "a symbolic link in a zip", _opened(link_in_zip), r"^no-dump: ")
    yield Attack("path", "a symbolic link in a tar", _opened(build.tar_link("x.dmp", "/etc/passwd")), r"^no-dump: ")


# What code that took over a child would try, after the child gave up what the real ones give up.
_CONFINED = """
import ctypes, os, socket, sys
from pathlib import Path
from analysis.confinement import cap_file_size, cap_memory, confine_files, cut_off_network
place = Path(sys.argv[1])
notes = cap_memory(200 << 20), cap_file_size(1000), cut_off_network(), confine_files([place / "own"], [place / "dump"])
if any(notes):
    print("not confined here:", *filter(None, notes))
    sys.exit()
def x32():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(0x40000000 + 41, 2, 1, 0) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
tries = {
    "network": lambda: socket.create_connection(("127.0.0.1", 9), 1),
    "x32 socket": x32,
    "write": lambda: (place / "other").write_text("x"),
    "read": lambda: (place / "token").read_text(),
    "look into its parent": lambda: open(f"/proc/{os.getppid()}/mem", "rb"),
    "fill the disk": lambda: (place / "own" / "big").write_bytes(bytes(2000)),
    "fill the memory": lambda: bytearray(400 << 20),
}
try:
    tries[sys.argv[2]]()
    print("DONE")
except (OSError, MemoryError) as error:
    print("refused:", type(error).__name__, getattr(error, "strerror", None) or "")
"""


def _children() -> Iterator[Attack]:
    async def run(place: Path, what: str) -> str:
        (place / "own").mkdir()
        (place / "token").write_text("secret")
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _CONFINED, str(place), what, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await child.communicate()
        return output.decode().strip()

    for what in ("network", "x32 socket", "write", "read", "look into its parent", "fill the disk", "fill the memory"):
        must = r"^(refused: (Permission|OS|Memory)Error|not confined here: )"
        yield Attack("child", what, lambda place, what=what: run(place, what), must)  # type: ignore[misc]


NAME = "<!channel> <script>alert(1)</script> \x1b[2J\u202eexe.dmp\n2026-01-01 INFO forged"


def _texts() -> Iterator[Attack]:
    async def in_slack(_place: Path) -> str:
        sent = checked(failure(f"I could not open {NAME}", NAME), "k")
        is_live = "<!channel>" in str(sent) or "\x1b" in str(sent) or "\u202e" in str(sent)
        return "escaped" if not is_live else "LIVE"

    async def in_html(_place: Path) -> str:
        shown = as_html(list(failure(NAME, NAME).blocks), Workspace())
        return "escaped" if "<script" not in shown else "LIVE"

    async def in_terminal(_place: Path) -> str:
        return "replaced" if "\x1b" not in printable(NAME) and "\n" not in printable(NAME) else "LIVE"

    async def in_log(_place: Path) -> str:
        record = logging.LogRecord("pileup", logging.INFO, "", 0, "failed: %s", (NAME,), None)
        lines = OneLine("%(message)s").format(record).split("\n")
        return "indented" if all(line.startswith("    ") for line in lines[1:]) and "\x1b" not in str(lines) else "LIVE"

    yield Attack("text", "a name as Slack mark-up", in_slack, r"^escaped$")
    yield Attack("text", "a name as HTML", in_html, r"^escaped$")
    yield Attack("text", "a name as terminal control", in_terminal, r"^replaced$")
    yield Attack("text", "a name as a log line", in_log, r"^indented$")


async def tried(attack: Attack) -> str:
    """What an attack came to."""
    with tempfile.TemporaryDirectory() as place:
        return await attack.run(Path(place))


def main(chosen: Iterable[Attack] | None = None) -> int:
    """Try and print every row; the exit status."""
    wrong = 0
    rows = list(chosen if chosen is not None else attacks())
    logging.disable(logging.WARNING)
    for attack in rows:
        happened = asyncio.run(tried(attack))
        fine = is_as_it_must_be(attack, happened)
        wrong += not fine
        with contextlib.suppress(BrokenPipeError):
            print(f"{'ok ' if fine else 'BAD'} {attack.group:<18} {attack.name:<52} {happened}", flush=True)
    print(f"{len(rows)} attacks, {wrong} not as they must be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
