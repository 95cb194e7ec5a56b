"""What a file is, told from its first bytes. One explicit, ordered table; the first row that fits wins."""

import re
from collections.abc import Callable
from typing import NamedTuple

from analysis.errors import NotADump
from analysis.formats.header import HEADER_SIZE, TYPE_FULL, TYPE_SUMMARY, TYPE_TRIAGE, TYPES_BITMAP
from analysis.formats.header32 import HEADER32_SIZE, TYPE32
from analysis.formats.ranges import TYPES_RANGES
from analysis.formats.raw import RawFile

_HEAD = 0x2000
_ZERO_CHUNK = 1 << 20
_MOST_ZEROS = 64 << 20  # looking further would map all of a huge file into memory
_TYPE_OFFSET = 0xF98
_MACHINE_OFFSET = 0x30
_MACHINE_ITANIUM = 0x200
_BITMAP_SIGNATURE = 0x2000

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"MDMP", "a user-mode minidump"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"PK\x07\x08", "a part of a split zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"BZh", "a bzip2 file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"MSCF", "a cabinet archive"),
    (b"\x04\x22\x4d\x18", "an LZ4 file"),
    (b"\xfe\xed\xfa\xce", "a Mach-O file, not a Windows dump"),
    (b"\xfe\xed\xfa\xcf", "a Mach-O file, not a Windows dump"),
    (b"\xce\xfa\xed\xfe", "a Mach-O file, not a Windows dump"),
    (b"\xcf\xfa\xed\xfe", "a Mach-O file, not a Windows dump"),
    (b"Microsoft C/C++ MSF", "a PDB symbol file"),
    (b"Microsoft C/C++ program database", "a PDB symbol file of an old kind"),
    (b"MZ", "a Windows program or driver (a PE image)"),
    (b"%PDF-", "a PDF document"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"ElfFile\x00", "a Windows event log"),
    (b"regf", "a Windows registry hive"),
    (b"hibr", "a Windows hibernation file"),
    (b"HIBR", "a Windows hibernation file"),
    (b"PMDM", "a minidump of the wrong byte order"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document or an installer (an OLE file)"),
    (b"EMiL", "a LiME memory capture"),
    (b"AVML", "an AVML memory capture"),
    (b"KDMV", "a virtual machine's disk (VMDK)"),
    (b"vhdxfile", "a virtual machine's disk (VHDX)"),
    (b"conectix", "a virtual machine's disk (VHD)"),
    (b"\xd2\xbe\xd2\xbe", "a virtual machine's saved state (VMware)"),
)
_ELF_CORE = 4
_KERNEL_DUMPS = (b"PAGEDU64", b"PAGEDUMP")
_TYPES64 = {TYPE_FULL, TYPE_SUMMARY, TYPE_TRIAGE, *TYPES_BITMAP, *TYPES_RANGES}
_TYPES32 = {TYPE_FULL: "kernel-full", TYPE_SUMMARY: "kernel-summary", TYPE_TRIAGE: "kernel-triage"}
_HTML = re.compile(rb"(?is)\s*(?>\s*<!--.*?-->)*+\s*<(!doctype\s+html|html|head|body|script|meta|title)\b")
# A link to a dump that gives a page instead mostly wants a person to sign in first, often by script alone; only a
# title that says so makes it an error page.
_ERROR_PAGE = re.compile(
    rb"(?is)<title[^<>]{0,99}>[^<]{0,199}?(not found|forbidden|denied|error|unavailable|expired|\b[45]\d\d\b)"
)
_JSON = re.compile(r"\s*(\{\s*(\"|\})|\[\s*(\"|\{|\[|\]|-?\d))")


class _Start(NamedTuple):
    raw: RawFile
    head: bytes


def sniff(raw: RawFile) -> str:
    """The report's word for the kind of dump: "kernel-triage", "kernel-full", "kernel-summary", "kernel-bitmap",
    "kernel-bitmap-full" or "kernel-ranges".

    Raises:
        NotADump: anything else; ``what`` names it and never quotes its bytes.
    """
    start = _Start(raw, raw.read(0, min(raw.size, _HEAD), "the first bytes"))
    for recognise in _TABLE:
        what = recognise(start)
        if what is not None:
            raise NotADump(what)
    return _kind(raw)


def is_32_bit(raw: RawFile) -> bool:
    """Whether the file is a 32-bit kernel dump by its signature."""
    return raw.read(0, raw.available(0, 8), "the signature") == b"PAGEDUMP"


def _kind(raw: RawFile) -> str:
    if is_32_bit(raw):
        return _TYPES32[raw.u32(TYPE32, "the dump type")]
    type_code = raw.u32(_TYPE_OFFSET, "the dump type")
    if type_code == TYPE_TRIAGE:
        return "kernel-triage"
    if type_code in {TYPE_FULL, TYPE_SUMMARY}:
        return _TYPES32[type_code]
    if type_code in TYPES_RANGES:
        return "kernel-ranges"
    # The second signature tells what was saved; the type only speaks where the file ends before it.
    signature = raw.read(_BITMAP_SIGNATURE, raw.available(_BITMAP_SIGNATURE, 4), "the bitmap signature")
    if signature in {b"SDMP", b"FDMP"}:
        return "kernel-bitmap" if signature == b"SDMP" else "kernel-bitmap-full"
    return "kernel-bitmap-full" if type_code == TYPES_BITMAP[0] else "kernel-bitmap"


def _empty(start: _Start) -> str | None:
    return None if start.head else "an empty file"


def _zeros(start: _Start) -> str | None:
    if any(start.head):
        return None
    for offset in range(len(start.head), min(start.raw.size, _MOST_ZEROS), _ZERO_CHUNK):
        if any(start.raw.read(offset, start.raw.available(offset, _ZERO_CHUNK), "a run of zeros").strip(b"\0")):
            return "a file that starts with zeros, not with a dump header"
    return "a file of nothing but zeros" if start.raw.size <= _MOST_ZEROS else "a file that starts with 64 MiB of zeros"


def _other_kernel_dump(start: _Start) -> str | None:
    if start.head.startswith(b"PAGEDUMP"):
        return _other_32_bit(start)
    if start.head.startswith(b"PAGE") and len(start.head) < 8:
        return f"the first {len(start.head)} bytes of a kernel dump, cut off inside its header"
    if not start.head.startswith(b"PAGEDU64"):
        return None
    if start.raw.size < HEADER_SIZE:
        return f"the beginning of a kernel dump, cut off inside its header ({start.raw.size} of {HEADER_SIZE} bytes)"
    if int.from_bytes(start.head[_MACHINE_OFFSET : _MACHINE_OFFSET + 4], "little") == _MACHINE_ITANIUM:
        return "an Itanium kernel dump"
    type_code = int.from_bytes(start.head[_TYPE_OFFSET : _TYPE_OFFSET + 4], "little")
    return None if type_code in _TYPES64 else f"a kernel dump of unknown type {type_code:#x}"


def _other_32_bit(start: _Start) -> str | None:
    size = start.raw.size
    if size < HEADER32_SIZE:
        return f"the beginning of a 32-bit kernel dump, cut off inside its header ({size} of {HEADER32_SIZE} bytes)"
    type_code = int.from_bytes(start.head[TYPE32 : TYPE32 + 4], "little")
    return None if type_code in _TYPES32 else f"a 32-bit kernel dump of unknown type {type_code:#x}"


def _magic(start: _Start) -> str | None:
    if start.head.startswith(_KERNEL_DUMPS):
        return None
    if start.head.startswith(b"\x7fELF"):
        is_core = int.from_bytes(start.head[16:18], "little") == _ELF_CORE
        return "an ELF core file, from Linux or another Unix" if is_core else "an ELF file, not a Windows dump"
    found = (what for magic, what in _MAGIC if start.head.startswith(magic))
    return next(found, "a tar archive" if start.head[257:262] == b"ustar" else None)


def _text(start: _Start) -> str | None:
    if start.head.startswith(_KERNEL_DUMPS):
        return None
    text = _as_text(start.head)
    if text is None:
        return None
    encoded = text.lstrip("\ufeff").encode("utf-8", "replace")
    if _HTML.match(encoded):
        kind = "an error" if _ERROR_PAGE.search(encoded) else "a login"
        return f"an HTML page: probably {kind} page"
    if encoded.lstrip().startswith(b"<?xml") or re.match(rb"\s*<[A-Za-z][\w:.-]*[\s>/]", encoded):
        return "an XML file"
    if _JSON.match(text.lstrip("\ufeff")):
        return "a JSON document"
    return "a text file"


def _as_text(head: bytes) -> str | None:
    # What was cut mid-character at the end must not turn a text into bytes, hence "ignore" on the last few.
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", "ignore")
    half = head[: len(head) & ~1]
    for zeros, letters, encoding in ((half[1::2], half[0::2], "utf-16-le"), (half[0::2], half[1::2], "utf-16-be")):
        if half and zeros.count(0) > len(zeros) * 0.9 and not letters.count(0):
            return half.decode(encoding, "ignore")
    if any(byte < 0x20 and byte not in b"\t\n\r\f\x1b" for byte in head):
        return None
    for cut in range(min(4, len(head))):
        try:
            return head[: len(head) - cut].decode("utf-8")
        except UnicodeDecodeError:
            continue
    # Legacy code pages (a WinDbg log saved as "ANSI"): mostly ASCII, some bytes above.
    return head.decode("latin-1") if sum(byte < 0x80 for byte in head) > len(head) * 0.7 else None


def _short(start: _Start) -> str | None:
    if start.raw.size < HEADER_SIZE and not start.head.startswith(_KERNEL_DUMPS):
        return f"a file of {start.raw.size} bytes, shorter than a dump's header"
    return None


def _unknown(start: _Start) -> str | None:
    return None if start.head.startswith(_KERNEL_DUMPS) else "a file of a format not known here"


_TABLE: tuple[Callable[[_Start], str | None], ...] = (
    _empty,
    _zeros,
    _other_kernel_dump,
    _magic,
    _text,
    _short,
    _unknown,
)
