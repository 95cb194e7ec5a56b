"""The one reader of raw bytes."""

import subprocess
import sys
from pathlib import Path

import pytest

from analysis.errors import BadDump
from analysis.formats import RawFile


@pytest.fixture
def raw(tmp_path: Path) -> RawFile:
    path = tmp_path / "raw"
    path.write_bytes(bytes(range(256)) * 1024)  # 256 KiB
    return RawFile(path)


def test_numbers_are_little_endian(raw: RawFile) -> None:
    assert raw.u8(5, "x") == 5
    assert raw.u16(1, "x") == 0x0201
    assert raw.u32(1, "x") == 0x04030201
    assert raw.u64(1, "x") == 0x0807060504030201


@pytest.mark.parametrize(("offset", "size"), [(0x40000, 1), (0x3FFFF, 2), (-1, 1), (0, -1), (1 << 70, 1), (0, 1 << 70)])
def test_a_read_outside_names_what_it_wanted(raw: RawFile, offset: int, size: int) -> None:
    with pytest.raises(BadDump, match="the teapot needs") as caught:
        raw.read(offset, size, "the teapot")
    assert caught.value.offset == offset
    with pytest.raises(BadDump, match="the teapot needs"):
        raw.view(offset, size, "the teapot")


def test_a_count_is_held_against_the_file_first(tmp_path: Path) -> None:
    path = tmp_path / "raw"
    path.write_bytes((7).to_bytes(4, "little") + bytes(28))
    with RawFile(path) as raw:
        assert raw.count(0, 4, 4, "cups", 100) == 7
        with pytest.raises(BadDump, match="7 entries of the cups do not fit in a file of 32 bytes"):
            raw.count(0, 5, 4, "cups", 100)
        with pytest.raises(BadDump):
            raw.count(0, 4, 4, "cups", 6)


def test_bytes_read_counts_each_part_once_and_never_more_than_the_file(raw: RawFile) -> None:
    assert raw.bytes_read == 0
    raw.read(0, 16, "x")
    raw.read(8, 16, "x")
    assert raw.bytes_read == 0x10000
    raw.read(0xFFFF, 2, "x")
    assert raw.bytes_read == 0x20000
    raw.read(0x3FFFF, 1, "x")
    assert raw.bytes_read == 0x30000
    raw.view(0, raw.size, "x").release()
    assert raw.bytes_read == raw.size


def test_closing_twice_and_with_a_view_alive_is_safe(raw: RawFile) -> None:
    view = raw.view(0, 4, "x")
    raw.close()
    assert bytes(view) == b"\0\1\2\3"
    view.release()
    raw.close()
    raw.close()
    with pytest.raises(BadDump):
        raw.read(0, 1, "x")


def test_memory_stays_small_on_a_walk_through_a_large_file(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        for start in range(0, 512 << 20, 1 << 20):
            file.seek(start)
            file.write(start.to_bytes(8, "little"))
        file.truncate(512 << 20)
    code = f"""
from pathlib import Path
from analysis.formats import RawFile
with RawFile(Path({str(path)!r})) as raw:
    for start in range(0, 512 << 20, 1 << 16):
        assert raw.u64(start, "x") == (0 if start & 0xFFFFF else start)
    assert raw.bytes_read == raw.size
status = Path("/proc/self/status").read_text()  # this process alone; what rusage tells counts the parent, too
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert int(done.stdout) < 200 << 10  # KiB; all of it would be 512 MiB


def test_rounds_start_over(raw: RawFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analysis.formats.raw._MOST_BYTES", 1 << 16)
    for number in range(1000):
        assert raw.u8((number % 4) << 16 | 7, "x") == 7
    assert raw.bytes_read == raw.size


def test_an_empty_file_has_nothing(tmp_path: Path) -> None:
    path = tmp_path / "raw"
    path.touch()
    with RawFile(path) as raw:
        assert raw.size == 0
        assert raw.read(0, 0, "x") == b""
        assert raw.available(0, 5) == 0
        assert bytes(raw.view(0, 0, "x")) == b""
        assert raw.bytes_read == 0


def test_available_is_what_lies_in_the_file(raw: RawFile) -> None:
    assert raw.available(0x3FFF0, 100) == 16
    assert raw.available(0x40000, 100) == 0
    assert raw.available(1 << 65, 100) == 0
    assert raw.available(-5, 100) == 0
