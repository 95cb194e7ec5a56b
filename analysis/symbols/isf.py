"""Symbol tables in volatility3's intermediate form (ISF): JSON, plain or compressed.

The files come from strangers: every size is capped while unpacking, and whatever does not look as expected raises
BadSymbols with a sentence for a person. Nothing is ever written or deleted beside them.
Source: volatility3's published ISF schema 6.x, and tables made by it.
"""

import bz2
import gzip
import json
import lzma
import re
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

from analysis.errors import BadSymbols
from analysis.limits import MAX_SYMBOL_FILE, MAX_SYMBOL_TEXT
from analysis.symbols.fields import NestedFields
from analysis.symbols.layout import Field, Layout
from analysis.symbols.names import NameIndex, PdbIdentity

MACHINE_X64 = 0x8664
CHUNK = 512 << 10


class IsfTable:
    """One ISF document as a symbol table."""

    has_functions = True

    def __init__(self, origin: str, document: Mapping[str, Any]) -> None:
        self.origin = origin
        self._types = _mapping(document, "user_types")
        self._enums = _mapping(document, "enums")
        self._bases = _mapping(document, "base_types")
        self._names = NameIndex(_addresses(_mapping(document, "symbols")))
        self._layouts: dict[str, Layout | None] = {}
        pdb = _pdb_record(document)
        self.identity = _identity(pdb)
        self.machine = pdb.get("machine_type") if isinstance(pdb.get("machine_type"), int) else None

    def __len__(self) -> int:
        return len(self._names)

    def rva(self, name: str) -> int | None:
        """The RVA of a symbol, or None."""
        return self._names.rva(name)

    def nearest(self, rva: int) -> tuple[str, int] | None:
        """The symbol at or below ``rva`` and the distance to it in bytes, or None."""
        return self._names.nearest(rva)

    def layout(self, name: str) -> Layout | None:
        """The layout of a structure or union, or None: not in the table, or described in a way that makes no sense."""
        if name not in self._layouts:
            self._layouts[name] = self._read_layout(name)
        return self._layouts[name]

    def _read_layout(self, name: str) -> Layout | None:
        described = self._types.get(name)
        if not isinstance(described, dict) or not isinstance(described.get("fields"), dict):
            return None
        members = {member: self._field(text) for member, text in described["fields"].items()}
        known = {member: field for member, field in members.items() if field is not None}
        return Layout(name, _count(described.get("size")), NestedFields(known, self.layout))

    def _field(self, described: Any) -> Field | None:
        if not isinstance(described, dict) or not _is_count(described.get("offset")):
            return None
        kind = described.get("type")
        if not isinstance(kind, dict):
            return Field(described["offset"])
        if kind.get("kind") == "bitfield":
            size = self._size(kind.get("type"))
            return Field(
                described["offset"], size, _count(kind.get("bit_position")), _count(kind.get("bit_length")), ""
            )
        return Field(described["offset"], self._size(kind), type_name=_type_name(kind))

    def _size(self, kind: Any) -> int:
        if not isinstance(kind, dict):
            return 0
        name = kind.get("name")
        match kind.get("kind"):
            case "pointer":
                return _size_of(self._bases, "pointer") or 8
            case "base":
                return _size_of(self._bases, name)
            case "enum":
                return _size_of(self._enums, name)
            case "array":
                return _count(kind.get("count")) * self._size(kind.get("subtype"))
            case "struct" | "union" | "class":
                return _size_of(self._types, name)
        return 0


def open_isf(path: Path, text: bytes | None = None) -> IsfTable:
    """The table in a file; ``text`` is its unpacked content where the caller has that already.

    Raises:
        BadSymbols: the file cannot be read, is too large, or is not an ISF document.
    """
    text = read_text(path) if text is None else text
    try:
        document = json.loads(text)
    except (ValueError, RecursionError, MemoryError) as error:
        raise BadSymbols(path.name, f"cannot be parsed ({error.__class__.__name__})") from error
    if not isinstance(document, dict) or "symbols" not in document or "user_types" not in document:
        raise BadSymbols(path.name, "not an ISF document: it lacks symbols or user_types")
    return IsfTable(f"ISF {path.name}", document)


def read_text(path: Path, is_enough: Callable[[bytearray], bool] | None = None) -> bytes:
    """The unpacked content of an ISF file, by its suffix: .json, .json.xz, .json.gz, .json.bz2.

    ``is_enough`` is asked while unpacking, with all text so far: True ends it there.

    Raises:
        BadSymbols: the file cannot be read, is damaged, or is larger than the limits allow.
    """
    try:
        if path.stat().st_size > MAX_SYMBOL_FILE:
            raise BadSymbols(path.name, f"larger than {MAX_SYMBOL_FILE} bytes")
        with _open_packed(path) as file:
            return _read_capped(path, file, is_enough)
    except (OSError, EOFError, lzma.LZMAError, zlib.error, ValueError) as error:
        raise BadSymbols(path.name, f"cannot be read ({error.__class__.__name__})") from error


def _open_packed(path: Path) -> BinaryIO:
    match path.suffix:
        case ".xz":
            return cast("BinaryIO", lzma.open(path))
        case ".bz2":
            return cast("BinaryIO", bz2.open(path))
        case ".gz":
            return cast("BinaryIO", gzip.open(path))
    return path.open("rb")


# A few hundred bytes of xz unpack to gigabytes: the limit must hold while unpacking.
def _read_capped(path: Path, file: BinaryIO, is_enough: Callable[[bytearray], bool] | None) -> bytes:
    text = bytearray()
    while part := file.read(CHUNK):
        text += part
        if len(text) > MAX_SYMBOL_TEXT:
            raise BadSymbols(path.name, f"unpacks to more than {MAX_SYMBOL_TEXT} bytes")
        if is_enough is not None and is_enough(text):
            break
    return bytes(text)


def quick_rvas(text: bytes | bytearray, names: tuple[str, ...]) -> dict[str, int]:
    """RVAs of a few symbols, found in the text of an ISF document without parsing it (0.04 s each saved).

    A name that is not found, or is not followed by a plain address, is left out.
    """
    found = {}
    start = max(text.find(b'"symbols"'), 0)
    for name in names:
        at = text.find(b'"%s"' % name.encode(), start)
        match = _ADDRESS.match(text, at + len(name) + 2) if at >= 0 else None
        if match:
            found[name] = int(match[1])
    return found


_ADDRESS = re.compile(rb'\s*:\s*\{\s*(?:"constant_data"\s*:\s*"[^"]*"\s*,\s*)?"address"\s*:\s*(\d{1,20})\s*[,}]')
_MACHINE = re.compile(rb'"machine_type"\s*:\s*(\d{1,6})\b')
_GUID = re.compile(rb'"GUID"\s*:\s*"([0-9A-Fa-f]{32})"')


def quick_machine(text: bytes) -> int | None:
    """The machine type of an ISF document without parsing it, or None where it states none."""
    match = _MACHINE.search(text)
    return int(match[1]) if match else None


def quick_guid(text: bytes) -> str | None:
    """The PDB's GUID of an ISF document without parsing it, or None where it states none."""
    match = _GUID.search(text)
    return match[1].decode().upper() if match else None


def _mapping(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = document.get(key)
    return found if isinstance(found, dict) else {}


def _addresses(symbols: dict[str, Any]) -> dict[str, int]:
    return {
        name: symbol["address"]
        for name, symbol in symbols.items()
        if isinstance(symbol, dict) and _is_count(symbol.get("address"))
    }


def _pdb_record(document: Mapping[str, Any]) -> dict[str, Any]:
    return _mapping(_mapping(_mapping(document, "metadata"), "windows"), "pdb")


def _identity(pdb: dict[str, Any]) -> PdbIdentity | None:
    name, guid, age = pdb.get("database"), pdb.get("GUID"), pdb.get("age")
    if not isinstance(name, str) or not isinstance(guid, str) or not isinstance(age, int):
        return None
    return PdbIdentity(name, guid.upper(), age)


def _type_name(kind: dict[str, Any]) -> str:
    subtype = kind.get("subtype")
    name = kind.get("name")
    match kind.get("kind"):
        case "pointer":
            target = subtype.get("name") if isinstance(subtype, dict) else None
            return f"*{target}" if isinstance(target, str) else "*"
        case "array":
            return _type_name(subtype) if isinstance(subtype, dict) else ""
        case "struct" | "union" | "class":
            return name if isinstance(name, str) else ""
    return ""


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < 1 << 32


def _count(value: Any) -> int:
    return value if _is_count(value) else 0


def _size_of(table: dict[str, Any], name: Any) -> int:
    described = table.get(name) if isinstance(name, str) else None
    return _count(described.get("size")) if isinstance(described, dict) else 0
