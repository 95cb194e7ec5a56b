"""Which PDB on disk is the kernel's own: by the record in its image, else by the addresses that the dump publishes."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from analysis.errors import BadSymbols
from analysis.formats.image import DumpImage
from analysis.limits import MAX_TABLES_TRIED
from analysis.symbols.identify import BEYOND_DOUBT, FINGERPRINT, Match, Nt, contradictions, how_matched
from analysis.symbols.names import PdbIdentity
from analysis.symbols.obtaining import open_wanted
from analysis.symbols.pdb import PdbTable, open_pdb
from analysis.symbols.search import KERNEL_PDBS, Candidate, SymbolFiles


def open_wanted_pdb(files: SymbolFiles, wanted: PdbIdentity) -> tuple[PdbTable | None, list[str]]:
    """The PDB that an image asks for, or None; and sentences about those that were refused."""

    def opened(path: Path) -> PdbTable:
        table = open_pdb(path, wanted, files.cache)
        table.identity = replace(table.identity, name=wanted.name)
        return table

    return open_wanted(files, wanted, opened)


def find_own_pdb(
    image: DumpImage, nt: Nt, marks: Mapping[str, int], files: SymbolFiles, known: Mapping[str, str]
) -> tuple[Match | None, list[str]]:
    """The PDB of the very kernel in the dump, or None; and sentences about PDBs that were refused.

    ``marks`` is the dump's ``fingerprint``, ``known`` are the builds by GUID.
    """
    pdb = nt.pdb
    if pdb is None:
        return _by_addresses(image.header.machine, marks, files, known)
    table, notes = open_wanted_pdb(files, pdb)
    if table is None:
        return None, notes
    agree, against = _compared(marks, table)
    if table.machine != image.header.machine or against:
        notes.append(f"{table.origin} bears the kernel's PDB identity but has other addresses; not used")
        table.close()
        return None, notes
    return _match(table, known, agree, named=True), notes


# Small dumps name no PDB. A wrong kernel's PDB nearly always puts one of the marks elsewhere.
def _by_addresses(
    machine: int, marks: Mapping[str, int], files: SymbolFiles, known: Mapping[str, str]
) -> tuple[Match | None, list[str]]:
    notes: list[str] = []
    if len(marks) < BEYOND_DOUBT:
        return None, notes
    for path in list(_kernel_pdbs(files))[:MAX_TABLES_TRIED]:
        try:
            table = open_pdb(path, None, files.cache)
        except BadSymbols as refused:
            notes.append(str(refused))
            continue
        agree, against = _compared(marks, table)
        if table.machine == machine and agree >= BEYOND_DOUBT and not against:
            return _match(table, known, agree, named=False), notes
        table.close()
    return None, notes


def _kernel_pdbs(files: SymbolFiles) -> Iterator[Path]:
    for name in sorted(KERNEL_PDBS):
        yield from files.stored.get(name, ())


def _compared(marks: Mapping[str, int], table: PdbTable) -> tuple[int, int]:
    rvas = {name: rva for name in FINGERPRINT if (rva := table.rva(name)) is not None}
    return sum(1 for name, rva in marks.items() if rvas.get(name) == rva), contradictions(marks, rvas)


def _match(table: PdbTable, known: Mapping[str, str], agree: int, *, named: bool) -> Match:
    identity = table.identity
    candidate = Candidate(table.path, identity.guid, identity.age, known.get(identity.guid))
    return Match(table, candidate, how_matched(candidate, agree, named=named))
