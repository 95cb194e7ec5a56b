"""Names in front of executive objects, and bytes that only look like one."""

from analysis.kernel.object_names import object_name
from tests.kernel.invented import Bytes, Names, layout

BODY, BUFFER, DIRECTORY = 0xFFFF_A000_0000_1030, 0xFFFF_A000_0000_2000, 0xFFFF_A000_0000_3000
HEADER = BODY - 0x30
NAMES = Names(
    {
        "_OBJECT_HEADER": layout("_OBJECT_HEADER", 0x38, InfoMask=0x1A, Body=0x30),
        "_OBJECT_HEADER_NAME_INFO": layout("_OBJECT_HEADER_NAME_INFO", 0x20, Directory=0, Name=8),
    }
)


def machine(mask: int = 2, name: str = "Setup.Running", creator: int = 0) -> Bytes:
    memory = Bytes()
    memory.put(HEADER - 0x40, bytes(0x80))
    memory.put_u64(HEADER, 3)
    memory.put_u8(HEADER + 0x1A, mask)
    info = HEADER - 0x20 - creator
    memory.put_u64(info, DIRECTORY)
    memory.put_unicode(info + 8, name, BUFFER)
    return memory


def test_a_named_object_tells_its_name() -> None:
    assert object_name(machine(), NAMES, BODY) == "Setup.Running"


def test_the_creator_stands_between_name_and_header() -> None:
    assert object_name(machine(mask=3, creator=0x20), NAMES, BODY) == "Setup.Running"


def test_an_object_without_a_name_has_none() -> None:
    assert object_name(machine(mask=0), NAMES, BODY) is None
    assert object_name(machine(name=""), NAMES, BODY) is None


def test_what_does_not_read_like_a_name_is_none() -> None:
    assert object_name(machine(name="\x01\x02"), NAMES, BODY) is None
    for offset, value in ((8, 0xFFFF), (8, 3), (16, 0x1234), (0, 0x5678)):
        memory = machine()
        memory.put_u16(HEADER - 0x20 + offset, value & 0xFFFF)
        if offset in (0, 16):
            memory.put_u64(HEADER - 0x20 + offset, value)
        assert object_name(memory, NAMES, BODY) is None


def test_missing_bytes_are_no_name() -> None:
    for at in (HEADER, HEADER + 0x1A, HEADER - 0x18, HEADER - 0x10, BUFFER):
        memory = machine()
        memory.lose(at, 8)
        assert object_name(memory, NAMES, BODY) is None
    assert object_name(machine(), Names({}), BODY) is None
