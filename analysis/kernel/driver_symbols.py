"""Symbol tables of the loaded drivers: each driver's own PDB, opened when one of its addresses is first asked for."""

from collections.abc import Iterator, Mapping, Sequence

from analysis.kernel.facts import Module
from analysis.kernel.symbolize import KERNEL_MODULE, stem
from analysis.symbols.identify_pdb import open_wanted
from analysis.symbols.names import SymbolTable
from analysis.symbols.pdb import PdbTable
from analysis.symbols.search import SymbolFiles


class DriverSymbols(Mapping[int, SymbolTable]):
    """The PDB of each module that has one below the symbol directories, by the module's base.

    A PDB is used only for the image that names it, by GUID and age. ``notes`` are sentences about those that were
    refused, and about parts of the others that turned out to be damaged.
    """

    def __init__(self, files: SymbolFiles, modules: Sequence[Module]) -> None:
        self._files = files
        drivers = [module for module in modules if module.name != KERNEL_MODULE]
        any_source = files.directories or files.ask
        self._modules: dict[int, Module] = {module.base: module for module in drivers} if any_source else {}
        self._open: dict[int, PdbTable | None] = {}
        self._refused: list[str] = []

    @property
    def notes(self) -> tuple[str, ...]:
        """What to say about the PDBs that were asked for so far."""
        damaged = [problem for table in self._open.values() if table for problem in table.problems]
        return (*self._refused, *damaged)

    def __getitem__(self, base: int) -> SymbolTable:
        if base not in self._open:
            self._open[base] = self._find(self._modules[base])
        table = self._open[base]
        if table is None:
            raise KeyError(base)
        return table

    def __iter__(self) -> Iterator[int]:
        return (base for base in self._modules if base in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _find(self, module: Module) -> PdbTable | None:
        if module.pdb is not None:
            table, notes = open_wanted(self._files, module.pdb)
            self._refused += [f"{module.name}: {note}" for note in notes]
            return table
        # A file of the right name proves nothing: the next build's has the same one.
        if f"{stem(module)}.pdb".lower() in self._files.pdbs:
            self._refused.append(
                f"{module.name}: a PDB of its name is at hand, but the dump does not tell whether it is this image's"
            )
        return None
