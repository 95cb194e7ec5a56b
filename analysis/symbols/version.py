"""File version and maker of an image, from its version resource.

Source: the public PE/COFF specification (resource directory) and Microsoft Learn (VS_VERSIONINFO, VS_FIXEDFILEINFO).
"""

import struct
from typing import NamedTuple

from analysis.errors import Unreadable
from analysis.memory.reader import Memory

RT_VERSION = 16
MAX_ENTRIES = 4096
MAX_RESOURCE = 0x4000
MAX_VALUE = 512
FIXED_SIGNATURE = struct.pack("<I", 0xFEEF04BD)


class ImageVersion(NamedTuple):
    """``file`` as four numbers ("10.0.19041.804"), ``company`` as its maker wrote it; None where not to be read."""

    file: str | None = None
    company: str | None = None


def read_version(memory: Memory, base: int, image_size: int, rva: int, size: int) -> ImageVersion:
    """The version resource of the image at ``base`` whose resource directory lies at ``rva`` (``size`` bytes)."""
    try:
        data = _find_resource(memory, base, rva, size)
    except Unreadable:
        return ImageVersion()
    if data is None or not 0 < data[0] < image_size:
        return ImageVersion()
    block = memory.read_available(base + data[0], min(data[1], MAX_RESOURCE, image_size - data[0]))
    return parse_version(block)


def parse_version(block: bytes) -> ImageVersion:
    """What a VS_VERSIONINFO block says, as far as it goes."""
    at = block.find(FIXED_SIGNATURE)
    version = None
    if at >= 0 and at + 16 <= len(block):
        high, low = struct.unpack_from("<II", block, at + 8)
        version = f"{high >> 16}.{high & 0xFFFF}.{low >> 16}.{low & 0xFFFF}"
    return ImageVersion(version, _string(block, "CompanyName"))


# String entries are aligned to 4 bytes from the block's start: key, zero, padding, value.
def _string(block: bytes, key: str) -> str | None:
    wanted = key.encode("utf-16-le") + b"\0\0"
    at = block.find(wanted)
    if at < 0:
        return None
    start = at + len(wanted) + 3 & ~3
    raw = block[start : start + MAX_VALUE]
    text = raw[: len(raw) & ~1].decode("utf-16-le", "replace").partition("\0")[0].strip()
    return text if text and text.isprintable() else None


# Three levels: type, name, language; the first of each below RT_VERSION will do.
def _find_resource(memory: Memory, base: int, root: int, size: int) -> tuple[int, int] | None:
    offset = 0
    for level in range(3):
        entry = _entry(memory, base + root + offset, RT_VERSION if level == 0 else None)
        if entry is None:
            return None
        is_directory, offset = entry >> 31 == 1, entry & 0x7FFF_FFFF
        if offset + 16 > size or is_directory != (level < 2):
            return None
    rva, length = struct.unpack("<II", memory.read(base + root + offset, 8))
    return rva, length


def _entry(memory: Memory, address: int, wanted: int | None) -> int | None:
    named, numbered = struct.unpack("<12xHH", memory.read(address, 16))
    count = named + numbered
    if not 0 < count <= MAX_ENTRIES:
        return None
    table = memory.read(address + 16, 8 * count)
    for at in range(0, len(table), 8):
        identifier, target = struct.unpack_from("<II", table, at)
        if wanted is None or identifier == wanted:
            return int(target)
    return None
