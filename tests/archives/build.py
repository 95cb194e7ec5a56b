"""Archives built for the tests, in memory, with as little help from what reads them as there is."""

import bz2
import gzip
import io
import lzma
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping

import inflate64
import py7zr
import pyzipper

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Members = Mapping[str, bytes]


def zipped(members: Members, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip by the standard library."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def zip64(members: Members) -> bytes:
    """A zip whose sizes stand in zip64 fields, as writers that stream make it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            with archive.open(name, "w", force_zip64=True) as stream:
                stream.write(content)
    return out.getvalue()


def raw_zip(
    name: bytes,
    packed: bytes,
    content: bytes,
    *,
    method: int = 0,
    flags: int = 0,
    mode: int = 0,
    said: int | None = None,
) -> bytes:
    """A zip of one member, byte by byte: any name, method, flags and Unix mode; ``said`` may be a lie of its size."""
    size = len(content) if said is None else said
    common = struct.pack("<HHHHHIII", 20, flags, method, 0, 33, zlib.crc32(content), len(packed), size & 0xFFFFFFFF)
    local = b"PK\x03\x04" + common + struct.pack("<HH", len(name), 0) + name + packed
    entry = b"PK\x01\x02" + struct.pack("<H", 20 | 3 << 8) + common
    entry += struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, mode << 16, 0) + name
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(entry), len(local), 0)
    return local + entry + end


def deflate64_zip(name: bytes, content: bytes) -> bytes:
    """A zip as Windows Explorer writes a large file."""
    deflater = inflate64.Deflater()
    return raw_zip(name, deflater.deflate(content) + deflater.flush(), content, method=9)


def locked_zip(members: Members, password: str, *, aes: bool = True) -> bytes:
    """A zip with a password: AES, or the old ZipCrypto."""
    out = io.BytesIO()
    if not aes:
        ((name, content),) = members.items()
        return _zip_crypto(name.encode(), content, password.encode())
    with pyzipper.AESZipFile(out, "w", pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(password.encode())
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def _zip_crypto(name: bytes, content: bytes, password: bytes) -> bytes:
    # APPNOTE.TXT section 6.1: three keys, one byte at a time, a header of twelve bytes in front.
    table = [_crc_entry(n) for n in range(256)]
    keys = [0x12345678, 0x23456789, 0x34567890]

    def update(byte: int) -> None:
        keys[0] = keys[0] >> 8 ^ table[(keys[0] ^ byte) & 0xFF]
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = keys[2] >> 8 ^ table[(keys[2] ^ keys[1] >> 24) & 0xFF]

    def encrypted(byte: int) -> int:
        mixed = (keys[2] | 2) & 0xFFFF
        out = byte ^ (mixed * (mixed ^ 1) >> 8 & 0xFF)
        update(byte)
        return out

    for byte in password:
        update(byte)
    plain = bytes(11) + bytes([zlib.crc32(content) >> 24]) + content
    return raw_zip(name, bytes(encrypted(byte) for byte in plain), content, flags=1)


def _crc_entry(number: int) -> int:
    for _ in range(8):
        number = number >> 1 ^ (0xEDB88320 if number & 1 else 0)
    return number


def sevenzip(members: Members, password: str | None = None, *, hide_names: bool = False) -> bytes:
    """A 7z, packed in a hurry."""
    out = io.BytesIO()
    filters = [{"id": py7zr.FILTER_LZMA2, "preset": 0}]
    if password is not None:
        filters.append({"id": py7zr.FILTER_CRYPTO_AES256_SHA256})
    with py7zr.SevenZipFile(out, "w", filters=filters, password=password, header_encryption=hide_names) as archive:
        for name, content in members.items():
            archive.writestr(content, name)
    return out.getvalue()


def cabinet(members: Members) -> bytes:
    """A cabinet: one folder of MSZIP blocks. Source: MS-CAB, sections 2.1 to 2.4."""
    whole = b"".join(members.values())
    blocks = b""
    count = 0
    for start in range(0, len(whole), 32768):
        plain = whole[start : start + 32768]
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = b"CK" + deflate.compress(plain) + deflate.flush()
        blocks += struct.pack("<IHH", 0, len(packed), len(plain)) + packed
        count += 1
    files, offset = b"", 0
    for name, content in members.items():
        files += struct.pack("<IIHHHH", len(content), offset, 0, 0x5A21, 0, 0x20) + name.encode() + b"\0"
        offset += len(content)
    first_file = 36 + 8
    first_block = first_file + len(files)
    head = struct.pack("<4sIIIIIBBHHHHH", b"MSCF", 0, first_block + len(blocks), 0, first_file, 0, 3, 1, 1,
                       len(members), 0, 0, 0)  # fmt: skip
    return head + struct.pack("<IHH", first_block, count, 1) + files + blocks


def tarred(members: Members, pack: Callable[[bytes], bytes] = bytes) -> bytes:
    """A tar, packed by ``pack``."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return pack(out.getvalue())


def tar_link(name: str, target: str) -> bytes:
    """A tar with a symbolic link in it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        archive.addfile(entry)
    return out.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd.compress,
}
