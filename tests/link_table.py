"""Every form of a link and every kind of archive, tried: what happened. ``python -m tests.link_table [--rar]``.

Share pages are turned into the address of their file; what can be served on loopback is fetched from there by the real
download; each archive is unpacked by the real child. ``--rar`` fetches the source package ``rarfile`` for its test
files, and holds what comes out of each against the checksums that rarfile reads from its directory. Exits 1 when a row
is not as it must be.
"""

import asyncio
import functools
import importlib.util
import json
import logging
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bot.archives.limits import ArchiveFailed, ArchiveLimits
from bot.archives.opening import open_archive
from bot.fetch.download import Fetched
from bot.fetch.limits import FetchLimits, Policy
from bot.fetch.links import find_links, link
from bot.fetch.problems import FetchFailed
from bot.fetch.remote import Terms, reach
from bot.fetch.safety import Credentials
from bot.fetch.shares import direct
from bot.sandbox import StandIn
from bot.sandbox.server import BOT_TOKEN
from bot.sandbox.workspace import Workspace
from tests.archives import build
from tests.archives.test_unpack import DUMP, ONE, OTHER, SOUND
from tests.bot import server as web
from tests.bot.range_server import RangeServer, serving_ranges
from tests.bot.server import BODY, serving
from tests.bot.test_shares import FORMS
from tests.bot.test_zipped import BALLAST, BIG, DEFLATED, SMALL, STORED, zipped

LIMITS = FetchLimits(total_seconds=20, idle_seconds=2, connect_seconds=2, first_wait_seconds=0.01)


@dataclass(frozen=True, slots=True)
class Form:
    """One form: of which group, what is tried, how, and what must happen."""

    group: str
    name: str
    run: Callable[[Path], Awaitable[str]]
    must: str


def forms() -> list[Form]:
    """Every row of the table but those for RAR."""
    return [*_written(), *_shares(), *_fetched(), *_archives()]


def _written() -> Iterator[Form]:
    two = "https://h/a.dmp https://h/b.dmp"
    for name, text, must in (
        ("as Slack writes it", "look: <https://h/a.dmp>", "https://h/a.dmp"),
        ("with a label", "<https://h/a.dmp?x=1&amp;y=2|the dump>", "https://h/a.dmp?x=1&y=2"),
        ("in code", "`https://h/a.dmp`", "https://h/a.dmp"),
        ("in a code block", "```\nhttps://h/a.dmp\n```", "https://h/a.dmp"),
        ("several", "<https://h/a.dmp> then <https://h/b.dmp>", two),
        ("the same twice", "<https://h/a.dmp> <https://h/a.dmp|again>", "https://h/a.dmp"),
        ("at the end of a sentence", "(see https://h/a.dmp).", "https://h/a.dmp"),
        ("an object store's", "s3://crash-dumps/a.dmp gs://b/c.dmp az://d/e.dmp",
         "s3://crash-dumps/a.dmp gs://b/c.dmp az://d/e.dmp"),
    ):  # fmt: skip
        yield Form("in a message", name, _at_once(functools.partial(_links, text)), must)


def _links(text: str) -> str:
    return " ".join(one.url for one in find_links(text))


def _shares() -> Iterator[Form]:
    for posted, file in FORMS:
        yield Form("share page", posted, _at_once(functools.partial(direct, posted)), file)


def _at_once(make: Callable[[], str]) -> Callable[[Path], Awaitable[str]]:
    async def run(_place: Path) -> str:
        return make()

    return run


async def _came(place: Path, url: str, *, is_upload: bool = False, credentials: Credentials | None = None) -> str:
    terms = Terms(LIMITS, Policy(allow_private=True), place, credentials)
    try:
        fetched = await reach(replace(link(url), is_upload=is_upload), place / "dump", terms)
    except FetchFailed as failed:
        return f"{failed.kind}: {failed.line}"
    return f"{fetched.size} bytes"


def _fetched() -> Iterator[Form]:
    def served(path: str, **routes: web.Answer) -> Callable[[Path], Awaitable[str]]:
        async def run(place: Path) -> str:
            async with serving(**routes) as server:
                return await _came(place, server.url(path))

        return run

    whole = f"{len(BODY)} bytes"
    login = web.page(b"<!DOCTYPE html><title>Sign in</title><input type=password>")
    page = web.page(b"<html><title>Files</title></html>")
    yield Form("fetched", "a plain file", served("/x", x=web.page(BODY)), whole)
    yield Form("fetched", "behind a redirect", served("/x", x=web.redirect("/y"), y=web.page(BODY)), whole)
    yield Form("fetched", "with a drop, by its ETag", served("/x", x=web.broken(100_000)), whole)
    yield Form("fetched", "with a drop, without ranges", served("/x", x=web.broken(100_000, ranges=False)), whole)
    yield Form(
        "fetched", "a login page", served("/x", x=login),
        "page: the link leads to a login page titled “Sign in” (HTML), so it needs an account",
    )  # fmt: skip
    yield Form(
        "fetched", "another page", served("/x", x=page),
        "page: the link leads to an HTML page titled “Files”, not to a file: perhaps a login is needed",
    )  # fmt: skip
    yield Form(
        "fetched", "a presigned address that has ended",
        served("/x?X-Amz-Date=20260501T100000Z&X-Amz-Expires=60&X-Amz-Signature=s", x=web.status("403 Forbidden")),
        "status: the server answered 403 Forbidden: the link expired on 2026-05-01 10:01 UTC",
    )  # fmt: skip
    yield Form("fetched", "posted as a file in Slack", _uploaded({"files:read"}), whole)
    yield Form(
        "fetched", "the same without files:read", _uploaded(set()),
        "page: the link leads to an HTML page, not to a file: perhaps a login is needed",
    )  # fmt: skip
    yield Form(
        "fetched", "a zip of 21 MB with a stored dump", _zipped(("MEMORY.DMP", BIG, STORED)),
        f"MEMORY.DMP {len(BIG)} bytes, read where it lies; 6 % of the zip fetched",
    )  # fmt: skip
    small = ("Mini.dmp", SMALL, DEFLATED)
    yield Form(
        "fetched", "a zip of 21 MB with a small packed dump", _zipped(("trace.etl", BALLAST, STORED), small),
        f"Mini.dmp {len(SMALL)} bytes, unpacked here; 6 % of the zip fetched",
    )  # fmt: skip
    yield Form(
        "fetched", "a zip of 21 MB that is all one packed dump", _zipped(("MEMORY.DMP", BIG, DEFLATED)),
        f"MEMORY.DMP {len(BIG)} bytes, unpacked here; 106 % of the zip fetched",
    )  # fmt: skip
    if importlib.util.find_spec("s3fs") is None:
        said = "address: s3:// links need an extra: pip install 'pileup[s3]'"
        yield Form("fetched", "s3:// without its extra", _from_bucket, said)


def _uploaded(scopes: set[str]) -> Callable[[Path], Awaitable[str]]:
    async def run(place: Path) -> str:
        async with StandIn(Workspace(), scopes=frozenset(scopes)) as slack:
            said = slack.workspace.upload("C0CRASHES1", "U0ANNA0001", "x.dmp", BODY)
            shown = Credentials({slack.base.rstrip("/"): f"Bearer {BOT_TOKEN}"})
            url = said.to_json()["files"][0]["url_private_download"]
            return await _came(place, url, is_upload=True, credentials=shown)

    return run


def _zipped(*members: tuple[str, bytes, int]) -> Callable[[Path], Awaitable[str]]:
    async def run(place: Path) -> str:
        path = zipped(place / "zip", *members)
        async with serving_ranges(RangeServer(path)) as server:
            terms = Terms(LIMITS, Policy(allow_private=True), place)
            fetched = await reach(link(server.url), place / "dump", terms)
            if fetched.pages is None:
                dumps = (await open_archive(fetched, "x.zip", ArchiveLimits())).dumps
            else:
                await asyncio.to_thread(fetched.pages.close)
                dumps = ((fetched.source.rpartition(" ")[2], fetched),)
            found = ", ".join(f"{name} {one.size} bytes" for name, one in dumps)
            how = "unpacked here" if fetched.pages is None else "read where it lies"
            return f"{found}, {how}; {100 * server.sent / path.stat().st_size:.0f} % of the zip fetched"

    return run


async def _from_bucket(place: Path) -> str:
    terms = Terms(LIMITS, Policy(buckets=frozenset({"s3://dumps"})), place)
    try:
        await reach(link("s3://dumps/x.dmp"), place / "dump", terms)
    except FetchFailed as failed:
        return f"{failed.kind}: {failed.line}"
    return "fetched"


def _archives() -> Iterator[Form]:
    both = f"Mini1.dmp {len(DUMP)} bytes, Mini2.dmp {len(OTHER)} bytes"
    for name, data in SOUND.items():
        yield Form("archive", name, _unpacked(data), both)
    for name, data in ONE.items():
        yield Form("archive", name, _unpacked(data, "Mini1.dmp.x"), f"Mini1.dmp {len(DUMP)} bytes")
    named = "Größe.dmp".encode()
    for what, raw, flags in (("UTF-8", named, 0x800), ("UTF-8 without its flag", named, 0),
                             ("the DOS code page", "Größe.dmp".encode("cp437"), 0)):  # fmt: skip
        data = build.raw_zip(raw, DUMP, DUMP, flags=flags)
        yield Form("archive", f"a name in {what}", _unpacked(data), f"Größe.dmp {len(DUMP)} bytes")
    back = build.raw_zip(b"C:\\Windows\\Minidump\\x.dmp", DUMP, DUMP)
    yield Form("archive", "a name with backslashes", _unpacked(back), f"x.dmp {len(DUMP)} bytes")
    locked = "password: it has a password, and none of those I know opens it"
    yield Form("archive", "zip, another password", _unpacked(build.locked_zip({"x.dmp": DUMP}, "Tr0ub4dor")), locked)
    yield Form("archive", "7z, another password", _unpacked(build.sevenzip({"x.dmp": DUMP}, "Tr0ub4dor")), locked)
    given = _unpacked(build.locked_zip({"x.dmp": DUMP}, "Tr0ub4dor"), password="Tr0ub4dor")
    yield Form("archive", "zip, the password that was asked for", given, f"x.dmp {len(DUMP)} bytes")


def _unpacked(data: bytes, name: str = "x", password: str | None = None) -> Callable[[Path], Awaitable[str]]:
    async def run(place: Path) -> str:
        path = place / "dump"
        path.write_bytes(data)
        fetched = Fetched(path, len(data), None, "", "https://h/x", 0.0)
        try:
            opened = await open_archive(fetched, name, ArchiveLimits(), password)
        except ArchiveFailed as failed:
            return f"{failed.kind}: {failed.line}"
        return ", ".join(f"{member} {one.size} bytes" for member, one in opened.dumps)

    return run


def rar_forms(package: Path) -> Iterator[Form]:
    """A row for each RAR file of the unpacked source package ``rarfile``."""
    spec = importlib.util.spec_from_file_location("rarfile", package / "rarfile.py")
    assert spec is not None
    assert spec.loader is not None
    rarfile: Any = importlib.util.module_from_spec(spec)
    sys.modules["rarfile"] = rarfile
    spec.loader.exec_module(rarfile)
    for path in sorted((package / "test" / "files").glob("*.rar")):
        must = RAR_SAYS.get(path.name, "as its directory says")
        yield Form("rar", path.name, _at_once(functools.partial(_rar, path, rarfile)), must)


# What libarchive does not read: it says so, or says that the file is damaged.
_DAMAGED = "it is damaged, cut off, or a part of a split archive"
_LOCKED = "it is encrypted in a way that cannot be read here; an encrypted zip can"
_SOLID = "it is a solid archive of the old RAR, which cannot be read here"
RAR_SAYS = {
    **dict.fromkeys(("rar15-comment-lock.rar", "rar15-comment.rar", "rar2-unix-owner.rar", "rar202-comment-nopsw.rar",
                     "rar202-comment-psw.rar", "rar3-old.rar", "rar3-vols.part1.rar", "rar3-vols.part2.rar",
                     "rar3-vols.part3.rar", "rar5-vols.part1.rar", "rar5-vols.part2.rar", "seektest.rar"),
                    _DAMAGED),
    "rar5-vols.part3.rar": "a later part of a split archive",
    **dict.fromkeys(("rar3-comment-hpsw.rar", "rar5-hpsw.rar", "rar5-psw-blake.rar", "rar5-psw.rar"), _LOCKED),
    **dict.fromkeys(("rar3-comment-plain.rar", "rar3-comment-psw.rar", "rar3-owner.rar", "rar3-solid.rar",
                     "unicode.rar"), _SOLID),
}  # fmt: skip


# Each file in a process of its own, as the bot does it: prints the checksums of what came out, or why nothing did.
_READ = """
import json, sys, zlib
from tests.link_table import Sums
from bot.archives.limits import ArchiveFailed
from bot.archives.sevenzip import feed_libarchive
sums = Sums()
try:
    with open(sys.argv[1], "rb") as file:
        feed_libarchive(file, sums, deep=False)
    print(json.dumps({name: zlib.crc32(content) for name, content in sums.found.items() if content}))
except ArchiveFailed as failed:
    print(json.dumps(failed.line))
"""


def _rar(path: Path, rarfile: Any) -> str:
    done = subprocess.run([sys.executable, "-c", _READ, str(path)], capture_output=True, check=True, text=True)
    found = json.loads(done.stdout)
    if isinstance(found, str):
        return found
    try:
        with rarfile.RarFile(str(path)) as archive:
            told = {entry.filename.rpartition("/")[2]: entry.CRC for entry in archive.infolist() if entry.is_file()}
    except rarfile.NeedFirstVolume:
        return "a later part of a split archive"
    wrong = [name for name, crc in found.items() if told.get(name) is not None and crc != told[name] & 0xFFFFFFFF]
    return "as its directory says" if not wrong else f"other sums: {wrong}"


class Sums:
    """Stands where a collector does, and keeps what comes out: RAR's samples hold no dumps."""

    dumps: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.found: dict[str, bytes] = {}

    def count(self, _size: int) -> None:
        """Nothing is counted here."""

    def member(self, name: str, *, deep: bool) -> "Sum":
        """The next member."""
        del deep
        return Sum(self, name.rpartition("/")[2])


class Sum:
    """One member's content."""

    def __init__(self, sums: Sums, name: str) -> None:
        self.sums, self.name = sums, name
        sums.found[name] = b""

    def write(self, chunk: bytes) -> bool:
        """Keep it."""
        self.sums.found[self.name] += chunk
        return True

    def close(self) -> None:
        """The member is whole."""

    def abandon(self) -> None:
        """The member broke off."""


async def tried(form: Form) -> str:
    """What came of a form."""
    with tempfile.TemporaryDirectory() as place:
        return await form.run(Path(place))


def main(rows: Iterable[Form]) -> int:
    """Try and print every row; the exit status."""
    logging.disable(logging.WARNING)
    wrong = count = 0
    for form in rows:
        happened = asyncio.run(tried(form))
        count += 1
        wrong += happened != form.must
        print(f"{'ok ' if happened == form.must else 'BAD'} {form.group:<12} {form.name:<72} {happened}", flush=True)
    print(f"{count} forms, {wrong} not as they must be")
    return 1 if wrong else 0


def _rar_package(into: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "rarfile"]
    subprocess.run([*command, "--dest", str(into)], check=True)
    (source,) = into.glob("rarfile-*.tar.gz")
    shutil.unpack_archive(source, into)
    return next(into.glob("rarfile-*/rarfile.py")).parent


if __name__ == "__main__":
    if "--rar" in sys.argv:
        with tempfile.TemporaryDirectory() as place:
            sys.exit(main([*forms(), *rar_forms(_rar_package(Path(place)))]))
    sys.exit(main(forms()))
