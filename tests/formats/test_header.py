"""Header fields, and what the filler means."""

import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analysis.formats import DumpHeader, capture_hint, open_dump
from tests.formats.built import header, runs_into


def opened(tmp_path: Path, data: bytes | bytearray) -> DumpHeader:
    path = tmp_path / "header.dmp"
    path.write_bytes(data)
    with open_dump(path) as image:
        return image.header


def test_every_field_is_read(tmp_path: Path) -> None:
    data = header(1)
    struct.pack_into("<IIQQI4x3Q", data, 0xF00, 0xC0000005, 1, 0, 0xFFFF_F800_1234_5678, 2, 1, 0x28, 99)
    struct.pack_into("<II", data, 0x1040, 3, 0x112)
    data[0xFB0:0xFC0] = b"made by hand\0abc"
    data[0x348 : 0x348 + 0x4D0] = bytes(range(1, 0x78)) * 10 + bytes(0x4D0 - 0x77 * 10)
    found = opened(tmp_path, data)
    assert (found.kind, found.type_code, found.machine, found.architecture) == ("kernel-full", 1, 0x8664, "x64")
    assert (found.major_version, found.build, found.processors) == (15, 19041, 4)
    assert (found.code, found.parameters) == (0x9F, (4, 300, 0xFFFF_8000_0000_1000, 0xFFFF_8000_0000_2000))
    assert (found.directory_table, found.pfn_database) == (0x1AD000, 0xF1)
    assert (found.loaded_modules, found.active_processes, found.kdbg) == (0xF2, 0xF3, 0xFFFF_F800_0000_3000)
    assert found.crash_time is not None
    assert found.crash_time.year in {2025, 2026}
    assert found.uptime_seconds == 600
    assert (found.product_type, found.suite_mask, found.comment) == (3, 0x112, "made by hand")
    assert found.exception is not None
    assert found.exception.parameters == (1, 0x28)
    assert len(found.context) == 0x4D0


def test_filler_means_absent(tmp_path: Path) -> None:
    data = header(1)
    data[0x80:0x88] = data[0xFA8:0xFB0] = data[0x1030:0x1038] = b"PAGEPAGE"
    found = opened(tmp_path, data)
    assert (found.kdbg, found.crash_time, found.uptime_seconds, found.exception) == (0, None, None, None)
    assert (found.product_type, found.suite_mask, found.comment, found.context) == (None, None, None, b"")


@pytest.mark.parametrize("filetime", [0, 1, (1 << 64) - 1, (1 << 63) - 1, 1 << 63, 0x0190_0000_0000_0000])
def test_an_impossible_clock_is_no_time(tmp_path: Path, filetime: int) -> None:
    data = header(1)
    struct.pack_into("<Q", data, 0xFA8, filetime)
    struct.pack_into("<Q", data, 0x1030, (1 << 64) - 1)
    found = opened(tmp_path, data)
    assert found.crash_time is None
    assert found.uptime_seconds is None


def test_a_clock_is_read_in_utc(tmp_path: Path) -> None:
    data = header(1)
    struct.pack_into("<Q", data, 0xFA8, 0x01D7_07F2_3DBB_3399)
    assert opened(tmp_path, data).crash_time == datetime(2021, 2, 21, 1, 38, 22, 987765, tzinfo=UTC)


def test_the_machines_memory_is_the_sum_of_its_runs(tmp_path: Path) -> None:
    data = header(4)
    assert opened(tmp_path, data).memory_bytes is None
    runs_into(data, [(1, 0x9F), (0x100, 0x1000)])
    assert opened(tmp_path, data).memory_bytes == 0x109F << 12
    struct.pack_into("<Q", data, 0x90, 0x109E)
    assert opened(tmp_path, data).memory_bytes is None
    runs_into(data, [(1, 1 << 41)])
    assert opened(tmp_path, data).memory_bytes is None


def test_an_absurd_number_of_exception_parameters_costs_only_them(tmp_path: Path) -> None:
    data = header(1)
    struct.pack_into("<IIQQI", data, 0xF00, 0xC0000005, 1, 0, 0x1234, 0xFFFF_FFFF)
    found = opened(tmp_path, data).exception
    assert found is not None
    assert (found.code, found.address, found.parameters) == (0xC0000005, 0x1234, ())


def test_the_arm64_context_has_its_own_size(tmp_path: Path) -> None:
    data = header(4, machine=0xAA64)
    data[0x348:0xF00] = b"\x07" * (0xF00 - 0x348)
    assert len(opened(tmp_path, data).context) == 0x390


def test_a_comment_is_made_printable(tmp_path: Path) -> None:
    data = header(1)
    data[0xFB0:0xFB8] = b"a\n\x1b[31m\xff"
    data[0xFB8] = 0
    assert opened(tmp_path, data).comment == "a??[31m\ufffd"


@pytest.mark.parametrize(
    ("code", "first", "hint"),
    [
        (b"MATT", b"MOONSOLS", "letters stand where the bugcheck code belongs"),
        (b"TTAM", bytes(8), "letters stand where the bugcheck code belongs"),
        (b"PAGE", b"PAGEPAGE", "no bugcheck code was ever written"),
        (bytes(4), b"MOONSOLS", "letters stand where the bugcheck's parameters belong"),
        (b"\x9f\0\0\0", b"MOONSOLS", None),
        (bytes(4), bytes(8), None),
        (b"\xe2\0\0\0", bytes(8), None),
    ],
)
def test_letters_in_the_code_mean_a_capture(tmp_path: Path, code: bytes, first: bytes, hint: str | None) -> None:
    data = header(1)
    data[0x38:0x3C], data[0x40:0x48] = code, first
    path = tmp_path / "capture.dmp"
    path.write_bytes(data)
    with open_dump(path) as image:
        assert capture_hint(image.header) == hint
        assert image.header.code == int.from_bytes(code, "little")
        assert (hint is None) or any(hint in note for note in image.notes)
