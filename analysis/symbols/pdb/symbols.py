"""Names in a PDB: the public and global symbols of the whole image, and the functions of each module.

Source: the public headers cvinfo.h of Microsoft's microsoft-pdb repository, and LLVM's documentation.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.symbols.pdb.index import Names, names_of
from analysis.symbols.pdb.kept import Arrays, Column
from analysis.symbols.pdb.records import record_offsets
from analysis.symbols.pdb.sections import Sections

S_PUB32 = 0x110E
S_LDATA32, S_GDATA32 = 0x110C, 0x110D
S_PROCREF, S_LPROCREF = 0x1125, 0x1127
S_THUNK32 = 0x1102
S_SEPCODE = 0x1132
DATA = frozenset({S_LDATA32, S_GDATA32})
REFERENCES = frozenset({S_PROCREF, S_LPROCREF})
PROCEDURES = frozenset({0x110F, 0x1110, 0x1146, 0x1147, 0x1155, 0x1156})  # S_LPROC32, S_GPROC32, _ID and _DPC forms
GLOBALS = frozenset({S_PUB32}) | DATA | REFERENCES
CODE = PROCEDURES | {S_THUNK32, S_SEPCODE}

# Up to where the fixed part of a record reaches, its length and kind included: the name is next.
PLACED_NAME, REFERENCE_NAME, PROCEDURE_NAME, THUNK_NAME = 14, 14, 39, 25
SEPARATED_SIZE = 32
MODULE_SIGNATURE = 4  # bytes in front of a module's records
# The shortest record of a symbol with an address, or of a reference, has 14 bytes and a name.
COLUMNS = {
    "starts": Column("<i8"),
    "placed": Column("<i4", like="starts", room=15),
    "addressed": Column("<i4", room=15),
    "references": Column("<i4", room=15),
    "names": Column("<u4", like="addressed"),
    "rows": Column("<i4", like="names", of="addressed"),
    "reference_names": Column("<u4", like="references"),
    "reference_rows": Column("<i4", like="reference_names", of="references"),
}
"""What ``GlobalSymbols.arrays`` holds."""


class GlobalSymbols:
    """The symbol record stream: names by address, and addresses by name. Addresses are RVAs as linked.

    ``kept`` is what ``arrays`` gave for the same stream before.

    Raises:
        BadRecord: the stream is damaged.
    """

    def __init__(self, data: bytes, sections: Sections, kept: Arrays | None = None) -> None:
        self._data = data
        self._sections = sections
        self.arrays = kept or self._indexed()
        """What was found out about the whole stream, to be kept."""
        self._starts, self._placed = self.arrays["starts"], self.arrays["placed"]
        # Global variables, then public symbols: where a variable is both, its public symbol counts.
        self._addressed, self._references = self.arrays["addressed"], self.arrays["references"]
        self._names = Names(self.arrays["names"], self.arrays["rows"])
        self._reference_names = Names(self.arrays["reference_names"], self.arrays["reference_rows"])

    def __len__(self) -> int:
        return len(self._addressed) + len(self._references)

    def publics(self) -> Iterator[tuple[str, int]]:
        """All public symbols that have an address: name as the compiler wrote it, RVA as linked."""
        for start, record in zip(self._starts.tolist(), self._placed.tolist(), strict=True):
            yield self._name(record, PLACED_NAME), start

    def below(self, linked: int) -> tuple[int, list[str]] | None:
        """The nearest address at or below an RVA that public symbols name, and all their names; or None."""
        last = int(np.searchsorted(self._starts, linked, side="right"))
        if not last:
            return None
        start = int(self._starts[last - 1])
        first = int(np.searchsorted(self._starts, start))
        return start, [self._name(record, PLACED_NAME) for record in self._placed[first:last].tolist()]

    def address(self, name: str) -> int | None:
        """The RVA as linked of a public symbol or a global variable, or None."""
        record = self._last(self._names, self._addressed, PLACED_NAME, name)
        if record is None:
            return None
        found = int(self._addresses(np.array([record]))[0])
        return found if found >= 0 else None

    def reference(self, name: str) -> tuple[int, int] | None:
        """Where a function is described that has no public symbol: index of its module, offset in its stream."""
        record = self._last(self._reference_names, self._references, REFERENCE_NAME, name)
        if record is None:
            return None
        offset = int.from_bytes(self._data[record + 8 : record + 12], "little")
        return int.from_bytes(self._data[record + 12 : record + 14], "little") - 1, offset

    # Of several records of one name the last one counts.
    def _last(self, names: Names, records: NDArray[np.generic], at: int, name: str) -> int | None:
        for row in reversed(names.candidates(name.encode())):
            record = int(records[row])
            if self._name(record, at) == name:
                return record
        return None

    def _indexed(self) -> Arrays:
        records = record_offsets(self._data, 0, wanted=GLOBALS)
        kinds = _words(self._data, records, 2)
        publics, references = records[kinds == S_PUB32], records[np.isin(kinds, list(REFERENCES))]
        addressed = np.concatenate((records[np.isin(kinds, list(DATA))], publics))
        starts = self._addresses(publics)
        placed, starts = publics[starts >= 0], starts[starts >= 0]
        order = np.argsort(starts, kind="stable")
        names = names_of(self._data, self._spans(addressed, PLACED_NAME))
        reference_names = names_of(self._data, self._spans(references, REFERENCE_NAME))
        return {
            "starts": starts[order],
            "placed": placed[order].astype(np.int32),
            "addressed": addressed.astype(np.int32),
            "references": references.astype(np.int32),
            "names": names.hashes,
            "rows": names.rows,
            "reference_names": reference_names.hashes,
            "reference_rows": reference_names.rows,
        }

    def _spans(self, records: NDArray[np.int64], at: int) -> Iterator[tuple[int, int]]:
        lengths = _words(self._data, records, 0)
        return zip((records + at).tolist(), (records + 2 + lengths).tolist(), strict=True)

    def _addresses(self, records: NDArray[np.int64]) -> NDArray[np.int64]:
        return self._sections.linked(_words(self._data, records, 12), _longs(self._data, records, 8))

    def _name(self, record: int, at: int) -> str:
        return _name(self._data, record, at)


@dataclass(frozen=True, slots=True)
class Function:
    """A function: ``start`` and ``end`` as RVAs as linked, ``into`` how far ``start`` is into what ``name`` names."""

    start: int
    end: int
    name: str
    into: int = 0


class ModuleSymbols:
    """The functions of one module, from its symbol stream.

    Raises:
        BadRecord: the stream is damaged.
    """

    def __init__(self, data: bytes, sections: Sections) -> None:
        self._data = data
        self._sections = sections
        found = [self._read(record) for record in record_offsets(data, MODULE_SIGNATURE, wanted=CODE).tolist()]
        placed = {function.start: function for function in found if function is not None}
        self.functions = tuple(placed[start] for start in sorted(placed))
        self._starts = [function.start for function in self.functions]

    def at(self, linked: int) -> Function | None:
        """The function whose code an RVA as linked lies in, or None."""
        index = bisect_right(self._starts, linked) - 1
        function = self.functions[index] if index >= 0 else None
        return function if function and linked < function.end else None

    def starting(self, offset: int) -> Function | None:
        """The function whose record lies at an offset of the stream, or None."""
        if not MODULE_SIGNATURE <= offset <= len(self._data) - 4 or self._u16(offset + 2) not in PROCEDURES:
            return None
        return self._read(offset)

    def _read(self, record: int) -> Function | None:
        kind, length = self._u16(record + 2), self._u16(record) + 2
        if kind in PROCEDURES and length > PROCEDURE_NAME:
            start = self._linked(record + 36, record + 32)
            size = self._u32(record + 16)
            return _function(start, size, _name(self._data, record, PROCEDURE_NAME))
        if kind == S_THUNK32 and length > THUNK_NAME:
            start = self._linked(record + 20, record + 16)
            return _function(start, self._u16(record + 22), _name(self._data, record, THUNK_NAME))
        if kind == S_SEPCODE and length >= SEPARATED_SIZE:
            return self._separated(record)
        return None

    # A part of a function that lies elsewhere: its record names the place in the function that it belongs to.
    def _separated(self, record: int) -> Function | None:
        start, parent = self._linked(record + 28, record + 20), self._linked(record + 30, record + 24)
        outer = self._u32(record + 4)
        owner = self.starting(outer) if outer else None
        if owner is None or start is None or parent is None or owner.start > start:
            return None
        return Function(start, start + self._u32(record + 12), owner.name, start - owner.start)

    def _linked(self, section: int, offset: int) -> int | None:
        sections, offsets = np.array([self._u16(section)]), np.array([self._u32(offset)])
        found = int(self._sections.linked(sections, offsets)[0])
        return found if found >= 0 else None

    def _u16(self, at: int) -> int:
        return int.from_bytes(self._data[at : at + 2], "little")

    def _u32(self, at: int) -> int:
        return int.from_bytes(self._data[at : at + 4], "little")


def _function(start: int | None, size: int, name: str) -> Function | None:
    return Function(start, start + size, name) if start is not None and name else None


def _name(data: bytes, record: int, at: int) -> str:
    end = record + 2 + int.from_bytes(data[record : record + 2], "little")
    return data[record + at : end].split(b"\0", 1)[0].decode("utf-8", "replace")


# Fields of many records at once; records begin at multiples of four.
def _longs(data: bytes, records: NDArray[np.int64], at: int) -> NDArray[np.uint32]:
    longs = np.frombuffer(data, "<u4", len(data) // 4)
    return longs[np.minimum((records + at) >> 2, len(longs) - 1)] if len(longs) else np.empty(0, np.uint32)


def _words(data: bytes, records: NDArray[np.int64], at: int) -> NDArray[np.uint16]:
    words = np.frombuffer(data, "<u2", len(data) // 2)
    return words[np.minimum((records + at) >> 1, len(words) - 1)] if len(words) else np.empty(0, np.uint16)
