"""The index of a PDB kept on disk: the same answers as without it, and none from a file that is not its own."""

import os
from pathlib import Path

import pytest

from analysis.symbols.pdb import PdbTable, kept, open_pdb, table
from tests.symbols import pdbs
from tests.symbols.pdbs import Pdb

NAMES = [f"Function{n}" for n in range(50)]


@pytest.fixture(autouse=True)
def keep_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "WORTH", 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    types = []
    for number, name in enumerate(NAMES):
        types += [pdbs.field_list(pdbs.member("Value", 4 * number, 0x22))]
        types += [pdbs.structure(f"_{name}", 4 * number + 4, 0x1000 + 2 * number)]
    symbols = [pdbs.public(name, 16 * number) for number, name in enumerate(NAMES)]
    return Pdb(symbols=symbols, types=types).write(tmp_path / "probe.pdb")


def answers(found: PdbTable) -> list[object]:
    layouts = [found.layout(f"_{name}") for name in (*NAMES, "Missing")]
    near = [found.nearest(rva) for rva in range(0x1000, 0x1400, 5)]
    assert found.problems == []
    return [
        [found.rva(name) for name in (*NAMES, "Missing")],
        near,
        [(one.size, one.offset("Value")) if one else None for one in layouts],
    ]


def test_what_is_read_back_answers_as_what_was_found_out(path: Path, tmp_path: Path) -> None:
    plain, first, second = (answers(open_pdb(path, None, cache)) for cache in (None, tmp_path / "c", tmp_path / "c"))
    assert plain == first == second
    assert None not in plain[2][:-1]  # type: ignore[index]  # a list
    assert len(list((tmp_path / "c").iterdir())) == 2


def test_a_kept_index_is_really_used(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(open_pdb(path, None, tmp_path / "c"))

    def scanned(*_: object) -> object:
        raise AssertionError("the stream was scanned")

    monkeypatch.setattr("analysis.symbols.pdb.type_stream.record_offsets", scanned)
    monkeypatch.setattr("analysis.symbols.pdb.symbols.record_offsets", scanned)
    assert open_pdb(path, None, tmp_path / "c").layout("_Function7") is not None
    assert open_pdb(path, None, tmp_path / "c").rva("Function7") is not None


def test_a_changed_file_has_an_index_of_its_own(path: Path, tmp_path: Path) -> None:
    answers(open_pdb(path, None, tmp_path / "c"))
    os.utime(path, (1, 1))
    answers(open_pdb(path, None, tmp_path / "c"))
    assert len(list((tmp_path / "c").iterdir())) == 4


def test_a_damaged_index_is_found_out_again(path: Path, tmp_path: Path) -> None:
    plain = answers(open_pdb(path, None, tmp_path / "c"))
    for file in (tmp_path / "c").iterdir():
        whole = file.read_bytes()
        for at in range(0, len(whole), max(1, len(whole) // 25)):
            for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :]):
                file.write_bytes(damaged)
                assert answers(open_pdb(path, None, tmp_path / "c")) == plain


def test_a_directory_that_cannot_be_written_costs_nothing_but_time(path: Path, tmp_path: Path) -> None:
    (tmp_path / "c").write_text("a file")
    assert answers(open_pdb(path, None, tmp_path / "c")) == answers(open_pdb(path))


def test_only_so_many_are_kept(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MAX_FILES", 3)
    for number in range(3):
        os.utime(path, (number, number))
        answers(open_pdb(path, None, tmp_path / "c"))
    assert len(list((tmp_path / "c").iterdir())) == 3
