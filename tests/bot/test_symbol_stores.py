"""Stores and directories of symbol files: what is found in them, and what is removed from them."""

import json
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from analysis.symbols.names import ImageIdentity, PdbIdentity
from bot.symbols.fetching import Limits, SymbolServers
from bot.symbols.locking import alone
from bot.symbols.paths import symbol_tiers
from bot.symbols.stores import NOTE, copy_into, kept_in, prune
from tests.bot.cabinets import cabinet
from tests.bot.symbol_store import serving
from tests.symbols.images import SIZE, build_image
from tests.symbols.pdbs import GUID, Pdb

WANTED = PdbIdentity("probe.pdb", GUID, 1)
IMAGE = ImageIdentity("probe.sys", 0x5F3E1234, SIZE)
PLACE = f"probe.pdb/{GUID}1"


def look(tmp_path: Path, path: str, wanted: PdbIdentity | ImageIdentity = WANTED) -> tuple[Path | None, str]:
    default = tmp_path / "default"
    answer = SymbolServers(symbol_tiers(default, path), default, Limits()).fetch(wanted)
    return answer.path, answer.reason


@pytest.mark.parametrize("place", [PLACE, f"pr/{PLACE}", f"probe.pdb/{GUID.lower()}1", "."])
@pytest.mark.parametrize("packed", [True, False])
def test_a_file_is_found_wherever_a_directory_may_have_it(tmp_path: Path, place: str, *, packed: bool) -> None:
    folder = tmp_path / "plain" / place
    path = Pdb(age=1).write(folder / "probe.pdb")
    whole = path.read_bytes()
    if packed:
        (folder / "probe.pd_").write_bytes(cabinet("probe.pdb", whole))
        path.unlink()
        path = tmp_path / "default" / PLACE / "probe.pdb"
    assert look(tmp_path, f"srv*{tmp_path / 'plain'}") == (path, "")
    assert path.read_bytes() == whole


def test_an_image_is_found_in_a_plain_directory_and_in_a_store(tmp_path: Path) -> None:
    plain, store = tmp_path / "plain" / "probe.sys", tmp_path / "store" / "probe.sys" / IMAGE.key / "probe.sy_"
    for path in (plain, store):
        path.parent.mkdir(parents=True)
    plain.write_bytes(bytes(build_image(machine=0xAA64))[:-8] + bytes(8))
    store.write_bytes(cabinet("probe.sys", bytes(build_image())))
    assert look(tmp_path, str(tmp_path / "plain"), IMAGE)[0] == plain
    found = look(tmp_path, str(tmp_path / "store"), IMAGE)[0]
    assert found == tmp_path / "default" / "probe.sys" / IMAGE.key / "probe.sys"


def test_what_a_pointer_names_is_used_and_a_message_is_told(tmp_path: Path) -> None:
    real = Pdb(age=1).write(tmp_path / "elsewhere" / "build-7.pdb")
    pointer = tmp_path / "store" / PLACE / "file.ptr"
    pointer.parent.mkdir(parents=True)
    pointer.write_text(f"PATH:{real}\r\n")
    assert look(tmp_path, f"srv*{tmp_path / 'store'}")[0] == tmp_path / "default" / PLACE / "probe.pdb"
    pointer.write_text("MSG: ask the builders\r\n")
    assert look(tmp_path, f"srv*{tmp_path / 'store'}") == (None, "store says of probe.pdb: ask the builders")
    pointer.write_text("PATH:\\\\share\\probe.pdb")
    assert look(tmp_path, f"srv*{tmp_path / 'store'}") == (
        None,
        "store says that probe.pdb lies elsewhere, where it is not",
    )


def test_another_versions_file_is_refused_with_the_reason(tmp_path: Path) -> None:
    Pdb(age=2).write(tmp_path / "store" / PLACE / "probe.pdb")
    path, reason = look(tmp_path, f"srv*{tmp_path / 'store'}")
    assert path is None
    assert reason.startswith(f"probe.pdb in store is refused: it is {GUID}-2, but {GUID}-1 is asked for")


def test_a_store_behind_another_is_copied_from(tmp_path: Path) -> None:
    (tmp_path / "far" / "pr" / PLACE).mkdir(parents=True)
    Pdb(age=1).write(tmp_path / "far" / "pr" / PLACE / "probe.pdb")
    assert look(tmp_path, f"srv*{tmp_path / 'near'}*{tmp_path / 'far'}")[0] == tmp_path / "near" / PLACE / "probe.pdb"


def test_a_store_that_cannot_be_written_is_no_reason_to_do_without(tmp_path: Path) -> None:
    Pdb(age=1).write(tmp_path / "far" / PLACE / "probe.pdb")
    (tmp_path / "near").write_text("a file, where a directory should be")
    assert look(tmp_path, f"srv*{tmp_path / 'near'}*{tmp_path / 'far'}")[0] == tmp_path / "far" / PLACE / "probe.pdb"


def test_a_store_is_kept_within_its_size_and_only_what_was_fetched_is_removed(tmp_path: Path) -> None:
    source = Pdb().write(tmp_path / "source.pdb")
    store = tmp_path / "store"
    own = Pdb().write(store / "own.pdb" / f"{GUID}1" / "own.pdb")
    for number in range(4):
        path = copy_into(store, source, PdbIdentity(f"p{number}.pdb", GUID, 1), "somewhere")
        os.utime(path.parent / NOTE, (1000 + number, 1000 + number))
    os.utime(own, (1, 1))
    size = source.stat().st_size
    assert [one.path.name for one in prune(store, 2 * size)] == ["p0.pdb", "p1.pdb"]
    assert [(one.path.name, one.size, one.source) for one in kept_in(store)] == [
        ("p2.pdb", size, "somewhere"),
        ("p3.pdb", size, "somewhere"),
    ]
    assert not (store / "p0.pdb").exists()
    kept = store / "p2.pdb" / f"{GUID}1" / "p2.pdb"
    assert [one.path.name for one in prune(store, size, keep=kept)] == ["p3.pdb"]
    os.utime(kept.parent / NOTE)
    assert prune(store, 0) == []  # it was used just now
    assert own.exists()


def _fetch(url: str, store: Path) -> None:
    SymbolServers(symbol_tiers(store, f"srv*{store}*{url}"), store, Limits()).fetch(WANTED)


def test_a_file_is_fetched_once_for_all_processes_and_questions(tmp_path: Path) -> None:
    with serving() as server:
        place = f"/{PLACE}/probe.pdb"
        server.files[place], server.faults[place] = Pdb(age=1).build(), "slow"
        spawn = multiprocessing.get_context("fork")
        ours = [spawn.Process(target=_fetch, args=(server.url, tmp_path)) for _ in range(3)]
        for process in ours:
            process.start()
        for process in ours:
            process.join(20)
        assert [process.exitcode for process in ours] == [0, 0, 0]
        assert server.asked.count(place) == 1


def test_a_lock_is_waited_for_and_given_back(tmp_path: Path) -> None:
    with alone(tmp_path, "a", time.monotonic()) as first, alone(tmp_path, "a", time.monotonic()) as second:
        assert (first, second) == (True, False)
    with alone(tmp_path, "a", time.monotonic()) as again:
        assert again


def test_a_damaged_note_is_no_fetched_file(tmp_path: Path) -> None:
    path = copy_into(tmp_path, Pdb().write(tmp_path / "source.pdb"), WANTED, "somewhere")
    for text in ("[nonsense", json.dumps(["list"])):
        (path.parent / NOTE).write_text(text)
        assert kept_in(tmp_path) == []
