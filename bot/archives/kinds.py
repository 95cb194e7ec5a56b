"""Which archive a file is, and what in one is wanted, by first bytes alone: names lie.

Signatures: the formats' own specifications (APPNOTE.TXT, 7zFormat.txt, MS-CAB, RAR technote, RFC 1952, RFC 8878).
"""

from pathlib import Path
from typing import Literal

ArchiveKind = Literal["zip", "7z", "cab", "rar", "gz", "bz2", "xz", "zst", "tar"]

HEAD_BYTES = 8192
TEXT_SUFFIXES = (".txt", ".log")  # what WinDbg printed is kept under these names

_SIGNATURES: tuple[tuple[bytes, ArchiveKind], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),  # an empty one
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"MSCF\x00\x00\x00\x00", "cab"),
    (b"Rar!\x1a\x07", "rar"),
    (b"\x1f\x8b\x08", "gz"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zst"),
)
_DUMPS = (b"PAGEDU64", b"PAGEDUMP", b"MDMP")
_TAR_OFFSET, _TAR = 257, b"ustar"


def archive_kind(head: bytes) -> ArchiveKind | None:
    """The kind of archive that begins with these bytes (262 tell all of them); None for anything else."""
    if head[_TAR_OFFSET : _TAR_OFFSET + len(_TAR)] == _TAR:
        return "tar"
    return next((kind for signature, kind in _SIGNATURES if head.startswith(signature)), None)


def kind_of_file(path: Path) -> ArchiveKind | None:
    """The same of a file. Raises: OSError."""
    with path.open("rb") as file:
        return archive_kind(file.read(HEAD_BYTES))


def is_dump(head: bytes) -> bool:
    """Whether these are the first bytes of a kernel dump or a minidump, sound or not."""
    return head.startswith(_DUMPS)


def may_be_text(name: str) -> bool:
    """Whether a member's name is one under which a debugger's output is kept."""
    return name.lower().endswith(TEXT_SUFFIXES)
