"""Anything that is no dump is named in one safe line."""

import struct
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import BadDump, NotADump
from analysis.formats import open_dump
from tests.formats.built import full, header


def name_of(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "file.bin"
    path.write_bytes(content)
    with pytest.raises(NotADump) as caught:
        open_dump(path)
    return caught.value.what


LOREM = "Loading Dump File [C:\\Windows\\MEMORY.DMP]\r\nBugCheck 9F, {4, 12c, 0, 0}\r\n"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "an empty file"),
        (bytes(4), "a file of nothing but zeros"),
        (bytes(100_000), "a file of nothing but zeros"),
        (bytes(0x3000) + b"x", "a file that starts with zeros, not with a dump header"),
        (b"MDMP\x93\xa7", "a user-mode minidump"),
        (b"PAGEDUMP" + bytes(0x2000), "a 32-bit kernel dump of unknown type 0x0"),
        (b"PAGEDUMP", "the beginning of a 32-bit kernel dump, cut off inside its header (8 of 4096 bytes)"),
        (b"PAGE", "the first 4 bytes of a kernel dump, cut off inside its header"),
        (b"PAGEDU64", "the beginning of a kernel dump, cut off inside its header (8 of 8192 bytes)"),
        (bytes(header(1)[:-1]), "the beginning of a kernel dump, cut off inside its header (8191 of 8192 bytes)"),
        (bytes(header(77)), "a kernel dump of unknown type 0x4d"),
        (bytes(header(1, machine=0x200)), "an Itanium kernel dump"),
        (bytes(header(1, machine=0x1234)), "a kernel dump of an unknown machine type (0x1234)"),
        (b"PK\x03\x04" + bytes(40), "a zip archive"),
        (b"7z\xbc\xaf\x27\x1c\x00\x04", "a 7z archive"),
        (b"Rar!\x1a\x07\x01\x00", "a RAR archive"),
        (b"\x1f\x8b\x08\x00", "a gzip file"),
        (b"\xfd7zXZ\x00", "an xz file"),
        (b"BZh91AY", "a bzip2 file"),
        (b"\x28\xb5\x2f\xfd\x04", "a Zstandard file"),
        (b"MSCF\0\0\0\0", "a cabinet archive"),
        (bytes(257).replace(b"\0", b"n\0", 1)[:257] + b"ustar\x0000", "a tar archive"),
        (b"\x7fELF\x02\x01\x01", "an ELF file, not a Windows dump"),
        (b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + b"\4\0", "an ELF core file, from Linux or another Unix"),
        (b"\xcf\xfa\xed\xfe\x07\0\0\1", "a Mach-O file, not a Windows dump"),
        (b"MZ\x90\x00\x03", "a Windows program or driver (a PE image)"),
        (b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0", "a PDB symbol file"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"<!DOCTYPE html><html><title>Sign in to your account</title>", "an HTML page: probably a login page"),
        (b"\xef\xbb\xbf\r\n <!-- x -->\n<HTML><body>", "an HTML page: probably a login page"),
        (b"<html><head><title>404 Not Found</title>", "an HTML page: probably an error page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "an XML file"),
        (b"<Error><Code>NoSuchKey</Code></Error>", "an XML file"),
        (b'{"error": "not found"}', "a JSON document"),
        (b"[]", "a JSON document"),
        (LOREM.encode(), "a text file"),
        (LOREM.encode("utf-16"), "a text file"),
        (LOREM.encode("utf-16-le"), "a text file"),
        (LOREM.encode("utf-16-be"), "a text file"),
        (b"\xfe\xff" + LOREM.encode("utf-16-be"), "a text file"),
        (LOREM.encode() * 200 + b"\0\0\0\0", "a text file"),
        (("é" * 0x1500).encode()[1:], "a file of a format not known here"),
        (("x" + "é" * 0x1500).encode(), "a text file"),
        ("Ausführung fehlgeschlagen: 0x9F".encode("cp1252") * 3, "a text file"),
        (b"\x01\x02\x03\x04", "a file of 4 bytes, shorter than a dump's header"),
        (b"\x01\x02\xfd\x04" * 0x1000, "a file of a format not known here"),
    ],
)
def test_it_is_named(tmp_path: Path, content: bytes, what: str) -> None:
    assert name_of(tmp_path, content) == what


@given(st.binary(max_size=300))
def test_any_bytes_are_named_and_never_quoted(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    what = name_of(tmp_path_factory.mktemp("any"), content)
    assert what.isprintable()
    assert len(what) < 120


@pytest.mark.parametrize(
    "text", [b"<!---->" * 1150 + b"x", b"<!--" * 2000, b"<title" * 1300, b"<title>" + b"not " * 2000]
)
def test_text_made_to_confuse_costs_no_time(tmp_path: Path, text: bytes) -> None:
    started = time.process_time()
    name_of(tmp_path, text)
    assert time.process_time() - started < 1


def test_a_huge_file_of_zeros_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(8 << 30)
    with pytest.raises(NotADump, match="a file that starts with 64 MiB of zeros"):
        open_dump(path)


def test_every_cut_of_a_header_is_named(tmp_path: Path) -> None:
    whole = bytes(full({1: b"x"}))
    for length in [*range(40), *range(40, 0x2000, 97), 0x1FFF]:
        assert name_of(tmp_path, whole[:length]).isprintable()


def test_a_missing_file_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_dump(tmp_path / "none.dmp")


@given(st.lists(st.tuples(st.integers(0x8, 0x1FF8), st.binary(min_size=1, max_size=8)), max_size=20))
def test_a_damaged_header_opens_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[int, bytes]]
) -> None:
    dump = full({1: b"x", 5: b"y"})
    for offset, content in damage:
        struct.pack_into(f"{len(content)}s", dump, offset, content)
    path = tmp_path_factory.mktemp("damaged") / "damaged.dmp"
    path.write_bytes(dump)
    with suppress(NotADump, BadDump), open_dump(path) as image:
        assert all(note.isprintable() for note in image.notes)
        assert (image.header.comment or "").isprintable()
