"""Memory made of literals, and a kernel with invented names and layouts, for tests of the kernel readers."""

import struct

from analysis.address import VirtAddr
from analysis.errors import Absence, MissingLayout, Unreadable
from analysis.memory.reader import Memory
from analysis.symbols.layout import Field, Layout, Struct

KERNEL_BASE = 0xFFFF_F800_1000_0000


class Bytes(Memory):
    """Memory that holds what a test put into it, byte by byte; everything else was not saved."""

    def __init__(self) -> None:
        self._bytes: dict[int, int] = {}

    def put(self, address: int, data: bytes) -> None:
        for at, byte in enumerate(data, address):
            self._bytes[at] = byte

    def put_u8(self, address: int, value: int) -> None:
        self.put(address, struct.pack("<B", value))

    def put_u16(self, address: int, value: int) -> None:
        self.put(address, struct.pack("<H", value))

    def put_u32(self, address: int, value: int) -> None:
        self.put(address, struct.pack("<I", value))

    def put_u64(self, address: int, *values: int) -> None:
        self.put(address, struct.pack(f"<{len(values)}Q", *values))

    def put_unicode(self, address: int, text: str, buffer: int) -> None:
        encoded = text.encode("utf-16-le")
        self.put(address, struct.pack("<HH4xQ", len(encoded), len(encoded), buffer))
        self.put(buffer, encoded)

    def lose(self, address: int, size: int) -> None:
        for at in range(address, address + size):
            self._bytes.pop(at, None)

    def read(self, address: int, size: int) -> bytes:
        try:
            return bytes(self._bytes[at] for at in range(address, address + size))
        except KeyError as missing:
            raise Unreadable(missing.args[0], Absence.NOT_SAVED) from None

    def link(self, head: int, *entries: int) -> None:
        """A sound LIST_ENTRY ring of these."""
        ring = (head, *entries)
        for at, entry in enumerate(ring):
            self.put_u64(entry, ring[(at + 1) % len(ring)], ring[at - 1])


class Names:
    """A kernel's names and layouts, as a test states them."""

    def __init__(self, layouts: dict[str, Layout] | None = None, symbols: dict[str, int] | None = None) -> None:
        self.base = KERNEL_BASE
        self.layouts = layouts or {}
        self.symbols = symbols or {}

    def layout(self, name: str) -> Layout | None:
        return self.layouts.get(name)

    def struct(self, memory: Memory, name: str, address: int) -> Struct:
        if name not in self.layouts:
            raise MissingLayout(name)
        return Struct(memory, self.layouts[name], address)

    def address(self, name: str) -> VirtAddr | None:
        found = self.symbols.get(name)
        return None if found is None else VirtAddr(found)

    def name_at(self, address: int) -> str | None:
        return next((name for name, at in self.symbols.items() if at == address), None)

    def nearest(self, address: int) -> tuple[str, int] | None:
        below = [(address - at, name) for name, at in self.symbols.items() if at <= address]
        return (min(below)[1], min(below)[0]) if below else None


def layout(name: str, size: int, **offsets: int | Field) -> Layout:
    """A layout of these members; ``A__B`` spells the dotted name "A.B"."""
    fields = {
        key.replace("__", "."): value if isinstance(value, Field) else Field(value) for key, value in offsets.items()
    }
    return Layout(name, size, fields)
