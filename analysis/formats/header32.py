"""The header of a 32-bit kernel dump: 4,096 bytes that start with 'PAGEDUMP'.

Offsets of DUMP_HEADER32, as public readers of such dumps have them. As in the 64-bit one, a field that still holds
the letters 'PAGE' was never set.
"""

import struct
from dataclasses import dataclass

from analysis.address import PAGE_SIZE, PhysAddr, VirtAddr
from analysis.errors import NotADump
from analysis.formats.header import MAX_PAGE_FRAME, read_comment, read_time, read_uptime
from analysis.formats.image import MACHINE_X86, DumpHeader, ExceptionRecord
from analysis.formats.raw import RawFile

HEADER32_SIZE = 0x1000
RUNS32, FIRST_RUN32 = 0x64, 0x6C
MAX_HEADER_RUNS32 = (700 - 8) // 8
TYPE32 = 0xF88

_FILLER = int.from_bytes(b"PAGE", "little")
_PAE, _KDBG = 0x5C, 0x60
_CONTEXT, _CONTEXT_SIZE = 0x320, 0x2CC
_EXCEPTION, _MAX_PARAMETERS = 0x7D0, 15
_COMMENT, _COMMENT_SIZE = 0x820, 128
_PRODUCT_TYPE, _SUITE_MASK, _UPTIME, _SYSTEM_TIME = 0xF94, 0xF98, 0xFB8, 0xFC0


@dataclass(frozen=True, slots=True)
class _Words:
    """The header's bytes."""

    data: bytes

    def u32(self, offset: int) -> int:
        return int.from_bytes(self.data[offset : offset + 4], "little")

    def u64(self, offset: int) -> int:
        return int.from_bytes(self.data[offset : offset + 8], "little")

    def set(self, offset: int) -> int | None:
        value = self.u32(offset)
        return None if value == _FILLER else value


def read_header32(raw: RawFile, kind: str) -> DumpHeader:
    """The header of a file that ``sniff`` took for a 32-bit kernel dump of that ``kind``.

    Raises:
        NotADump: it is of a machine that is not known here.
    """
    data = _Words(raw.read(0, HEADER32_SIZE, "the dump header"))
    machine = data.u32(0x20)
    if machine != MACHINE_X86:
        raise NotADump(f"a 32-bit kernel dump of an unknown machine type ({machine:#x})")
    p1, p2, p3, p4 = struct.unpack_from("<4I", data.data, 0x2C)
    return DumpHeader(
        kind=kind,
        type_code=data.u32(TYPE32),
        major_version=data.u32(8),
        build=data.u32(0xC),
        machine=machine,
        processors=data.u32(0x24),
        code=data.u32(0x28),
        parameters=(p1, p2, p3, p4),
        directory_table=PhysAddr(data.u32(0x10)),
        pfn_database=VirtAddr(data.u32(0x14)),
        loaded_modules=VirtAddr(data.u32(0x18)),
        active_processes=VirtAddr(data.u32(0x1C)),
        kdbg=VirtAddr(data.set(_KDBG) or 0),
        context=_context(data.data[_CONTEXT : _CONTEXT + _CONTEXT_SIZE]),
        exception=_exception(data.data),
        crash_time=read_time(data.u64(_SYSTEM_TIME)),
        uptime_seconds=read_uptime(data.u64(_UPTIME)),
        product_type=data.set(_PRODUCT_TYPE),
        suite_mask=data.set(_SUITE_MASK),
        comment=read_comment(data.data[_COMMENT : _COMMENT + _COMMENT_SIZE]),
        memory_bytes=_memory_bytes(data.data),
        pae=data.data[_PAE] == 1,
    )


def _context(data: bytes) -> bytes:
    return b"" if data == b"PAGE" * (_CONTEXT_SIZE // 4) or not any(data) else data


def _exception(data: bytes) -> ExceptionRecord | None:
    code, flags, _, address, number = struct.unpack_from("<5I", data, _EXCEPTION)
    if code in {_FILLER, 0}:
        return None
    used = number if number <= _MAX_PARAMETERS else 0
    return ExceptionRecord(code, flags, address, struct.unpack_from(f"<{used}I", data, _EXCEPTION + 0x14))


def _memory_bytes(data: bytes) -> int | None:
    number, total = struct.unpack_from("<II", data, RUNS32)
    if not 0 < number <= MAX_HEADER_RUNS32:
        return None
    listed = sum(count for _, count in struct.iter_unpack("<II", data[FIRST_RUN32 : FIRST_RUN32 + 8 * number]))
    return total * PAGE_SIZE if 0 < total == listed <= MAX_PAGE_FRAME else None
