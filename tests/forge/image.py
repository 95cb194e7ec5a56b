"""PE images as the loader leaves them in memory: headers, exports, imports, unwind data, debug record, version."""

import struct
import uuid
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from tests.forge import functions as code
from tests.forge.functions import Function, Shape
from tests.forge.machine import Machine
from tests.forge.pages import PAGE
from tests.forge.version import version_resource

TEXT, DATA, PAGED, DISCARDED = "text", "data", "paged", "discarded"
_FLAGS = {TEXT: 0x68000020, DATA: 0xC8000040, PAGED: 0x60000020, DISCARDED: 0x42000040}
_READ_ONLY = 0x48000040


@dataclass(slots=True)
class Section:
    """A section by name, its range of RVAs and what it holds (text, data, paged, discarded)."""

    name: str
    start: int
    end: int
    kind: str


@dataclass(slots=True)
class Image:
    """One kernel image under construction. RVAs are relative to ``base``; ``size`` is a multiple of the page size."""

    name: str
    base: int
    size: int
    sections: list[Section]
    path: str = ""
    company: str | None = None
    version: tuple[int, int, int, int] | None = None
    timestamp: int = 0
    pdb: str | None = None
    guid: str = ""
    age: int = 1
    debug: int = 0  # RVA of the debug directory, 0 for: with the other tables
    tables: int = 0  # RVA from which exports, imports, unwind data and resources lie
    functions: dict[str, Function] = field(default_factory=dict)
    exports: dict[str, int] = field(default_factory=dict)
    imports: dict[str, int] = field(default_factory=dict)  # "nt!Name" -> RVA of its slot
    pages: dict[int, bytearray] = field(default_factory=dict)
    export_name: str | None = None
    save_resources: bool = True
    stripped: bool = False
    next_text: int = 0x1000
    exception_table: tuple[int, int] = (0, 0)

    def write(self, rva: int, data: bytes) -> None:
        """Write into the image."""
        done = 0
        while done < len(data):
            page, inside = divmod(rva + done, PAGE)
            part = data[done : done + PAGE - inside]
            self.pages.setdefault(page, bytearray(PAGE))[inside : inside + len(part)] = part
            done += len(part)

    def function(self, name: str, extent: int = 0x200, locals_size: int = 0) -> Function:
        """The function of that name, made behind the last one where it does not exist yet."""
        found = self.functions.get(name)
        if found is None:
            number = int.from_bytes(sha256(f"{self.name}!{name}".encode()).digest()[:2], "little")
            shape = code.shape_for(number, extent, locals_size)
            found = Function(name, self.next_text, extent, shape, chained=number % 5 == 2)
            self.next_text += extent
            text = next(section for section in self.sections if section.kind == TEXT)
            if self.next_text > text.end:
                raise MemoryError(f"{self.name}: no room for {name}")
            self.functions[name] = found
        return found

    def return_address(self, function: str, callee: "tuple[Image, str] | None") -> int:
        """The address behind the call of ``callee`` in ``function``."""
        caller = self.function(function)
        if callee is None:
            return self.base + caller.rva + caller.return_offset("?")
        image, name = callee
        offset = caller.return_offset(f"{image.name}!{name}")
        number = caller.sites.get(f"{image.name}!{name}", 0)
        if image is self:
            caller.targets.setdefault(number, image.function(name).rva)
        elif name in image.exports:
            caller.targets.setdefault(number, -self._import(image, name))
        return self.base + caller.rva + offset

    def _import(self, image: "Image", name: str) -> int:
        slot = self.imports.get(name)
        if slot is None:
            slot = self.imports[name] = self.tables + 8 * len(self.imports)
        self.write(slot, struct.pack("<Q", image.base + image.exports[name]))
        return slot

    def finish(self, machine: Machine) -> None:
        """Write code, tables and headers, then map the image."""
        for function in self.functions.values():
            self.write(function.rva, code.body(function))
        cursor = self.tables + 0x400
        cursor = self._unwind(cursor)
        directories = {3: self.exception_table}
        if self.exports:
            directories[0] = self._export_table(cursor)
            cursor = sum(directories[0])
        if self.pdb:
            directories[6] = self._debug(self.debug or cursor)
            cursor = cursor if self.debug else directories[6][0] + 0x80
        if self.version is not None:
            page = cursor + PAGE - 1 & -PAGE
            resources = version_resource(page, self.name, self.company or "", self.version)
            self.write(page, resources)
            directories[2] = (page, len(resources))
            cursor = page + len(resources)
        if cursor > self.size:
            raise MemoryError(f"{self.name}: tables end at {cursor:#x}, image at {self.size:#x}")
        self._headers(directories)
        self._map(machine)

    def _unwind(self, start: int) -> int:
        ordered = sorted(self.functions.values(), key=lambda function: function.rva)
        entries: list[tuple[int, int, int]] = []
        rows = sum(2 if function.chained and not function.special else 1 for function in ordered)
        info_at = start + 12 * rows + 0xF & ~0xF
        for function in ordered:
            info = code.unwind_info(function.shape, function.special)
            self.write(info_at, info)
            begin, end = function.rva, function.rva + function.end
            if function.chained and not function.special:
                split = function.rva + function.first_site
                entries.append((begin, split, info_at))
                chained_at = info_at + len(info)
                self.write(chained_at, code.chained_info(begin, split, info_at))
                entries.append((split, end, chained_at))
                info_at = chained_at + 16
            else:
                entries.append((begin, end, info_at))
                info_at += len(info)
            info_at = info_at + 3 & ~3
        self.write(start, b"".join(struct.pack("<III", *entry) for entry in entries))
        self.exception_table = (start, 12 * len(entries))
        return info_at + 0xF & ~0xF

    def _export_table(self, start: int) -> tuple[int, int]:
        names = sorted(self.exports)
        count = len(names)
        functions, pointers = start + 40, start + 40 + 4 * count
        ordinals = pointers + 4 * count
        text_at = ordinals + 2 * count
        blob = bytearray()
        name_rva = text_at
        blob += (self.export_name or self.name).encode() + b"\0"
        rvas = []
        for name in names:
            rvas.append(text_at + len(blob))
            blob += name.encode() + b"\0"
        self.write(
            start,
            struct.pack(
                "<IIHHIIIIIII", 0, self.timestamp, 0, 0, name_rva, 1, count, count, functions, pointers, ordinals
            ),
        )
        self.write(functions, b"".join(struct.pack("<I", self.exports[name]) for name in names))
        self.write(pointers, b"".join(struct.pack("<I", rva) for rva in rvas))
        self.write(ordinals, b"".join(struct.pack("<H", index) for index in range(count)))
        self.write(text_at, bytes(blob))
        return start, text_at + len(blob) - start

    def _debug(self, start: int) -> tuple[int, int]:
        start = start + 3 & ~3
        record_at = start + 28
        record = (
            b"RSDS" + uuid.UUID(self.guid).bytes_le + struct.pack("<I", self.age) + (self.pdb or "").encode() + b"\0"
        )
        self.write(start, struct.pack("<IIHHIIII", 0, self.timestamp, 0, 0, 2, len(record), record_at, record_at))
        self.write(record_at, record)
        return start, 28

    def _headers(self, directories: dict[int, tuple[int, int]]) -> None:
        header = bytearray(0x800)
        header[:2] = b"MZ"
        struct.pack_into("<I", header, 0x3C, 0x80)
        entry = min((function.rva for function in self.functions.values()), default=0x1000)
        struct.pack_into(
            "<4sHHIIIHH", header, 0x80, b"PE\0\0", 0x8664, len(self.sections), self.timestamp, 0, 0, 240, 0x22
        )
        struct.pack_into("<HBBIIIII", header, 0x98, 0x20B, 14, 0, 0x1000, 0x1000, 0, entry, 0x1000)
        struct.pack_into(
            "<QIIHHHHHHIIIIHH",
            header,
            0xB0,
            self.base,
            PAGE,
            PAGE,
            10,
            0,
            10,
            0,
            10,
            0,
            0,
            self.size,
            PAGE,
            self.checksum,
            1,
            0x4160,
        )
        struct.pack_into("<QQQQII", header, 0xE0, 0x40000, 0x1000, 0x100000, 0x1000, 0, 16)
        for number, (rva, size) in directories.items():
            struct.pack_into("<II", header, 0x108 + 8 * number, rva, size)
        for number, section in enumerate(self.sections):
            length = section.end - section.start
            struct.pack_into(
                "<8sIIIIIIHHI",
                header,
                0x188 + 40 * number,
                section.name.encode(),
                length,
                section.start,
                length,
                section.start,
                0,
                0,
                0,
                0,
                _READ_ONLY if section.name == ".rdata" else _FLAGS[section.kind],
            )
        self.write(0, bytes(header))

    def write_file(self, path: Path) -> Path:
        """Write the image as a file whose sections lie at the offsets that they are mapped at; pages never used are
        holes."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.truncate(self.size)
            for number, page in self.pages.items():
                file.seek(number * PAGE)
                file.write(page)
        return path

    @property
    def checksum(self) -> int:
        """The header's CheckSum: invented, but the same wherever it stands."""
        return int.from_bytes(sha256(self.name.encode() + struct.pack("<I", self.timestamp)).digest()[:3], "little")

    def _map(self, machine: Machine) -> None:
        resources = self._resource_page()
        for number in range(self.size // PAGE):
            address = self.base + number * PAGE
            section = next((s for s in self.sections if s.start <= number * PAGE < s.end), None)
            kind = section.kind if section else DATA
            content = self.pages.get(number)
            if machine.tables.entry(address):  # variables live here already
                if content is not None:
                    self._merge(machine, address, content)
                continue
            if content is None:
                self._map_untouched(machine, address, number, kind)
                continue
            if self.stripped and (kind == PAGED or self.name != "ntoskrnl.exe"):
                machine.tables.map_paged_out(address, 0x1000 + number)
                continue
            frame = machine.loose_frame()
            machine.memory.frame(frame)[:] = content
            if number >= resources and not self.save_resources:
                machine.memory.unsaved.add(frame)
            if kind == PAGED and number % 3 == 1:
                machine.tables.map_transition(address, frame)
            else:
                machine.tables.map(address, frame, execute=kind in (TEXT, PAGED))

    def _merge(self, machine: Machine, address: int, content: bytearray) -> None:
        """Code and tables that share a page with variables."""
        present = machine.read(address, PAGE)
        machine.write(address, bytes(new or old for new, old in zip(content, present, strict=True)))

    def _resource_page(self) -> int:
        page = self.pages.get(0)
        assert page is not None
        (rva,) = struct.unpack_from("<I", page, 0x108 + 16)
        return int(rva) // PAGE if rva else self.size

    def _map_untouched(self, machine: Machine, address: int, number: int, kind: str) -> None:
        if kind == PAGED:
            machine.tables.map_paged_out(address, 0x1000 + number)
        elif kind == TEXT:
            machine.tables.map(address, machine.int3_frame, execute=True)
        elif kind == DATA:
            machine.tables.map(address, machine.zero_frame)


def special(name: str, rva: int, kind: str, return_offset: int) -> Function:
    """A function with a hand-made prologue and one call site."""
    below = {"swap": code.SWAP_ALLOCATED, "trap": 0, "start": 0x28}[kind]
    return Function(name, rva, return_offset + 0x10, Shape((), (), below), kind, extra_offset=return_offset)
