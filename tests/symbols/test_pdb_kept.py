"""The index of a PDB kept on disk: the same answers as without it, and none from a file that is not its own."""

import json
import os
import random
import struct
from pathlib import Path
from zlib import crc32

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


def _lie(content: bytes, chosen: random.Random) -> bytes:
    """A kept index with a right checksum and something wrong in it: numbers, or how many there are of what."""
    (length,) = struct.unpack_from("<I", content, 12)
    body = bytearray(content[16 + length :])
    described = json.loads(content[16 : 16 + length])
    name = chosen.choice(list(described))
    match chosen.randrange(5):
        case 0:
            described[name][1] = chosen.choice([-1, 0, 1, 7, True, "x"])
        case 1:
            described[name][0] = chosen.choice(["<u4", "<i4", "<i8"])
        case 2:
            del described[name]
        case 3:
            described["other"] = described.pop(name)
        case _:
            for _ in range(chosen.choice([1, 3, 200])):
                at = chosen.randrange(len(body)) // 4 * 4
                wrong = chosen.choice([0xFFFF_FFFF, 0x7FFF_FFFF, 0x8000_0000, chosen.randrange(1 << 14)])
                body[at : at + 4] = struct.pack("<I", wrong)
    text = json.dumps(described).encode()
    text += b" " * (-(16 + len(text)) % 8)
    tail = struct.pack("<I", len(text)) + text + body
    return content[:8] + struct.pack("<I", crc32(tail)) + tail


def test_an_index_that_lies_under_a_right_checksum_never_leads_out_of_its_stream(path: Path, tmp_path: Path) -> None:
    answers(open_pdb(path, None, tmp_path / "c"))
    good = {file: file.read_bytes() for file in (tmp_path / "c").iterdir()}
    chosen = random.Random(57)
    for _ in range(150):
        for file, content in good.items():
            file.write_bytes(_lie(content, chosen))
        found = open_pdb(path, None, tmp_path / "c")
        for name in NAMES[::9]:
            found.rva(name)
            found.layout(f"_{name}")
        for rva in range(0x1000, 0x1400, 97):
            found.nearest(rva)
        assert found.symbols is not None
        list(found.symbols.publics())
        found.close()
