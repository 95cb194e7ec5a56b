"""Dumps of machines that went on running are told apart from crashes, whatever wrote them."""

import struct
from pathlib import Path

import pytest

from analysis.pipeline import analyze
from tests.forge import forge
from tests.forge.x86 import Machine32

LIVE_CODES = (0x193, 0x1A8, 0x161, 0x15E)
CRASH_CODES = (0x9F, 0xD1, 0xE2)


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> bytearray:
    path = forge("nolock", build=19041, kind="bitmap").write(tmp_path_factory.mktemp("live") / "MEMORY.DMP")
    return bytearray(path.read_bytes())


def is_live(tmp_path: Path, dump: bytes) -> tuple[bool, str]:
    path = tmp_path / "MEMORY.DMP"
    path.write_bytes(dump)
    made = analyze(path)
    return made.dump.live, made.verdict.confidence


def with_code(dump: bytearray, code: int, first: int = 0) -> bytes:
    data = bytearray(dump)
    struct.pack_into("<I4x4Q", data, 0x38, code, first, 0, 0, 0)
    return bytes(data)


@pytest.mark.parametrize(("codes", "expected"), [(LIVE_CODES, True), (CRASH_CODES, False)])
def test_a_code_of_live_dumps_only_tells_one(
    tmp_path: Path, dump: bytearray, codes: tuple[int, ...], expected: bool
) -> None:
    for code in codes:
        assert is_live(tmp_path, with_code(dump, code))[0] is expected, hex(code)


@pytest.mark.parametrize(
    ("code", "first"),
    [
        (int.from_bytes(b"MATT", "little"), int.from_bytes(b"MOONSOLS", "little")),
        (0, int.from_bytes(b"MOONSOLS", "little")),
        (int.from_bytes(b"PAGE", "little"), int.from_bytes(b"PAGEPAGE", "little")),
    ],
)
def test_a_capture_blames_nobody(tmp_path: Path, dump: bytearray, code: int, first: int) -> None:
    assert is_live(tmp_path, with_code(dump, code, first)) == (True, "none")


def test_a_32_bit_capture_blames_nobody(tmp_path: Path) -> None:
    letters = int.from_bytes(b"MOON", "little")
    assert is_live(tmp_path, Machine32(code=0, parameters=(letters, 0, 0, 0)).full()) == (True, "none")
    assert not is_live(tmp_path, Machine32().full())[0]
