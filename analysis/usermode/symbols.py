"""Names inside the modules of a process: each image's own PDB where one can be had, else what the image exports."""

from collections.abc import Iterator, Mapping

from analysis.errors import BadDump, Unreadable
from analysis.kernel.driver_symbols import DriverSymbols
from analysis.memory import BlockMemory
from analysis.symbols.layout import Layout
from analysis.symbols.names import SymbolTable
from analysis.symbols.pe import read_image


class NoKernel:
    """The kernel's names in a dump of one process: there are none."""

    exact = False
    names = None

    def name_at(self, address: int) -> str | None:
        """No symbol."""

    def nearest(self, address: int) -> tuple[str, int] | None:
        """No symbol."""

    def address(self, name: str) -> int | None:
        """No address."""

    def layout(self, name: str) -> Layout | None:
        """No layout."""


class ProcessNames(Mapping[int, SymbolTable]):
    """The tables of the images of a process, by base; each is opened when it is first asked for."""

    def __init__(self, pdbs: DriverSymbols, memory: BlockMemory, bases: tuple[int, ...]) -> None:
        self._pdbs = pdbs
        self._memory = memory
        self._bases = bases
        self._exports: dict[int, SymbolTable | None] = {}

    def __getitem__(self, base: int) -> SymbolTable:
        if base in self._pdbs:
            return self._pdbs[base]
        if base not in self._exports:
            self._exports[base] = self._read(base)
        found = self._exports[base]
        if found is None:
            raise KeyError(base)
        return found

    def __iter__(self) -> Iterator[int]:
        return iter(self._bases)

    def __len__(self) -> int:
        return len(self._bases)

    def _read(self, base: int) -> SymbolTable | None:
        try:
            return read_image(self._memory, base).exports()
        except (Unreadable, BadDump):
            return None
