"""A small 32-bit machine that stopped in a driver, and its dumps. Everything here is written from literal offsets.

The stack, innermost first: nt stops the machine in a trap handler, bad.sys failed, and nt had called it. With ``pae``
page tables have three levels with 64-bit entries, else two with 32-bit ones; nt lies in a large page.
"""

import struct
from dataclasses import dataclass, field

PAGE = 0x1000
NT, DRIVER, STACK, LISTS, CONTEXT_COPY = 0x8280_0000, 0x8C00_0000, 0x9000_0000, 0x8C10_0000, 0x8C10_0800
NT_SIZE, DRIVER_SIZE = 0x20_0000, 0x4000
LIST_HEAD, KDBG, THREAD = NT + 0x12_3000, NT + 0x10_0000, LISTS + 0xC00
STOP, TRAP_HANDLER, CALLED, FAULT = NT + 0x5000, NT + 0x6010, NT + 0x7010, DRIVER + 0x1234
CALL = b"\xe8\0\0\0\0"
NAMES = (("ntkrnlpa.exe", NT, NT_SIZE, 0x4A5BC007), ("bad.sys", DRIVER, DRIVER_SIZE, 0x4F000001))


def context(eip: int, esp: int, ebp: int) -> bytes:
    """A CONTEXT of 32-bit code."""
    data = bytearray(0x2CC)
    struct.pack_into("<I", data, 0, 0x1_003F)
    struct.pack_into("<III", data, 0xB4, ebp, eip, 8)
    struct.pack_into("<I", data, 0xC4, esp)
    return bytes(data)


@dataclass
class Machine32:
    """Its memory by page frame, and what its header says."""

    pae: bool = True
    build: int = 7601
    code: int = 0xD1
    parameters: tuple[int, int, int, int] = (0x10, 2, 0, FAULT)
    frames: dict[int, bytearray] = field(default_factory=dict)
    images: tuple[tuple[str, int, int, int], ...] = NAMES
    processors: int = 2

    def __post_init__(self) -> None:
        self.next_frame = 0x400
        self.root = self._root()
        for page in range(NT_SIZE // PAGE):
            self.frames[self.large + page] = bytearray(PAGE)
        mapped = [(base, size) for _, base, size, _ in self.images if base != NT]
        for start, size in (*mapped, (STACK, 0x2000), (LISTS, PAGE)):
            for address in range(start, start + size, PAGE):
                self.map(address)
        self._images()
        self._modules()
        self._stack()
        # KDBG, KiProcessorBlock's address in it, sign-extended; a KPRCB; a thread object.
        self.write(KDBG + 0x10, b"KDBG")
        self.write(KDBG + 0x218, struct.pack("<Q", KDBG + 0x400 | 0xFFFF_FFFF << 32))
        self.write(KDBG + 0x400, struct.pack("<I", KDBG + 0x500))
        self.write(KDBG + 0x504, struct.pack("<I", THREAD))
        self.write(THREAD, b"\6")
        self.context = context(STOP + 8, STACK + 0x1000, STACK + 0x1010)
        self.write(CONTEXT_COPY, self.context)

    def _root(self) -> int:
        # nt: one large page of 2 MiB (PAE), or the part of one of 4 MiB.
        self.large = 0x800
        frame = self.frame()
        if self.pae:
            for index in range(4):
                self.put(frame * PAGE + 0x20 + 8 * index, (self.frame() * PAGE | 1).to_bytes(8, "little"))
            directory = self.entry(frame * PAGE + 0x20 + 8 * (NT >> 30), 8)
            self.put(directory + (NT >> 21 & 0x1FF) * 8, (self.large * PAGE | 0x81).to_bytes(8, "little"))
            return frame * PAGE + 0x20
        # A page of 4 MiB begins at a multiple of that, and nt in the middle of one.
        self.put(frame * PAGE + (NT >> 22) * 4, (0x2000 * PAGE | 0x81).to_bytes(4, "little"))
        self.large = 0x2000 + (NT >> 12 & 0x3FF)
        return frame * PAGE

    def frame(self) -> int:
        """A new page frame, zeroed."""
        self.next_frame += 3
        self.frames[self.next_frame] = bytearray(PAGE)
        return self.next_frame

    def put(self, physical: int, data: bytes) -> None:
        """Write inside one physical page."""
        at = physical % PAGE
        self.frames[physical // PAGE][at : at + len(data)] = data

    def entry(self, physical: int, width: int) -> int:
        """The frame's address that an entry of a table holds."""
        at = physical % PAGE
        return int.from_bytes(self.frames[physical // PAGE][at : at + width], "little") & ~0xFFF

    def map(self, address: int) -> None:
        """Map a page."""
        width, shift, mask = (8, 21, 0x1FF) if self.pae else (4, 22, 0x3FF)
        directory = self.entry(self.root + 8 * (address >> 30), 8) if self.pae else self.root
        at = directory + (address >> shift & mask) * width
        if not self.entry(at, width):
            self.put(at, (self.frame() * PAGE | 1).to_bytes(width, "little"))
        table = self.entry(at, width)
        self.put(table + (address >> 12 & mask) * width, (self.frame() * PAGE | 1).to_bytes(width, "little"))

    def physical(self, address: int) -> int:
        """Where a virtual address lies."""
        if NT <= address < NT + NT_SIZE:
            return self.large * PAGE + address - NT
        width, shift, mask = (8, 21, 0x1FF) if self.pae else (4, 22, 0x3FF)
        directory = self.entry(self.root + 8 * (address >> 30), 8) if self.pae else self.root
        table = self.entry(directory + (address >> shift & mask) * width, width)
        return self.entry(table + (address >> 12 & mask) * width, width) + address % PAGE

    def write(self, address: int, data: bytes) -> None:
        """Write at a virtual address."""
        while data:
            part = data[: PAGE - address % PAGE]
            self.put(self.physical(address), part)
            address, data = address + len(part), data[len(part) :]

    def read(self, address: int, size: int) -> bytes:
        """Read inside one page."""
        at = self.physical(address)
        return bytes(self.frames[at // PAGE][at % PAGE : at % PAGE + size])

    def _images(self) -> None:
        for _, base, size, stamp in self.images:
            head = bytearray(0x200)
            struct.pack_into("<2s58xI", head, 0, b"MZ", 0x80)
            struct.pack_into("<4sHHI8xHH", head, 0x80, b"PE\0\0", 0x14C, 1, stamp, 0xE0, 0x102)
            struct.pack_into("<H", head, 0x98, 0x10B)
            struct.pack_into("<I", head, 0x98 + 0x38, size)
            struct.pack_into("<I", head, 0x98 + 0x5C, 16)
            struct.pack_into("<8sII12x8xI", head, 0x98 + 0xE0, b".text", size - 0x1000, 0x1000, 0x6000_0020)
            self.write(base, bytes(head))
        for address in (TRAP_HANDLER, CALLED, STOP + 0x20):
            self.write(address - len(CALL), CALL)

    def name_pdb(self, guid: bytes, age: int, base: int = NT, name: bytes = b"ntkrpamp.pdb", rva: int = 0x3000) -> None:
        """Give an image a record that names its PDB; nt and its usual one where not said."""
        text = name + b"\0"
        self.write(base + 0x98 + 0x60 + 8 * 6, struct.pack("<II", rva, 28))
        self.write(base + rva, struct.pack("<IIHHIIII", 0, 0, 0, 0, 2, 24 + len(text), rva + 0x100, 0))
        self.write(base + rva + 0x100, b"RSDS" + guid + struct.pack("<I", age) + text)

    def _modules(self) -> None:
        entries = [LISTS + 0x80 * index for index in range(len(self.images))]
        around = [LIST_HEAD, *entries, LIST_HEAD]
        for index, (name, base, size, stamp) in enumerate(self.images):
            at, text = entries[index], name.encode("utf-16-le")
            path = f"\\SystemRoot\\system32\\{name}".encode("utf-16-le")
            self.write(LISTS + 0x400 + 0x80 * index, text)
            self.write(LISTS + 0x600 + 0x80 * index, path)
            entry = struct.pack("<II16xIIIHHIHHI", around[index + 2], around[index], base, base + 0x1000, size,
                len(path), len(path), LISTS + 0x600 + 0x80 * index,
                len(text), len(text), LISTS + 0x400 + 0x80 * index)  # fmt: skip
            self.write(at, entry + struct.pack("<12xII", 0x1234, stamp))
        self.write(LIST_HEAD, struct.pack("<II", entries[0], entries[-1]))

    def _stack(self) -> None:
        # The handler's frame pointer is its trap frame, which begins with copies of the interrupted Ebp and Eip.
        trap = STACK + 0x1100
        self.write(STACK + 0x1010, struct.pack("<II", trap, TRAP_HANDLER))
        self.write(trap, struct.pack("<II", STACK + 0x1200, FAULT))
        self.write(trap + 0x60, struct.pack("<IIIII", STACK + 0x1200, 0, FAULT, 8, 0x10246))
        self.write(STACK + 0x1200, struct.pack("<II", STACK + 0x1300, CALLED))
        self.write(STACK + 0x1300, struct.pack("<II", 0, 0))

    def header(self, dump_type: int) -> bytearray:
        """The first page of a dump."""
        page = bytearray(b"PAGE" * (PAGE // 4))
        struct.pack_into("<8sII", page, 0, b"PAGEDUMP", 15, self.build)
        struct.pack_into(
            "<6I", page, 0x10, self.root, 0x8300_0000, LIST_HEAD, LIST_HEAD + 0x100, 0x14C, self.processors
        )
        struct.pack_into("<5I", page, 0x28, self.code, *self.parameters)
        page[0x5C] = self.pae
        struct.pack_into("<I", page, 0x60, KDBG)
        page[0x320 : 0x320 + len(self.context)] = self.context
        struct.pack_into("<5I", page, 0x7D0, 0x8000_0003, 1, 0, STOP, 0)
        page[0x820] = 0
        struct.pack_into("<I", page, 0xF88, dump_type)
        struct.pack_into("<II", page, 0xF94, 1, 0x110)
        struct.pack_into("<QQ", page, 0xFB8, 600 * 10_000_000, 0x01CC_7A9F_0000_0000)
        return page

    def full(self) -> bytes:
        """A full dump (type 1)."""
        runs: list[list[int]] = []
        for frame in sorted(self.frames):
            if runs and runs[-1][0] + runs[-1][1] == frame:
                runs[-1][1] += 1
            else:
                runs.append([frame, 1])
        page = self.header(1)
        struct.pack_into("<II", page, 0x64, len(runs), len(self.frames))
        for index, run in enumerate(runs):
            struct.pack_into("<II", page, 0x6C + 8 * index, *run)
        return bytes(page) + b"".join(bytes(self.frames[frame]) for frame in sorted(self.frames))

    def summary(self) -> bytes:
        """A kernel summary (type 2)."""
        bits = max(self.frames) + 1
        bitmap = bytearray((bits + 31) // 32 * 4)
        for frame in self.frames:
            bitmap[frame // 8] |= 1 << frame % 8
        first = PAGE + 0x20 + len(bitmap) + PAGE - 1 & -PAGE
        block = bytearray(first - PAGE)
        struct.pack_into("<4s4sIIIII", block, 0, b"SDMP", b"DUMP", 0, first, bits, len(self.frames), bits)
        block[0x20 : 0x20 + len(bitmap)] = bitmap
        return bytes(self.header(2) + block) + b"".join(bytes(self.frames[frame]) for frame in sorted(self.frames))

    def triage(self, stride: int = 0x4C) -> bytes:
        """A small dump (type 4); ``stride`` is the length of a driver's entry."""
        out = self.header(4) + bytes(0x68)
        fields = dict.fromkeys(range(26), 0)

        def put(data: bytes) -> int:
            out.extend(bytes(-len(out) % 8))
            out.extend(data)
            return len(out) - len(data)

        fields[10], fields[11], fields[18] = put(self.read(STACK + 0x1000, 0x400)), 0x400, STACK + 0x1000
        fields[7], fields[9] = put(struct.pack("<II", 0, THREAD)), put(b"\6" + bytes(0x100))
        gone = struct.pack("<HHI", 14, 14, 0) + "old.sys".encode("utf-16-le").ljust(24, b"\0")
        fields[6] = put(struct.pack("<I", 1) + gone + struct.pack("<II", 0x8D00_0000, 0x8D00_4000))
        names = [put(struct.pack("<I", len(name)) + name.encode("utf-16-le") + b"\0\0") for name, *_ in NAMES]
        fields[14], fields[15] = names[0], len(out) - names[0]
        entries = bytearray(stride * len(NAMES))
        for index, (_, base, size, stamp) in enumerate(NAMES):
            struct.pack_into("<I", entries, stride * index, names[index])
            struct.pack_into("<I4xI", entries, stride * index + 4 + 0x18, base, size)
            struct.pack_into("<II", entries, stride * index + 4 + 0x40, 0x1234, stamp)
        fields[12], fields[13] = put(bytes(entries)), len(NAMES)
        block = put(self.read(FAULT & ~0xFF, 0x200))
        fields[24], fields[25] = put(struct.pack("<III", FAULT & ~0xFF, block, 0x200)), 1
        fields[2] = put(b"TRGD")
        fields[1] = len(out)
        struct.pack_into("<26I", out, PAGE, *fields.values())
        return bytes(out)
