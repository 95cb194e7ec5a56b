"""Which files are looked at, and what BUILDS.tsv says about them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from analysis.limits import MAX_SYMBOL_DEPTH
from analysis.symbols import search
from analysis.symbols.builds import known_builds
from analysis.symbols.names import PdbIdentity
from analysis.symbols.search import Candidate, find_files, major_of, read_builds

GUID = "0123456789ABCDEF0123456789ABCDEF"


def candidates(directories: tuple[Path, ...], known: Mapping[str, str]) -> tuple[list[Candidate], list[str]]:
    files = find_files(directories, known)
    return list(files.tables), list(files.notes)


def put(path: Path, text: str = "{}") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_tables_are_found_at_any_depth_with_guid_age_and_build(tmp_path: Path) -> None:
    path = put(tmp_path / "a" / "ntkrnlmp.pdb" / f"{GUID.lower()}-a.json.xz")
    put(tmp_path / "BUILDS.tsv", f"kernel_build\tos\tfile\n10.0.19041.5\tWin10\t{path.name}\n")
    assert candidates((tmp_path,), {}) == ([Candidate(path, GUID, 10, "10.0.19041.5")], [])


def test_a_single_table_and_a_kernels_folder_may_be_given(tmp_path: Path) -> None:
    path = put(tmp_path / "ntkrnlmp.pdb" / f"{GUID}-1.json")
    put(tmp_path / "BUILDS.tsv", f"10.0.19041.5\tWin10\t{path.name}\n")
    assert candidates((path.parent,), {})[0] == [Candidate(path, GUID, 1, "10.0.19041.5")]
    put(path.parent / "BUILDS.tsv", f"10.0.19041.6\tWin10\t{path.name}\n")
    assert candidates((path,), {})[0] == [Candidate(path, GUID, 1, "10.0.19041.6")]


def test_names_without_a_guid_and_other_files(tmp_path: Path) -> None:
    mine = put(tmp_path / "mine.json")
    put(tmp_path / "readme.txt")
    put(tmp_path / "tcpip.pdb" / f"{GUID}-1.json")  # another module's
    assert candidates((tmp_path,), {})[0] == [Candidate(mine, None, None, None)]


def test_the_committed_list_helps_where_no_file_names_the_build(tmp_path: Path) -> None:
    put(tmp_path / "5278AFF86C341677D7D7835C85B7B844-1.json")
    (found,) = candidates((tmp_path,), known_builds())[0]
    assert (found.build, found.major) == ("10.0.19041.804", 19041)


@pytest.mark.parametrize(
    "line",
    [
        f"10.0.22000.9\tWin11\t{GUID}-1.json.xz",
        f"{GUID}-1.json.xz\t10.0.22000.9",
        f"10.0.22000.9 \t{GUID.lower()}1",
        f"x\t{GUID}\t\t10.0.22000.9\tmore",
    ],
)
def test_columns_may_stand_in_any_order(tmp_path: Path, line: str) -> None:
    builds = read_builds(put(tmp_path / "BUILDS.tsv", f"# a comment\n\n{line}\nno build\there\n"))
    assert builds[GUID] == "10.0.22000.9"


def test_pdbs_are_found_in_stores_of_both_forms_and_as_plain_files(tmp_path: Path) -> None:
    wanted = PdbIdentity("disk.pdb", GUID, 0x1A)
    key = f"{GUID}1A"
    plain = put(tmp_path / "any" / "DISK.PDB")
    two = put(tmp_path / "disk.pdb" / key.lower() / "disk.pdb")
    three = put(tmp_path / "di" / "disk.pdb" / key / "disk.pdb")
    other = put(tmp_path / "disk.pdb" / f"{GUID}1B" / "disk.pdb")
    packed = put(tmp_path / "disk.pdb" / key / "disk.pd_")
    files = find_files((tmp_path,), {})
    assert files.places_of(wanted) == (two, three, plain)
    assert files.packed_of(wanted) == (packed,)
    assert other not in files.places_of(wanted)
    assert files.places_of(PdbIdentity("../disk.pdb", GUID, 0x1A)) == ()
    assert files.places_of(PdbIdentity("", GUID, 1)) == ()


def test_a_store_too_large_to_search_is_asked_at_the_file_s_own_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MAX_SYMBOL_ENTRIES", 3)
    for number in range(5):
        put(tmp_path / f"a{number}.pdb" / "x")
    path = put(tmp_path / "disk.pdb" / f"{GUID}1" / "disk.pdb")
    files = find_files((tmp_path,), {})
    assert files.stored == {}
    assert "only the first 3 entries" in files.notes[0]
    assert files.places_of(PdbIdentity("disk.pdb", GUID, 1)) == (path,)


def test_a_builds_file_of_nonsense_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "BUILDS.tsv"
    path.write_bytes(bytes(range(256)) * 50)
    assert read_builds(path) == {}
    assert read_builds(tmp_path / "none") == {}


def test_loops_and_depth_end_the_search(tmp_path: Path) -> None:
    deep = tmp_path
    for level in range(MAX_SYMBOL_DEPTH + 3):
        deep = deep / f"d{level}"
        put(deep / "t.json")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    found, notes = candidates((tmp_path,), {})
    assert len(found) == MAX_SYMBOL_DEPTH - 1
    assert notes == []


def test_major_builds() -> None:
    assert major_of("6.1.7601.24540") == 7601
    assert major_of("10.0.22000") == 22000
    assert major_of(None) is None
    assert major_of("build 7") is None


def test_the_committed_list_is_sound() -> None:
    builds = known_builds()
    assert len(builds) > 200
    assert all(len(guid) == 32 and int(guid, 16) and guid == guid.upper() for guid in builds)
    assert {major_of(build) for build in builds.values()} == {
        7601,
        9600,
        14393,
        17763,
        18326,
        18362,
        19041,
        20348,
        22000,
    }
