"""A small ARM64 machine that stopped in a driver, and its full dump. Everything here is written from literal offsets.

Tables of VMSAv8-64 with pages of 4 KiB: one root whose lower half is the user's and whose upper half the kernel's.
"""

import struct
from dataclasses import dataclass, field

PAGE, BLOCK = 0x1000, 0x20_0000
TABLE_OR_PAGE, BLOCK_KIND = 3, 1
ATTRIBUTES = 1 << 10 | 3 << 8  # accessed, inner shareable, read and write in kernel mode
LISTS, KDBG = 0xFFFF_F800_7000_0000, 0xFFFF_F800_7000_3000
LIST_HEAD = LISTS + 0x2000


@dataclass
class MachineArm64:
    """Its memory by page frame, and what its header says. ``context`` is the CONTEXT of the stop."""

    context: bytes = bytes(0x390)
    code: int = 0xD1
    parameters: tuple[int, int, int, int] = (0x10, 2, 0, 0)
    build: int = 22000
    frames: dict[int, bytearray] = field(default_factory=dict)
    next_frame: int = 0x400

    def __post_init__(self) -> None:
        self.root = self.frame()
        for page in range(4):
            self.map(LISTS + page * PAGE)
        self.write(LIST_HEAD, struct.pack("<QQ", LIST_HEAD, LIST_HEAD))
        self.write(KDBG + 0x10, b"KDBG")

    def frame(self) -> int:
        """A new page frame, zeroed."""
        self.next_frame += 3
        self.frames[self.next_frame] = bytearray(PAGE)
        return self.next_frame

    def entry(self, table: int, address: int, shift: int) -> int:
        """The physical address of the descriptor of an address in the table at a frame."""
        return table * PAGE + (address >> shift & 0x1FF) * 8

    def get(self, physical: int) -> int:
        """A descriptor."""
        (value,) = struct.unpack_from("<Q", self.frames[physical // PAGE], physical % PAGE)
        return int(value)

    def put(self, physical: int, value: int) -> None:
        """Writes a descriptor."""
        struct.pack_into("<Q", self.frames[physical // PAGE], physical % PAGE, value)

    def table(self, address: int, shift: int) -> int:
        """The frame of the table whose descriptors decode the address bits from ``shift`` on; made where missing."""
        table = self.root
        for above in (39, 30, 21):
            if above < shift + 9:
                break
            at = self.entry(table, address, above)
            if not self.get(at):
                self.put(at, self.frame() * PAGE | TABLE_OR_PAGE)
            table = self.get(at) >> 12 & 0xF_FFFF_FFFF
        return table

    def map(self, address: int, frame: int | None = None) -> int:
        """Maps a page, to a new frame where none is given; returns the frame."""
        found = self.frame() if frame is None else frame
        self.frames.setdefault(found, bytearray(PAGE))
        self.put(self.entry(self.table(address, 12), address, 12), found * PAGE | ATTRIBUTES | TABLE_OR_PAGE)
        return found

    def map_block(self, address: int, first_frame: int) -> None:
        """Maps a block of 2 MiB; its frames begin at a multiple of 512."""
        for frame in range(first_frame, first_frame + BLOCK // PAGE):
            self.frames.setdefault(frame, bytearray(PAGE))
        self.put(self.entry(self.table(address, 21), address, 21), first_frame * PAGE | ATTRIBUTES | BLOCK_KIND)

    def physical(self, address: int) -> int:
        """Where a mapped virtual address lies."""
        table = self.root
        for shift in (39, 30, 21):
            found = self.get(self.entry(table, address, shift))
            if shift == 21 and found & 3 == BLOCK_KIND:
                return (found & 0xFFFF_FFE0_0000) + address % BLOCK
            table = found >> 12 & 0xF_FFFF_FFFF
        return (self.get(self.entry(table, address, 12)) & 0xFFFF_FFFF_F000) + address % PAGE

    def write(self, address: int, data: bytes) -> None:
        """Writes at a mapped virtual address."""
        while data:
            part = data[: PAGE - address % PAGE]
            at = self.physical(address)
            self.frames[at // PAGE][at % PAGE : at % PAGE + len(part)] = part
            address, data = address + len(part), data[len(part) :]

    def put_range(self, address: int, data: bytes) -> None:
        """Maps as many pages as the data need, and writes them."""
        for page in range(address & -PAGE, address + len(data), PAGE):
            self.map(page)
        self.write(address, data)

    def load(self, modules: list[tuple[str, int, int]]) -> None:
        """The list of loaded modules: name, base and size of each."""
        entries = [LISTS + 0x100 * index for index in range(len(modules))]
        around = [LIST_HEAD, *entries, LIST_HEAD]
        for index, (name, base, size) in enumerate(modules):
            text, path = name.encode("utf-16-le"), f"\\SystemRoot\\system32\\{name}".encode("utf-16-le")
            at = LISTS + 0x1000 + 0x100 * index
            self.write(at, text)
            self.write(at + 0x40, path)
            entry = bytearray(0xA0)
            struct.pack_into("<QQ", entry, 0, around[index + 2], around[index])
            struct.pack_into("<QQI", entry, 0x30, base, base + 0x1000, size)
            struct.pack_into("<HH4xQHH4xQ", entry, 0x48, len(path), len(path), at + 0x40, len(text), len(text), at)
            self.write(entries[index], bytes(entry))
        self.write(LIST_HEAD, struct.pack("<QQ", entries[0], entries[-1]))

    def full(self) -> bytes:
        """A full dump (type 1)."""
        runs: list[list[int]] = []
        for frame in sorted(self.frames):
            if runs and runs[-1][0] + runs[-1][1] == frame:
                runs[-1][1] += 1
            else:
                runs.append([frame, 1])
        page = bytearray(b"PAGE" * (2 * PAGE // 4))
        struct.pack_into("<8sII", page, 0, b"PAGEDU64", 15, self.build)
        # The upper bits of a TTBR hold an address space's number, its lowest that tables are shared.
        ttbr = self.root * PAGE | 0x0042 << 48 | 1
        struct.pack_into("<QQQQII", page, 0x10, ttbr, 0, LIST_HEAD, 0, 0xAA64, 4)
        struct.pack_into("<I4x4Q", page, 0x38, self.code, *self.parameters)
        struct.pack_into("<Q", page, 0x80, KDBG)
        struct.pack_into("<IIQ", page, 0x88, len(runs), 0, len(self.frames))
        for index, run in enumerate(runs):
            struct.pack_into("<QQ", page, 0x98 + 16 * index, *run)
        page[0x348 : 0x348 + len(self.context)] = self.context
        struct.pack_into("<IIQQII15Q", page, 0xF00, 0x8000_0003, 1, 0, 0, 0, 0, *[0] * 15)
        struct.pack_into("<I4xQQ", page, 0xF98, 1, 0, 0x01DC_7A9F_0000_0000)
        struct.pack_into("<Q", page, 0x1030, 600 * 10_000_000)
        return bytes(page) + b"".join(bytes(self.frames[frame]) for frame in sorted(self.frames))


def context_arm64(pc: int, sp: int, registers: dict[int, int]) -> bytes:
    """A CONTEXT of ARM64; ``registers`` are X0 to X30 by number."""
    record = bytearray(0x390)
    struct.pack_into("<II", record, 0, 0x40_0007, 0x6000_0005)
    for number, value in registers.items():
        struct.pack_into("<Q", record, 8 + 8 * number, value)
    struct.pack_into("<QQ", record, 0x100, sp, pc)
    return bytes(record)
