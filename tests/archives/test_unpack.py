"""Archives: the dumps in them come out whole, under names of ours, within limits; anything else is said in one line."""

import contextlib
import stat
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.archives.collector import shown_name
from bot.archives.kinds import archive_kind
from bot.archives.limits import USUAL_PASSWORDS, ArchiveFailed, ArchiveLimits
from bot.archives.unpack import unpack
from tests.archives import build

DUMP = b"PAGEDU64" + bytes(range(256)) * 300 + b"end"
OTHER = b"MDMP" + bytes(range(255, -1, -1)) * 50
TWO = {"a/Mini1.dmp": DUMP, "b\\Mini2.dmp": OTHER, "readme.txt": b"nothing of a debugger's"}
WINDBG = b"nt!KeBugCheckEx\nBugCheck 9F, {3, 1, 2, 3}\nSTACK_TEXT:\nMODULE_NAME: x\n"

SOUND: dict[str, bytes] = {
    "zip": build.zipped(TWO),
    "zip stored": build.zipped(TWO, zipfile.ZIP_STORED),
    "zip bzip2": build.zipped(TWO, zipfile.ZIP_BZIP2),
    "zip lzma": build.zipped(TWO, zipfile.ZIP_LZMA),
    "zip64": build.zip64(TWO),
    "zip locked, AES": build.locked_zip(TWO, "infected"),
    "7z": build.sevenzip(TWO),
    "7z locked": build.sevenzip(TWO, "password"),
    "7z locked, names too": build.sevenzip(TWO, "infected", hide_names=True),
    "cab": build.cabinet(TWO),
    "tar": build.tarred(TWO),
    **{f"tar.{kind}": build.tarred(TWO, pack) for kind, pack in build.PACKERS.items()},
    "tar.gz in a zip": build.zipped({"all.tar.gz": build.tarred(TWO, build.PACKERS["gz"])}),
    "zip in a zip": build.zipped({"all.zip": build.zipped(TWO)}),
    "7z in a zip": build.zipped({"all.7z": build.sevenzip(TWO)}),
}
ONE: dict[str, bytes] = {
    "zip Deflate64": build.deflate64_zip(b"Mini1.dmp", DUMP),
    "zip Zstandard": build.raw_zip(b"Mini1.dmp", build.PACKERS["zst"](DUMP), DUMP, method=93),
    "zip locked, ZipCrypto": build.locked_zip({"Mini1.dmp": DUMP}, "infected", aes=False),
    "zip in a gz": build.PACKERS["gz"](build.zipped({"Mini1.dmp": DUMP})),
    **{f"Mini1.dmp.{kind}": pack(DUMP) for kind, pack in build.PACKERS.items()},
}


ROOMY = ArchiveLimits()


def contents(
    data: bytes,
    tmp_path: Path,
    limits: ArchiveLimits = ROOMY,
    passwords: tuple[str, ...] = USUAL_PASSWORDS,
    name: str = "Mini1.dmp.gz",
) -> dict[str, bytes]:
    """What comes out of an archive, by the names told."""
    (tmp_path / "archive").write_bytes(data)
    out = tmp_path / "out"
    out.mkdir()
    found = unpack(tmp_path / "archive", name, out, limits, passwords)
    assert sorted(path.name for path in out.iterdir()) == sorted(taken.path.name for taken in found.dumps)
    return {taken.name: taken.path.read_bytes() for taken in found.dumps}


def failure(data: bytes, tmp_path: Path, limits: ArchiveLimits = ROOMY) -> ArchiveFailed:
    with pytest.raises(ArchiveFailed) as caught:
        contents(data, tmp_path, limits)
    assert "\n" not in caught.value.line
    return caught.value


@pytest.mark.parametrize("name", list(SOUND))
def test_every_dump_of_an_archive_comes_out_whole(name: str, tmp_path: Path) -> None:
    assert contents(SOUND[name], tmp_path) == {"Mini1.dmp": DUMP, "Mini2.dmp": OTHER}


@pytest.mark.parametrize("name", list(ONE))
def test_a_single_dump_comes_out_whole(name: str, tmp_path: Path) -> None:
    assert contents(ONE[name], tmp_path) == {"Mini1.dmp": DUMP}


def test_what_windbg_printed_is_taken_too(tmp_path: Path) -> None:
    members = {"analyze.txt": WINDBG * 3, "notes.txt": b"BugCheck, they say"}
    assert list(contents(build.zipped(members), tmp_path)) == ["analyze.txt"]


@pytest.mark.parametrize(
    ("raw", "flags", "shown"),
    [
        ("Größe.dmp".encode(), 0x800, "Größe.dmp"),
        ("Größe.dmp".encode(), 0, "Größe.dmp"),
        ("Größe.dmp".encode("cp437"), 0, "Größe.dmp"),
        (b"C:\\Windows\\Minidump\\x.dmp", 0, "x.dmp"),
        (b"../../../../etc/cron.d/x.dmp", 0, "x.dmp"),
        (b"/etc/passwd", 0, "passwd"),
        (b"\x1b[2J<!channel>.dmp", 0, "?[2J<!channel>.dmp"),
        (b"n" * 4000 + b".dmp", 0, "n" * 120),
    ],
)
def test_a_name_is_shown_and_never_used_as_a_path(raw: bytes, flags: int, shown: str, tmp_path: Path) -> None:
    assert list(contents(build.raw_zip(raw, DUMP, DUMP, flags=flags), tmp_path)) == [shown]


def test_links_are_ignored(tmp_path: Path) -> None:
    link = build.raw_zip(b"link.dmp", b"/etc/passwd", b"/etc/passwd", mode=stat.S_IFLNK | 0o777)
    assert failure(link, tmp_path).kind == "no-dump"
    (tmp_path / "out").rmdir()
    assert failure(build.tar_link("x.dmp", "/etc/passwd"), tmp_path).line == "it is empty"


@pytest.mark.parametrize(
    ("data", "kind", "says"),
    [
        (build.zipped({}), "no-dump", "it is empty"),
        (
            build.zipped({"a.sys": b"MZ", "b.txt": b"x", "c": b"y", "d": b"z"}),
            "no-dump",
            "only a.sys, b.txt, c and 1 more",
        ),
        (build.locked_zip(TWO, "Tr0ub4dor"), "password", "has a password"),
        (build.sevenzip(TWO, "Tr0ub4dor"), "password", "has a password"),
        (build.sevenzip(TWO, "Tr0ub4dor", hide_names=True), "password", "has a password"),
        (SOUND["zip"][:-100], "damaged", "directory"),
        (SOUND["7z"][:-100], "damaged", "damaged"),
        (SOUND["cab"][:900], "damaged", "damaged"),
        (SOUND["tar.xz"][:-100], "damaged", "damaged"),
        (ONE["Mini1.dmp.gz"][:-20], "damaged", "damaged"),
        (build.raw_zip(b"x.dmp", zlib.compress(DUMP)[:90], DUMP, method=8), "damaged", "x.dmp in it is damaged"),
        (build.raw_zip(b"x.dmp", DUMP, DUMP, method=98), "damaged", "x.dmp in it is damaged"),
        (build.zipped({"1": build.zipped({"2": build.zipped(TWO)})}), "no-dump", "not opened any deeper"),
        (b"Rar!\x1a\x07\x01\x00" + bytes(100), "damaged", "damaged"),
    ],
)
def test_what_gives_no_dump_says_why(data: bytes, kind: str, says: str, tmp_path: Path) -> None:
    failed = failure(data, tmp_path)
    assert (failed.kind, says in failed.line) == (kind, True), failed.line


def test_the_right_password_opens_what_the_usual_ones_do_not(tmp_path: Path) -> None:
    opened = contents(build.locked_zip(TWO, "Tr0ub4dor"), tmp_path, passwords=("Tr0ub4dor", *USUAL_PASSWORDS))
    assert list(opened) == ["Mini1.dmp", "Mini2.dmp"]


TIGHT = ArchiveLimits(max_ratio=50, free_bytes=1 << 20, max_members=100, max_bytes=40_000_000)
ZEROS = b"PAGEDU64" + bytes(30_000_000)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (build.zipped({"x.dmp": ZEROS}), "50 times its size"),
        (build.PACKERS["zst"](ZEROS), "50 times its size"),
        (build.PACKERS["xz"](ZEROS), "50 times its size"),
        (build.sevenzip({"x.dmp": ZEROS}), "50 times its size"),
        (build.cabinet({"x.dmp": ZEROS}), "50 times its size"),
        (build.deflate64_zip(b"x.dmp", ZEROS), "50 times its size"),
        (build.zipped({"in.zip": build.zipped({"x.dmp": ZEROS})}), "50 times its size"),
        (build.PACKERS["gz"](build.tarred({"x.dmp": ZEROS})), "50 times its size"),
        (build.zipped({f"{n}.dmp": b"" for n in range(101)}), "more than 100 files"),
        (build.zipped({"x": bytes(range(256)) * 100_000}, zipfile.ZIP_STORED), "no dump"),
    ],
)
def test_a_bomb_goes_off_against_a_limit(data: bytes, says: str, tmp_path: Path) -> None:
    failed = failure(data, tmp_path, TIGHT)
    assert says in failed.line
    assert sum(path.stat().st_size for path in (tmp_path / "out").iterdir()) <= TIGHT.max_bytes


def test_a_size_that_lies_does_not_help(tmp_path: Path) -> None:
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = build.raw_zip(b"x.dmp", packed.compress(ZEROS) + packed.flush(), ZEROS, method=8, said=100)
    assert failure(data, tmp_path, TIGHT).kind == "damaged"


def test_a_bomb_that_packs_modestly_meets_the_cap_on_bytes(tmp_path: Path) -> None:
    data = build.zipped({f"{n}.dmp": DUMP for n in range(30)})
    assert "1,000,000 bytes" in failure(data, tmp_path, ArchiveLimits(max_bytes=1_000_000)).line


def test_beyond_the_most_dumps_the_rest_is_counted(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(build.zipped({f"{n}.dmp": DUMP for n in range(5)}))
    found = unpack(tmp_path / "archive", "x.zip", tmp_path, ArchiveLimits(max_dumps=3), ())
    assert ([taken.name for taken in found.dumps], found.left_out) == (["0.dmp", "1.dmp", "2.dmp"], 2)


def test_one_damaged_member_costs_itself(tmp_path: Path) -> None:
    data = bytearray(build.zipped({"good.dmp": DUMP, "bad.dmp": OTHER}, zipfile.ZIP_STORED))
    data[data.index(OTHER) + 500] ^= 1
    (tmp_path / "archive").write_bytes(data)
    found = unpack(tmp_path / "archive", "x.zip", tmp_path, ArchiveLimits(), ())
    assert ([taken.name for taken in found.dumps], found.damaged) == (["good.dmp"], ["bad.dmp"])


def test_an_archive_is_known_by_its_first_bytes() -> None:
    assert archive_kind(DUMP) is None
    assert archive_kind(b"") is None
    assert archive_kind(b"PK\x03\x04") == "zip"


@given(st.text(max_size=300))
def test_no_name_is_shown_raw(name: str) -> None:
    shown = shown_name(name)
    assert shown
    assert shown.isprintable()
    assert "/" not in shown
    assert len(shown) <= 120


@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from(["zip", "7z", "cab", "tar.gz", "tar.xz"]), data=st.data())
def test_no_damage_raises_anything_untyped(
    kind: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    blob = bytearray(SOUND[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    place = tmp_path_factory.mktemp("fuzz")
    (place / "archive").write_bytes(bytes(blob[: max(data.draw(st.integers(0, len(blob))), 300)]))
    with contextlib.suppress(ArchiveFailed):
        unpack(place / "archive", "x", place, ArchiveLimits(), ())
