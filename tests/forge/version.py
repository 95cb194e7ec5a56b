"""The .rsrc data of an image: a tree with one VS_VERSIONINFO.

Layout: the resource format chapter of the PE specification, and VS_VERSIONINFO in the Windows SDK documentation.
"""

import struct


def version_resource(rva: int, name: str, company: str, version: tuple[int, int, int, int]) -> bytes:
    """The bytes of a resource section that begins at ``rva``."""
    info = _version_info(name, company, version)
    data_at = 0x58
    tree = _directory(16, 0x80000018) + _directory(1, 0x80000030) + _directory(0x409, 0x48)
    entry = struct.pack("<IIII", rva + data_at, len(info), 0, 0)
    return tree + entry + info


def _directory(identifier: int, offset: int) -> bytes:
    return struct.pack("<IIHHHHII", 0, 0, 0, 0, 0, 1, identifier, offset)


def _version_info(name: str, company: str, version: tuple[int, int, int, int]) -> bytes:
    high, low = version[0] << 16 | version[1], version[2] << 16 | version[3]
    fixed = struct.pack("<13I", 0xFEEF04BD, 0x10000, high, low, high, low, 0x3F, 0, 0x40004, 3, 7, 0, 0)
    text = ".".join(str(part) for part in version)
    strings = [("CompanyName", company), ("FileDescription", name), ("FileVersion", text), ("OriginalFilename", name)]
    table = _block(
        "040904B0", b"", b"".join(_padded(_string(key, value)) for key, value in strings if value), text=True
    )
    return _block("VS_VERSION_INFO", fixed, _block("StringFileInfo", b"", table, text=True), text=False)


def _string(key: str, value: str) -> bytes:
    return _block(key, value.encode("utf-16-le") + b"\0\0", b"", text=True, units=len(value) + 1)


def _block(key: str, value: bytes, children: bytes, *, text: bool, units: int | None = None) -> bytes:
    head = 6
    body = _padded(key.encode("utf-16-le") + b"\0\0", head)
    body += value
    if children:
        body = _padded(body, head) + children
    return struct.pack("<HHH", head + len(body), len(value) if units is None else units, int(text)) + body


def _padded(data: bytes, before: int = 0) -> bytes:
    return data + bytes(-(len(data) + before) % 4)
