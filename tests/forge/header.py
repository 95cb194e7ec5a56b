"""The two header pages every 64-bit kernel dump begins with."""

import struct
from dataclasses import dataclass

from tests.forge.layouts.private import DUMP_HEADER64, HEADER_SIZE, MAX_RUNS

FULL, SUMMARY, TRIAGE, BITMAP_FULL, BITMAP_KERNEL, RANGES_KERNEL = 1, 2, 4, 5, 6, 8
PAGES_DATA, PHYSICAL_DATA = 0x1000, 0x2000


@dataclass(frozen=True, slots=True)
class HeaderValues:
    """What the header says. Times in FILETIME units; ``context`` is a CONTEXT, ``exception`` an EXCEPTION_RECORD64."""

    build: int
    directory_table: int
    pfn_database: int
    loaded_modules: int
    active_processes: int
    debugger_data: int
    processors: int
    code: int
    parameters: tuple[int, int, int, int]
    context: bytes
    exception: bytes
    system_time: int
    uptime: int
    product_type: int = 1
    suite_mask: int = 0x110


def header_pages(values: HeaderValues, dump_type: int, size: int, runs: list[tuple[int, int]]) -> bytearray:
    """The header of a dump of ``size`` bytes; ``runs`` are (first frame, count). Raises: ValueError for too many."""
    page = bytearray(b"PAGE" * (HEADER_SIZE // 4))
    at = DUMP_HEADER64
    struct.pack_into("<8sII", page, 0, b"PAGEDU64", 15, values.build)
    struct.pack_into(
        "<QQQQII",
        page,
        at["DirectoryTableBase"],
        values.directory_table,
        values.pfn_database,
        values.loaded_modules,
        values.active_processes,
        0x8664,
        values.processors,
    )
    struct.pack_into("<I", page, at["BugCheckCode"], values.code)
    struct.pack_into("<4Q", page, at["BugCheckParameters"], *values.parameters)
    page[at["VersionUser"]] = 0
    struct.pack_into("<Q", page, at["KdDebuggerDataBlock"], values.debugger_data)
    if len(runs) > MAX_RUNS:
        raise ValueError(f"{len(runs)} runs of pages, the header holds {MAX_RUNS}")
    start = at["PhysicalMemoryBlock"]
    if runs:
        struct.pack_into("<IIQ", page, start, len(runs), 0, sum(count for _, count in runs))
        for index, (first, count) in enumerate(runs):
            struct.pack_into("<QQ", page, start + 16 + 16 * index, first, count)
    page[at["ContextRecord"] : at["ContextRecord"] + len(values.context)] = values.context
    page[at["Exception"] : at["Exception"] + len(values.exception)] = values.exception
    struct.pack_into("<I", page, at["DumpType"], dump_type)
    struct.pack_into("<QQ", page, at["RequiredDumpSpace"], size, values.system_time)
    page[at["Comment"]] = 0
    struct.pack_into("<QI", page, at["SystemUpTime"], values.uptime, 0)
    struct.pack_into("<III", page, at["SecondaryDataState"], 0, values.product_type, values.suite_mask)
    return page


def exception_record(code: int, address: int, parameters: tuple[int, ...] = (), flags: int = 1) -> bytes:
    """An EXCEPTION_RECORD64."""
    padded = (*parameters, *[0] * (15 - len(parameters)))
    return struct.pack("<IIQQII15Q", code, flags, 0, address, len(parameters), 0, *padded)
