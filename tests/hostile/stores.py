"""Symbol stores and servers: every small file in one, and what a server may send."""

import struct
from collections.abc import Iterable
from pathlib import Path
from zlib import crc32

import httpx

from analysis.symbols.names import PdbIdentity
from analysis.symbols.pdb.kept import Column, KeptIndex
from analysis.symbols.search import find_files, read_builds
from bot.symbols.fetching import Limits, SymbolServers
from bot.symbols.paths import Tiers, symbol_tiers
from tests.symbols import pdbs

_COLUMNS = {"starts": Column("<i8", room=8), "rows": Column("<i4", like="starts", of="starts")}
_STREAM = 64  # bytes


def check_store(data: bytes, scratch: Path) -> None:
    """What lies in a symbol store or comes from a symbol server: the first byte says as which of its files."""
    kind, content = data[:1], data[1:]
    folder = scratch.with_name(scratch.name + ".store")
    folder.mkdir(exist_ok=True)
    match kind:
        case b"B":
            (folder / "BUILDS.tsv").write_bytes(content)
            read_builds(folder / "BUILDS.tsv")
            find_files((folder,), {})
        case b"P":
            for tiers in symbol_tiers(folder, content.decode("utf-8", "replace").replace("\0", "")):
                assert tiers.places
        case b"K":
            tail = content[:4].ljust(4, b"\0") + content[4:]
            (folder / "key-names.v1").write_bytes(b"PDBINDEX" + struct.pack("<I", crc32(tail)) + tail)
            found = KeptIndex(folder, "key").load("names", _COLUMNS, _STREAM)
            assert found is None or all(0 <= row < len(found["starts"]) for row in found["rows"].tolist())
            assert found is None or all(0 <= at <= _STREAM - 8 for at in found["starts"].tolist())
        case _:
            _ask_server(folder, kind, content)


def _ask_server(folder: Path, kind: bytes, content: bytes) -> None:
    wanted = PdbIdentity("driver.pdb", pdbs.GUID, 1)
    place = folder / "driver.pdb" / f"{pdbs.GUID}1"
    place.mkdir(parents=True, exist_ok=True)
    (place / "missing.json").unlink(missing_ok=True)
    (place / "driver.pdb").unlink(missing_ok=True)
    if kind == b"N":
        (place / "missing.json").write_bytes(content)

    def answer(request: httpx.Request) -> httpx.Response:
        name = request.url.path.rsplit("/", 1)[-1]
        served = {b"F": "file.ptr", b"N": "", b"3": "index2.txt"}.get(kind, "driver.pdb")
        return httpx.Response(200 if name == served else 404, content=content)

    tiers = (Tiers((folder, "http://store.test")),)
    servers = SymbolServers(tiers, folder, Limits(), transport=httpx.MockTransport(answer))
    try:
        got = servers.fetch(wanted)
    finally:
        servers.close()
    assert (got.path is None) == bool(got.reason)
    assert "\n" not in got.reason
    assert "fault of ours" not in got.reason
    assert got.path is None or got.path.read_bytes() == content


def store_files() -> Iterable[bytes]:
    """One of each."""
    yield b"B" + b"10.0.19041.804\t00112233445566778899AABBCCDDEEFF\tntkrnlmp.pdb\nbuild\tguid\n"
    yield b"P" + b"cache*/tmp/a;srv*c:\\first*https://one.test/x*https://two.test;symsrv*symsrv.dll*http://three.test/"
    yield b"F" + b"MSG: not kept any more"
    yield b"F" + b"PATH:\\\\server\\share\\driver.pdb"
    yield b"N" + b'{"http://store.test": {"until": 99999999999, "reason": "it was not there"}}'
    yield b"3" + b"x"
    described = b'{"starts": ["<i8", 2], "rows": ["<i4", 2]}'.ljust(48)
    yield b"K" + struct.pack("<I", len(described)) + described + struct.pack("<QQII", 0, 16, 0, 1)
    yield b"S" + pdbs.Pdb().build(512)
