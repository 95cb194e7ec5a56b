"""Cabinets with one file in them, as compress.exe and makecab write them: stored, MSZIP, and LZX.

Our LZX blocks are of the uncompressed kind, which the format allows: what is tested is that they are read, not how
well they are packed. Source: Microsoft's public description of the cabinet format.
"""

import struct
import zlib
from collections.abc import Iterator

FRAME = 0x8000
STORED, MSZIP, LZX = 0, 1, 3 | 21 << 8


def cabinet(name: str, content: bytes, kind: int = MSZIP, more: tuple[str, ...] = ()) -> bytes:
    """A cabinet of ``content`` under ``name``; ``more`` are names of further files, which get its last bytes."""
    blocks = list({STORED: _stored, MSZIP: _mszip, LZX: _lzx}[kind](content))
    data = b"".join(struct.pack("<IHH", 0, len(packed), size) + packed for packed, size in blocks)
    first = len(content) - 10 * len(more)
    files = _file(name, 0, first) + b"".join(_file(one, first + 10 * at, 10) for at, one in enumerate(more))
    first_data = 36 + 8 + len(files)
    total = first_data + len(data)
    header = struct.pack("<4sIIIIIBBHHHHH", b"MSCF", 0, total, 0, 36 + 8, 0, 3, 1, 1, 1 + len(more), 0, 0, 0)
    return header + struct.pack("<IHH", first_data, len(blocks), kind) + files + data


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
