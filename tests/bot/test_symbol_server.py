"""Symbol servers: what is asked, what is believed, and what each fault costs."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.symbols.names import PdbIdentity
from bot.child import ChildLimits, Order, start
from bot.home import symbol_directories
from bot.settings import Settings
from bot.symbol_path import Server, symbol_servers
from bot.symbol_server import MARKER, Answer, Limits, SymbolServers, prune
from tests.bot.symbol_store import Store, serving
from tests.forge import forge
from tests.symbols.forged_pdbs import kernel_pdb, store, write_driver_pdbs
from tests.symbols.pdbs import GUID, Pdb

WANTED = PdbIdentity("probe.pdb", GUID, 0x1A)
PLACE = f"/probe.pdb/{GUID}1A/probe.pdb"
LIMITS = Limits(idle_seconds=0.5, total_seconds=5)


@pytest.fixture
def server() -> Iterator[Store]:
    with serving() as found:
        found.files[PLACE] = Pdb(age=0x1A).build()
        yield found


def fetch(server: Store, cache: Path, wanted: PdbIdentity = WANTED, limits: Limits = LIMITS) -> Answer:
    servers = SymbolServers((Server(server.url, cache),), limits)
    try:
        return servers.fetch(wanted)
    finally:
        servers.close()


def test_a_pdb_is_fetched_once_and_then_found_at_its_place(server: Store, tmp_path: Path) -> None:
    for _ in range(2):
        assert fetch(server, tmp_path) == Answer(tmp_path / "probe.pdb" / f"{GUID}1A" / "probe.pdb")
    assert server.asked.count(PLACE) == 1
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["probe.pdb"]


def test_a_store_of_three_tiers_is_asked_in_its_own_form(server: Store, tmp_path: Path) -> None:
    server.files = {"/index2.txt": b"", f"/pr{PLACE}": server.files[PLACE]}
    assert fetch(server, tmp_path).path is not None


def test_a_redirect_is_followed(server: Store, tmp_path: Path) -> None:
    server.files["/blob"] = server.files.pop(PLACE)
    server.faults[PLACE] = "to:/blob"
    assert fetch(server, tmp_path).path is not None


def test_a_slow_server_is_waited_for_as_long_as_it_may_be_silent(server: Store, tmp_path: Path) -> None:
    server.faults[PLACE] = "slow"
    assert fetch(server, tmp_path, limits=Limits(idle_seconds=10)).path is not None


@pytest.mark.parametrize(
    ("fault", "body", "reason"),
    [
        ("404", None, f"127.0.0.1 does not have probe.pdb {GUID}-1a"),
        ("403", None, f"127.0.0.1 does not have probe.pdb {GUID}-1a"),
        ("500", None, "127.0.0.1 answered with status 500"),
        ("cut", None, "127.0.0.1 could not be asked (RemoteProtocolError)"),
        ("slow", None, "127.0.0.1 did not answer in 0.5 s"),
        (f"to:{PLACE}", None, "127.0.0.1 could not be asked (TooManyRedirects)"),
        ("", Pdb(age=0x1B).build(), f"what 127.0.0.1 sent as probe.pdb is refused: it is {GUID}-1b"),
        ("", b"<html>sign in</html>", "what 127.0.0.1 sent as probe.pdb is refused: not a PDB"),
    ],
)
def test_a_fault_gives_a_reason_and_leaves_no_file(
    server: Store, tmp_path: Path, fault: str, body: bytes | None, reason: str
) -> None:
    server.faults[PLACE] = fault
    server.files[PLACE] = body or server.files[PLACE]
    started = time.monotonic()
    answer = fetch(server, tmp_path)
    assert time.monotonic() - started < 3
    assert answer.path is None
    assert answer.reason.startswith(reason)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [MARKER]


def test_a_server_that_is_down_says_so(tmp_path: Path) -> None:
    with serving() as gone:
        url = gone.url
    answer = SymbolServers((Server(url, tmp_path),), LIMITS).fetch(WANTED)
    assert answer == Answer(reason="127.0.0.1 could not be asked (ConnectError)")


def test_the_next_server_is_asked(server: Store, tmp_path: Path) -> None:
    with serving() as empty:
        servers = SymbolServers((Server(empty.url, tmp_path / "a"), Server(server.url, tmp_path / "b")), LIMITS)
        found = servers.fetch(WANTED).path
    assert found is not None
    assert found.is_relative_to(tmp_path / "b")


def test_what_is_missing_is_not_asked_for_again_until_that_expires(server: Store, tmp_path: Path) -> None:
    body = server.files.pop(PLACE)
    first = fetch(server, tmp_path)
    server.files[PLACE] = body
    assert fetch(server, tmp_path) == Answer(reason=f"{first.reason} (asked before)")
    assert server.asked.count(PLACE) == 1
    marker = tmp_path / "probe.pdb" / f"{GUID}1A" / MARKER
    known = json.loads(marker.read_text())
    known[server.url]["until"] = time.time() - 1
    marker.write_text(json.dumps(known))
    assert fetch(server, tmp_path).path is not None
    marker.write_text("[nonsense")
    assert fetch(server, tmp_path).path is not None


def test_messages_and_compressed_files_are_told(server: Store, tmp_path: Path) -> None:
    folder = PLACE.rpartition("/")[0]
    del server.files[PLACE]
    server.files[f"{folder}/file.ptr"] = b"MSG: withdrawn\r\n"
    assert fetch(server, tmp_path / "a").reason == "127.0.0.1 says of probe.pdb: withdrawn"
    server.files[f"{folder}/file.ptr"] = b"PATH:\\\\share\\probe.pdb"
    assert "at a place that it does not serve" in fetch(server, tmp_path / "b").reason
    del server.files[f"{folder}/file.ptr"]
    server.files[f"{folder}/probe.pd_"] = b"MSCF"
    assert "only compressed" in fetch(server, tmp_path / "c").reason


def test_a_failing_server_is_left_alone_and_the_time_ends(server: Store, tmp_path: Path) -> None:
    server.faults["*"] = "500"
    servers = SymbolServers((Server(server.url, tmp_path),), LIMITS)
    reasons = [servers.fetch(PdbIdentity(f"p{n}.pdb", GUID, 1)).reason for n in range(3)]
    assert reasons[2] == "127.0.0.1 was not asked again after 2 failures"
    spent = SymbolServers((Server(server.url, tmp_path),), Limits(total_seconds=0.0))
    assert spent.fetch(PdbIdentity("q.pdb", GUID, 1)).reason == "the 0 s for symbols are used up"


@pytest.mark.parametrize(
    "name", ["../probe.pdb", "a/b.pdb", "a\\b.pdb", ".pdb", "probe.exe", "", "a" * 300 + ".pdb", "a\n.pdb"]
)
def test_a_name_from_a_dump_never_leads_elsewhere(server: Store, tmp_path: Path, name: str) -> None:
    assert "is no name of a PDB" in fetch(server, tmp_path, PdbIdentity(name, GUID, 1)).reason
    assert "is no name of a PDB" in fetch(server, tmp_path, PdbIdentity("p.pdb", "..", 1)).reason
    assert server.asked == []


def test_a_store_is_kept_within_its_size(tmp_path: Path) -> None:
    for number in range(4):
        path = Pdb().write(tmp_path / f"p{number}.pdb" / f"{GUID}1" / f"p{number}.pdb")
        os.utime(path, (1000 + number, 1000 + number))
    size = path.stat().st_size
    assert prune(tmp_path, 2 * size) == 2
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["p2.pdb", "p3.pdb"]
    kept = tmp_path / "p2.pdb" / f"{GUID}1" / "p2.pdb"
    assert prune(tmp_path, size, keep=kept) == 1
    assert kept.exists()


def test_symbol_paths_name_servers_and_where_their_files_are_kept() -> None:
    default = Path("/default")
    paths = "C:\\plain;srv*/cache*https://one/symbols/;SRV*https://two;cache*/all;symsrv*symsrv.dll*https://three*http://four"
    assert symbol_servers(default, None, paths) == (
        Server("https://one/symbols", Path("/cache")),
        Server("https://two", default),
        Server("https://three", Path("/all")),
        Server("http://four", Path("/all")),
    )
    assert symbol_servers(default, "srv*/store;/plain:/other") == ()


def test_settings_make_servers_only_where_a_path_names_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_NT_SYMBOL_PATH", "/plain")
    settings = Settings(home=tmp_path, symbols=None)
    assert settings.symbol_servers() is None
    assert settings.symbol_servers(("srv*https://one",)) is not None
    assert (tmp_path / "symbols").is_dir()
    monkeypatch.setenv("_NT_SYMBOL_PATH", "srv*https://one")
    assert settings.symbol_servers() is not None
    assert symbol_directories("srv*https://one") == ()


def test_the_story_is_told_with_nothing_but_a_symbol_server(server: Store, tmp_path: Path) -> None:
    seed = forge("seed", build=19041, kind="bitmap", driver_pdbs=True)
    store(tmp_path / "served", PdbIdentity("ntkrnlmp.pdb", seed.facts.kernel_guid, 1), kernel_pdb(seed))
    write_driver_pdbs(tmp_path / "served", seed)
    server.add(tmp_path / "served")
    seed.write(tmp_path / "MEMORY.DMP")
    servers = SymbolServers((Server(server.url, tmp_path / "cache"),), LIMITS)
    order = Order(tmp_path / "MEMORY.DMP", servers=servers)
    report = start(order, ChildLimits(seconds=60)).report()
    assert report.verdict.culprit is not None
    assert report.verdict.culprit.module == "rassstp.sys"
    frames = [
        frame for thread in report.threads for frame in thread.stack if frame.module not in (None, "ntoskrnl.exe")
    ]
    assert frames
    assert [frame.symbol for frame in frames if "!Driver::" not in frame.symbol] == []


def test_without_an_answering_server_the_verdict_comes_all_the_same(tmp_path: Path) -> None:
    seed = forge("seed", build=19041, kind="bitmap", driver_pdbs=True)
    seed.write(tmp_path / "MEMORY.DMP")
    with serving() as down:
        down.faults["*"] = "500"
        servers = SymbolServers((Server(down.url, tmp_path / "cache"),), LIMITS)
        report = start(Order(tmp_path / "MEMORY.DMP", servers=servers), ChildLimits(seconds=60)).report()
    assert report.verdict.culprit is not None
    assert report.verdict.culprit.module == "rassstp.sys"
    assert [note for note in report.notes if "ntkrnlmp.pdb: 127.0.0.1 answered with status 500" in note]
