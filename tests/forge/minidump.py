"""User-mode minidumps, written from literal offsets of their own."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

X86, X64, ARM64 = 0, 9, 12
WINDOWS, LINUX, MACOS = 2, 0x8201, 0x8101
EXE, NTDLL = 0x1_4000_0000, 0x7FFE_0000_0000
_X64_REGISTERS = (
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip",
)  # fmt: skip


@dataclass(frozen=True)
class Module:
    """A loaded image; ``pdb`` is (name, 16 bytes of GUID, age)."""

    path: str
    base: int
    size: int = 0x10000
    version: tuple[int, int, int, int] | None = None
    pdb: tuple[str, bytes, int] | None = None


@dataclass(frozen=True)
class Thread:
    """A thread with its saved stack and registers."""

    tid: int
    stack: tuple[int, bytes]
    context: bytes
    name: str | None = None


@dataclass(frozen=True)
class Fault:
    """The exception stream."""

    tid: int
    code: int
    address: int
    parameters: Sequence[int] = ()
    context: bytes = b""


@dataclass
class Minidump:
    """What goes into the file; ``write`` gives its bytes."""

    processor: int = X64
    platform: int = WINDOWS
    version: tuple[int, int, int] = (10, 0, 19041)
    modules: Sequence[Module] = ()
    threads: Sequence[Thread] = ()
    fault: Fault | None = None
    memory: Mapping[int, bytes] = field(default_factory=dict)
    full_memory: bool = False
    extra: Mapping[int, bytes] = field(default_factory=dict)
    process_id: int = 4242

    def write(self) -> bytes:
        """The file."""
        self.out = bytearray(32)
        streams = {7: self._system(), 15: self._misc(), 4: self._modules(), 3: self._threads(), **self.extra}
        if self.fault is not None:
            streams[6] = self._exception(self.fault)
        if any(thread.name for thread in self.threads):
            streams[24] = self._names()
        if self.memory and not self.full_memory:
            ranges = [struct.pack("<QII", at, len(data), self._put(data)) for at, data in self.memory.items()]
            streams[5] = struct.pack("<I", len(ranges)) + b"".join(ranges)
        placed = [(kind, len(data), self._put(data)) for kind, data in streams.items()]
        if self.memory and self.full_memory:
            rows = b"".join(struct.pack("<QQ", at, len(data)) for at, data in self.memory.items())
            stream = self._put(bytes(16) + rows)
            placed.append((9, 16 + len(rows), stream))
            first = self._put(b"".join(self.memory.values()))
            struct.pack_into("<QQ", self.out, stream, len(self.memory), first)
        directory = self._put(b"".join(struct.pack("<III", *row) for row in placed))
        struct.pack_into("<4sIIIIIQ", self.out, 0, b"MDMP", 0xA793, len(placed), directory, 0, 1_600_000_000, 0)
        return bytes(self.out)

    def _put(self, data: bytes) -> int:
        self.out += bytes(-len(self.out) % 8)
        at = len(self.out)
        self.out += data
        return at

    def _string(self, text: str) -> int:
        encoded = text.encode("utf-16-le")
        return self._put(struct.pack("<I", len(encoded)) + encoded + b"\0\0")

    def _system(self) -> bytes:
        pack = self._string("Service Pack 1" if self.platform == WINDOWS else "Linux 6.1.0 #1 SMP x86_64")
        return struct.pack("<HHHBBIIIII", self.processor, 6, 0, 4, 1, *self.version, self.platform, pack) + bytes(28)

    def _misc(self) -> bytes:
        return struct.pack("<IIIIII", 24, 3, self.process_id, 1_599_999_000, 0, 0)

    def _modules(self) -> bytes:
        rows = []
        for one in self.modules:
            name, record = self._string(one.path), b""
            if one.pdb:
                record = b"RSDS" + one.pdb[1] + struct.pack("<I", one.pdb[2]) + one.pdb[0].encode() + b"\0"
            version = bytes(52)
            if one.version:
                a, b, c, d = one.version
                version = struct.pack("<IIII", 0xFEEF04BD, 0x10000, a << 16 | b, c << 16 | d) + bytes(36)
            where = self._put(record) if record else 0
            rows.append(struct.pack("<QIIII", one.base, one.size, 0, 0x5F000000, name) + version)
            rows.append(struct.pack("<IIII", len(record), where, 0, 0) + bytes(16))
        return struct.pack("<I", len(self.modules)) + b"".join(rows)

    def _threads(self) -> bytes:
        rows = []
        for one in self.threads:
            at, data = one.stack
            stack, context = self._put(data), self._put(one.context)
            rows.append(struct.pack("<IIIIQ", one.tid, 0, 0x20, 0, 0x7000_0000 + one.tid))
            rows.append(struct.pack("<QIIII", at, len(data), stack, len(one.context), context))
        return struct.pack("<I", len(self.threads)) + b"".join(rows)

    def _names(self) -> bytes:
        rows = [struct.pack("<IQ", one.tid, self._string(one.name)) for one in self.threads if one.name]
        return struct.pack("<I", len(rows)) + b"".join(rows)

    def _exception(self, fault: Fault) -> bytes:
        padded = [*fault.parameters, *([0] * (15 - len(fault.parameters)))]
        record = struct.pack("<IIQQII15Q", fault.code, 0, 0, fault.address, len(fault.parameters), 0, *padded)
        where = self._put(fault.context) if fault.context else 0
        return struct.pack("<II", fault.tid, 0) + record + struct.pack("<II", len(fault.context), where)


def context_x64(**registers: int) -> bytes:
    """A CONTEXT of x64 code."""
    data = bytearray(0x4D0)
    struct.pack_into("<I", data, 0x30, 0x10_000F)
    for name, value in registers.items():
        struct.pack_into("<Q", data, 0x78 + 8 * _X64_REGISTERS.index(name), value)
    return bytes(data)


def context_x86(eip: int, esp: int, ebp: int) -> bytes:
    """A CONTEXT of x86 code."""
    data = bytearray(0x2CC)
    struct.pack_into("<I", data, 0, 0x1_003F)
    struct.pack_into("<III", data, 0xB4, ebp, eip, 0x23)
    struct.pack_into("<I", data, 0xC4, esp)
    return bytes(data)


def image_x64(functions: Sequence[tuple[str | None, int, bytes, int]], size: int = 0x4000) -> bytes:
    """An image as it lies in memory: code at 0x1000, unwind data at 0x2000, exports at 0x3000.

    ``functions`` are (exported name or None, RVA, code, bytes its prologue allocates or -1 for no unwind data).
    """
    data = bytearray(size)
    struct.pack_into("<2s58xI", data, 0, b"MZ", 0x80)
    struct.pack_into("<4sHHI8xHH", data, 0x80, b"PE\0\0", 0x8664, 1, 0x5F000000, 0xF0, 0x22)
    struct.pack_into("<H", data, 0x98, 0x20B)
    struct.pack_into("<I", data, 0x98 + 0x38, size)
    struct.pack_into("<I", data, 0x98 + 0x6C, 16)
    rows, info = b"", 0x2800
    for _, rva, code, allocation in functions:
        data[rva : rva + len(code)] = code
        if allocation >= 0:
            rows += struct.pack("<III", rva, rva + len(code), info)
            unwind = (
                struct.pack("<BBBBBB", 1, 4, 1, 0, 4, 2 | (allocation // 8 - 1) << 4) if allocation else b"\1\0\0\0"
            )
            data[info : info + len(unwind)] = unwind
            info += 8
    data[0x2000 : 0x2000 + len(rows)] = rows
    struct.pack_into("<II", data, 0x98 + 0x70 + 8 * 3, 0x2000, len(rows))
    struct.pack_into("<8sIIII12xI", data, 0x98 + 0xF0, b".text", 0x1000, 0x1000, 0x1000, 0x400, 0x6000_0020)
    _exports(data, sorted((name, rva) for name, rva, _, _ in functions if name))
    return bytes(data)


def _exports(data: bytearray, named: Sequence[tuple[str, int]]) -> None:
    count, text = len(named), 0x3400
    struct.pack_into("<II", data, 0x98 + 0x70, 0x3000, 0x1000)
    struct.pack_into("<IIIIIIIIII", data, 0x3000, 0, 0, 0, text, 1, count, count, 0x3100, 0x3200, 0x3300)
    text += 0x10
    for index, (name, rva) in enumerate(named):
        struct.pack_into("<I", data, 0x3100 + 4 * index, rva)
        struct.pack_into("<I", data, 0x3200 + 4 * index, text)
        struct.pack_into("<H", data, 0x3300 + 2 * index, index)
        data[text : text + len(name)] = name.encode()
        text += len(name) + 1
