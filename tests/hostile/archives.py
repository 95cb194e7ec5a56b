"""Archives of every kind, unpacked in this very process."""

import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path

from bot.archives.limits import USUAL_PASSWORDS, ArchiveLimits
from bot.archives.unpack import unpack
from tests.archives import build

_LIMITS = ArchiveLimits(max_dumps=2, max_bytes=1 << 20, free_bytes=1 << 18, max_members=64)
_MEMBERS = {
    "a/Mini1.dmp": b"PAGEDU64" + bytes(range(64)) * 4,
    "b\\Mini2.dmp": b"MDMP" + bytes(40),
    "readme.txt": b"text",
}


def check_archive(data: bytes, scratch: Path) -> None:
    """Unpack it; what comes out lies in its own folder under numbers, and is no more than the limit."""
    scratch.write_bytes(data)
    out = scratch.with_name(scratch.name + ".out")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    found = unpack(scratch, "all.gz", out, _LIMITS, USUAL_PASSWORDS)
    assert {path.name for path in out.iterdir()} == {dump.path.name for dump in found.dumps}
    assert len(found.dumps) <= _LIMITS.max_dumps
    assert sum(dump.path.stat().st_size for dump in found.dumps) <= _LIMITS.max_bytes
    assert all(dump.path.name.isdecimal() and dump.name.isprintable() for dump in found.dumps)


def archives() -> Iterable[bytes]:
    """One of each kind and method, nested ones, and one with a link."""
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        yield build.zipped(_MEMBERS, method)
    yield build.zip64(_MEMBERS)
    yield build.zipped({**_MEMBERS, "c.dmp": b"MDMP" + bytes(8)})
    yield build.deflate64_zip(b"Mini1.dmp", _MEMBERS["a/Mini1.dmp"])
    yield build.locked_zip({"x.dmp": _MEMBERS["a/Mini1.dmp"]}, "infected", aes=False)
    yield build.sevenzip(_MEMBERS)
    yield build.cabinet(_MEMBERS)
    yield build.tarred(_MEMBERS)
    yield build.tar_link("x.dmp", "/etc/passwd")
    for pack in build.PACKERS.values():
        yield pack(_MEMBERS["a/Mini1.dmp"])
        yield build.tarred(_MEMBERS, pack)
    yield build.zipped({"all.zip": build.zipped(_MEMBERS)})
