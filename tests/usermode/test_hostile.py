"""Minidumps that are cut short, lie about their counts, or are noise: a report or one line, quickly."""

import struct
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.errors import BadDump, NotADump
from analysis.pipeline import analyze
from analysis.verdict.report import Report
from tests.usermode.stories import PLUGIN, SECTION, STACK, crash, hang, section, unwindable, waiting

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "minidumps"
QUICK_SECONDS = 10  # of the processor, not of the clock


def report_or_line(path: Path, data: bytes) -> Report | None:
    path.write_bytes(data)
    started, line = time.process_time(), ""
    try:
        made: Report | None = analyze(path)
        assert made is not None
        made.to_json()
    except (BadDump, NotADump) as refused:
        made, line = None, str(refused)
    assert "\n" not in line
    assert time.process_time() - started < QUICK_SECONDS
    return made


@pytest.mark.parametrize("offset", range(0, 400, 50))
def test_a_forged_dump_cut_anywhere(tmp_path: Path, offset: int) -> None:
    data = unwindable().write()
    for end in range(offset, len(data), 400):
        report_or_line(tmp_path / "cut.dmp", data[:end])


def test_a_dump_cut_behind_its_directory_gives_a_partial_report(tmp_path: Path) -> None:
    whole = crash(PLUGIN + 0x1234).write()
    directory = whole[: len(whole) - 4]  # the last entry of the directory lost four bytes
    made = report_or_line(tmp_path / "cut.dmp", directory)
    assert made is not None
    assert any("cut short" in note for note in made.notes)


@pytest.mark.parametrize("streams", [0, 1, 16, 0x10_0000, 0xFFFF_FFFF])
@pytest.mark.parametrize("directory", [0, 32, 47, 48, 0xFFFF_FFF0])
def test_a_bomb_of_48_bytes(tmp_path: Path, streams: int, directory: int) -> None:
    data = struct.pack("<4sIIIIIQ", b"MDMP", 0xA793, streams, directory, 0, 0, 0) + struct.pack(
        "<IIII", 3, 4, 44, 0xFFFFFFFF
    )
    assert len(data) == 48
    report_or_line(tmp_path / "bomb.dmp", data)


def test_a_bare_signature_is_refused(tmp_path: Path) -> None:
    assert report_or_line(tmp_path / "bare.dmp", b"MDMP") is None


@pytest.mark.parametrize("kind", [3, 4, 5, 6, 7, 9, 15, 24])
@pytest.mark.parametrize("value", [0, 0x10_0000, 0x7FFF_FFFF, 0xFFFF_FFFF])
def test_a_count_that_lies_costs_its_stream_only(tmp_path: Path, kind: int, value: int) -> None:
    data = bytearray(unwindable().write())
    number, directory = struct.unpack_from("<II", data, 8)
    for index in range(number):
        found, _, offset = struct.unpack_from("<III", data, directory + 12 * index)
        if found == kind:
            struct.pack_into("<I", data, offset, value)
    made = report_or_line(tmp_path / "lie.dmp", bytes(data))
    assert made is not None


def test_a_stream_of_an_unknown_type_is_left_alone(tmp_path: Path) -> None:
    made = report_or_line(
        tmp_path / "new.dmp", crash(PLUGIN + 0x1234, extra={0x77: b"new", 0xFFFF_FFF0: b"own"}).write()
    )
    assert made is not None
    assert made.verdict.culprit is not None


def test_many_threads_full_of_return_addresses_end_in_time(tmp_path: Path) -> None:
    stack = [PLUGIN + 0x1000 + index % 0x8000 for index in range(0x2000)]
    threads = [waiting(tid, STACK + tid * 0x10_0000, *stack) for tid in range(1, 80)]
    made = report_or_line(tmp_path / "many.dmp", hang(*threads, sections={SECTION: section(2, 3)}).write())
    assert made is not None


def test_thousands_of_modules_that_share_one_long_name_end_in_time(tmp_path: Path) -> None:
    data = bytearray(crash(PLUGIN + 0x1234).write())
    name = len(data)
    data += struct.pack("<I", 65_000) + "x".encode("utf-16-le") * 32_500
    rows = len(data)
    row = (
        struct.pack("<QIIII", PLUGIN, 0x1000, 0, 0, name)
        + bytes(52)
        + struct.pack("<IIII", 60_000, name, 0, 0)
        + bytes(16)
    )
    data += struct.pack("<I", 4096) + row * 4096
    number, directory = struct.unpack_from("<II", data, 8)
    for index in range(number):
        if struct.unpack_from("<I", data, directory + 12 * index)[0] == 4:
            struct.pack_into("<II", data, directory + 12 * index + 4, len(data) - rows, rows)
    made = report_or_line(tmp_path / "names.dmp", bytes(data))
    assert made is not None
    assert len(made.modules) == 4096


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=40))
def test_noise_never_breaks_out(tmp_path: Path, changes: list[tuple[int, int]]) -> None:
    data = bytearray(crash(PLUGIN + 0x1234).write())
    for at, value in changes:
        data[at % len(data)] = value
    report_or_line(tmp_path / "noise.dmp", bytes(data))


REAL = {
    "breakpad_exec_av_on_stack": ("crashme1.exe", "0xc0000005", "execute"),
    "breakpad_null_read_av": ("crashme.exe", "0xc0000005", "read"),
    "breakpad_null_write_av": ("crashme.exe", "0xc0000005", "write"),
    "breakpad_stack_exhaustion": ("crashme.exe", "0xc00000fd", None),
    "breakpad_thread_name_list": ("allocer32.exe", "0xc0000005", "read"),
    "breakpad_tiny-exe-fastfail": ("tiny.exe", "0xc0000409", None),
    "rustminidump_invalid-parameter": ("crashtest.exe", "0xc000000d", None),
    "rustminidump_invalid-range": None,
    "rustminidump_invalid-record-count": None,
    "rustminidump_linux-mini": ("crash", "0xb", None),
    "rustminidump_simple-crashpad": ("crashy", "0x0", None),
    "rustminidump_test": ("test_app.exe", "0xc0000005", "write"),
}


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/data here")
@pytest.mark.parametrize("name", sorted(REAL))
def test_real_minidumps(tmp_path: Path, name: str) -> None:
    expected = REAL[name]
    made = report_or_line(tmp_path / "real.dmp", (SHARED / f"{name}.dmp").read_bytes())
    if expected is None:
        assert made is None
        return
    assert made is not None
    assert made.exception is not None
    assert made.verdict.culprit is not None
    assert (made.verdict.culprit.module, made.exception.code, made.exception.access) == expected


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/data here")
@pytest.mark.parametrize("name", ["rustminidump_test", "rustminidump_linux-mini"])
def test_a_real_minidump_cut_at_every_250_bytes(tmp_path: Path, name: str) -> None:
    data = (SHARED / f"{name}.dmp").read_bytes()
    for end in range(0, len(data), 250):
        report_or_line(tmp_path / "cut.dmp", data[:end])
