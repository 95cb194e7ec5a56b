"""Builds an image as it lies in memory: headers, exports, debug record, function table, version resource."""

import struct

BASE = 0xFFFF_F801_0000_0000
SIZE = 0x9000
EXPORTS, FUNCTIONS, RESOURCES, DEBUG = 0x2000, 0x3000, 0x6000, 0x8000
FUNCTION_COUNT = 600  # 7,200 bytes: rows lie on two pages, one row across their edge


def build_image(machine: int = 0x8664) -> bytearray:
    """All parts in one buffer of ``SIZE`` bytes."""
    image = bytearray(SIZE)
    image[:2] = b"MZ"
    struct.pack_into("<I", image, 0x3C, 0xE8)
    struct.pack_into("<4sHHI", image, 0xE8, b"PE\0\0", machine, 2, 0x5F3E1234)
    struct.pack_into("<HxxH", image, 0xE8 + 20, 0xF0, 0x20B)
    optional = 0xE8 + 24
    for at, value in ((0x10, 0x1040), (0x38, SIZE), (0x40, 0xABCD), (0x6C, 16)):
        struct.pack_into("<I", image, optional + at, value)
    exports, resources = put_exports(image), put_version(image)
    for index, rva, size in (
        (0, EXPORTS, exports),
        (2, RESOURCES, resources),
        (3, FUNCTIONS, 12 * FUNCTION_COUNT),
        (6, DEBUG, 56),
    ):
        struct.pack_into("<II", image, optional + 0x70 + 8 * index, rva, size)
    for index, (name, flags) in enumerate(((b".text", 0x6000_0020), (b"INIT", 0x6200_0020))):
        at = optional + 0xF0 + 40 * index
        struct.pack_into("<8sII", image, at, name, 0x800, 0x1000)
        struct.pack_into("<I", image, at + 36, flags)
    for index in range(FUNCTION_COUNT):
        begin = 0x1000 + index
        struct.pack_into("<III", image, FUNCTIONS + 12 * index, begin, begin + 1, 0x5000)
    put_debug(image)
    return image


def put_exports(image: bytearray) -> int:
    """Three plain exports out of address order and one forwarder; the size of the directory."""
    names = (b"Alpha", b"Beta", b"Forwarded", b"Zeta")
    targets = [0x1300, 0x1100, 0, 0x1200]
    struct.pack_into("<12x7I", image, EXPORTS, EXPORTS + 0x80, 1, 4, 4, EXPORTS + 0x28, EXPORTS + 0x38, EXPORTS + 0x48)
    text = EXPORTS + 0x80
    for value in (b"sample.sys", b"hal.Other", *names):
        image[text : text + len(value)] = value
        if value == b"hal.Other":
            targets[2] = text
        if value in names:
            struct.pack_into("<I", image, EXPORTS + 0x38 + 4 * names.index(value), text)
        text += len(value) + 1
    struct.pack_into("<4I", image, EXPORTS + 0x28, *targets)
    struct.pack_into("<4H", image, EXPORTS + 0x48, 0, 1, 2, 3)
    return text - EXPORTS


def put_debug(image: bytearray) -> None:
    """A record of another kind, then the CodeView one."""
    path = b"D:\\build\\sample.pdb\0"
    struct.pack_into("<IIII", image, DEBUG + 12, 13, 100, 0x100, 0)
    struct.pack_into("<IIII", image, DEBUG + 28 + 12, 2, 24 + len(path), DEBUG + 0x100, 0)
    guid = struct.pack("<IHH8s", 0x01234567, 0x89AB, 0xCDEF, bytes(range(8)))
    image[DEBUG + 0x100 : DEBUG + 0x118 + len(path)] = b"RSDS" + guid + struct.pack("<I", 3) + path


def put_version(image: bytearray) -> int:
    """Type 16 behind another type, one name, one language; the size of the directory."""
    entries = [(0x10, [(3, 0x8000_0100), (16, 0x8000_0040)]), (0x40, [(1, 0x8000_0070)]), (0x70, [(0x409, 0xA0)])]
    for at, rows in entries:
        start = RESOURCES + (0 if at == 0x10 else at)
        struct.pack_into("<12xHH", image, start, 0, len(rows))
        for index, row in enumerate(rows):
            struct.pack_into("<II", image, start + 16 + 8 * index, *row)
    company = "CompanyName".encode("utf-16-le") + b"\0\0"
    block = bytearray(6) + "VS_VERSION_INFO".encode("utf-16-le") + bytes(4)
    block += struct.pack("<IIII", 0xFEEF04BD, 0x10000, 10 << 16, 19041 << 16 | 804) + bytes(36)
    block += bytes(-(len(block) + len(company) + 6) % 4) + bytes(6) + company
    block += bytes(-len(block) % 4) + "Example Corp.".encode("utf-16-le") + b"\0\0"
    image[RESOURCES + 0x200 : RESOURCES + 0x200 + len(block)] = block
    struct.pack_into("<II", image, RESOURCES + 0xA0, RESOURCES + 0x200, len(block))
    return 0x200 + len(block)
