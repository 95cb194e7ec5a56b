"""Symbol files and images: everything that can be asked of one."""

import gzip
import json
import lzma
import struct
from collections.abc import Iterable
from pathlib import Path

from analysis.errors import Absence, Unreadable
from analysis.kernel.frame_data import BadProgram, find_caller
from analysis.kernel.x86_context import X86Registers
from analysis.memory.reader import Memory
from analysis.symbols.image_file import ImageFile
from analysis.symbols.isf import open_isf, quick_guid, quick_machine, quick_rvas
from analysis.symbols.layout import Layout
from analysis.symbols.pdb import open_pdb
from analysis.symbols.pdb.frames import FrameRecord
from analysis.symbols.pe import read_image
from tests.forge.minidump import image_x64
from tests.symbols import pdbs
from tests.symbols.images import BASE, SIZE, build_image
from tests.symbols.test_pdb import RICH, driver

_RVAS = (0, 0x1000, 0x1110, 0x1181, 0x1234, 0x1700, 0x3010, 0xFFFF_FFFF)
_SYMBOLS = ("DriverEntry", "Hidden", "Lock", "Jump", "Folded")
_TYPES = ("_NODE", "_STATE", "_PAIR", "_VIEW", "Derived", "Itself", "__unnamed_1001")
_T = 0x1000


class OneRange(Memory):
    """Bytes at one address; nothing else was saved."""

    def __init__(self, base: int, data: bytes) -> None:
        self._base, self._data = base, data

    def read(self, address: int, size: int) -> bytes:
        at = address - self._base
        if at < 0 or at + size > len(self._data):
            missing = address if at < 0 or at >= len(self._data) else self._base + len(self._data)
            raise Unreadable(missing, Absence.NOT_SAVED)
        return self._data[at : at + size]


def check_pdb(data: bytes, scratch: Path) -> None:
    """Ask a PDB for names, functions, layouts, enumerations and stack frames."""
    scratch.write_bytes(data)
    table = open_pdb(scratch)
    try:
        for rva in _RVAS:
            found = table.nearest(rva)
            assert found is None or (found[1] >= 0 and found[0])
            _check_frame(table.frame_at(rva))
        for name in _SYMBOLS:
            table.rva(name)
        for name in _TYPES:
            _check_layout(table.layout(name))
            table.enumerators(name)
        if table.symbols is not None:
            list(table.symbols.publics())
        list(table.functions())
        assert all("\n" not in problem for problem in table.problems)
    finally:
        table.close()


def _check_frame(record: FrameRecord | None) -> None:
    if record is None:
        return
    try:
        found = find_caller(record, X86Registers(1, 0x1000, 0x1010), 0, lambda address: address & 0xFFFF, bool)
    except BadProgram:
        return
    assert found is None or 0 <= found.registers.eip < 1 << 32


def _check_layout(layout: Layout | None) -> None:
    if layout is None:
        return
    for name in list(layout.fields)[:200]:
        layout.fields.get(f"{name}.Next.Flink")


def pdb_files() -> Iterable[bytes]:
    """Small PDBs: with functions, with types of every shape, reordered, and with other sizes of blocks."""
    yield RICH
    yield driver().build(512)
    moved = driver()
    moved.original = [(".text", 0x1000, 0x800), (".data", 0x3000, 0x100)]
    moved.to_image, moved.from_image = [(0x1000, 0x1400), (0x1180, 0)], [(0x1400, 0x1000)]
    moved.newest = True
    yield moved.build(512)
    yield pdbs.Pdb(types=list(_shapes())).build(512)
    yield pdbs.Pdb().build(1024)
    frames = struct.pack("<6IHHI", 0x1000, 0x40, 8, 4, 0, 1, 0, 4, 4)
    small = driver()
    small.machine, small.frames, small.programs = 0x14C, frames, b"\0$T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + =\0"
    small.fpo = struct.pack("<IIIHH", 0x1200, 0x20, 2, 1, 3 | 1 << 8)
    yield small.build(512)


def _shapes() -> Iterable[bytes]:
    yield pdbs.pointer(_T + 6)
    yield pdbs.bitfield(0x75, 3, 5)
    yield pdbs.array(0x20, 0x9000)
    yield pdbs.field_list(pdbs.member("Low", 0x20, 0), pdbs.member("High", 0x75, 4))
    yield pdbs.structure("_VIEW", 8, _T + 3, kind=0x1506)
    yield pdbs.field_list(
        pdbs.member("Next", _T, 0),
        pdbs.member("Flags", _T + 1, 8),
        pdbs.member("Data", _T + 2, 16),
        pdbs.continued(_T + 3),
    )
    yield pdbs.structure("_NODE", 0x9028, _T + 5, unique=".?AU_NODE@@")
    yield pdbs.field_list(pdbs.enumerate_("Minus", -1), pdbs.enumerate_("Big", 0x1_0000_0000))
    yield pdbs.enum("_STATE", 0x13, _T + 7)
    yield pdbs.field_list(pdbs.base(_T + 4, 8), pdbs.member("Low", 0x20, 0))
    yield pdbs.structure("Derived", 16, _T + 9, kind=0x1504)
    yield pdbs.modifier(_T + 6)
    yield pdbs.structure("_PAIR", 16, 0, forward=True)
    yield pdbs.field_list(*[pdbs.base(_T + 14, 0)] * 3)
    yield pdbs.structure("Itself", 8, _T + 13)


def check_image(data: bytes, scratch: Path) -> None:
    """Ask an image for its PDB, exports, functions and version, as it lies in memory and as a file."""
    image = read_image(OneRange(BASE, data), BASE)
    assert image.pdb is None or len(image.pdb.guid) == 32
    exports = image.exports()
    if exports is not None:
        assert len(exports.names) <= len(data)
        exports.nearest(0x1150)
    rows = image.functions()
    assert len(rows) * 12 <= len(data)
    assert bool((rows["begin"] < rows["end"]).all())
    image.version()
    scratch.write_bytes(data)
    file = ImageFile(scratch, BASE)
    try:
        for section in file.headers.sections:
            assert len(file.read_available(BASE + section.rva, 64)) <= 64
        file.read_available(BASE, len(data) + 64)
        file.headers.functions()
    finally:
        file.close()


def images() -> Iterable[bytes]:
    """The image with every part, and a small one."""
    yield bytes(build_image())
    yield bytes(build_image(machine=0xAA64))[: SIZE - 0x800]
    yield image_x64([("Parse", 0x1200, b"\x48\x83\xec\x28\xc3", 0x28)])[:0x3800]


def check_isf(data: bytes, scratch: Path) -> None:
    """Open an ISF document, packed or not, and ask for names and layouts."""
    suffix = {b"\xfd7": ".json.xz", b"\x1f\x8b": ".json.gz", b"BZ": ".json.bz2"}.get(data[:2], ".json")
    path = scratch.with_name(scratch.name + suffix)
    path.write_bytes(data)
    quick_guid(data)
    quick_machine(data)
    quick_rvas(data, ("KdDebuggerDataBlock", "PsLoadedModuleList"))
    table = open_isf(path)
    assert table.origin
    for name in ("_KTHREAD", "_LIST_ENTRY", "_A"):
        _check_layout(table.layout(name))
    for rva in _RVAS:
        table.nearest(rva)
    assert table.rva("PsLoadedModuleList") is None or isinstance(table.rva("PsLoadedModuleList"), int)


def isf_documents() -> Iterable[bytes]:
    """A document with a field of each kind, and the same packed."""
    kinds: dict[str, dict[str, object]] = {
        "p": {"kind": "pointer", "subtype": {"kind": "struct", "name": "_LIST_ENTRY"}},
        "b": {"kind": "base", "name": "unsigned long"},
        "a": {"kind": "array", "count": 4, "subtype": {"kind": "enum", "name": "_E"}},
        "f": {
            "kind": "bitfield",
            "bit_position": 2,
            "bit_length": 3,
            "type": {"kind": "base", "name": "unsigned long"},
        },
        "s": {"kind": "struct", "name": "_A"},
    }
    fields = {name: {"offset": 8 * index, "type": kind} for index, (name, kind) in enumerate(kinds.items())}
    document = {
        "metadata": {"windows": {"pdb": {"GUID": "0" * 32, "age": 1, "database": "nt.pdb", "machine_type": 34404}}},
        "base_types": {"unsigned long": {"size": 4}, "pointer": {"size": 8}},
        "enums": {"_E": {"size": 4, "base": "unsigned long", "constants": {"One": 1}}},
        "user_types": {
            "_A": {"kind": "struct", "size": 40, "fields": fields},
            "_LIST_ENTRY": {"kind": "struct", "size": 16, "fields": {"Flink": fields["p"]}},
        },
        "symbols": {"PsLoadedModuleList": {"address": 4096}, "KdDebuggerDataBlock": {"address": 8192, "type": {}}},
    }
    text = json.dumps(document).encode()
    yield text
    yield gzip.compress(text, mtime=0)
    yield lzma.compress(text, preset=0)
