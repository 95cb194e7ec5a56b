"""Small dumps written byte by byte, from literal offsets of their own."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

PAGE = 0x1000
FILETIME_2026 = 0x01DC_7A9F_0000_0000


def header(type_code: int, *, machine: int = 0x8664, size: int = 0x2000) -> bytearray:
    """A header as a crash writes it: filler first, then the fields."""
    data = bytearray(b"PAGE" * (0x2000 // 4))
    data[0:8] = b"PAGEDU64"
    struct.pack_into("<IIQQQQII", data, 8, 15, 19041, 0x1AD000, 0xF1, 0xF2, 0xF3, machine, 4)
    struct.pack_into("<I4x4Q", data, 0x38, 0x9F, 4, 300, 0xFFFF_8000_0000_1000, 0xFFFF_8000_0000_2000)
    struct.pack_into("<Q", data, 0x80, 0xFFFF_F800_0000_3000)
    struct.pack_into("<I", data, 0xF98, type_code)
    struct.pack_into("<Q", data, 0xFA8, FILETIME_2026)
    struct.pack_into("<Q", data, 0x1030, 600 * 10_000_000)
    return data[:size]


def runs_into(head: bytearray, runs: Sequence[tuple[int, int]], *, number: int | None = None) -> None:
    """The memory descriptor of a full dump."""
    count = len(runs) if number is None else number
    struct.pack_into("<IIQ", head, 0x88, count, 0, sum(pages for _, pages in runs) & 0xFFFF_FFFF_FFFF_FFFF)
    for index, run in enumerate(runs):
        struct.pack_into("<QQ", head, 0x98 + 16 * index, *run)


def full(pages: Mapping[int, bytes], *, machine: int = 0x8664) -> bytearray:
    """A full dump of these pages, in as many runs as they need."""
    runs: list[tuple[int, int]] = []
    for pfn in sorted(pages):
        if runs and runs[-1][0] + runs[-1][1] == pfn:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((pfn, 1))
    head = header(1, machine=machine)
    runs_into(head, runs)
    return head + b"".join(pages[pfn].ljust(PAGE, b"\0") for pfn in sorted(pages))


def bitmap(
    pages: Mapping[int, bytes],
    *,
    type_code: int = 6,
    signature: bytes = b"SDMP",
    bits: int | None = None,
    first_page: int | None = None,
    machine: int = 0x8664,
) -> bytearray:
    """A bitmap dump of these pages."""
    bits = max(pages) + 1 if bits is None else bits
    size = (max(bits, max(pages, default=0) + 1) + 7) // 8
    bitmap_bytes = bytearray(size)
    for pfn in pages:
        bitmap_bytes[pfn >> 3] |= 1 << (pfn & 7)
    first = (0x2038 + size + PAGE - 1) & ~(PAGE - 1) if first_page is None else first_page
    data = header(type_code, machine=machine)
    data += signature + b"DUMP" + bytes(0x18) + struct.pack("<QQQ", first, len(pages), bits) + bitmap_bytes
    data += bytes(max(0, first - len(data)))
    return data + b"".join(pages[pfn].ljust(PAGE, b"\0") for pfn in sorted(pages))


@dataclass
class Triage:
    """What goes into a small dump; ``build`` writes it and remembers where."""

    drivers: Sequence[tuple[str, int, int]] = (("\\SystemRoot\\system32\\ntoskrnl.exe", 0xFFFF_F800_0000_0000, 0x1000),)
    unloaded: Sequence[tuple[str, int, int]] = (("old.sys", 0xFFFF_F800_1000_0000, 0xFFFF_F800_1000_4000),)
    blocks: Sequence[tuple[int, bytes]] = ((0xFFFF_8000_0000_1000, b"block one"), (0xFFFF_8000_0000_2000, b"block two"))
    stack: tuple[int, bytes] = (0xFFFF_9000_0000_0F00, b"S" * 0x100)
    prcb: bytes = b""
    process: bytes = b""
    thread: bytes = b""
    broken_driver: str = ""
    machine: int = 0x8664
    at: dict[str, int] = field(default_factory=dict)

    def build(self) -> bytearray:
        """The dump."""
        self.out = header(4, machine=self.machine) + bytes(0x100)
        self._structures()
        self._lists()
        self._blocks()
        self.at["valid"] = self._put(b"TRGD")
        self._field(0x08, self.at["valid"])
        self._field(0x04, len(self.out))
        return self.out

    def _structures(self) -> None:
        for name, offset in (("prcb", 0x1C), ("process", 0x20), ("thread", 0x24)):
            content = getattr(self, name)
            if content:
                self.at[name] = self._put(content)
                self._field(offset, self.at[name])
        self.at["stack"] = self._put(self.stack[1])
        self._field(0x28, self.at["stack"])
        self._field(0x2C, len(self.stack[1]))
        struct.pack_into("<Q", self.out, 0x2048, self.stack[0])
        self.at["debugger_data"] = self._put(b"\0" * 16 + b"KDBG".ljust(0x370, b"\0"))
        self._field(0x70, self.at["debugger_data"])
        self._field(0x74, 0x380)

    def _lists(self) -> None:
        self.at["unloaded"] = self._put(struct.pack("<Q", len(self.unloaded)))
        for name, start, end in self.unloaded:
            text = name.encode("utf-16-le")
            self.out += struct.pack("<HHIQ24sQQ", len(text), len(text), 0, 0, text, start, end)
        self._field(0x18, self.at["unloaded"])
        self.at["drivers"] = self._put(bytes(0x90 * len(self.drivers)))
        self._field(0x30, self.at["drivers"])
        self._field(0x34, len(self.drivers))
        self.at["strings"] = len(self.out)
        for index, (name, base, size) in enumerate(self.drivers):
            entry = self.at["drivers"] + 0x90 * index
            struct.pack_into("<I", self.out, entry, self._put(self._string(name)))
            struct.pack_into("<Q", self.out, entry + 0x38, base)
            struct.pack_into("<I", self.out, entry + 0x48, size)
            struct.pack_into("<I", self.out, entry + 0x80, 0xC0FFEE + index)
            struct.pack_into("<I", self.out, entry + 0x88, 0x5F3E0000 + index)
        if self.broken_driver:
            self._field(0x40, self._put(self._string(self.broken_driver)))
        self._field(0x38, self.at["strings"])
        self._field(0x3C, len(self.out) - self.at["strings"])

    def _blocks(self) -> None:
        self.at["blocks"] = self._put(bytes(16 * len(self.blocks)))
        self._field(0x78, self.at["blocks"])
        self._field(0x7C, len(self.blocks))
        for index, (address, content) in enumerate(self.blocks):
            where = self._put(content)
            struct.pack_into("<QII", self.out, self.at["blocks"] + 16 * index, address, where, len(content))

    @staticmethod
    def _string(text: str) -> bytes:
        return struct.pack("<I", len(text)) + text.encode("utf-16-le") + b"\0\0"

    def _put(self, content: bytes) -> int:
        self.out += bytes(-len(self.out) % 8)
        offset = len(self.out)
        self.out += content
        return offset

    def _field(self, offset: int, value: int) -> None:
        struct.pack_into("<I", self.out, 0x2000 + offset, value)
