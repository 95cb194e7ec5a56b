"""Symbol tables of the loaded drivers: each driver's own PDB, opened when one of its addresses is first asked for."""

from collections.abc import Iterator, Mapping, Sequence

from analysis.kernel.facts import Module
from analysis.kernel.image_files import ImageFiles
from analysis.kernel.symbolize import KERNEL_MODULE, stem
from analysis.symbols.identify_pdb import open_wanted_pdb
from analysis.symbols.names import PdbIdentity, SymbolTable
from analysis.symbols.pdb import PdbTable
from analysis.symbols.search import SymbolFiles


class DriverSymbols(Mapping[int, SymbolTable]):
    """The PDB of each module that has one below the symbol directories, by the module's base.

    A PDB is used only for the image that names it, by GUID and age. ``notes`` are sentences about those that were
    refused, and about parts of the others that turned out to be damaged.
    """

    def __init__(self, files: SymbolFiles, modules: Sequence[Module], images: ImageFiles | None = None) -> None:
        self._files = files
        self._images = images or ImageFiles()
        drivers = [module for module in modules if module.name != KERNEL_MODULE]
        self._modules: dict[int, Module] = {} if files.is_empty else {module.base: module for module in drivers}
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
        wanted = module.pdb or self._named_by_file(module)
        if wanted is not None:
            table, notes = open_wanted_pdb(self._files, wanted)
            self._refused += [f"{module.name}: {note}" for note in notes]
            return table
        # A file of the right name proves nothing: the next build's has the same one.
        if f"{stem(module)}.pdb".lower() in self._files.stored:
            self._refused.append(
                f"{module.name}: a PDB of its name is at hand, but the dump does not tell whether it is this image's"
            )
        return None

    # Small dumps hold no image: its file says which PDB is its.
    def _named_by_file(self, module: Module) -> PdbIdentity | None:
        file = self._images.of(module)
        return file.headers.pdb if file is not None else None
