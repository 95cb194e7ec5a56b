"""The header of a 64-bit kernel dump: 8,192 bytes that start with 'PAGEDU64'.

Offsets: Windows' DUMP_HEADER64, which is in no public PDB; checked against real dumps of x64 and ARM64. A writer
fills the header with the letters 'PAGE' first, so a field that still holds them was never set.
"""

import struct
from datetime import UTC, datetime, timedelta

from analysis.address import PAGE_SIZE, PhysAddr, VirtAddr
from analysis.errors import NotADump
from analysis.formats.image import ARCHITECTURES, MACHINE_ARM64, MACHINE_X86, DumpHeader, ExceptionRecord
from analysis.formats.raw import RawFile

HEADER_SIZE = 0x2000
TYPE_FULL = 1
TYPE_SUMMARY = 2
TYPE_TRIAGE = 4
TYPES_BITMAP = (5, 6)

# PHYSICAL_MEMORY_DESCRIPTOR64: number of runs, number of pages, then (first page frame, number of pages) pairs.
RUNS, FIRST_RUN, _RUNS_SIZE = 0x88, 0x98, 700
MAX_HEADER_RUNS = (_RUNS_SIZE - 16) // 16
MAX_PAGE_FRAME = 1 << 40  # 52 bits of physical address, the most x64 has

_FILLER32 = int.from_bytes(b"PAGE", "little")
_FILLER64 = int.from_bytes(b"PAGEPAGE", "little")

_CONTEXT, _CONTEXT_X64_SIZE, _CONTEXT_ARM64_SIZE = 0x348, 0x4D0, 0x390
_EXCEPTION, _MAX_EXCEPTION_PARAMETERS = 0xF00, 15
_TYPE, _SYSTEM_TIME, _COMMENT, _COMMENT_SIZE = 0xF98, 0xFA8, 0xFB0, 128
_UPTIME, _PRODUCT_TYPE, _SUITE_MASK = 0x1030, 0x1040, 0x1044

_FILETIME_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
# No 64-bit Windows ran before 2001, and a clock beyond 2200 is filler or damage.
_EARLIEST, _LATEST = datetime(2001, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_LONGEST_UPTIME_SECONDS = 100 * 366 * 86_400


def read_header(raw: RawFile, kind: str) -> DumpHeader:
    """The header of a file that ``sniff`` took for a 64-bit kernel dump of that ``kind``.

    Raises:
        NotADump: it is of a machine that is not known here.
    """
    data = raw.read(0, HEADER_SIZE, "the dump header")
    machine = _u32(data, 0x30)
    if machine not in dict(ARCHITECTURES) or machine == MACHINE_X86:
        raise NotADump(f"a kernel dump of an unknown machine type ({machine:#x})")
    p1, p2, p3, p4 = struct.unpack_from("<4Q", data, 0x40)
    product, suite = _u32(data, _PRODUCT_TYPE), _u32(data, _SUITE_MASK)
    return DumpHeader(
        kind=kind,
        type_code=_u32(data, _TYPE),
        major_version=_u32(data, 8),
        build=_u32(data, 0xC),
        machine=machine,
        processors=_u32(data, 0x34),
        code=_u32(data, 0x38),
        parameters=(p1, p2, p3, p4),
        directory_table=PhysAddr(_u64(data, 0x10)),
        pfn_database=VirtAddr(_u64(data, 0x18)),
        loaded_modules=VirtAddr(_u64(data, 0x20)),
        active_processes=VirtAddr(_u64(data, 0x28)),
        kdbg=VirtAddr(_set(_u64(data, 0x80)) or 0),
        context=_read_context(data, machine),
        exception=_read_exception(data),
        crash_time=read_time(_u64(data, _SYSTEM_TIME)),
        uptime_seconds=read_uptime(_u64(data, _UPTIME)),
        product_type=None if product == _FILLER32 else product,
        suite_mask=None if suite == _FILLER32 else suite,
        memory_bytes=_read_memory_bytes(data),
        comment=read_comment(data[_COMMENT : _COMMENT + _COMMENT_SIZE]),
    )


def capture_hint(header: DumpHeader) -> str | None:
    """Why this looks like a capture of a running machine rather than a crash, in a few words, or None.

    Capture tools have no bugcheck to write: they leave the filler, or put letters ("MATT", "MOONSOLS") where the
    code and its parameters belong. A code that is four printable letters is no Windows code.
    """
    if header.code == _FILLER32:
        return "no bugcheck code was ever written"
    if _are_letters(header.code.to_bytes(4, "little")):
        return "letters stand where the bugcheck code belongs"
    width = 4 if header.machine == MACHINE_X86 else 8
    if header.code == 0 and _are_letters(header.parameters[0].to_bytes(width, "little")):
        return "letters stand where the bugcheck's parameters belong"
    return None


def _are_letters(data: bytes) -> bool:
    return data.isalpha() and data.isascii()


def _u32(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 4], "little")


def _u64(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 8], "little")


def _set(value: int) -> int | None:
    return None if value == _FILLER64 else value


def _read_context(data: bytes, machine: int) -> bytes:
    size = _CONTEXT_ARM64_SIZE if machine == MACHINE_ARM64 else _CONTEXT_X64_SIZE
    context = data[_CONTEXT : _CONTEXT + size]
    return b"" if context == b"PAGE" * (size // 4) or not any(context) else context


def _read_exception(data: bytes) -> ExceptionRecord | None:
    code, flags, _, address, number = struct.unpack_from("<IIQQI", data, _EXCEPTION)
    if code in {_FILLER32, 0}:
        return None
    # A count beyond the array's 15 slots is damage: the rest of the record may still be true.
    used = number if number <= _MAX_EXCEPTION_PARAMETERS else 0
    return ExceptionRecord(code, flags, address, struct.unpack_from(f"<{used}Q", data, _EXCEPTION + 0x20))


def read_time(filetime: int) -> datetime | None:
    """A FILETIME as a moment; None where it is filler or no time that can be."""
    if filetime >= 1 << 63 or filetime == _FILLER64:
        return None
    try:
        when = _FILETIME_EPOCH + timedelta(microseconds=filetime // 10)
    except OverflowError:
        return None
    return when if _EARLIEST <= when <= _LATEST else None


def read_uptime(ticks: int) -> float | None:
    """Units of 100 ns as seconds; None where no machine ran so long."""
    seconds = ticks / 10_000_000
    return seconds if 0 < seconds <= _LONGEST_UPTIME_SECONDS else None


def _read_memory_bytes(data: bytes) -> int | None:
    number, _, total = struct.unpack_from("<IIQ", data, RUNS)
    if not 0 < number <= MAX_HEADER_RUNS:
        return None
    listed = sum(count for _, count in struct.iter_unpack("<QQ", data[FIRST_RUN : FIRST_RUN + 16 * number]))
    return total * PAGE_SIZE if 0 < total == listed <= MAX_PAGE_FRAME else None


def read_comment(data: bytes) -> str | None:
    """The comment of the writer in its 128 bytes; None where there is none."""
    if data.startswith(b"PAGE"):
        return None
    text = data.split(b"\0", 1)[0].decode("ascii", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in text) or None
