"""What every memory offers, on a memory of a few bytes."""

import pytest

from analysis.errors import Absence, Unreadable
from analysis.memory import Memory

BASE = 0x1000


class Bytes(Memory):
    """Memory that holds ``data`` from 0x1000 on."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, address: int, size: int) -> bytes:
        at = address - BASE
        if at < 0 or at + size > len(self.data):
            raise Unreadable(max(BASE + len(self.data), address) if at >= 0 else address, Absence.NOT_MAPPED)
        return self.data[at : at + size]


def string(length: int, capacity: int, buffer: int) -> bytes:
    return length.to_bytes(2, "little") + capacity.to_bytes(2, "little") + bytes(4) + buffer.to_bytes(8, "little")


def test_numbers_are_little_endian() -> None:
    memory = Bytes(bytes(range(1, 17)))
    assert memory.u8(BASE) == 1
    assert memory.u16(BASE) == 0x0201
    assert memory.u32(BASE) == 0x04030201
    assert memory.u64(BASE) == memory.pointer(BASE) == 0x0807060504030201


def test_the_longest_prefix_is_what_can_be_read() -> None:
    memory = Bytes(b"abc")
    assert memory.read_available(BASE, 2) == b"ab"
    assert memory.read_available(BASE + 1, 9) == b"bc"
    assert memory.read_available(BASE + 3, 1) == b""
    assert memory.read_available(BASE - 1, 1) == b""


def test_a_unicode_string_is_its_buffers_text() -> None:
    text = "naïve\ud800".encode("utf-16-le", "surrogatepass")
    memory = Bytes(string(len(text), len(text) + 2, BASE + 16) + text)
    assert memory.unicode_string(BASE) == "naïve\ufffd"
    assert Bytes(string(0, 0, 0)).unicode_string(BASE) == ""


@pytest.mark.parametrize(("length", "capacity"), [(3, 4), (6, 4), (0xFFFF, 0xFFFF)])
def test_a_descriptor_that_contradicts_itself_is_none(length: int, capacity: int) -> None:
    with pytest.raises(Unreadable, match="not a UNICODE_STRING"):
        Bytes(string(length, capacity, BASE) + bytes(64)).unicode_string(BASE)


def test_a_missing_buffer_is_unreadable() -> None:
    with pytest.raises(Unreadable):
        Bytes(string(4, 4, 0x9000)).unicode_string(BASE)
