"""Unwind data, code and images assembled by hand, from Microsoft's published format and nothing of the analysis."""

import struct

from tests.kernel.invented import Bytes

RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 = range(16)


def slot(offset: int, op: int, info: int) -> bytes:
    return bytes([offset, info << 4 | op])


def push(offset: int, register: int) -> bytes:
    return slot(offset, 0, register)


def alloc(offset: int, size: int) -> bytes:
    if size <= 128:
        return slot(offset, 2, size // 8 - 1)
    if size < 512 * 1024:
        return slot(offset, 1, 0) + struct.pack("<H", size // 8)
    return slot(offset, 1, 1) + struct.pack("<I", size)


def set_frame(offset: int) -> bytes:
    return slot(offset, 3, 0)


def save(offset: int, register: int, at: int, far: bool = False) -> bytes:
    return (
        slot(offset, 5, register) + struct.pack("<I", at)
        if far
        else slot(offset, 4, register) + struct.pack("<H", at // 8)
    )


def save_xmm(offset: int, register: int, at: int, far: bool = False) -> bytes:
    return (
        slot(offset, 9, register) + struct.pack("<I", at)
        if far
        else slot(offset, 8, register) + struct.pack("<H", at // 16)
    )


def machine_frame(offset: int, error_code: bool) -> bytes:
    return slot(offset, 10, int(error_code))


def info(
    *codes: bytes,
    prolog: int = 0,
    version: int = 1,
    flags: int = 0,
    frame: int = 0,
    frame_offset: int = 0,
    chained: tuple[int, int, int] | None = None,
) -> bytes:
    """An UNWIND_INFO of these codes, given as they stand in the array: the last step of the prologue first."""
    body = b"".join(codes)
    count = len(body) // 2
    if chained is not None:
        flags |= 4
    head = bytes([version | flags << 3, prolog, count, frame | frame_offset // 16 << 4])
    tail = struct.pack("<III", *chained) if chained is not None else b""
    return head + body + bytes(2 * (count % 2)) + tail


def put_image(
    memory: Bytes,
    base: int,
    rows: list[tuple[int, int, int]],
    *,
    code: tuple[int, int] = (0x1000, 0x3000),
    pdata: int = 0x5000,
) -> None:
    """Headers with one executable and one data section, and the .pdata rows."""
    nt = 0x80
    optional = bytearray(240)
    struct.pack_into("<H", optional, 0, 0x20B)
    struct.pack_into("<I", optional, 0x38, pdata + 0x3000)
    struct.pack_into("<I", optional, 108, 16)
    struct.pack_into("<II", optional, 112 + 3 * 8, pdata, len(rows) * 12)
    header = bytearray(nt + 24 + 240 + 80)
    header[0:2] = b"MZ"
    struct.pack_into("<I", header, 0x3C, nt)
    struct.pack_into("<4sHHIIIHH", header, nt, b"PE\0\0", 0x8664, 2, 0, 0, 0, 240, 0x22)
    header[nt + 24 : nt + 264] = optional
    for at, (name, start, end, flags) in enumerate(
        ((b".text", *code, 0x6000_0020), (b".rdata", code[1], pdata + 0x1000, 0x4000_0040))
    ):
        struct.pack_into("<8sIIIIIIHHI", header, nt + 264 + at * 40, name, end - start, start, 0, 0, 0, 0, 0, 0, flags)
    memory.put(base, bytes(header))
    memory.put(base + pdata, b"".join(struct.pack("<III", *row) for row in rows))
