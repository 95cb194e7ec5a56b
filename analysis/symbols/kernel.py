"""Names and layouts of one dump's kernel, put together from every source there is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from analysis.address import VirtAddr
from analysis.errors import MissingLayout
from analysis.memory.reader import Memory
from analysis.symbols.kdbg import Kdbg
from analysis.symbols.layout import Layout, Struct
from analysis.symbols.names import PdbIdentity, SymbolTable
from analysis.symbols.search import SymbolFiles

LayoutSource = Literal["own", "major", "neighbour", "none"]

# No function of a kernel is longer; farther from its start, a name says nothing about the code there.
FARTHEST = 0x10000


@dataclass(frozen=True, slots=True)
class KernelSymbols:
    """What is known about the names and layouts of the kernel in a dump.

    ``build`` is the full version ("10.0.19041.804") or None; ``how`` says in a sentence how the kernel was recognised,
    or why not; ``exact`` is True where names come from the kernel's very own table. ``layout_source`` is "own" (that
    table), "major" (the built-in table of its major build), "neighbour" (a near build's, checked against this dump) or
    "none": then only the few layouts that hold everywhere are known. ``published`` are addresses by name from the dump
    header and KDBG; ``files`` are those below the symbol directories, where drivers' tables are looked for; ``notes``
    are sentences for the report about what is missing or was refused.
    """

    base: VirtAddr
    size: int
    build: str | None
    pdb: PdbIdentity | None
    how: str
    exact: bool
    layout_source: LayoutSource
    layouts: tuple[SymbolTable, ...]
    names: SymbolTable | None
    published: Mapping[str, VirtAddr]
    kdbg: Kdbg | None = None
    files: SymbolFiles = field(default_factory=SymbolFiles)
    os: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def has_functions(self) -> bool:
        """Whether ``nearest`` names functions. False: it names an export below, perhaps far from the address."""
        return self.names is not None and self.names.has_functions

    def layout(self, name: str) -> Layout | None:
        """The layout of a structure in this kernel, or None: no source knows it."""
        for table in self.layouts:
            found = table.layout(name)
            if found is not None:
                return found
        return None

    def struct(self, memory: Memory, name: str, address: int) -> Struct:
        """A view of the structure at an address. Raises: MissingLayout."""
        layout = self.layout(name)
        if layout is None:
            raise MissingLayout(name)
        return Struct(memory, layout, address)

    def address(self, name: str) -> VirtAddr | None:
        """The address of one of the kernel's symbols, or None."""
        rva = self.names.rva(name) if self.names else None
        return VirtAddr(self.base + rva) if rva is not None else self.published.get(name)

    def name_at(self, address: int) -> str | None:
        """The symbol at exactly that address ("CmpRegistryLock"), or None."""
        found = self.names.nearest(address - self.base) if self.names and self.contains(address) else None
        if found and found[1] == 0:
            return found[0]
        return next((name for name, known in self.published.items() if known == address), None)

    def nearest(self, address: int) -> tuple[str, int] | None:
        """The symbol at or below an address inside the kernel's image and the distance in bytes, or None."""
        if self.names is None or not self.contains(address):
            return None
        found = self.names.nearest(address - self.base)
        return found if found and found[1] < FARTHEST else None

    def contains(self, address: int) -> bool:
        """Whether an address lies in the kernel's image."""
        return 0 <= address - self.base < self.size
