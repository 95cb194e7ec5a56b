"""Small dumps (type 4): the stopped processor's stack, thread, process and PRCB, the module list, some data blocks.

Offsets as in real ones of builds 9600 to 22000; see also the triage notes beside the dump header's.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

from tests.forge.facts import Facts
from tests.forge.header import TRIAGE, HeaderValues, header_pages
from tests.forge.layouts.private import HEADER_SIZE, KDBG_SIZE
from tests.forge.machine import Machine

TRIAGE_SIZE = 0x80
MEMORY_SUMMARY = 0x50
DRIVER_ENTRY, LOADER_ENTRY_IN_IT = 0x90, 0x08
UNLOADED_ENTRY = 0x38
UNLOADED_NAME = 12  # characters
TAIL = b"TRGD"


@dataclass(frozen=True, slots=True)
class TriageSource:
    """What a small dump takes from a machine; ``blocks`` are (address, size) of further memory."""

    prcb: tuple[int, int]
    process: tuple[int, int]
    thread: tuple[int, int]
    stack: tuple[int, int]
    debugger_data: int
    blocks: tuple[tuple[int, int], ...]


class _File:
    """A file growing behind its header."""

    def __init__(self) -> None:
        self.data = bytearray(HEADER_SIZE + TRIAGE_SIZE)

    def add(self, block: bytes) -> int:
        """Append on a multiple of eight. Returns the offset."""
        self.data += bytes(-len(self.data) % 8)
        offset = len(self.data)
        self.data += block
        return offset


def write_triage(path: Path, machine: Machine, values: HeaderValues, facts: Facts, source: TriageSource) -> None:
    """Write the small dump."""
    file = _File()
    fields: dict[int, int] = {0x00: 0, 0x0C: 0x348, 0x10: 0xF00, 0x40: 0, 0x44: 0xFFFFFFFF}
    fields[0x14] = file.add(struct.pack("<II", 1, MEMORY_SUMMARY).ljust(MEMORY_SUMMARY, b"\0"))
    fields[0x18] = file.add(_unloaded(facts))
    for place, (address, size) in (
        (0x1C, source.prcb),
        (0x20, source.process),
        (0x24, source.thread),
        (0x28, source.stack),
    ):
        fields[place] = file.add(machine.read(address, size))
    fields[0x2C] = source.stack[1]
    fields[0x70], fields[0x74] = file.add(machine.read(source.debugger_data, KDBG_SIZE)), KDBG_SIZE
    drivers = len(file.data) + 7 & ~7
    pool_at = drivers + DRIVER_ENTRY * len(facts.modules)
    entries, pool = _drivers(facts, pool_at)
    fields[0x30], fields[0x34] = file.add(entries), len(facts.modules)
    fields[0x38], fields[0x3C] = file.add(pool), len(pool)
    first = len(file.data) + 7 & ~7
    offset = first + 16 * len(source.blocks)
    table, content = bytearray(), bytearray()
    for address, size in source.blocks:
        table += struct.pack("<QII", address, offset + len(content), size)
        content += machine.read(address, size)
    fields[0x78], fields[0x7C] = file.add(bytes(table)), len(source.blocks)
    file.add(bytes(content))
    fields[0x08] = file.add(TAIL)
    fields[0x04] = len(file.data)
    for place, value in fields.items():
        struct.pack_into("<I", file.data, HEADER_SIZE + place, value)
    struct.pack_into("<Q", file.data, HEADER_SIZE + 0x48, source.stack[0])
    file.data[:HEADER_SIZE] = header_pages(values, TRIAGE, len(file.data), [])
    path.write_bytes(file.data)


def _unloaded(facts: Facts) -> bytes:
    out = struct.pack("<Q", len(facts.unloaded))
    for driver in facts.unloaded:
        name = driver.name[:UNLOADED_NAME].encode("utf-16-le")
        entry = struct.pack("<HH12x", len(name), len(name)) + name.ljust(2 * UNLOADED_NAME, b"\0")
        out += entry + struct.pack("<QQ", driver.start, driver.end)
    return out


def _drivers(facts: Facts, pool_at: int) -> tuple[bytes, bytes]:
    entries, pool = bytearray(), bytearray()
    for module in facts.modules:
        entry = bytearray(DRIVER_ENTRY)
        struct.pack_into("<I", entry, 0, pool_at + len(pool))
        struct.pack_into("<Q", entry, LOADER_ENTRY_IN_IT + 0x30, module.base)
        struct.pack_into("<I", entry, LOADER_ENTRY_IN_IT + 0x40, module.size)
        struct.pack_into("<I", entry, LOADER_ENTRY_IN_IT + 0x78, module.checksum)
        struct.pack_into("<I", entry, LOADER_ENTRY_IN_IT + 0x80, module.timestamp)
        entries += entry
        text = module.path.encode("utf-16-le")
        pool += struct.pack("<I", len(module.path)) + text + b"\0\0"
        pool += bytes(-len(pool) % 8)
    return bytes(entries), bytes(pool)
