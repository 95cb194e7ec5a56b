"""``pileup symbols``: a store is filled from dumps, lists and builds, listed and pruned; then no server is needed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from analysis.symbols.builds import known_builds
from bot.child import ChildLimits, Order, start
from bot.cli import app
from tests.bot.symbol_store import Store, serving
from tests.bot.test_symbol_stories import driver_frames, fill
from tests.forge import forge
from tests.symbols.images import SIZE, build_image
from tests.symbols.pdbs import GUID, Pdb


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("PILEUP_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("_NT_SYMBOL_PATH", raising=False)
    with serving() as found:
        monkeypatch.setenv("PILEUP_SYMBOLS", f"srv*{found.url}")
        yield found


def pileup(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["symbols", *words])
    return done.exit_code, done.stdout, done.stderr


def test_a_dumps_set_is_fetched_and_then_no_server_is_needed(server: Store, tmp_path: Path) -> None:
    seed = forge("seed", kind="triage", driver_pdbs=True)
    dump = seed.write(tmp_path / "MEMORY.DMP")
    fill(server, seed, tmp_path / "served")
    store = tmp_path / "store"
    status, out, _ = pileup("fetch", str(dump), "--store", str(store))
    assert (status, out.splitlines()[-1].split()[0]) == (0, str(len(out.splitlines()) - 1))
    assert len(list(store.rglob("*.pdb"))) >= len(seed.facts.pdbs)
    report = start(Order(dump, symbols=(store,)), ChildLimits(seconds=60)).report()
    assert [frame for frame in driver_frames(report) if "!Driver::" not in frame] == []
    assert {frame.trust for thread in report.threads for frame in thread.stack} == {"context", "unwind"}


def test_a_list_and_a_build_name_files_and_what_is_missing_is_told(server: Store, tmp_path: Path) -> None:
    server.files[f"/probe.pdb/{GUID}1/probe.pdb"] = Pdb().build()
    server.files[f"/probe.sys/5F3E1234{SIZE:x}/probe.sys"] = bytes(build_image())
    listed = tmp_path / "list.txt"
    listed.write_text(f"# two files\nprobe.pdb/{GUID}1\nprobe.sys 5f3e1234-{SIZE:x}\n")
    status, out, _ = pileup("fetch", str(listed))
    assert (status, out.splitlines()[-1]) == (0, "2 of 2 symbol files are in place")
    guid, build = next(iter(known_builds().items()))
    status, out, _ = pileup("fetch", build)
    assert status == 1
    assert f"ntkrnlmp.pdb {guid}-1  missing: 127.0.0.1 has no such file" in out
    status, _, err = pileup("fetch", "nonsense")
    assert (status, "names no symbol file" in err) == (2, True)


def test_without_a_server_there_is_nothing_to_fetch(
    server: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PILEUP_SYMBOLS", str(tmp_path))
    status, _, err = pileup("fetch", f"probe.pdb/{GUID}1")
    assert (status, "no symbol server is named" in err) == (2, True)


def test_what_is_added_lies_at_its_place_and_is_never_pruned(server: Store, tmp_path: Path) -> None:
    pdb, image, neither = Pdb(age=3).write(tmp_path / "a.pdb"), tmp_path / "b.sys", tmp_path / "c.sys"
    image.write_bytes(bytes(build_image()))
    neither.write_text("not an image")
    status, out, err = pileup("add", str(pdb), str(image), str(neither))
    store = tmp_path / "home" / "symbols"
    assert (status, len(out.splitlines()), "c.sys: not an executable image" in err) == (1, 2, True)
    assert (store / "a.pdb" / f"{GUID}3" / "a.pdb").is_file()
    assert (store / "b.sys" / f"5F3E1234{SIZE:x}" / "b.sys").is_file()
    server.files[f"/probe.pdb/{GUID}1/probe.pdb"] = Pdb().build()
    pileup("fetch", f"probe.pdb/{GUID}1")
    (row,) = json.loads(pileup("list", "--json")[1])
    assert (Path(row["path"]).name, row["from"]) == ("probe.pdb", "127.0.0.1")
    assert pileup("list")[1].splitlines()[-1].endswith("1 files")
    assert pileup("prune", "--size", "0")[1].startswith("1 files removed")
    assert pileup("prune", "--size", "much")[0] == 2
    assert (store / "a.pdb" / f"{GUID}3" / "a.pdb").is_file()
