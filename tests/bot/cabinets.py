"""Cabinets with one file in them, as compress.exe and makecab write them: stored, MSZIP, and LZX.

LZX comes in two kinds of block: uncompressed ones, and verbatim ones whose code knows single bytes and one match, the
byte before it eight times more. Source: Microsoft's public descriptions of the cabinet format and of LZX.
"""

import struct
import zlib
from collections.abc import Iterator

FRAME = 0x8000
STORED, MSZIP, LZX = 0, 1, 3 | 21 << 8
LZX_PACKED = LZX | 1 << 16  # not the format's: LZX again, in verbatim blocks
MATCH = 8  # bytes


def cabinet(name: str, content: bytes, kind: int = MSZIP, more: tuple[str, ...] = ()) -> bytes:
    """A cabinet of ``content`` under ``name``; ``more`` are names of further files, which get its last bytes."""
    blocks = list({STORED: _stored, MSZIP: _mszip, LZX: _lzx, LZX_PACKED: _lzx_packed}[kind](content))
    data = b"".join(struct.pack("<IHH", 0, len(packed), size) + packed for packed, size in blocks)
    first = len(content) - 10 * len(more)
    files = _file(name, 0, first) + b"".join(_file(one, first + 10 * at, 10) for at, one in enumerate(more))
    first_data = 36 + 8 + len(files)
    total = first_data + len(data)
    header = struct.pack("<4sIIIIIBBHHHHH", b"MSCF", 0, total, 0, 36 + 8, 0, 3, 1, 1, 1 + len(more), 0, 0, 0)
    return header + struct.pack("<IHH", first_data, len(blocks), kind & 0xFFFF) + files + data


def _file(name: str, start: int, size: int) -> bytes:
    return struct.pack("<IIHHHH", size, start, 0, 0x4A21, 0x6000, 0x20) + name.encode() + b"\0"


def _frames(content: bytes) -> Iterator[bytes]:
    yield from (content[at : at + FRAME] for at in range(0, len(content), FRAME))


def _stored(content: bytes) -> Iterator[tuple[bytes, int]]:
    yield from ((frame, len(frame)) for frame in _frames(content))


# Each block is a deflate stream of its own that may refer to the block before it.
def _mszip(content: bytes) -> Iterator[tuple[bytes, int]]:
    before = b""
    for frame in _frames(content):
        packer = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=before)
        yield b"CK" + packer.compress(frame) + packer.flush(), len(frame)
        before = frame


def _lzx(content: bytes) -> Iterator[tuple[bytes, int]]:
    for number, frame in enumerate(_frames(content)):
        bits = ("" if number else "0") + f"{3:03b}{len(frame):024b}"  # no translation of calls; uncompressed; its size
        bits += "0" * (-len(bits) % 16)
        words = [int(bits[at : at + 16], 2) for at in range(0, len(bits), 16)]
        yield struct.pack(f"<{len(words)}H3I", *words, 1, 1, 1) + frame + bytes(len(frame) % 2), len(frame)


# Lengths of codes: 8 bits for the bytes 0 to 254, 9 for 255 and for a match at the last distance, which is 1 at first.
# The tables of lengths come as differences to the block before, each coded by a table of 20 lengths of 4 bits.
_FIRST_TABLES = (
    (f"{'0000' * 8}00010001{'0000' * 10}" + "1" * 255 + "0")  # 255 times 9 = -8 mod 17, and 8 = -9
    + (f"{'0000' * 8}0001{'0000' * 8}001000100000" + "100010" + "0" + "1111111" * 7 + "1110000")  # zeros, 9, zeros
    + (f"{'0000' * 17}000100010000" + "111111" * 4 + "111001")  # no lengths of long matches: 249 zeros
)
_SAME_TABLES = "".join(f"00010001{'0000' * 18}" + "0" * count for count in (256, 400, 249))


def _lzx_packed(content: bytes) -> Iterator[tuple[bytes, int]]:
    for number, frame in enumerate(_frames(content)):
        bits = ["" if number else "0", f"{1:03b}{len(frame):024b}", _SAME_TABLES if number else _FIRST_TABLES]
        at = 0
        while at < len(frame):
            if at and frame[at : at + MATCH] == frame[at - 1 : at] * MATCH:
                bits.append("111111111")
                at += MATCH
            else:
                bits.append(f"{frame[at]:08b}" if frame[at] < 255 else "111111110")
                at += 1
        packed = "".join(bits)
        packed += "0" * (-len(packed) % 16)
        yield b"".join(struct.pack("<H", int(packed[i : i + 16], 2)) for i in range(0, len(packed), 16)), len(frame)
