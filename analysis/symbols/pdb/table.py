"""One PDB as a symbol table: ``open_pdb``."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from analysis.errors import BadSymbols
from analysis.formats.image import MACHINE_X86
from analysis.symbols.fields import NestedFields
from analysis.symbols.layout import Field, Layout
from analysis.symbols.names import PdbIdentity, best_name
from analysis.symbols.pdb.dbi import Dbi, read_dbi
from analysis.symbols.pdb.decoration import spellings, undecorated
from analysis.symbols.pdb.frames import FrameData, FrameRecord
from analysis.symbols.pdb.info import named_stream, read_info
from analysis.symbols.pdb.kept import WORTH, KeptIndex
from analysis.symbols.pdb.msf import Msf
from analysis.symbols.pdb.records import BadRecord
from analysis.symbols.pdb.symbols import COLUMNS as SYMBOL_COLUMNS
from analysis.symbols.pdb.symbols import Function, GlobalSymbols, ModuleSymbols
from analysis.symbols.pdb.type_stream import COLUMNS as TYPE_COLUMNS
from analysis.symbols.pdb.type_stream import Types, Udt

_T = TypeVar("_T")

TYPE_STREAM = 2
MAX_BASES = 256  # of one class, those of its bases included


class PdbTable:
    """The names and layouts of the image that a PDB was made with.

    Opening reads which PDB it is and where its parts are; names and types are read when first asked for. A part that
    turns out to be damaged then answers like one that is missing, and ``problems`` says so in sentences.

    Raises:
        BadSymbols: see ``open_pdb``.
    """

    has_functions = True

    def __init__(self, path: Path, cache: Path | None = None) -> None:
        self.path = path
        self._msf = Msf(path)
        try:
            info = read_info(self._msf)
            self._dbi = read_dbi(self._msf)
        except BaseException:
            self._msf.close()
            raise
        self.identity = PdbIdentity(path.name, info.guid, info.age)
        self._kept = KeptIndex(cache, f"{self.identity.key}-{self._msf.size:x}-{self._msf.changed:x}")
        self.origin = f"PDB {path.name} {info.guid}-{info.age:x}"
        self.problems: list[str] = []
        self._modules: dict[int, ModuleSymbols | None] = {}
        self._layouts: dict[str, Layout | None] = {}

    def close(self) -> None:
        """Gives the file back."""
        self._msf.close()

    @property
    def machine(self) -> int:
        """The machine type, as in a PE header."""
        return self._dbi.machine

    @property
    def dbi(self) -> Dbi:
        """Modules, sections and contributions."""
        return self._dbi

    def rva(self, name: str) -> int | None:
        """The RVA of a public symbol, a global variable or a function; or None."""
        linked = self._addressed(name)
        if linked is None:
            function = self._referenced(name)
            linked = function.start if function else None
        return None if linked is None else self._dbi.sections.in_image(linked)

    def _addressed(self, name: str) -> int | None:
        if self.symbols is None:
            return None
        written = spellings(name) if self.machine == MACHINE_X86 else (name,)
        return next((found for one in written if (found := self.symbols.address(one)) is not None), None)

    def nearest(self, rva: int) -> tuple[str, int] | None:
        """The function that ``rva`` lies in, else the public symbol at or below it, and the distance in bytes.

        None where that symbol belongs to another section or another object file's part of it: between the two lies
        code that has no name here.
        """
        linked = self._dbi.sections.from_rva(rva)
        if linked is None:
            return None
        row = self._dbi.contributions.at(linked)
        module = self._module(int(self._dbi.contributions.modules[row])) if row is not None else None
        function = module.at(linked) if module else None
        if function is not None:
            return function.name, linked - function.start + function.into
        return self._public(linked, row)

    def layout(self, name: str) -> Layout | None:
        """The layout of a structure, class or union with the members of its base classes, or None."""
        if name not in self._layouts:
            self._layouts[name] = self._attempt(lambda: self._read_layout(name), f"the layout of {name}")
        return self._layouts[name]

    def enumerators(self, name: str) -> dict[str, int] | None:
        """The names and values of an enumeration, or None: there is none of that name."""
        return self._attempt(lambda: self._read_enumerators(name), f"the enumeration {name}")

    def functions(self) -> Iterator[Function]:
        """Every function of every module whose symbols can be read, as RVAs as linked."""
        for index in range(len(self._dbi.modules)):
            module = self._module(index)
            yield from module.functions if module else ()

    @cached_property
    def symbols(self) -> GlobalSymbols | None:
        """Public and global symbols; None where the PDB has none that can be read."""
        stream = self._dbi.symbols
        if stream is None:
            return None
        return self._attempt(lambda: self._read_symbols(stream), "its symbols")

    @cached_property
    def types(self) -> Types | None:
        """The types; None where the PDB has none that can be read. Microsoft's public PDBs of drivers have none."""
        if not self._msf.has(TYPE_STREAM):
            return None
        return self._attempt(self._read_types, "its types")

    def _read_symbols(self, stream: int) -> GlobalSymbols:
        data = self._msf.stream(stream, "symbol records")
        kept = self._kept.load("symbols", SYMBOL_COLUMNS, len(data)) if len(data) >= WORTH else None
        found = GlobalSymbols(data, self._dbi.sections, kept)
        if kept is None and len(data) >= WORTH:
            self._kept.save("symbols", found.arrays)
        return found

    def _read_types(self) -> Types:
        data = self._msf.stream(TYPE_STREAM, "types")
        kept = self._kept.load("types", TYPE_COLUMNS, len(data)) if len(data) >= WORTH else None
        found = Types(data, kept)
        if kept is None and len(data) >= WORTH:
            self._kept.save("types", found.arrays)
        return found

    def frame_at(self, rva: int) -> FrameRecord | None:
        """How the stack frame of 32-bit code at an RVA is laid out, as RVAs in the image; None: nothing tells."""
        linked = self._dbi.sections.from_rva(rva)
        found = self.frames.at(linked) if self.frames and linked is not None else None
        if found is None:
            return None
        start, function = (self._dbi.sections.in_image(place) for place in (found.start, found.function))
        return None if start is None or function is None else replace(found, start=start, function=function)

    @cached_property
    def frames(self) -> FrameData | None:
        """The layouts of stack frames; None where the PDB has none that can be read."""
        if self._dbi.fpo is None and self._dbi.frames is None:
            return None
        return self._attempt(self._read_frames, "its frame data")

    def _read_frames(self) -> FrameData:
        names = named_stream(self._msf, "/names")
        streams = (self._dbi.fpo, self._dbi.frames, names)
        return FrameData(*(self._msf.stream(one, "frame data") if one is not None else b"" for one in streams))

    def _public(self, linked: int, row: int | None) -> tuple[str, int] | None:
        sections, contributions = self._dbi.sections, self._dbi.contributions
        found = self.symbols.below(linked) if self.symbols else None
        if found is None or sections.section_of(found[0]) != sections.section_of(linked):
            return None
        if len(contributions) and contributions.at(found[0]) != row:
            return None
        name = best_name(found[1])
        name = undecorated(name) if name is not None and self.machine == MACHINE_X86 else name
        return None if name is None else (name, linked - found[0])

    def _referenced(self, name: str) -> Function | None:
        place = self.symbols.reference(name) if self.symbols else None
        module = self._module(place[0]) if place else None
        return module.starting(place[1]) if module and place else None

    def _module(self, index: int) -> ModuleSymbols | None:
        if index not in self._modules:
            self._modules[index] = self._attempt(lambda: self._read_module(index), f"the functions of module {index}")
        return self._modules[index]

    def _read_module(self, index: int) -> ModuleSymbols | None:
        known = self._dbi.modules[index] if 0 <= index < len(self._dbi.modules) else None
        if known is None or known.stream is None or not known.size:
            return None
        return ModuleSymbols(self._msf.stream(known.stream, "module", known.size), self._dbi.sections)

    def _read_enumerators(self, name: str) -> dict[str, int] | None:
        types = self.types
        udt = types.find(name) if types else None
        return types.enumerators(udt) if types and udt and udt.kind == "enum" else None

    def _read_layout(self, name: str) -> Layout | None:
        udt = self.types.by_spelling(name) if self.types else None
        if udt is None or udt.kind == "enum" or udt.forward:
            return None
        found: dict[str, Field] = {}
        self._add_members(found, udt, 0, [MAX_BASES])
        return Layout(name, udt.size, NestedFields(found, self.layout))

    # The bases first: where a class hides a member of its base, the class's own counts.
    def _add_members(self, found: dict[str, Field], udt: Udt, offset: int, bases_left: list[int]) -> None:
        types = self.types
        bases_left[0] -= 1
        if types is None or bases_left[0] < 0:
            raise BadRecord(f"has a class with more than {MAX_BASES} bases")
        listed = types.fields(udt)
        for base in listed.bases:
            self._add_members(found, types.resolved(base.type_index), offset + base.offset, bases_left)
        for member in listed.members:
            shape = types.shape(member.type_index)
            place = offset + member.offset
            found[member.name] = Field(place, shape.size, shape.bit, shape.bits, shape.type_name)

    def _attempt(self, read: Callable[[], _T | None], what: str) -> _T | None:
        try:
            return read()
        except (BadRecord, BadSymbols) as damaged:
            reason = damaged.reason if isinstance(damaged, BadSymbols) else f"it {damaged}"
            self.problems.append(f"{self.origin}: {what} cannot be read: {reason}")
            return None


def open_pdb(path: Path, wanted: PdbIdentity | None = None, cache: Path | None = None) -> PdbTable:
    """The table in a PDB file; where it is ``wanted`` for an image, it must be that image's.

    ``cache`` is a directory that keeps the index of a large one.

    Raises:
        BadSymbols: it cannot be read, is damaged, of a form that is not read here, or another image's.
    """
    table = PdbTable(path, cache)
    found = table.identity
    if wanted is not None and (found.guid, found.age) != (wanted.guid, wanted.age):
        table.close()
        raise BadSymbols(
            path.name, f"it is {found.guid}-{found.age:x}, but {wanted.guid}-{wanted.age:x} is asked for: not used"
        )
    return table
