"""Opens everything that is known about a dump's kernel: ``open_kernel_symbols``."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from analysis.address import VirtAddr
from analysis.formats.image import DumpImage
from analysis.memory.reader import Memory
from analysis.symbols.builds import known_builds
from analysis.symbols.builtin import MAJOR_BUILDS, SAME_KERNEL, always_alike, builtin_table
from analysis.symbols.fields import CompletedTable, agree
from analysis.symbols.identify import NT_FILES, Match, Nt, find_nt, find_own_table, fingerprint, published_addresses
from analysis.symbols.identify_pdb import find_own_pdb
from analysis.symbols.kdbg import Kdbg, find_kdbg
from analysis.symbols.kernel import KernelSymbols, LayoutSource
from analysis.symbols.names import ImageIdentity, PdbIdentity, SymbolTable
from analysis.symbols.obtaining import open_wanted_image
from analysis.symbols.pdb import PdbTable
from analysis.symbols.search import Ask, SymbolFiles, find_files, major_of
from analysis.symbols.validate import check_layouts
from analysis.symbols.windows import os_name, version_of


@dataclass(frozen=True, slots=True)
class SymbolSources:
    """Where symbols may come from: directories searched at any depth, then ``ask``, which fetches a file.
    ``cache`` keeps what was found out about large files."""

    directories: tuple[Path, ...] = ()
    cache: Path | None = None
    ask: Ask | None = None


@dataclass(slots=True)
class _Found:
    """What is gathered on the way."""

    image: DumpImage
    memory: Memory
    notes: list[str] = field(default_factory=list)
    kdbg: Kdbg | None = None
    nt: Nt | None = None
    match: Match | None = None
    files: SymbolFiles = field(default_factory=SymbolFiles)
    published: Mapping[str, VirtAddr] = field(default_factory=dict)

    @property
    def pdb(self) -> PdbIdentity | None:
        own = self.match.table.identity if self.match else None
        return (self.nt.pdb if self.nt else None) or own


def open_kernel_symbols(image: DumpImage, memory: Memory, sources: SymbolSources) -> KernelSymbols:
    """Names and layouts of the kernel in the dump, from the best sources there are. Never raises for what is missing:
    the result then says so in ``how``, ``layout_source`` and ``notes``."""
    found = _Found(image, memory)
    found.kdbg, reason = find_kdbg(image, memory)
    found.notes += [reason] if reason else []
    found.nt = find_nt(image, memory, found.kdbg)
    _distrust_foreign_kdbg(found)
    found.published = published_addresses(image, found.kdbg)
    known = known_builds()
    # Drivers have symbols, too, also where the kernel's own image cannot be found.
    found.files = find_files(sources.directories, known, sources.ask, sources.cache / "pdb" if sources.cache else None)
    found.notes += found.files.notes
    if found.nt is not None:
        found.nt = _with_headers(found, found.nt)
        _find_own(found, found.nt, known)
    build = _build(found, known)
    layout_source, layouts = _layouts(found)
    if found.match and isinstance(found.match.table, PdbTable):
        found.notes += found.match.table.problems
    return KernelSymbols(
        base=found.nt.base if found.nt else VirtAddr(0),
        size=found.nt.size if found.nt else 0,
        build=build,
        pdb=found.pdb,
        how=_how(found),
        exact=found.match is not None,
        layout_source=layout_source,
        layouts=layouts,
        names=_names(found),
        published=found.published,
        kdbg=found.kdbg,
        files=found.files,
        os=os_name(image.header.build, image.header.product_type),
        notes=tuple(found.notes),
    )


# Small dumps hold the first page of the kernel's image at most, but name its file: that one says which PDB is its.
def _with_headers(found: _Found, nt: Nt) -> Nt:
    timestamp = nt.timestamp or (nt.image.timestamp if nt.image else None)
    if nt.pdb is not None or not timestamp or not nt.size or found.files.is_empty:
        return nt
    notes: list[str] = []
    for name in NT_FILES:
        file, refused = open_wanted_image(found.files, ImageIdentity(name, timestamp, nt.size), nt.base)
        if file is not None:
            return replace(nt, image=file.headers)
        notes += refused
    found.notes += notes
    return nt


def _find_own(found: _Found, nt: Nt, known: Mapping[str, str]) -> None:
    marks = fingerprint(nt, found.published)
    found.match, notes = find_own_table(found.image, nt, marks, list(found.files.tables))
    found.notes += notes
    if found.match is None and not found.files.is_empty:
        found.match, notes = find_own_pdb(found.image, nt, marks, found.files, known)
        found.notes += notes


def _distrust_foreign_kdbg(found: _Found) -> None:
    if found.kdbg and found.nt and found.kdbg.base != found.nt.base:
        found.notes.append(
            f"the kernel's debugger data names {found.kdbg.base:#x} as the kernel's base, the module list "
            f"{found.nt.base:#x}: it is not used"
        )
        found.kdbg = None


# The full build: from the BUILDS.tsv beside the own table, or by the PDB's GUID from that or the committed list.
def _build(found: _Found, known: Mapping[str, str]) -> str | None:
    header = found.image.header.build
    pdb = found.pdb
    stated = found.match.candidate.build if found.match else None
    if stated is None and pdb is not None:  # a table may be damaged and its line in BUILDS.tsv be right
        stated = next((one.build for one in found.files.tables if one.guid == pdb.guid), known.get(pdb.guid))
    if stated is not None and major_of(stated) not in (header, SAME_KERNEL.get(header)):
        found.notes.append(f"the build {stated} that was found for this kernel is not of the dump's {header}; not used")
        stated = None
    if stated is None:
        found.notes.append(f"only the major build {version_of(header)} is known: nothing at hand names the update")
    return stated


def _how(found: _Found) -> str:
    if found.match:
        return found.match.how
    if found.nt is None:
        return "the kernel's image was not found in the dump"
    if found.pdb:
        pdb = f"{found.pdb.name} {found.pdb.guid}-{found.pdb.age}"
        return f"the kernel's image names its PDB {pdb}; no table at hand is its"
    if found.files.tables:
        return f"none of the symbol tables at hand ({len(found.files.tables)}) is this kernel's"
    if any(name.endswith(".pdb") for name in found.files.stored):
        return "none of the PDBs at hand is this kernel's"
    return "no symbol tables were given"


def _names(found: _Found) -> SymbolTable | None:
    if found.match:
        return found.match.table
    return found.nt.image.exports() if found.nt and found.nt.image else None


# A PDB may have been stripped of its types.
def _tells_layouts(table: SymbolTable) -> bool:
    return not isinstance(table, PdbTable) or table.layout("_KTHREAD") is not None


def _layouts(found: _Found) -> tuple[LayoutSource, tuple[SymbolTable, ...]]:
    header = found.image.header
    everywhere = always_alike(header.architecture)
    major = builtin_table(header.build) if header.architecture == "x64" else None
    if found.match and _tells_layouts(found.match.table):
        own = found.match.table
        fits = major is not None and agree(own, major, ("_KTHREAD", "_ETHREAD", "_EPROCESS", "_ERESOURCE"))
        return "own", (CompletedTable(own, major) if major and fits else own, everywhere)
    if header.architecture != "x64":
        found.notes.append(f"no layouts are built in for {header.architecture} kernels")
        return "none", (everywhere,)
    if major is not None:
        fit = check_layouts(found.memory, major, found.kdbg, found.published)
        if not fit.is_refuted:
            return "major", (major, everywhere)
        found.notes.append(f"this dump contradicts the layouts of build {header.build}: {fit.problems[0]}")
    for build in sorted(MAJOR_BUILDS, key=lambda known: abs(known - header.build)):
        table = builtin_table(build)
        if table is None or (major is not None and table.origin == major.origin):
            continue
        if check_layouts(found.memory, table, found.kdbg, found.published).is_proven:
            found.notes.append(
                f"layouts of build {build} are used for build {header.build}: they passed the checks against this dump"
            )
            return "neighbour", (table, everywhere)
    found.notes.append(f"no layouts are known for build {header.build}, and no other build's fit this dump")
    return "none", (everywhere,)
