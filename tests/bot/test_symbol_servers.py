"""Symbol servers: what is asked, what is believed, and what each fault costs."""

import errno
import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis.symbols.names import ImageIdentity, PdbIdentity
from bot.symbols.fetching import Answer, Limits, SymbolServers
from bot.symbols.paths import Tiers
from bot.symbols.reach import Reach
from bot.symbols.stores import MISSING, NOTE
from tests.bot.cabinets import LZX, LZX_PACKED, MSZIP, STORED, cabinet
from tests.bot.symbol_store import Store, serving
from tests.symbols.images import SIZE, build_image
from tests.symbols.pdbs import GUID, Pdb

WANTED = PdbIdentity("probe.pdb", GUID, 0x1A)
FOLDER = f"/probe.pdb/{GUID}1A"
PLACE = f"{FOLDER}/probe.pdb"
IMAGE = ImageIdentity("probe.sys", 0x5F3E1234, SIZE)
IMAGE_PLACE = f"/probe.sys/5F3E1234{SIZE:x}/probe.sys"
REACH = Reach(idle_seconds=0.5)
LIMITS = Limits(total_seconds=5)


@pytest.fixture
def server() -> Iterator[Store]:
    with serving() as found:
        found.files[PLACE] = Pdb(age=0x1A).build()
        found.files[IMAGE_PLACE] = bytes(build_image())
        yield found


def servers_of(*places: Path | str, reach: Reach = REACH, limits: Limits = LIMITS) -> SymbolServers:
    default = next(place for place in places if isinstance(place, Path))
    return SymbolServers((Tiers(places),), default, limits, reach)


def fetch(
    server: Store, cache: Path, wanted: PdbIdentity | ImageIdentity = WANTED, reach: Reach = REACH, url: str = ""
) -> Answer:
    servers = servers_of(cache, url or server.url, reach=reach)
    try:
        return servers.fetch(wanted)
    finally:
        servers.close()


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.rglob("*") if path.is_file() and path.parent.name != ".locks"}


def test_a_pdb_is_fetched_once_and_then_found_at_its_place(server: Store, tmp_path: Path) -> None:
    for _ in range(2):
        assert fetch(server, tmp_path) == Answer(tmp_path / "probe.pdb" / f"{GUID}1A" / "probe.pdb")
    assert server.asked.count(PLACE) == 1
    assert names(tmp_path) == {"probe.pdb", NOTE}


def test_an_image_is_fetched_by_time_stamp_and_size(server: Store, tmp_path: Path) -> None:
    assert fetch(server, tmp_path, IMAGE).path == tmp_path / IMAGE_PLACE[1:]
    other = ImageIdentity("probe.sys", 0x5F3E1234, SIZE + 0x1000)
    server.files[f"/probe.sys/{other.key}/probe.sys"] = bytes(build_image())
    assert fetch(server, tmp_path, other).reason.startswith(
        f"what 127.0.0.1 sent is refused: it is 5f3e1234-{SIZE:x}, but "
    )


def test_a_store_with_an_index_is_asked_in_its_own_form_and_kept_in_it(server: Store, tmp_path: Path) -> None:
    server.files = {"/index2.txt": b"", f"/pr{PLACE}": server.files[PLACE]}
    (tmp_path / "index2.txt").touch()
    (tmp_path / "pingme.txt").touch()
    assert fetch(server, tmp_path).path == tmp_path / "pr" / PLACE[1:]
    server.files.clear()
    assert fetch(server, tmp_path).path == tmp_path / "pr" / PLACE[1:]


@pytest.mark.parametrize("kind", [STORED, MSZIP, LZX, LZX_PACKED])
def test_a_compressed_file_is_unpacked(server: Store, tmp_path: Path, kind: int) -> None:
    whole = server.files.pop(PLACE)
    server.files[f"{FOLDER}/probe.pd_"] = cabinet("probe.pdb", whole, kind)
    path = fetch(server, tmp_path).path
    assert path is not None
    assert path.read_bytes() == whole
    assert names(tmp_path) == {"probe.pdb", NOTE}


def test_a_redirect_is_followed(server: Store, tmp_path: Path) -> None:
    server.files["/blob"] = server.files.pop(PLACE)
    server.faults[PLACE] = "to:/blob"
    assert fetch(server, tmp_path).path is not None


def test_a_slow_server_is_waited_for_as_long_as_it_may_be_silent(server: Store, tmp_path: Path) -> None:
    server.faults[PLACE] = "slow"
    assert fetch(server, tmp_path, reach=Reach(idle_seconds=10)).path is not None


@pytest.mark.parametrize("fault", ["once:500", "once:503"])
def test_a_passing_fault_is_tried_again(server: Store, tmp_path: Path, fault: str) -> None:
    server.faults[PLACE] = fault
    assert fetch(server, tmp_path).path is not None


@pytest.mark.parametrize(
    ("fault", "body", "reason"),
    [
        ("404", None, "127.0.0.1 has no such file"),
        ("403", None, "127.0.0.1 has no such file"),
        ("500", None, "127.0.0.1 answered with status 500"),
        ("cut", None, "127.0.0.1 could not be asked (RemoteProtocolError)"),
        ("slow", None, "127.0.0.1 did not answer in 0.5 s"),
        (f"to:{PLACE}", None, "127.0.0.1 could not be asked (TooManyRedirects)"),
        ("", Pdb(age=0x1B).build(), f"what 127.0.0.1 sent is refused: it is {GUID}-1b"),
        ("", b"<html>sign in</html>", "what 127.0.0.1 sent is refused: not a PDB"),
    ],
)
def test_a_fault_gives_a_reason_and_leaves_no_file(
    server: Store, tmp_path: Path, fault: str, body: bytes | None, reason: str
) -> None:
    server.faults[PLACE] = fault
    server.files[PLACE] = body or server.files[PLACE]
    answer = fetch(server, tmp_path)
    assert answer.path is None
    assert answer.reason.startswith(reason)
    assert names(tmp_path) == {MISSING}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"MSCF", "it is damaged"),
        (b"MZ", "it is not a cabinet"),
        (cabinet("probe.pdb", bytes(200), more=("second.pdb",)), "it does not hold exactly one file"),
        (cabinet("probe.pdb", Pdb(age=2).build()), f"it is {GUID}-2, but "),
        (cabinet("probe.pdb", random.Random(1).randbytes(70_000))[:50_000], "it is damaged"),
    ],
)
def test_a_compressed_file_that_is_none_is_refused(server: Store, tmp_path: Path, content: bytes, reason: str) -> None:
    del server.files[PLACE]
    server.files[f"{FOLDER}/probe.pd_"] = content
    answer = fetch(server, tmp_path)
    assert answer.reason.startswith("what 127.0.0.1 sent")
    assert f"is refused: {reason}" in answer.reason
    assert names(tmp_path) == {MISSING}


def test_a_server_that_is_down_says_so(tmp_path: Path) -> None:
    with serving() as gone:
        url = gone.url
    assert fetch(gone, tmp_path, url=url) == Answer(reason="127.0.0.1 could not be asked (ConnectError)")


def test_the_next_server_is_asked(server: Store, tmp_path: Path) -> None:
    with serving() as empty:
        tiers = (Tiers((tmp_path / "a", empty.url)), Tiers((tmp_path / "b", server.url)))
        found = SymbolServers(tiers, tmp_path / "c", LIMITS, REACH).fetch(WANTED).path
    assert found == tmp_path / "b" / PLACE[1:]


def test_what_a_farther_place_has_is_kept_in_every_nearer_one(server: Store, tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    assert servers_of(a, b, server.url).fetch(WANTED).path == a / PLACE[1:]
    assert (b / PLACE[1:]).is_file()
    (a / PLACE[1:]).unlink()
    server.files.clear()
    assert servers_of(a, b, server.url).fetch(WANTED).path == a / PLACE[1:]


def test_a_kept_file_that_was_damaged_is_fetched_again(server: Store, tmp_path: Path) -> None:
    path = fetch(server, tmp_path).path
    assert path is not None
    path.write_bytes(path.read_bytes()[:600])
    assert fetch(server, tmp_path).path == path
    assert path.read_bytes() == server.files[PLACE]


def test_what_is_missing_is_not_asked_for_again_until_that_expires(server: Store, tmp_path: Path) -> None:
    body = server.files.pop(PLACE)
    first = fetch(server, tmp_path)
    server.files[PLACE] = body
    assert fetch(server, tmp_path) == Answer(reason=f"{first.reason} (asked before)")
    assert server.asked.count(PLACE) == 1
    marker = tmp_path / FOLDER[1:] / MISSING
    known = json.loads(marker.read_text())
    known[server.url]["until"] = time.time() - 1
    marker.write_text(json.dumps(known))
    assert fetch(server, tmp_path).path is not None
    marker.write_text("[nonsense")
    assert fetch(server, tmp_path).path is not None


def test_messages_and_pointers_of_a_server_are_told(server: Store, tmp_path: Path) -> None:
    del server.files[PLACE]
    server.files[f"{FOLDER}/file.ptr"] = b"MSG: withdrawn\r\n"
    assert fetch(server, tmp_path / "a").reason == "127.0.0.1 says of it: withdrawn"
    server.files[f"{FOLDER}/file.ptr"] = b"PATH:\\\\share\\probe.pdb"
    assert "at a place that it does not serve" in fetch(server, tmp_path / "b").reason


def test_a_failing_server_is_left_alone_and_the_time_ends(server: Store, tmp_path: Path) -> None:
    server.faults["*"] = "404"
    server.faults["/index2.txt"] = "500"
    for n in range(3):
        server.faults[f"/p{n}.pdb/{GUID}1/p{n}.pdb"] = "500"
    servers = servers_of(tmp_path, server.url)
    reasons = [servers.fetch(PdbIdentity(f"p{n}.pdb", GUID, 1)).reason for n in range(3)]
    assert reasons[2] == "127.0.0.1 was not asked again after 2 failures"
    place = f"/q.pdb/{GUID}1/q.pdb"
    server.files[place], server.faults[place] = bytes(200), "slow"
    spent = servers_of(tmp_path, server.url, limits=Limits(total_seconds=0.0))
    assert spent.fetch(PdbIdentity("q.pdb", GUID, 1)).reason in (
        "the 0 s for symbols are used up",
        "the time for symbols was up before all had arrived from 127.0.0.1",
    )


@pytest.mark.parametrize(
    "name", ["../probe.pdb", "a/b.pdb", "a\\b.pdb", ".pdb", "probe.exe", "", "a" * 300 + ".pdb", "a\n.pdb"]
)
def test_a_name_from_a_dump_never_leads_elsewhere(server: Store, tmp_path: Path, name: str) -> None:
    assert "is no name of a file" in fetch(server, tmp_path, PdbIdentity(name, GUID, 1)).reason
    assert "is no name of a file" in fetch(server, tmp_path, PdbIdentity("p.pdb", "..", 1)).reason
    assert "is no name of a file" in fetch(server, tmp_path, ImageIdentity("../a.sys", 1, 1)).reason
    assert "is no name of a file" in fetch(server, tmp_path, ImageIdentity("a.sys", -1, 1)).reason
    assert server.asked == []


@pytest.mark.parametrize("by_setting", [True, False])
def test_credentials_are_shown_to_their_server_and_to_nobody_else(
    server: Store, tmp_path: Path, *, by_setting: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    with serving() as other:
        other.files["/blob"] = server.files.pop(PLACE)
        server.faults[PLACE] = f"to:{other.url}/blob"
        host = server.url.removeprefix("http://")
        url = server.url if by_setting else f"http://anna:s3cret@{host}"
        reach = Reach(idle_seconds=0.5, credentials={host: ("anna", "s3cret")} if by_setting else {})
        assert fetch(server, tmp_path, reach=reach, url=url).path is not None
    assert set(server.shown) == {"Basic YW5uYTpzM2NyZXQ="}
    assert set(other.shown) == {""}
    assert "s3cret" not in caplog.text
    assert not any(b"s3cret" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_token_is_shown_as_one(server: Store, tmp_path: Path) -> None:
    fetch(server, tmp_path, reach=Reach(idle_seconds=0.5, credentials={"127.0.0.1": ("", "t0ken")}))
    assert set(server.shown) == {"Bearer t0ken"}


def test_a_full_disk_is_not_held_against_the_server(
    server: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Path.open

    def full(self: Path, mode: str = "r", *more: Any, **named: Any) -> Any:
        if mode == "wb":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return whole(self, mode, *more, **named)

    with monkeypatch.context() as changed:
        changed.setattr(Path, "open", full)
        answer = fetch(server, tmp_path)
    assert answer == Answer(reason="probe.pdb could not be stored (No space left on device)")
    assert fetch(server, tmp_path).path is not None  # as soon as there is room


def test_what_each_place_said_is_told_with_its_latest_answer(server: Store, tmp_path: Path) -> None:
    missing = PdbIdentity("other.pdb", GUID, 1)
    third = tmp_path / "third"
    servers = servers_of(tmp_path / "cache", server.url)
    for wanted in (WANTED, IMAGE, missing):
        servers.fetch(wanted)
    servers.close()
    told = sorted((one.place, one.outcome, one.detail, one.times) for one in servers.sources())
    assert told == [(server.url, "found", "probe.sys", 2), (server.url, "missing", "other.pdb", 1)]
    again = servers_of(tmp_path / "cache", server.url)
    for wanted in (WANTED, missing):
        again.fetch(wanted)
    again.close()
    assert [(one.place, one.outcome) for one in again.sources()] == [(str(tmp_path / "cache"), "found")]
    server.faults[PLACE] = "cut"
    broken = servers_of(third, server.url)
    broken.fetch(WANTED)
    broken.close()
    assert [(one.place, one.outcome) for one in broken.sources()] == [(server.url, "failed")]
